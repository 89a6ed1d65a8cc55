"""One person in the files that the app keeps: found by their e-mail address, and taken out.

A row is about the person when its `email` is their address, in whatever case. Any other text of it may name them in
the middle, such as a value that was rejected or the contact that was sent: then the whole row counts as theirs.
"""

import csv
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from email_validator import EmailNotValidError, validate_email

from exporters.errors import ConfigError
from exporters.model.fields import EMAIL_FIELD
from exporters.planning.addresses import judge
from exporters.planning.database import literal, open_database

#: What may stand beside an address that is part of a longer one. Other signs can too, but more often they end a word;
#: a row too many is the smaller harm.
_BEFORE = r"(?:^|[^a-z0-9._+-])"
_AFTER = r"(?:$|[^a-z0-9.-]|[.-](?:$|[^a-z0-9]))"

COLUMNS = "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet({path}))"
FIND = "SELECT * FROM read_parquet({path}) WHERE {about} LIMIT $limit"
COUNT = "SELECT count(*) FROM read_parquet({path}) WHERE {about}"
# the file -> the file without the rows about the person, in the same order
WRITE_OTHERS = "COPY (SELECT * FROM read_parquet({path}) WHERE NOT ({about})) TO {target} (FORMAT parquet)"


def canonical(address: str) -> str:
    """An address as the app compares addresses; of what is none, the text in lower case."""
    text = unicodedata.normalize("NFC", address.strip())
    return judge(text) or text.lower()


def spellings(address: str) -> tuple[str, ...]:
    """How an address may be written in files, in lower case: as it is sent, as it was given, its domain in its script.

    Each also as it stands in JSON, where that is different.
    """
    text = unicodedata.normalize("NFC", address.strip()).lower()
    found = [canonical(address), text, _in_its_script(text)]
    return tuple(dict.fromkeys([*found, *(json.dumps(one, ensure_ascii=False)[1:-1] for one in found)]))


def is_about(row: Mapping[str, Any], of: Sequence[str]) -> bool:
    """Whether a row is about the person of these spellings."""
    mention = re.compile(_mention(of))
    texts = ((name, value.lower()) for name, value in row.items() if isinstance(value, str))
    return any(text in of if name == EMAIL_FIELD else mention.search(text) is not None for name, text in texts)


def find_in_table(
    file: Path, of: Sequence[str], *, limit: int, work: Path, memory_mb: int, threads: int
) -> Sequence[Mapping[str, Any]]:
    """The first rows of a Parquet file about the person of these spellings. Raises ConfigError where it is damaged."""
    with _readable(), open_database(work, memory_mb=memory_mb, threads=threads) as database:
        about, values = _about(database, file, of)
        found = database.execute(FIND.format(path=literal(str(file)), about=about), {**values, "limit": limit})
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def erase_from_table(file: Path, of: Sequence[str], target: Path, *, work: Path, memory_mb: int, threads: int) -> int:
    """Write a Parquet file anew without the rows about the person of these spellings; answers how many there are.

    Nothing is written where there are none. Raises ConfigError where it is damaged.
    """
    with _readable(), open_database(work, memory_mb=memory_mb, threads=threads) as database:
        about, values = _about(database, file, of)
        path = literal(str(file))
        (rows,) = database.execute(COUNT.format(path=path, about=about), values).fetchone() or (0,)
        if rows:
            statement = WRITE_OTHERS.format(path=path, about=about, target=literal(str(target)))
            database.execute(statement, values)
        return int(rows)


def find_in_lines(file: Path, of: Sequence[str], *, limit: int) -> Sequence[str]:
    """The first lines of a text file that name the person of these spellings."""
    mention, found = re.compile(_mention(of)), list[str]()
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        for line in lines:
            if mention.search(line.lower()):
                found.append(line.strip())
                if len(found) == limit:
                    break
    return found


def erase_from_csv(file: Path, of: Sequence[str], target: Path) -> int:
    """Write a CSV file with a header anew without the rows about the person of these spellings; answers how many.

    Raises ConfigError where it is damaged.
    """
    with file.open(encoding="utf-8", newline="") as lines, target.open("w", encoding="utf-8", newline="") as others:
        reader, writer = csv.reader(lines), csv.writer(others)
        rows = 0
        try:
            header = next(reader, [])
            writer.writerow(header)
            for row in reader:
                if is_about(dict(zip(header, row, strict=False)), of):
                    rows += 1
                else:
                    writer.writerow(row)
        except (UnicodeDecodeError, csv.Error) as error:
            # Without its cause, which holds what was read: a traceback ends in a log.
            raise ConfigError(f"It is no CSV file that can be read ({type(error).__name__}): delete it") from None
    return rows


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        # Without its cause, which may quote values: a traceback ends in a log.
        raise ConfigError(f"It is no Parquet file that can be read ({type(error).__name__}): delete it") from None


def _in_its_script(text: str) -> str:
    """An address with its domain as people read it, where that is not ASCII; else as it is."""
    try:
        email = validate_email(text, check_deliverability=False, allow_smtputf8=True, allow_quoted_local=True)
    except EmailNotValidError:
        return text
    return email.normalized.lower()


def _mention(of: Sequence[str]) -> str:
    """A regular expression, for Python and for DuckDB, that finds a spelling in a text in lower case."""
    return f"{_BEFORE}(?:{'|'.join(map(re.escape, of))}){_AFTER}"


def _about(database: duckdb.DuckDBPyConnection, file: Path, of: Sequence[str]) -> tuple[str, dict[str, object]]:
    """The condition of a row about the person, and its parameters."""
    columns = database.execute(COLUMNS.format(path=literal(str(file)))).fetchall()
    texts = {name for name, kind in columns if kind == "VARCHAR"}
    quoted = ['"' + name.replace('"', '""') + '"' for name in sorted(texts - {EMAIL_FIELD})]
    conditions = [f"regexp_matches(lower({name}), $mention)" for name in quoted]
    values: dict[str, object] = {"mention": _mention(of)} if quoted else {}
    if EMAIL_FIELD in texts:
        conditions.append(f"list_contains($spellings::VARCHAR[], lower({EMAIL_FIELD}))")
        values["spellings"] = list(of)
    return " OR ".join(f"coalesce({condition}, false)" for condition in conditions) or "false", values
