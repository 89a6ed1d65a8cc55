"""Where the newest complete snapshot of a segment lies.

Three layouts: dated folders `<segment>/yyyy/MM/dd/HHmm/` (as Customer Insights writes them, with `model.json` beside
the table's folder), all files of one folder `<segment>/`, and the single file `<segment>.csv`.
https://learn.microsoft.com/dynamics365/customer-insights/data/export-azure-blob-storage
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from exporters.errors import NotCompleteError, SegmentError
from exporters.segments.metadata import TableFormat, read_table_format
from exporters.storage.blobs import BlobInfo, BlobStore

READABLE = ".csv"
#: Segment data that other producers write, and that is not read yet.
NOT_READ_YET = (".csv.gz", ".parquet")
#: Folder names of the levels year, month, day, hour and minute.
DATED_LEVELS = (r"\d{4}", r"\d{2}", r"\d{2}", r"\d{4}")
#: Blobs that are looked at for names that resemble a missing segment.
NEIGHBOURS = 5_000
NEAR_MATCHES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One delivered state of a segment. `parts` are in reading order and have settled."""

    segment: str
    name: str  #: its folder below the segments container, or its file
    parts: tuple[BlobInfo, ...]
    table: TableFormat | None  #: what model.json says, where there is one


def newest_snapshot(store: BlobStore, segment: str, *, now: datetime, settle: timedelta) -> Snapshot:
    """The newest snapshot that is complete: no part changed within `settle`, and all that model.json names are there.

    Raises NotCompleteError when every snapshot is still being written, SegmentError when there is no such segment, when
    model.json cannot be read, or when the snapshot has no format that is read.
    """
    table = _table_format(store, segment)
    unfinished = ""
    for name, blobs in _snapshots(store, segment):
        parts = _csv_parts(segment, name, blobs)
        missing = _missing(table, name, parts)
        if missing:
            unfinished = unfinished or f"{name}: model.json names {_first(missing)}, which is not there yet"
        elif parts and max(part.modified for part in parts) > now - settle:
            unfinished = unfinished or f"{name} changed less than {settle.total_seconds():.0f} seconds ago"
        elif parts:
            return Snapshot(segment=segment, name=name, parts=parts, table=table)
    if unfinished:
        raise NotCompleteError(
            f"Segment {segment} is still being written ({unfinished}), and there is no older snapshot."
        )
    raise SegmentError(_not_found(store, segment))


def _snapshots(store: BlobStore, segment: str) -> Iterator[tuple[str, Sequence[BlobInfo]]]:
    """Folders or files that may be snapshots, newest first, with the blobs right in them."""
    dated = False
    for folder in _dated_folders(store, f"{segment}/", DATED_LEVELS):
        dated = True
        yield folder.rstrip("/"), _blobs_in(store, folder)
    if dated:
        return
    if inside := _blobs_in(store, f"{segment}/"):
        yield segment, inside
    for ending in (READABLE, *NOT_READ_YET):
        name = segment + ending
        yield from ((name, [blob]) for blob in store.list(name) if blob.name == name)


def _dated_folders(store: BlobStore, prefix: str, levels: Sequence[str]) -> Iterator[str]:
    """Dated folders below a prefix, newest first; older years are not listed unless they are asked for."""
    if not levels:
        yield prefix
        return
    names = [folder for folder in store.folders(prefix) if re.fullmatch(levels[0], folder[len(prefix) : -1])]
    for folder in sorted(names, reverse=True):
        yield from _dated_folders(store, folder, levels[1:])


def _blobs_in(store: BlobStore, folder: str) -> list[BlobInfo]:
    return [blob for blob in store.list(folder) if "/" not in blob.name[len(folder) :]]


def _csv_parts(segment: str, name: str, blobs: Sequence[BlobInfo]) -> tuple[BlobInfo, ...]:
    parts = [blob for blob in blobs if blob.name.lower().endswith(READABLE)]
    if not parts and any(blob.name.lower().endswith(NOT_READ_YET) for blob in blobs):
        raise SegmentError(
            f"Segment {segment}: {name} holds Parquet or gzip files only, which are not read yet; write it as CSV."
        )
    return tuple(sorted(parts, key=lambda part: natural_order(part.name)))


def natural_order(name: str) -> tuple[object, ...]:
    """Sort key that puts `_2` before `_10`."""
    pieces = re.split(r"([0-9]+)", name)
    return (*((int(piece) if index % 2 else piece) for index, piece in enumerate(pieces)), name)


def _table_format(store: BlobStore, segment: str) -> TableFormat | None:
    folder, slash, table = segment.rpartition("/")
    source = f"{folder}{slash}model.json"
    blob = store.get(source)
    return None if blob is None else read_table_format(blob.data, source=source, table=table)


def _missing(table: TableFormat | None, name: str, parts: Sequence[BlobInfo]) -> list[str]:
    named = frozenset() if table is None else table.parts_in(name)
    return sorted(named - {part.name for part in parts}, key=natural_order)


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _not_found(store: BlobStore, segment: str) -> str:
    folder, slash, table = segment.rpartition("/")
    neighbours = _neighbours(store, folder + slash)
    place = f"in folder {folder}" if folder else "at the top"
    sentence = (
        f"There is no segment {segment} in the segments container: neither a folder {segment}/ with CSV files nor"
        f" {segment}.csv."
    )
    if not neighbours:
        return f"{sentence} Nothing is {place}; check the path."
    by_case = {name.casefold(): name for name in neighbours}
    near = difflib.get_close_matches(table.casefold(), by_case, n=NEAR_MATCHES)
    if near:
        return f"{sentence} Did you mean {' or '.join(folder + slash + by_case[name] for name in near)}?"
    shown = ", ".join(neighbours[:NEAR_MATCHES])
    more = ", …" if len(neighbours) > NEAR_MATCHES else ""
    return f"{sentence} There are {len(neighbours)} others {place}: {shown}{more}."


def _neighbours(store: BlobStore, prefix: str) -> list[str]:
    """Names of the segments right below a prefix, sorted."""
    names = {folder[len(prefix) : -1] for folder in islice(store.folders(prefix), NEIGHBOURS)}
    for blob in islice(store.list(prefix), NEIGHBOURS):
        name = blob.name[len(prefix) :]
        if "/" not in name and name.lower().endswith(READABLE):
            names.add(name[: -len(READABLE)])
    return sorted(names)
