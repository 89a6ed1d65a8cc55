"""Bring the parts of a snapshot to local disk and find in each the columns that are mapped."""

import difflib
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from exporters.errors import SegmentError, StorageConflictError
from exporters.model.run import PartRead
from exporters.segments.lines import split
from exporters.segments.metadata import TableFormat
from exporters.segments.snapshots import Snapshot
from exporters.segments.text import facts, readlines, to_utf8
from exporters.storage.blobs import BlobInfo, BlobStore

SEPARATORS = ",;\t|"
#: Faults of one segment that are reported together.
MAX_FAULTS = 20
#: Column names of a file that a message lists.
SHOWN_COLUMNS = 30
#: Lines that are looked at before model.json is said to name the wrong number of columns.
LINES_LOOKED_AT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPart:
    """A part on local disk, as UTF-8 without byte order mark."""

    read: PartRead
    path: Path
    delimiter: str
    width: int  #: columns of the file; 0 where the file is empty
    columns: Mapping[str, int]  #: mapped column -> its position in the file, from 0
    header_lines: int
    lines: int  #: all lines of the file, header included
    clean: bool  #: UTF-8 throughout and without NUL bytes

    @property
    def has_profiles(self) -> bool:
        """Whether anything stands below the header."""
        return self.lines > self.header_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSegment:
    """A snapshot on local disk, parts in reading order."""

    segment: str
    snapshot: str
    parts: tuple[LocalPart, ...]


class _PartFault(Exception):  # noqa: N818 (collected, never seen outside)
    """One fault of one part, in an operator's words."""


def fetch_segment(store: BlobStore, snapshot: Snapshot, *, columns: Sequence[str], folder: Path) -> LocalSegment:
    """Copy all parts into a local folder as UTF-8 and check their headers for the mapped columns.

    Raises SegmentError with the faults of all parts together, or when a part changed since it was listed.
    """
    parts, faults = [], []
    for blob in snapshot.parts:
        path = folder / f"{hashlib.sha256(blob.name.encode()).hexdigest()[:32]}.csv"
        try:
            store.download(blob.name, path, etag=blob.etag)
        except StorageConflictError as error:
            raise SegmentError(f"{blob.name} was changed while it was read; start the export again.") from error
        try:
            parts.append(_open_part(blob, path, snapshot.table, columns))
        except _PartFault as fault:
            faults.append(str(fault))
    if faults:
        rest = f" And {len(faults) - MAX_FAULTS} more files have faults." if len(faults) > MAX_FAULTS else ""
        raise SegmentError(f"Segment {snapshot.segment}: {' '.join(faults[:MAX_FAULTS])}{rest}")
    return LocalSegment(segment=snapshot.segment, snapshot=snapshot.name, parts=tuple(parts))


def _open_part(blob: BlobInfo, path: Path, table: TableFormat | None, columns: Sequence[str]) -> LocalPart:
    known = to_utf8(path, told=None if table is None else table.encoding, name=blob.name)
    found = facts(path, is_utf8=known)
    read = PartRead(name=blob.name, etag=blob.etag, bytes=blob.size)
    if not found.lines:
        return LocalPart(
            read=read, path=path, delimiter=",", width=0, columns={}, header_lines=0, lines=0, clean=found.clean
        )
    header_lines, first = _first_line(path, blob.name)
    delimiter = _delimiter(first, table, blob.name)
    first_values = [value.strip() for value in _split_first(first, delimiter, blob.name)]
    names, header_lines = _names(first_values, header_lines, table, path, delimiter, blob.name)
    return LocalPart(
        read=read,
        path=path,
        delimiter=delimiter,
        width=len(names),
        columns=_positions(names, columns, blob.name),
        header_lines=header_lines,
        lines=found.lines,
        clean=found.clean,
    )


def _first_line(path: Path, name: str) -> tuple[int, str]:
    """Number and text of the first line that is not blank."""
    with path.open("rb") as file:
        number, line = next((n, line) for n, line in enumerate(readlines(file), start=1) if line.strip(b"\r\n"))
    try:
        return number, line.decode()
    except UnicodeDecodeError as error:
        raise _PartFault(
            f"{name}: the first line is not text in the file's encoding; write the file as UTF-8."
        ) from error


def _delimiter(first: str, table: TableFormat | None, name: str) -> str:
    """What model.json says, else the separator that the first line has most of outside quotes."""
    if table is not None and table.delimiter is not None:
        if len(table.delimiter) != 1 or table.delimiter in '"\r\n':
            raise _PartFault(f"{name}: {table.source} names the separator {table.delimiter!r}; use a single character.")
        return table.delimiter
    outside = "".join(first.split('"')[::2])
    return max(SEPARATORS, key=outside.count)


def _split_first(first: str, delimiter: str, name: str) -> list[str]:
    values = split(first, delimiter)
    if values is None:
        raise _PartFault(f"{name}: the quotes of the first line do not add up; column names may not hold line breaks.")
    return values


def _names(
    first: Sequence[str], first_line: int, table: TableFormat | None, path: Path, delimiter: str, name: str
) -> tuple[Sequence[str], int]:
    """Column names of a part, and the number of lines down to the end of its header."""
    if table is None or table.column_headers is None:
        return first, first_line
    if table.column_headers:
        if absent := [column for column in table.columns if column.casefold() not in map(str.casefold, first)]:
            raise _PartFault(
                f"{name}: {table.source} says that the first line is a header, but the columns it names are not in it"
                f" ({_listed(absent)}); {_existing(first, header=len(absent) < len(table.columns))}"
            )
        return first, first_line
    if not table.columns:
        raise _PartFault(f"{name}: {table.source} says that there is no header, and names no columns (attributes).")
    if [value.casefold() for value in first] == [column.casefold() for column in table.columns]:
        raise _PartFault(
            f"{name}: {table.source} says that there is no header (columnHeaders is false), but the first line of the"
            f" file is one ({_listed(first)}); correct columnHeaders, or leave the header out."
        )
    if (widths := _widths(path, delimiter)) and len(table.columns) not in widths:
        raise _PartFault(
            f"{name}: {table.source} names {len(table.columns)} columns (attributes), but the lines of the file have"
            f" {' or '.join(map(str, widths))}."
        )
    return table.columns, 0


def _widths(path: Path, delimiter: str) -> list[int]:
    """How many values the first lines have, for those that can be split."""
    widths = set()
    with path.open("rb") as file:
        for line in islice(readlines(file), LINES_LOOKED_AT):
            values = split(line.decode("utf-8", "replace"), delimiter)
            if values is not None:
                widths.add(len(values))
    return sorted(widths)


def _positions(names: Sequence[str], columns: Sequence[str], part: str) -> dict[str, int]:
    """Where the mapped columns stand: by exact name, else by the only name that is equal but for case."""
    faults, positions = [], {}
    for column in columns:
        exact = [index for index, name in enumerate(names) if name == column]
        alike = [index for index, name in enumerate(names) if name.casefold() == column.strip().casefold()]
        matches = exact or alike
        if len(matches) == 1:
            positions[column] = matches[0]
        elif matches:
            found = Counter(names[index] for index in matches)
            same = [f"{name} ({count} times)" if count > 1 else name for name, count in found.items()]
            faults.append(f"column {column} is not clear, the file has {_listed(same)}")
        else:
            near = difflib.get_close_matches(column.casefold(), [name.casefold() for name in names], n=3)
            shown = [name for name in names if name.casefold() in near]
            hint = f" (did you mean {' or '.join(shown)}?)" if shown and not _is_data(names) else ""
            faults.append(f"column {column} is missing{hint}")
    if faults:
        known = bool(positions) or any("did you mean" in fault for fault in faults)
        raise _PartFault(f"{part}: {'; '.join(faults)}; {_existing(names, header=known)}")
    return positions


def _existing(names: Sequence[str], *, header: bool) -> str:
    """What columns there are; not where the first line may be a person rather than a header."""
    if _is_data(names):
        return "its first line holds an e-mail address, so it is not a header."
    if not header:
        return "its first line has none of the mapped columns, so it may not be a header: its words are not shown here."
    return f"the file has the columns {_listed(names)}."


def _is_data(names: Sequence[str]) -> bool:
    """Whether a first line is a person rather than a header. It must not reach a message then."""
    return any("@" in name for name in names)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_COLUMNS} more" if len(names) > SHOWN_COLUMNS else ""
    return ", ".join(names[:SHOWN_COLUMNS]) + more
