"""Parts on local disk into the table `profiles`: mapped, checked and written as contacts in one pass over the file."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from exporters.model.fields import ContactShape
from exporters.planning.database import literal
from exporters.planning.values import PADDED, contact_json, json_member, json_members, untidy
from exporters.segments.lines import BrokenLine, read_records
from exporters.segments.reading import LocalPart
from exporters.segments.text import MAX_LINE_BYTES

#: Longest line that DuckDB reads. Written anew, quotes may double, and a line number stands in front.
MAX_WRITTEN_BYTES = 2 * MAX_LINE_BYTES + 64
#: Bytes of a file that one thread reads at a time. DuckDB's own 32 MB would give most parts to a single thread.
READ_AT_ONCE = 4 * 1024 * 1024

CREATE_TABLES = (
    # profiles: one row a profile, in the order of segments, parts and lines, so that rowid is that order.
    # `line` is NULL where every line of the part is a profile. `email` is NULL where the address is not settled; then
    # `address` holds it as it came (NULL if there is none), and `contact` only what follows the address.
    """CREATE TABLE profiles (
        part INTEGER, line BIGINT, address VARCHAR, email VARCHAR, contact VARCHAR USING COMPRESSION zstd,
        bytes UINTEGER, fingerprint UBIGINT, omitted STRUCT(field INTEGER, value VARCHAR)[])""",
    # parts: `first_id` is the rowid of the part's first profile, `first_line` the line it stands on.
    "CREATE TABLE parts (part INTEGER, segment VARCHAR, name VARCHAR, first_id BIGINT, first_line BIGINT)",
    # broken: lines that are no profiles.
    "CREATE TABLE broken (part INTEGER, line BIGINT, reason VARCHAR)",
)

FIRST_ID = "SELECT min(rowid) FROM profiles WHERE part = $part"
INSERT_PART = "INSERT INTO parts VALUES ($part, $segment, $name, $first_id, $first_line)"
INSERT_BROKEN = """INSERT INTO broken SELECT $part, line, reason
    FROM read_csv($path, header = false, auto_detect = false, columns = {'line': 'BIGINT', 'reason': 'VARCHAR'})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A CSV file as DuckDB is to read it."""

    path: Path
    delimiter: str
    width: int
    header_lines: int
    line: str  #: SQL for the line number
    columns: Sequence[str]  #: SQL for the mapped columns, in the order of the shape
    across_lines: bool  #: values may hold line breaks, so the file cannot be read from the middle


def load_part(
    database: duckdb.DuckDBPyConnection, part: LocalPart, *, number: int, segment: str, shape: ContactShape, work: Path
) -> None:
    """Append the profiles of one part. Lines that are no profiles go to `broken` and leave all others as they are."""
    if part.has_profiles and not (part.clean and _load_fast(database, part, number, shape)):
        _load_carefully(database, part, number, shape, work)
    (first_id,) = database.execute(FIRST_ID, {"part": number}).fetchone() or (None,)
    database.execute(
        INSERT_PART,
        {
            "part": number,
            "segment": segment,
            "name": part.read.name,
            "first_id": first_id,
            "first_line": part.header_lines + 1,
        },
    )


def _load_fast(database: duckdb.DuckDBPyConnection, part: LocalPart, number: int, shape: ContactShape) -> bool:
    """Let DuckDB read the file as it is. Only if it finds one record in every line is the result kept."""
    table = _Table(
        path=part.path,
        delimiter=part.delimiter,
        width=part.width,
        header_lines=part.header_lines,
        line="NULL",
        columns=[f"c{part.columns[column]}" for column in shape.columns],
        across_lines=False,
    )
    database.begin()
    try:
        line_by_line = _insert(database, table, number, shape) == part.lines - part.header_lines
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.NotImplementedException):
        # The last one means a line longer than what one thread reads at a time.
        line_by_line = False
    if line_by_line:
        database.commit()
    else:
        database.rollback()
    return line_by_line


def _load_carefully(
    database: duckdb.DuckDBPyConnection, part: LocalPart, number: int, shape: ContactShape, work: Path
) -> None:
    """Read the part line by line, write what is right as a plain file with line numbers, and load that."""
    good, bad = work / f"{number}.good.csv", work / f"{number}.bad.csv"
    positions = [part.columns[column] for column in shape.columns]
    with (
        part.path.open("rb") as source,
        good.open("w", encoding="utf-8", newline="") as good_file,
        bad.open("w", encoding="utf-8", newline="") as bad_file,
    ):
        good_rows, bad_rows = csv.writer(good_file, lineterminator="\n"), csv.writer(bad_file, lineterminator="\n")
        records = read_records(source, delimiter=part.delimiter, width=part.width, header_lines=part.header_lines)
        expected = 0
        for record in records:
            if isinstance(record, BrokenLine):
                bad_rows.writerow((record.line, record.reason.value))
            else:
                values = record.values
                good_rows.writerow((record.line, *[values[position] for position in positions]))
                expected += 1
    table = _Table(
        path=good,
        delimiter=",",
        width=len(positions) + 1,
        header_lines=0,
        line="c0::BIGINT",
        columns=[f"c{index + 1}" for index in range(len(positions))],
        across_lines=True,
    )
    loaded = _insert(database, table, number, shape) if expected else 0
    if loaded != expected:
        raise AssertionError(f"DuckDB read {loaded} of the {expected} records written for part {number}")
    database.execute(INSERT_BROKEN, {"part": number, "path": str(bad)})
    good.unlink()
    bad.unlink()


def _insert(database: duckdb.DuckDBPyConnection, table: _Table, number: int, shape: ContactShape) -> int:
    statement = insert_profiles(table, shape)
    (loaded,) = database.execute(statement, {"path": str(table.path), "part": number}).fetchone() or (0,)
    return int(loaded)


def insert_profiles(table: _Table, shape: ContactShape) -> str:
    """SQL: the file $path -> rows of `profiles` for part $part."""
    columns = list(shape.columns)
    raw = [f"raw{n}" for n in range(len(columns))]
    named = _each(f"{column} AS {name}" for column, name in zip(table.columns, raw, strict=True))
    source = f"SELECT {table.line} AS line, {named} FROM {_csv(table)}"
    # NULs begin, end and divide the row, so that one expression sees the edges of every value.
    row = f"concat_ws(chr(0), '', {_each(raw)}, '')"
    watched = f"SELECT *, {row} AS row_text, NOT regexp_matches({row}, {literal(untidy())}) AS tidy FROM ({source})"
    padded = f"CASE WHEN tidy THEN false ELSE regexp_matches(row_text, {literal(PADDED)}) END"
    looked_at = f"SELECT *, {padded} AS padded FROM ({watched})"
    values = _each(
        f"CASE WHEN tidy THEN raw{n} WHEN padded THEN trimmed(raw{n}) ELSE nfc_normalize(raw{n}) END AS v{n}"
        for n in range(len(columns))
    )
    trimmed = f"SELECT line, tidy, {values} FROM ({looked_at})"
    value_of = {column: f"v{n}" for n, column in enumerate(columns)}
    encoded = _each(
        [
            f"{value_of[shape.email.column]} AS address",
            f"plain_address({value_of[shape.email.column]}) AS email",
            *(f"{json_member(field, value_of[field.column])} AS j{n}" for n, field in enumerate(shape.fields)),
        ]
    )
    written = f"SELECT *, {encoded} FROM ({trimmed})"
    rest = json_members([(field.path, f"j{n}") for n, field in enumerate(shape.fields)])
    joined = f"SELECT line, address, email, {rest} AS rest, {_omitted(shape, value_of)} AS omitted FROM ({written})"
    contacts = f"""SELECT line, address, email, omitted,
        CASE WHEN email IS NULL THEN rest ELSE {contact_json(shape, "email", "rest")} END AS contact FROM ({joined})"""
    return f"""INSERT INTO profiles
        SELECT $part, line, CASE WHEN email IS NULL THEN address END, email, contact,
            strlen(contact), CASE WHEN email IS NOT NULL THEN md5_number_lower(contact) END, omitted
        FROM ({contacts})"""


def _omitted(shape: ContactShape, value_of: dict[str, str]) -> str:
    """SQL for the list of values that were left out, with the field's number; NULL where there are none."""
    if not shape.fields:
        return "NULL"
    tests, entries = [], []
    for n, field in enumerate(shape.fields):
        value = value_of[field.column]
        tests.append(f"{value} IS NOT NULL AND j{n} IS NULL")
        entries.append(f"CASE WHEN {tests[-1]} THEN {{'field': {n}, 'value': {value}}} END")
    return f"CASE WHEN {' OR '.join(tests)} THEN list_filter([{_each(entries)}], lambda entry: entry IS NOT NULL) END"


def _csv(table: _Table) -> str:
    columns = _each(f"'c{n}': 'VARCHAR'" for n in range(table.width))
    return f"""read_csv($path, auto_detect = false, columns = {{{columns}}},
        header = false, skip = {table.header_lines}, max_line_size = {MAX_WRITTEN_BYTES},
        delim = {literal(table.delimiter)}, quote = '"', escape = '"', strict_mode = true,
        parallel = {not table.across_lines}, buffer_size = {READ_AT_ONCE})"""


def _each(pieces: Iterable[str]) -> str:
    return ", ".join(pieces)
