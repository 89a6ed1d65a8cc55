"""The careful way through a part: every line on its own, so that one that is broken costs nobody else.

DuckDB reads parts in which every line is a record; this module reads the others. The grammar is RFC 4180's with line
breaks inside quotes. A quote that is opened and not closed again within `MAX_RECORD_LINES` costs its own line only:
reading goes on with the next one.
https://www.rfc-editor.org/rfc/rfc4180
"""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from exporters.model.reject import RejectReason
from exporters.segments.text import MAX_LINE_BYTES, OVERLONG, is_utf8, readlines

#: Most lines that one quoted value is believed to span.
MAX_RECORD_LINES = 256


@dataclass(frozen=True, slots=True)
class Record:
    """A profile's values, as written, and the line it begins on (from 1)."""

    line: int
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that is no profile, and why."""

    line: int
    reason: RejectReason


class _Lines:
    """Lines of a file with their numbers; lines that were read ahead can be put back."""

    def __init__(self, file: BinaryIO) -> None:
        self._fresh = enumerate(readlines(file), start=1)
        self._returned: deque[tuple[int, bytes]] = deque()

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return self

    def __next__(self) -> tuple[int, bytes]:
        return self._returned.popleft() if self._returned else next(self._fresh)

    def put_back(self, lines: Sequence[tuple[int, bytes]]) -> None:
        self._returned.extendleft(reversed(lines))


def read_records(file: BinaryIO, *, delimiter: str, width: int, header_lines: int) -> Iterator[Record | BrokenLine]:
    """Every line of a UTF-8 file below its header, as a record of `width` values or as a broken line, in order.

    Blank lines are passed over, unless the file has one column only.
    """
    lines = _Lines(file)
    for number, line in lines:
        if number <= header_lines or (width > 1 and not line.strip(b"\r\n")):
            continue
        if reason := _unreadable(line):
            yield BrokenLine(number, reason)
            continue
        values = _of_width(split(line.decode(), delimiter), width)
        if values is None and line.count(b'"') % 2:
            values = _across_lines(lines, (number, line), delimiter, width)
        if values is not None:
            yield Record(number, values)
        else:
            yield BrokenLine(number, RejectReason.LINE_MALFORMED if line.endswith(b"\n") else RejectReason.LINE_CUT_OFF)


def _of_width(values: list[str] | None, width: int) -> list[str] | None:
    """As many values as there are columns; None where there are fewer, or where more of them hold something."""
    if values is None or len(values) < width or any(values[width:]):
        return None
    return values[:width]


def split(line: str, delimiter: str) -> list[str] | None:
    """Values of one line; None when its quotes do not add up."""
    if '"' not in line:
        return line.rstrip("\r\n").split(delimiter)
    return _parse([line], delimiter)


def _parse(lines: Sequence[str], delimiter: str) -> list[str] | None:
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        records = list(reader)
    except csv.Error:
        return _parse_padded("".join(lines), delimiter)
    return records[0] if len(records) == 1 else None


def _parse_padded(record: str, delimiter: str) -> list[str] | None:
    """The same with blanks behind closing quotes, which csv does not take."""
    value = re.compile(rf' *(?:"((?:[^"]|"")*)" *|([^"{re.escape(delimiter)}]*))({re.escape(delimiter)}|$)')
    record = record.rstrip("\r\n")
    values, at = [], 0
    while (match := value.match(record, at)) is not None:
        values.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        at = match.end()
        if not match[3]:
            return values if at == len(record) else None
    return None


def _unreadable(line: bytes) -> RejectReason | None:
    if line.startswith(OVERLONG):
        return RejectReason.LINE_MALFORMED
    if b"\0" in line:
        return RejectReason.NUL_BYTE
    return None if is_utf8(line) else RejectReason.ENCODING_BROKEN


def _across_lines(lines: _Lines, first: tuple[int, bytes], delimiter: str, width: int) -> list[str] | None:
    """Values of a record that goes on in the lines below; None, with those lines put back, where there is none."""
    below: list[tuple[int, bytes]] = []
    size = len(first[1])
    for number, line in lines:
        below.append((number, line))
        size += len(line)
        if _unreadable(line) or len(below) == MAX_RECORD_LINES or size > MAX_LINE_BYTES:
            break
        if line.count(b'"') % 2:
            values = _of_width(_parse([text.decode() for _, text in (first, *below)], delimiter), width)
            if values is not None:
                return values
            break
    lines.put_back(below)
    return None
