"""Parts on local disk into tables: who is in the segments, and what contact each of them becomes.

With nothing to compare with, both are had in one pass over a file. Otherwise the first pass takes only the address and
a digest of the mapped values, `source`, and a second one writes the contacts of those whose source the ledger does not
know: equal sources make equal contacts, so a row is found again by address and source, in whatever order DuckDB reads.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from exporters.model.fields import ContactShape
from exporters.planning.database import literal
from exporters.planning.values import PADDED, contact_json, field_text, json_member, json_members, rules, untidy
from exporters.segments import parquet
from exporters.segments.lines import BrokenLine, read_records
from exporters.segments.reading import LocalPart, PartFormat
from exporters.segments.text import MAX_LINE_BYTES

#: Longest line that DuckDB reads. Written anew, quotes may double, and a line number stands in front.
MAX_WRITTEN_BYTES = 2 * MAX_LINE_BYTES + 64
#: Bytes of a file that one thread reads at a time. DuckDB's own 32 MB would give most parts to a single thread.
READ_AT_ONCE = 4 * 1024 * 1024

_CONTACT = """contact VARCHAR USING COMPRESSION zstd, bytes UINTEGER, fingerprint UBIGINT,
    omitted STRUCT(field INTEGER, value VARCHAR)[]"""
CREATE_TABLES = (
    # profiles: one row a profile, in the order of segments, parts and lines, so that rowid is that order.
    # `line` is NULL where every line of the part is a profile. `email` is the address as it is sent; where there is
    # none, `address` holds what stood there (NULL if nothing). The columns of the contact are NULL after a first pass.
    f"""CREATE TABLE profiles (part INTEGER, line BIGINT, address VARCHAR, email VARCHAR, source UBIGINT, {_CONTACT},
        is_first BOOLEAN)""",
    # made: the contacts that a second pass wrote, one for each address and source.
    f"CREATE TABLE made (email VARCHAR, source UBIGINT, {_CONTACT})",
    # parts: `first_id` is the rowid of the part's first profile, `first_line` the line it stands on.
    "CREATE TABLE parts (part INTEGER, segment VARCHAR, name VARCHAR, first_id BIGINT, first_line BIGINT)",
    # broken: lines that are no profiles.
    "CREATE TABLE broken (part INTEGER, line BIGINT, reason VARCHAR)",
)

FIRST_ID = "SELECT min(rowid) FROM profiles WHERE part = $part"
INSERT_PART = "INSERT INTO parts VALUES ($part, $segment, $name, $first_id, $first_line)"
INSERT_BROKEN = """INSERT INTO broken SELECT $part, line, reason
    FROM read_csv($path, header = false, auto_detect = false, columns = {'line': 'BIGINT', 'reason': 'VARCHAR'})"""

# Rows of equal address and source are equal, so any one of them will do.
DROP_REPEATED = "DELETE FROM made WHERE rowid NOT IN (SELECT min(rowid) FROM made GROUP BY email, source)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A part as DuckDB is to read it."""

    part: int
    path: Path
    rows: str  #: SQL, the file being $path: its `line` and the mapped columns as texts raw0, raw1, …; empty is NULL
    numbers: frozenset[str] = frozenset()  #: columns that hold numbers by their type, so their text has a point


def load_part(
    database: duckdb.DuckDBPyConnection,
    part: LocalPart,
    *,
    number: int,
    segment: str,
    shape: ContactShape,
    work: Path,
    with_contacts: bool,
) -> Table | None:
    """Append the profiles of one part, with their contacts or without.

    Lines that are no profiles go to `broken` and leave all others as they are. Answers how to read the part again; None
    where it has no profiles.
    """
    table = _load(database, part, number, shape, work, with_contacts=with_contacts) if part.has_profiles else None
    (first_id,) = database.execute(FIRST_ID, {"part": number}).fetchone() or (None,)
    facts = {"part": number, "segment": segment, "name": part.read.name, "first_id": first_id}
    database.execute(INSERT_PART, facts | {"first_line": part.header_lines + 1})
    return table


def make_contacts(database: duckdb.DuckDBPyConnection, tables: Iterable[Table], shape: ContactShape) -> None:
    """Fill `made` with the contacts of all profiles whose address is in the table `wanted_emails`, or is none."""
    database.execute("DELETE FROM made")
    for table in tables:
        addressed = f"SELECT *, sent_address({_address(shape)}) AS found FROM ({table.rows})"
        wanted = f"SELECT * FROM ({addressed}) WHERE found IS NULL OR found IN (SELECT email FROM wanted_emails)"
        rows = replace(table, rows=wanted)
        statement = f"""INSERT INTO made SELECT email, source, contact, strlen(contact), {_FINGERPRINT}, omitted
            FROM ({_with_contact(rows, shape)})"""
        database.execute(statement, {"path": str(table.path)})
    database.execute(DROP_REPEATED)


def _load(
    database: duckdb.DuckDBPyConnection,
    part: LocalPart,
    number: int,
    shape: ContactShape,
    work: Path,
    *,
    with_contacts: bool,
) -> Table:
    insert = _insert_whole if with_contacts else _insert_narrow
    if part.format is PartFormat.PARQUET:
        return _load_parquet(database, part, number, shape, insert)
    if part.clean:
        table = _csv(
            part.path,
            number,
            delimiter=part.delimiter,
            width=part.width,
            header_lines=part.header_lines,
            line="NULL",
            columns=[f"c{part.columns[column]}" for column in shape.columns],
            across_lines=False,
        )
        if _load_fast(database, insert(table, shape), table, profiles=part.lines - part.header_lines):
            return table
    return _load_carefully(database, part, number, shape, work, insert)


def _load_fast(database: duckdb.DuckDBPyConnection, insert: str, table: Table, *, profiles: int) -> bool:
    """Let DuckDB read a file as it is. Only if it finds one record in every line is the result kept."""
    database.begin()
    try:
        line_by_line = _insert(database, insert, table) == profiles
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.NotImplementedException):
        # The last one means a line longer than what one thread reads at a time.
        line_by_line = False
    if line_by_line:
        database.commit()
    else:
        database.rollback()
    return line_by_line


def _load_carefully(
    database: duckdb.DuckDBPyConnection,
    part: LocalPart,
    number: int,
    shape: ContactShape,
    work: Path,
    insert: Callable[[Table, ContactShape], str],
) -> Table:
    """Read the part line by line, write what is right as a plain file with line numbers, and load that."""
    good, bad = work / f"{number}.good.csv", work / f"{number}.bad.csv"
    positions = [part.columns[column] for column in shape.columns]
    with (
        part.path.open("rb") as source,
        good.open("w", encoding="utf-8", newline="") as good_file,
        bad.open("w", encoding="utf-8", newline="") as bad_file,
    ):
        # Everything in quotes, as Python before 3.13 would leave a value with a CR without them.
        good_rows = csv.writer(good_file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        bad_rows = csv.writer(bad_file, lineterminator="\n")
        records = read_records(source, delimiter=part.delimiter, width=part.width, header_lines=part.header_lines)
        expected = 0
        for record in records:
            if isinstance(record, BrokenLine):
                bad_rows.writerow((record.line, record.reason.value))
            else:
                values = record.values
                good_rows.writerow((record.line, *[values[position] for position in positions]))
                expected += 1
    table = _csv(
        good,
        number,
        delimiter=",",
        width=len(positions) + 1,
        header_lines=0,
        line="c0::BIGINT",
        columns=[f"c{index + 1}" for index in range(len(positions))],
        across_lines=True,
    )
    loaded = _insert(database, insert(table, shape), table) if expected else 0
    if loaded != expected:
        raise AssertionError(f"DuckDB read {loaded} of the {expected} records written for part {number}")
    database.execute(INSERT_BROKEN, {"part": number, "path": str(bad)})
    bad.unlink()
    return table


def _load_parquet(
    database: duckdb.DuckDBPyConnection,
    part: LocalPart,
    number: int,
    shape: ContactShape,
    insert: Callable[[Table, ContactShape], str],
) -> Table:
    """Read a Parquet file. Rows with a mapped value that is no clean text are broken lines."""
    texts = [part.texts[column] for column in shape.columns]
    named = _each(f"nullif({text}, '') AS raw{n}" for n, text in enumerate(texts))
    if part.clean:
        rows = f"SELECT NULL AS line, {named} FROM {parquet.ROWS}"
    else:
        broken = parquet.broken_rows(texts)
        database.execute(
            f"INSERT INTO broken SELECT $part, * FROM ({broken})", {"part": number, "path": str(part.path)}
        )
        numbered = f"SELECT row_number() OVER () AS line, {named} FROM {parquet.ROWS_REPAIRED}"
        clean = f"SELECT * FROM ({numbered}) ANTI JOIN (SELECT line FROM broken WHERE part = {number}) USING (line)"
        rows = f"SELECT * FROM ({clean}) ORDER BY line"
    table = Table(part=number, path=part.path, rows=rows, numbers=part.numbers)
    _insert(database, insert(table, shape), table)
    return table


def _insert(database: duckdb.DuckDBPyConnection, statement: str, table: Table) -> int:
    (loaded,) = database.execute(statement, {"path": str(table.path), "part": table.part}).fetchone() or (0,)
    return int(loaded)


def _insert_narrow(table: Table, shape: ContactShape) -> str:
    """SQL: a part -> rows of `profiles` without contacts."""
    rows = f"SELECT line, source, {_address(shape)} AS address FROM ({_with_source(table, shape)})"
    judged = f"SELECT line, source, address, sent_address(address) AS email FROM ({rows})"
    return f"""INSERT INTO profiles
        SELECT $part, line, CASE WHEN email IS NULL THEN address END, email, source, NULL, NULL, NULL, NULL, true
        FROM ({judged})"""


def _address(shape: ContactShape) -> str:
    """SQL for the tidied address of a row with raw values; one that needs no tidying is settled at once."""
    raw = f"raw{shape.columns.index(shape.email.source.columns[0])}"
    return f"CASE WHEN plain_address({raw}) IS NOT NULL THEN {raw} ELSE trimmed({raw}) END"


def _insert_whole(table: Table, shape: ContactShape) -> str:
    """SQL: a part -> rows of `profiles` with contacts."""
    return f"""INSERT INTO profiles
        SELECT $part, line, CASE WHEN email IS NULL THEN address END, email, source,
            contact, strlen(contact), {_FINGERPRINT}, omitted, true
        FROM ({_with_contact(table, shape)})"""


_FINGERPRINT = "CASE WHEN email IS NOT NULL THEN md5_number_lower(contact) END"


def _with_source(table: Table, shape: ContactShape) -> str:
    """SQL: a part's rows with `row_text`, values between NULs, so that one expression sees the edges of every value;
    and with `source`, a digest of it and of the rules. DuckDB's own hash() is quicker, and takes many rows for equal.
    """
    values = _each(f"coalesce(raw{n}, '')" for n in range(len(shape.columns)))
    salt = "".join((rules(shape), *sorted(table.numbers)))
    return f"""SELECT *, md5_number_lower({literal(salt)} || row_text) AS source
        FROM (SELECT *, concat_ws(chr(0), '', {values}, '') AS row_text FROM ({table.rows}))"""


def _with_contact(table: Table, shape: ContactShape) -> str:
    """SQL: a part -> line, source, address, email, contact, omitted."""
    sources = _with_source(table, shape)
    columns = range(len(shape.columns))
    watched = f"SELECT *, NOT regexp_matches(row_text, {literal(untidy())}) AS tidy FROM ({sources})"
    padded = f"CASE WHEN tidy THEN false ELSE regexp_matches(row_text, {literal(PADDED)}) END"
    looked_at = f"SELECT *, {padded} AS padded FROM ({watched})"
    tidied = _each(
        f"CASE WHEN tidy THEN raw{n} WHEN padded THEN trimmed(raw{n}) ELSE nfc_normalize(raw{n}) END AS v{n}"
        for n in columns
    )
    trimmed = f"SELECT line, source, tidy, {tidied} FROM ({looked_at})"
    value_of = {column: f"v{n}" for n, column in enumerate(shape.columns)}
    address, _ = field_text(shape.email.source, value_of)
    texts = [field_text(field.source, value_of) for field in shape.fields]
    filled = "".join(f", {text} AS t{n}" for n, (text, _) in enumerate(texts))
    named = f"SELECT *, {address} AS address, sent_address({address}) AS email{filled} FROM ({trimmed})"
    members = "".join(
        f", {json_member(field, f't{n}', tidy=tidy, typed=field.source.column in table.numbers)} AS j{n}"
        for n, (field, (_, tidy)) in enumerate(zip(shape.fields, texts, strict=True))
    )
    encoded = f"SELECT *{members} FROM ({named})"
    rest = json_members([(field.path, f"j{n}") for n, field in enumerate(shape.fields)])
    joined = f"SELECT line, source, address, email, {rest} AS rest, {_omitted(shape)} AS omitted FROM ({encoded})"
    contact = contact_json(shape, email="email", address="address", rest="rest")
    return f"SELECT line, source, address, email, omitted, {contact} AS contact FROM ({joined})"


def _omitted(shape: ContactShape) -> str:
    """SQL for the list of values that were left out, with the field's number; NULL where there are none."""
    if not shape.fields:
        return "NULL"
    tests = [f"t{n} IS NOT NULL AND j{n} IS NULL" for n in range(len(shape.fields))]
    entries = _each(f"CASE WHEN {test} THEN {{'field': {n}, 'value': t{n}}} END" for n, test in enumerate(tests))
    return f"CASE WHEN {' OR '.join(tests)} THEN list_filter([{entries}], lambda entry: entry IS NOT NULL) END"


def _csv(
    path: Path,
    part: int,
    *,
    delimiter: str,
    width: int,
    header_lines: int,
    line: str,
    columns: Sequence[str],
    across_lines: bool,
) -> Table:
    """A CSV file. `columns` is SQL for the mapped ones in the order of the shape, its own being c0, c1, …

    `across_lines` says that values may hold line breaks, of any kind, so the file cannot be read from the middle; its
    lines then end in LF.
    """
    every = _each(f"'c{n}': 'VARCHAR'" for n in range(width))
    named = _each(f"{column} AS raw{n}" for n, column in enumerate(columns))
    line_break = r", new_line = '\n'" if across_lines else ""
    rows = f"""SELECT {line} AS line, {named} FROM read_csv($path, auto_detect = false, columns = {{{every}}},
        header = false, skip = {header_lines}, max_line_size = {MAX_WRITTEN_BYTES},
        delim = {literal(delimiter)}, quote = '"', escape = '"', strict_mode = true,
        parallel = {not across_lines}, buffer_size = {READ_AT_ONCE}{line_break})"""
    return Table(part=part, path=path, rows=rows)


def _each(pieces: Iterable[str]) -> str:
    return ", ".join(pieces)
