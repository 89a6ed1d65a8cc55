"""Where the newest complete snapshot of a segment lies.

Three layouts: dated folders `<segment>/yyyy/MM/dd/HHmm/` (as Customer Insights writes them, with `model.json` beside
the table's folder), all files of one folder `<segment>/`, and the single file `<segment>.csv`, `.csv.gz` or `.parquet`.
Files of other kinds are no parts, nor are hidden ones.
https://learn.microsoft.com/dynamics365/customer-insights/data/export-azure-blob-storage
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from exporters.errors import NotCompleteError, SegmentError
from exporters.segments.metadata import TableFormat, read_table_format
from exporters.storage.blobs import BlobInfo, BlobStore

READABLE = (".csv", ".csv.gz", ".parquet")
#: How the names of segment data end: also where it is packed in a way that is not read, which must not go unnoticed.
ENDING = re.compile(r"\.(csv(\.(gz|zip|bz2|xz|zst|lz4|7z))?|parquet(\.gz)?)$", re.IGNORECASE)
#: How the names of files begin that hold no data, such as `_SUCCESS`, `_committed_1` and `.part-0.csv.crc`.
HIDDEN = ("_", ".")
#: Folders that table formats keep their log in: only it tells which files are in force.
#: https://github.com/delta-io/delta/blob/master/PROTOCOL.md and https://hudi.apache.org/tech-specs/
TABLE_LOGS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}
#: Metadata of blobs that stand for folders, in accounts with hierarchical namespace.
#: https://learn.microsoft.com/azure/storage/blobs/blob-inventory
FOLDER_MARK = "hdi_isfolder"
#: Folder names of the levels year, month, day, hour and minute.
DATED_LEVELS = (r"\d{4}", r"\d{2}", r"\d{2}", r"\d{4}")
#: Names that are looked at for some that resemble a missing segment: folders, and blobs, which take longer to list.
NEIGHBOUR_FOLDERS = 5_000
NEIGHBOUR_BLOBS = 1_000
NEAR_MATCHES = 3


class NoSuchSegmentError(SegmentError):
    """Nothing that is read lies at the path of a segment; the text names those that look like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A folder or file that is a snapshot, or will be one."""

    name: str
    parts: tuple[BlobInfo, ...]
    unfinished: str  #: why it is not complete yet; empty where it is

    @property
    def written(self) -> datetime | None:
        """When its newest part was written; None where no part is there yet."""
        return max((part.modified for part in self.parts), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One delivered state of a segment. `parts` are in reading order and have settled."""

    segment: str
    name: str  #: its folder below the segments container, or its file
    parts: tuple[BlobInfo, ...]
    table: TableFormat | None  #: what model.json says, where there is one

    @property
    def refreshed(self) -> datetime | None:
        """When its producer says it was made: the name of its dated folder, in UTC; None where it has none."""
        return refreshed_of(self.segment, self.name)

    @property
    def written(self) -> datetime:
        """When its newest part was written."""
        return max(part.modified for part in self.parts)


def refreshed_of(segment: str, name: str) -> datetime | None:
    """As `Snapshot.refreshed`, of a snapshot's name."""
    try:
        return datetime.strptime(name[len(segment) :], "/%Y/%m/%d/%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None


def newest_snapshot(store: BlobStore, segment: str, *, now: datetime, settle: timedelta) -> Snapshot:
    """The newest snapshot that is complete: no part changed within `settle`, and all that model.json names are there.

    Raises NotCompleteError when every snapshot is still being written, NoSuchSegmentError where there is none,
    SegmentError when model.json cannot be read, or when the snapshot is not of one kind of files that is read.
    """
    table = table_format(store, segment)
    unfinished = ""
    for found in candidates(store, segment, table, now=now, settle=settle):
        if not found.unfinished:
            check_kinds(segment, found.parts)
            return Snapshot(segment=segment, name=found.name, parts=found.parts, table=table)
        unfinished = unfinished or found.unfinished
    if unfinished:
        raise NotCompleteError(
            f"Segment {segment} is still being written ({unfinished}), and there is no older snapshot."
        )
    raise NoSuchSegmentError(not_found(store, segment))


def candidates(
    store: BlobStore, segment: str, table: TableFormat | None, *, now: datetime, settle: timedelta
) -> Iterator[Candidate]:
    """The snapshots of a segment, newest first; older ones are not listed unless they are asked for.

    Raises SegmentError where a folder is a table whose log says which of its files count.
    """
    for name, blobs in _snapshots(store, segment):
        parts = _parts(blobs)
        missing = _missing(table, name, parts)
        if missing:
            unfinished = f"{name}: model.json names {_first(missing)}, which is not there yet"
            yield Candidate(name=name, parts=parts, unfinished=unfinished)
        elif parts and max(part.modified for part in parts) > now - settle:
            unfinished = f"{name} changed less than {settle.total_seconds():.0f} seconds ago"
            yield Candidate(name=name, parts=parts, unfinished=unfinished)
        elif parts:
            yield Candidate(name=name, parts=parts, unfinished="")


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
    files = [blob for blob in store.list(f"{segment}.") if ENDING.fullmatch(blob.name[len(segment) :])]
    for file in sorted(files, key=lambda blob: blob.modified, reverse=True):
        yield file.name, [file]


def _dated_folders(store: BlobStore, prefix: str, levels: Sequence[str]) -> Iterator[str]:
    """Dated folders below a prefix, newest first; older years are not listed unless they are asked for."""
    if not levels:
        yield prefix
        return
    names = [folder for folder in store.folders(prefix) if re.fullmatch(levels[0], folder[len(prefix) : -1])]
    for folder in sorted(names, reverse=True):
        yield from _dated_folders(store, folder, levels[1:])


def _blobs_in(store: BlobStore, folder: str) -> list[BlobInfo]:
    """The blobs right in a folder that are not hidden.

    Raises SegmentError where the folder is a table whose log says which of its files count.
    """
    blobs = []
    for blob in store.list(folder):
        name, slash, _ = blob.name[len(folder) :].partition("/")
        if slash and name in TABLE_LOGS:
            raise SegmentError(
                f"{folder} is a {TABLE_LOGS[name]} table, whose files also hold what was deleted or replaced; write the"
                " segment as plain Parquet or CSV files."
            )
        if not slash and not name.startswith(HIDDEN):
            blobs.append(blob)
    return blobs


def is_data(blob: BlobInfo) -> bool:
    """Whether a blob is segment data, by its own name: hidden ones and files of other kinds are not."""
    name = blob.name.rpartition("/")[2]
    return bool(ENDING.search(name)) and not name.startswith(HIDDEN) and blob.metadata.get(FOLDER_MARK) != "true"


def _parts(blobs: Sequence[BlobInfo]) -> tuple[BlobInfo, ...]:
    """The segment data among blobs, in reading order."""
    parts = [blob for blob in blobs if is_data(blob)]
    return tuple(sorted(parts, key=lambda part: natural_order(part.name)))


def check_kinds(segment: str, parts: Sequence[BlobInfo]) -> None:
    """Raises SegmentError unless the parts of a snapshot are of one kind of files that is read."""
    packed = next((part.name for part in parts if not part.name.lower().endswith(READABLE)), None)
    if packed is not None:
        raise SegmentError(
            f"Segment {segment}: {packed} is packed in a way that is not read; write it as .csv, .csv.gz or .parquet."
        )
    parquet = [part.name for part in parts if is_parquet(part.name)]
    if 0 < len(parquet) < len(parts):
        csv = next(part.name for part in parts if not is_parquet(part.name))
        raise SegmentError(
            f"Segment {segment} is Parquet and CSV at once ({parquet[0]}, {csv}), so that its people may be in it twice"
            " or in two states; leave one of the two."
        )


def is_parquet(name: str) -> bool:
    """Whether a part is Parquet, by its name."""
    return name.lower().endswith(".parquet")


def natural_order(name: str) -> tuple[object, ...]:
    """Sort key that puts `_2` before `_10`."""
    pieces = re.split(r"([0-9]+)", name)
    return (*((int(piece) if index % 2 else piece) for index, piece in enumerate(pieces)), name)


def table_format(store: BlobStore, segment: str) -> TableFormat | None:
    """What the model.json beside a segment says of it. Raises SegmentError where that cannot be read."""
    folder, slash, table = segment.rpartition("/")
    source = f"{folder}{slash}model.json"
    blob = store.get(source)
    return None if blob is None else read_table_format(blob.data, source=source, table=table)


def _missing(table: TableFormat | None, name: str, parts: Sequence[BlobInfo]) -> list[str]:
    named = frozenset() if table is None else table.parts_in(name)
    return sorted(named - {part.name for part in parts}, key=natural_order)


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def not_found(store: BlobStore, segment: str) -> str:
    """Why there is no such segment, in an operator's words, with the names of those that look like it."""
    folder, slash, table = segment.rpartition("/")
    neighbours = _neighbours(store, folder + slash)
    place = f"in folder {folder}" if folder else "at the top"
    sentence = (
        f"There is no segment {segment} in the segments container: neither a folder {segment}/ with CSV or Parquet"
        f" files nor {segment}.csv, {segment}.csv.gz or {segment}.parquet."
    )
    if table in neighbours:
        return (
            f"The folder {segment}/ of the segments container holds no CSV or Parquet files; check what writes there."
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
    names = {folder[len(prefix) : -1] for folder in islice(store.folders(prefix), NEIGHBOUR_FOLDERS)}
    for blob in store.page(prefix, after="", size=NEIGHBOUR_BLOBS):
        name = blob.name[len(prefix) :]
        if "/" not in name and name.lower().endswith(READABLE):
            names.add(ENDING.sub("", name))
    return sorted(names)
