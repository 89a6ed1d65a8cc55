"""The top of a CSV part: its separator, its column names, and where its profiles begin."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from exporters.segments.columns import existing, listed
from exporters.segments.faults import PartFault
from exporters.segments.lines import MAX_RECORD_LINES, split
from exporters.segments.metadata import TableFormat
from exporters.segments.text import readlines

SEPARATORS = ",;\t|"
#: A first line that tells spreadsheets the separator. https://en.wikipedia.org/wiki/Comma-separated_values
SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?\s*', re.IGNORECASE)
#: Lines that are looked at before model.json is said to name the wrong number of columns.
LINES_LOOKED_AT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """How a CSV part begins."""

    names: Sequence[str]  #: its columns, in order; empty where there is nothing but a separator line
    certain: bool  #: whether the names are model.json's; those of a first line may be a person's data
    delimiter: str
    lines: int  #: lines of the file above the first profile


#: Of a part without lines.
EMPTY = Header(names=(), certain=False, delimiter=",", lines=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Top:
    """The first record of a part."""

    values: Sequence[str]
    delimiter: str
    above: int  #: lines down to the separator line; 0 where there is none
    lines: int  #: lines down to the end of the record


def read_header(path: Path, table: TableFormat | None, *, name: str) -> Header:
    """The header of a local part that is UTF-8 and not empty. Raises PartFault where it cannot be read."""
    top = _top(path, table, name)
    if table is None or table.column_headers is None or not top.values:
        return Header(names=top.values, certain=False, delimiter=top.delimiter, lines=top.lines)
    if table.column_headers:
        _check_names(top, table, name)
        return Header(names=top.values, certain=False, delimiter=top.delimiter, lines=top.lines)
    _check_that_there_is_none(top, table, path, name)
    return Header(names=table.columns, certain=True, delimiter=top.delimiter, lines=top.above)


def _top(path: Path, table: TableFormat | None, name: str) -> _Top:
    """The first line that is not blank, together with those below that its quotes span."""
    above, told, text = 0, None, ""
    with path.open("rb") as file:
        numbered = ((n, line) for n, line in enumerate(readlines(file), start=1) if text or line.strip(b"\r\n"))
        for number, line in islice(numbered, MAX_RECORD_LINES):
            text += _decoded(line, name)
            if not above and (match := SEPARATOR_LINE.fullmatch(text)):
                above, told, text = number, match[1], ""
                continue
            delimiter = told or _delimiter(text, table, name)
            values = split(text, delimiter)
            if values is not None:
                names = [_on_one_line(value) for value in values]
                return _Top(values=names, delimiter=delimiter, above=above, lines=number)
            if text.count('"') % 2 == 0:
                break
    if told and not text:
        return _Top(values=(), delimiter=told, above=above, lines=above)
    raise PartFault(f"{name}: the quotes of the first line do not add up; write the column names as RFC 4180 has it.")


def _decoded(line: bytes, name: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise PartFault(
            f"{name}: the first line is not text in the file's encoding; write the file as UTF-8."
        ) from error


def _on_one_line(value: str) -> str:
    return re.sub(r"\s*[\r\n]\s*", " ", value.strip())


def _delimiter(text: str, table: TableFormat | None, name: str) -> str:
    """What model.json says, else the separator that the first record has most of outside quotes."""
    if table is not None and table.delimiter is not None:
        if len(table.delimiter) != 1 or table.delimiter in '"\r\n':
            raise PartFault(f"{name}: {table.source} names the separator {table.delimiter!r}; use a single character.")
        return table.delimiter
    outside = "".join(text.split('"')[::2])
    return max(SEPARATORS, key=outside.count)


def _check_names(top: _Top, table: TableFormat, name: str) -> None:
    first = top.values
    if absent := [column for column in table.columns if column.casefold() not in map(str.casefold, first)]:
        raise PartFault(
            f"{name}: {table.source} says that the first line is a header, but the columns it names are not in it"
            f" ({listed(absent)}); {existing(first, header=len(absent) < len(table.columns))}"
        )


def _check_that_there_is_none(top: _Top, table: TableFormat, path: Path, name: str) -> None:
    if not table.columns:
        raise PartFault(f"{name}: {table.source} says that there is no header, and names no columns (attributes).")
    if [value.casefold() for value in top.values] == [column.casefold() for column in table.columns]:
        raise PartFault(
            f"{name}: {table.source} says that there is no header (columnHeaders is false), but the first line of the"
            f" file is one ({listed(top.values)}); correct columnHeaders, or leave the header out."
        )
    if (widths := _widths(path, top)) and len(table.columns) not in widths:
        raise PartFault(
            f"{name}: {table.source} names {len(table.columns)} columns (attributes), but the lines of the file have"
            f" {' or '.join(map(str, widths))}."
        )


def _widths(path: Path, top: _Top) -> list[int]:
    """How many values the first lines have, for those that can be split."""
    with path.open("rb") as file:
        lines: Iterator[bytes] = islice(readlines(file), top.above, top.above + LINES_LOOKED_AT)
        values = [split(line.decode("utf-8", "replace"), top.delimiter) for line in lines]
    return sorted({len(found) for found in values if found is not None})
