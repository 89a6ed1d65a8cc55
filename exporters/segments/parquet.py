"""Parquet parts: their columns, and the text of their values as this project reads text.

https://parquet.apache.org/docs/file-format/ and https://duckdb.org/docs/stable/data/parquet/overview
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from exporters.model.reject import RejectReason
from exporters.segments.columns import positions
from exporters.segments.faults import PartFault

#: SQL for the rows of the part $path, in the order of the file. Nothing is read out of the path itself.
ROWS = "read_parquet($path, hive_partitioning = false)"
#: The same for parts that hold bytes that are not UTF-8, each of which becomes a question mark.
ROWS_REPAIRED = "read_parquet($path, hive_partitioning = false, utf8_validation = 'replace')"
_ROWS_SHORTENED = "read_parquet($path, hive_partitioning = false, utf8_validation = 'ignore')"

#: Setting of a connection. DuckDB else fetches whole row groups ahead, which is for files far away and takes as much
#: memory as they are large: one of 700 MB does not fit in 256 MB, and is read within 80 MB page by page.
READ_PAGE_BY_PAGE = "SET disable_parquet_prefetching = true"
#: Memory for the look at a part. A few pages of each column are in memory at a time.
LOOK_MEMORY_MB = 256
LOOK_THREADS = 2

# First and last bytes of a file: plain, or with an encrypted footer.
# https://parquet.apache.org/docs/file-format/data-pages/encryption/
PLAIN, _ENCRYPTED = b"PAR1", b"PARE"

_SHORTEST = "CAST({0} AS VARCHAR)"
# A number without exponent: DuckDB writes 1.5e+20, 1e-07 and 12.0, from the shortest digits that are the same number.
_DIGITS = rf"regexp_replace({_SHORTEST}, '[-.]|e.*', '', 'g')"
_EXPONENT = f"CAST(split_part({_SHORTEST}, 'e', 2) AS INTEGER)"
_FLOATING = f"""CASE
    WHEN contains({_SHORTEST}, 'e') THEN CASE WHEN {{0}} < 0 THEN '-' ELSE '' END || CASE
        WHEN {_EXPONENT} < 0 THEN '0.' || repeat('0', -1 - {_EXPONENT}) || {_DIGITS}
        ELSE rpad({_DIGITS}, 1 + {_EXPONENT}, '0') END
    WHEN suffix({_SHORTEST}, '.0') THEN left({_SHORTEST}, length({_SHORTEST}) - 2)
    ELSE {_SHORTEST} END"""
_WITH_T = "replace({0}, ' ', 'T')"

#: DuckDB's type of a column -> SQL for its values' text. Types that are not here have no text.
_TEXT_OF_TYPE: Mapping[str, str] = {
    "VARCHAR": "{0}",
    "JSON": _SHORTEST,
    '"NULL"': _SHORTEST,
    "BOOLEAN": _SHORTEST,
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), _SHORTEST),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"), _SHORTEST),
    "DECIMAL": _SHORTEST,
    "FLOAT": _FLOATING,
    "DOUBLE": _FLOATING,
    "UUID": _SHORTEST,
    "DATE": _SHORTEST,
    **dict.fromkeys(("TIME", "TIME_NS", "TIME WITH TIME ZONE"), _SHORTEST),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_NS"), _WITH_T.format(_SHORTEST)),
    # By way of the instant, so that the session's time zone has no say.
    "TIMESTAMP WITH TIME ZONE": _WITH_T.format("CAST(make_timestamp(epoch_us({0})) AS VARCHAR)") + " || 'Z'",
    "TIMESTAMPTZ_NS": _WITH_T.format("CAST(make_timestamp_ns(epoch_ns({0})) AS VARCHAR)") + " || 'Z'",
}
_NUMBERS = {
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    *("DECIMAL", "FLOAT", "DOUBLE"),
}


#: SQL: the part $path -> first byte, byte after the last and rows of each chunk of its first row group, in order.
_FIRST_GROUP = """SELECT least(data_page_offset, nullif(dictionary_page_offset, 0)) AS start,
        start + total_compressed_size, row_group_num_rows
    FROM parquet_metadata($path) WHERE row_group_id = 0 ORDER BY column_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFacts:
    """What a look at a Parquet part found."""

    rows: int
    width: int  #: columns of the file
    columns: Mapping[str, int]  #: mapped column -> its position in the file, from 0
    texts: Mapping[str, str]  #: mapped column -> SQL over `ROWS` for the text of its value; NULL stays NULL
    numbers: frozenset[str]  #: mapped columns that hold numbers by their type
    clean: bool  #: the mapped values are UTF-8 throughout and without NUL characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a part."""

    name: str  #: as the file has it
    identifier: str  #: in SQL; DuckDB renames columns that are alike but for case
    type: str  #: DuckDB's, without its parameters
    leaves: int  #: chunks that it has in each row group: more than one where it is nested


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What the footer of a part says."""

    rows: int
    columns: Sequence[Column]
    first_rows: int  #: rows of the first row group
    first_group: Sequence[tuple[int, int]]  #: where each column lies in it: first byte, and the byte after its last


def connect() -> duckdb.DuckDBPyConnection:
    """A connection that looks at parts, one after the other. The caller closes it."""
    database = duckdb.connect(
        config={
            "threads": LOOK_THREADS,
            "memory_limit": f"{LOOK_MEMORY_MB}MB",
            # Nothing in a segment may make DuckDB fetch code.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    database.execute(READ_PAGE_BY_PAGE)
    return database


def look_at(database: duckdb.DuckDBPyConnection, path: Path, columns: Sequence[str], *, name: str) -> ParquetFacts:
    """Find the mapped columns of a local part, and read them once: damage and text that needs care show here.

    Raises PartFault where the file cannot be read to its end, or a column is missing or has no text.
    """
    _check_ends(path, name)
    found = _columns(database, path, name)
    where = positions([column.name for column in found], columns, part=name, certain=True)
    mapped = {column: found[position] for column, position in where.items()}
    texts = _texts(mapped, name)
    rows, clean = _read_once(database, path, texts, name)
    numbers = frozenset(column for column, each in mapped.items() if _without_parameters(each.type) in _NUMBERS)
    return ParquetFacts(rows=rows, width=len(found), columns=where, texts=texts, numbers=numbers, clean=clean)


def outline(database: duckdb.DuckDBPyConnection, path: Path, *, name: str) -> Outline:
    """What the footer says of a local part, of which nothing but the first and last bytes need be there.

    Raises PartFault where that is no Parquet file, an encrypted one, or one whose footer cannot be right.
    """
    _check_ends(path, name)
    columns = _columns(database, path, name)
    [(rows,)] = _read(database, "SELECT num_rows FROM parquet_file_metadata($path)", path, name)
    chunks = _read(database, _FIRST_GROUP, path, name)
    size = path.stat().st_size
    if any(start is None or end is None or not 0 <= start <= end <= size for start, end, _ in chunks):
        raise _unreadable(name)
    ends, at = list[tuple[int, int]](), 0
    for column in columns:
        own = chunks[at : at + column.leaves]
        at += column.leaves
        ends.append((min((start for start, _, _ in own), default=0), max((end for _, end, _ in own), default=0)))
    first_rows = chunks[0][2] if chunks else 0
    return Outline(rows=rows, columns=columns, first_rows=first_rows, first_group=ends)


def has_text(column: Column) -> bool:
    """Whether the values of a column have a text."""
    return _without_parameters(column.type) in _TEXT_OF_TYPE


def first_texts(
    database: duckdb.DuckDBPyConnection, path: Path, columns: Sequence[Column], *, rows: int, name: str
) -> list[tuple[str | None, ...]]:
    """The texts of the first so many rows, of which no more than the first row group is read.

    Each column has a text. Raises PartFault where the part cannot be read so far.
    """
    texts = ", ".join(_TEXT_OF_TYPE[_without_parameters(column.type)].format(column.identifier) for column in columns)
    database.execute("SET threads = 1")  # others would begin with the row groups below
    return _read(database, f"SELECT {texts} FROM {ROWS_REPAIRED} LIMIT {rows}", path, name)  # noqa: S608 (quoted)


def broken_rows(texts: Iterable[str]) -> str:
    """SQL: the part $path -> line and reason of each row with a mapped value that is no text. Rows count from 1."""
    row = f"concat({', '.join(texts)})"
    # Of bytes that are not UTF-8 one reading keeps a question mark each, the other nothing.
    return f"""SELECT line, CASE WHEN strlen(repaired) > strlen(shortened)
            THEN '{RejectReason.ENCODING_BROKEN.value}' ELSE '{RejectReason.NUL_BYTE.value}' END AS reason
        FROM (SELECT row_number() OVER () AS line, {row} AS repaired FROM {ROWS_REPAIRED})
        POSITIONAL JOIN (SELECT {row} AS shortened FROM {_ROWS_SHORTENED})
        WHERE strlen(repaired) > strlen(shortened) OR contains(shortened, chr(0))"""  # noqa: S608 (columns are quoted)


def _check_ends(path: Path, name: str) -> None:
    with path.open("rb") as file:
        first = file.read(4)
        file.seek(max(0, file.seek(0, 2) - 4))
        last = file.read(4)
    if last == _ENCRYPTED:
        raise PartFault(f"{name}: the Parquet file is encrypted; write it without encryption.")
    if last != PLAIN and first in {PLAIN, _ENCRYPTED, b""}:
        raise PartFault(
            f"{name}: the Parquet file ends too early; it was not written to its end; export the segment again."
        )
    if last != PLAIN:
        raise PartFault(f"{name} is not a Parquet file, whatever its name says; check what writes it.")


def _columns(database: duckdb.DuckDBPyConnection, path: Path, name: str) -> list[Column]:
    """The columns of a part, which are the children of its schema's root, in order."""
    schema = _read(database, "SELECT name, coalesce(num_children, 0), type FROM parquet_schema($path)", path, name)
    described = _read(database, f"DESCRIBE FROM {ROWS}", path, name)
    names: list[tuple[str, str | None]] = []
    leaves, below = list[int](), 0
    for column, children, stored_as in schema[1:]:
        if below:
            below -= 1
        else:
            names.append((column, stored_as))
            leaves.append(0)
        leaves[-1] += not children
        below += children
    if len(names) != len(described):
        raise _unreadable(name)
    return [
        Column(
            name=column,
            identifier='"' + identifier.replace('"', '""') + '"',
            # More digits than DuckDB's decimals have come as doubles, which would change them.
            type="DECIMAL of more than 38 digits" if kind == "DOUBLE" and stored_as != "DOUBLE" else kind,
            leaves=chunks,
        )
        for (column, stored_as), chunks, (identifier, kind, *_) in zip(names, leaves, described, strict=True)
    ]


def _texts(mapped: Mapping[str, Column], name: str) -> dict[str, str]:
    """SQL for the text of each mapped column. Raises PartFault that tells of every type that has none."""
    texts, faults = {}, []
    for column, found in mapped.items():
        kind = _without_parameters(found.type)
        if kind in _TEXT_OF_TYPE:
            texts[column] = _TEXT_OF_TYPE[kind].format(found.identifier)
        else:
            shown = "BLOB (bytes that are not marked as text)" if kind == "BLOB" else kind
            faults.append(f"column {column} is of type {shown}, which cannot be read as text")
    if faults:
        raise PartFault(f"{name}: {'; '.join(faults)}; write a column of strings, or map another column.")
    return texts


def _without_parameters(kind: str) -> str:
    return re.sub(r"\(.*\)$", "", kind)


def _read_once(
    database: duckdb.DuckDBPyConnection, path: Path, texts: Mapping[str, str], name: str
) -> tuple[int, bool]:
    """Number of rows, and whether all mapped values are text without NUL characters."""
    holds_nul = " OR ".join(f"contains({text}, chr(0))" for text in texts.values())
    look = f"SELECT count(*), count(*) FILTER (WHERE {holds_nul}) FROM "  # noqa: S608 (columns are quoted)
    try:
        [(rows, with_nul)] = _read(database, look + ROWS, path, name)
    except PartFault:
        # Where nothing but the encoding is broken, this comes to the end of the file.
        [(rows, _)] = _read(database, look + ROWS_REPAIRED, path, name)
        return rows, False
    return rows, not with_nul


def _read(database: duckdb.DuckDBPyConnection, statement: str, path: Path, name: str) -> list[tuple[Any, ...]]:
    try:
        return database.execute(statement, {"path": str(path)}).fetchall()
    except duckdb.OutOfMemoryException as error:
        raise PartFault(
            f"{name}: the pages of the Parquet file do not fit in {LOOK_MEMORY_MB} MB of memory; write smaller pages."
        ) from error
    except duckdb.Error as error:
        raise _unreadable(name) from error


def _unreadable(name: str) -> PartFault:
    return PartFault(f"{name}: the Parquet file is damaged or encrypted; export the segment again, without encryption.")
