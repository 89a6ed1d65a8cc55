"""What is known of a segment without reading all of it: its snapshots, how many profiles there are, its columns."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import islice

from exporters.errors import SegmentError
from exporters.parts import Parts
from exporters.segments import counts
from exporters.segments.glance import Glance, glance
from exporters.segments.metadata import TableFormat
from exporters.segments.snapshots import (
    Candidate,
    NoSuchSegmentError,
    Snapshot,
    candidates,
    check_kinds,
    is_data,
    newest_snapshot,
    not_found,
    refreshed_of,
    table_format,
)
from exporters.segments.walk import MANY, Layout, Mark, Place, Walk
from exporters.storage.blobs import BlobInfo

#: Snapshots of a segment that are shown, newest first. Ours: each is a listing or two.
SNAPSHOTS_SHOWN = 14
#: Profiles that examples of values are taken from.
ROWS_LOOKED_AT = 100
#: Bytes of Parquet columns that are read for examples, and for profiles. Ours: the first takes a tenth of a second
#: within Azure; the second is more than the row groups that usual writers make.
EXAMPLE_BYTES = 1 << 24
MEMBER_BYTES = 1 << 27


#: Listings that one page of segments may take, and how many are made at once where they do not depend on each other.
#: Ours: a second of waiting, and fewer than the ten connections that the storage client keeps open.
MAX_LOOKS = 120
LOOKS_AT_ONCE = 8


class Counted(StrEnum):
    """How the number of profiles is known."""

    EXACT = "exact"  #: a run has counted them, the footers of Parquet files say so, or all of a small file was read
    ESTIMATED = "estimated"  #: from the first lines, or the first footers, and the sizes of all parts
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The snapshot that a run would read now, and how many profiles it has."""

    path: str
    snapshot: str  #: its folder below the segments container, or its file
    complete: bool  #: False: no snapshot is complete, and this is the newest one
    waiting: str  #: why that one, or one that is newer, is not complete yet; empty where there is none such
    written: datetime | None  #: when its newest part was; None where no part is there yet
    refreshed: datetime | None  #: what a dated folder says, in UTC
    parts: int
    bytes: int
    profiles: int | None
    counted: Counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What the files of one segment say."""

    summary: Summary | None  #: None where nothing can be read
    fault: str  #: what a run would fail with, or wait for; empty where it would read the segment
    snapshots: tuple[Candidate, ...]  #: newest first, no more than `SNAPSHOTS_SHOWN`
    more: bool  #: there are older ones
    glance: Glance | None  #: None where the files cannot be read, or are not complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a list shows of one segment: its newest snapshot, be it complete or not."""

    path: str
    layout: Layout
    snapshot: str  #: its folder below the segments container, or its file
    written: datetime | None
    refreshed: datetime | None
    parts: int | None  #: None, as what is added up over parts, where there are too many for a list
    bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page of segments."""

    rows: tuple[Row, ...]
    mark: Mark | None  #: where the next page begins; None behind the last one


def detail(parts: Parts, path: str) -> Detail:
    """All that a page about one segment shows of its files, faults among it.

    Raises NoSuchSegmentError where there is no such segment.
    """
    fault, table, found = "", None, list[Candidate]()
    try:
        table = table_format(parts.segments, path)
    except SegmentError as error:
        fault = str(error)
    try:
        found = list(islice(_candidates(parts, path, table), SNAPSHOTS_SHOWN + 1))
    except SegmentError as error:
        fault = fault or str(error)
    else:
        if not found:
            raise NoSuchSegmentError(not_found(parts.segments, path))
    known, seen = None, None
    if not fault:
        try:
            known, seen = _read(parts, path, table, found)
        except SegmentError as error:
            fault = str(error)
    if known is not None and not known.complete:
        fault = known.waiting
    return Detail(
        summary=known,
        fault=fault,
        snapshots=tuple(found[:SNAPSHOTS_SHOWN]),
        more=len(found) > SNAPSHOTS_SHOWN,
        glance=seen,
    )


def members(parts: Parts, path: str, *, limit: int) -> tuple[Snapshot, Glance]:
    """The snapshot that a run would read now, and its first so many profiles as they are.

    Raises as `newest_snapshot`, and SegmentError where the files cannot be read.
    """
    snapshot = newest_snapshot(parts.segments, path, now=parts.now(), settle=parts.settle)
    return snapshot, glance(parts.segments, snapshot, rows=limit, budget=MEMBER_BYTES, count=False)


def require(parts: Parts, path: str) -> None:
    """Raises NoSuchSegmentError where there is no such segment."""
    try:
        found = next(_candidates(parts, path, None), None)
    except SegmentError:
        return  # something is there
    if found is None:
        raise NoSuchSegmentError(not_found(parts.segments, path))


def _candidates(parts: Parts, path: str, table: TableFormat | None) -> Iterator[Candidate]:
    return candidates(parts.segments, path, table, now=parts.now(), settle=parts.settle)


def _read(
    parts: Parts, path: str, table: TableFormat | None, found: Sequence[Candidate]
) -> tuple[Summary, Glance | None]:
    """What the newest complete snapshot holds. Raises SegmentError where it cannot be read."""
    snapshot = _complete(path, table, found)
    if snapshot is None:
        return _unfinished(path, found), None
    profiles = counts.known(counts.read(parts, path), snapshot)
    seen = glance(parts.segments, snapshot, rows=ROWS_LOOKED_AT, budget=EXAMPLE_BYTES, count=profiles is None)
    return _summary(snapshot, found, profiles, seen), seen


def _complete(path: str, table: TableFormat | None, found: Sequence[Candidate]) -> Snapshot | None:
    """The newest snapshot that is complete. Raises SegmentError where it is not of one kind of files that is read."""
    first = next((candidate for candidate in found if not candidate.unfinished), None)
    if first is None:
        return None
    check_kinds(path, first.parts)
    return Snapshot(segment=path, name=first.name, parts=first.parts, table=table)


def _summary(snapshot: Snapshot, found: Sequence[Candidate], profiles: int | None, seen: Glance) -> Summary:
    counted = Counted.EXACT
    if profiles is None:
        profiles = seen.profiles
        counted = Counted.UNKNOWN if profiles is None else Counted.EXACT if seen.exact else Counted.ESTIMATED
    return Summary(
        path=snapshot.segment,
        snapshot=snapshot.name,
        complete=True,
        waiting=found[0].unfinished,
        written=snapshot.written,
        refreshed=snapshot.refreshed,
        parts=len(snapshot.parts),
        bytes=sum(part.size for part in snapshot.parts),
        profiles=profiles,
        counted=counted,
    )


def _unfinished(path: str, found: Sequence[Candidate]) -> Summary:
    newest = found[0]
    return Summary(
        path=path,
        snapshot=newest.name,
        complete=False,
        waiting=newest.unfinished,
        written=newest.written,
        refreshed=refreshed_of(path, newest.name),
        parts=len(newest.parts),
        bytes=sum(part.size for part in newest.parts),
        profiles=None,
        counted=Counted.UNKNOWN,
    )


def listed(parts: Parts, *, start: Mark, search: str, limit: int, named: Set[str]) -> Listing:
    """Some segments of the container, from a mark on, whose paths contain some letters, in any case.

    Ends early, perhaps with none, when it has taken `MAX_LOOKS`: the next listing goes on from there. `named`: paths
    that exports name, which say what is one segment where files alone do not.
    """
    walk = Walk(parts.segments, start=start, named=named, max_looks=MAX_LOOKS)
    found, looks = list[Place](), 0
    for place in walk:
        if search.casefold() in place.path.casefold():
            found.append(place)
            looks += place.blobs is None
        if len(found) == limit or walk.looks + looks >= MAX_LOOKS:
            break
    return Listing(rows=_rows(parts, found), mark=None if walk.ended else walk.mark)


def _rows(parts: Parts, places: Sequence[Place]) -> tuple[Row, ...]:
    """What a list shows of segments. Those of one source are mostly written on the same day, so the first tells where
    to look for the newest snapshots of the others.
    """
    if not places:
        return ()
    first = _row(parts, places[0], None)
    day = None if first.refreshed is None else first.refreshed.date()
    with parts.uploaders(LOOKS_AT_ONCE) as pool:
        return (first, *pool.map(lambda place: _row(parts, place, day), places[1:]))


def _row(parts: Parts, place: Place, day: date | None) -> Row:
    name, files = _newest(parts, place, day)
    return Row(
        path=place.path,
        layout=place.layout,
        snapshot=name,
        written=max((file.modified for file in files), default=None),
        refreshed=refreshed_of(place.path, name),
        parts=len(files) or None,
        bytes=sum(file.size for file in files) if files else None,
    )


def _newest(parts: Parts, place: Place, day: date | None) -> tuple[str, Sequence[BlobInfo]]:
    """The newest snapshot of a segment, and its files; none where they are too many for a list."""
    if place.layout is Layout.DATED:
        return _newest_dated(parts, place, day)
    if place.layout is Layout.FILE:
        newest = max(place.blobs or (), key=lambda file: file.modified)
        return newest.name, [newest]
    found = parts.segments.page(f"{place.path}/", after="", size=MANY) if place.blobs is None else place.blobs
    inside = [blob for blob in found if "/" not in blob.name[len(place.path) + 1 :] and is_data(blob)]
    return place.path, inside if len(found) < MANY else []


def _newest_dated(parts: Parts, place: Place, day: date | None) -> tuple[str, Sequence[BlobInfo]]:
    """The newest snapshot in dated folders that holds anything: at one look where it is not older than the day."""
    path, found = place.path, place.blobs
    if found is None and day is not None:
        some = parts.segments.page(f"{path}/", after=f"{path}/{day:%Y/%m/%d}", size=MANY)
        found = tuple(some) if len(some) < MANY else None
    folders = dict[str, list[BlobInfo]]()
    for blob in found or ():
        folder = blob.name.rpartition("/")[0]
        if is_data(blob) and refreshed_of(path, folder) is not None:
            folders.setdefault(folder, []).append(blob)
    if folders:
        return max(folders), folders[max(folders)]
    try:
        newest = next(_candidates(parts, path, None), None)
    except SegmentError:
        newest = None  # its own page says what is wrong
    return (path, ()) if newest is None else (newest.name, newest.parts)
