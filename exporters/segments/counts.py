"""How many profiles each snapshot of a segment had: what runs have read, in one small document a segment.

Stored as `state/segments/<digest of the path>.json`. It holds numbers and names only, and nothing depends on it: where
it is lost, counts are estimated again and the chart begins anew.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from azure.core.exceptions import AzureError
from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt

from exporters import log
from exporters.errors import ConfigError, ExporterError
from exporters.model.names import Id, RunId
from exporters.model.run import Run, SegmentRead
from exporters.parts import Parts
from exporters.segments.snapshots import Snapshot

#: Newest snapshots that are kept, each; of earlier ones the last of each day, for so many days. Ours: 200 days of a
#: chart, and all refreshes of a week where there is one an hour, in some 100 kB.
NEWEST = 200
DAYS = 200


class Point(BaseModel):
    """One snapshot as a run has read it."""

    model_config = ConfigDict(frozen=True)

    snapshot: str  #: its folder below the segments container, or its file
    identity: str  #: of just these parts with just this content
    profiles: NonNegativeInt
    bytes: NonNegativeInt
    written: AwareDatetime
    refreshed: AwareDatetime | None
    export: Id  #: whose run has read it first
    run: RunId

    @property
    def at(self) -> datetime:
        """When the segment was so: when it was refreshed, as far as that is known, else when it was written."""
        return self.refreshed or self.written


class Counts(BaseModel):
    """What is remembered of one segment."""

    model_config = ConfigDict(frozen=True)

    segment: str
    points: tuple[Point, ...] = ()  #: in the order of `Point.at`


def path_of(segment: str) -> str:
    """Where the counts of a segment lie in the state container. Its own path may be too long for a name."""
    return f"state/segments/{hashlib.sha256(segment.encode()).hexdigest()[:32]}.json"


def identity_of(name: str, parts: Iterable[tuple[str, str]]) -> str:
    """A digest of a snapshot's name and of the names and ETags of its parts."""
    # Without the quotes that an ETag has in a header, and not in a listing.
    lines = [name, *(f"{part}\0{etag.strip(chr(34))}" for part, etag in parts)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def read(parts: Parts, segment: str) -> Counts:
    """What is remembered of a segment; nothing where that cannot be read."""
    try:
        found = parts.documents.read(Counts, path_of(segment))
    except ConfigError:
        found = None
    return Counts(segment=segment) if found is None else found.value


def known(counts: Counts, snapshot: Snapshot) -> int | None:
    """How many profiles a snapshot has, where a run has read just this one."""
    identity = identity_of(snapshot.name, ((part.name, part.etag) for part in snapshot.parts))
    return next((point.profiles for point in counts.points if point.identity == identity), None)


def remember(parts: Parts, run: Run, segments: Sequence[SegmentRead]) -> None:
    """Keep how many profiles a plan has found in each segment. Repeating it changes nothing.

    A run does not need this: what cannot be kept is logged, and another run keeps it.
    """
    if not run.reads_segments:
        return
    for segment in segments:
        try:
            _remember(parts, run, segment)
        except (AzureError, ExporterError) as error:
            keys = {"export": run.export.id, "run_id": run.id, "error": type(error).__name__}
            log.step("count", "not kept", level=logging.WARNING, **keys)


def _remember(parts: Parts, run: Run, read: SegmentRead) -> None:
    point = _point(run, read)

    def add(counts: Counts) -> Counts:
        if any(each.identity == point.identity for each in counts.points):
            return counts
        return counts.model_copy(update={"points": _thinned([*counts.points, point])})

    path, empty = path_of(read.segment), Counts(segment=read.segment)
    try:
        parts.documents.change(Counts, path, add, default=empty)
    except ConfigError:  # it cannot be read
        parts.state.put(path, add(empty).model_dump_json().encode())


def _point(run: Run, read: SegmentRead) -> Point:
    return Point(
        snapshot=read.snapshot,
        identity=identity_of(read.snapshot, ((part.name, part.etag) for part in read.parts)),
        profiles=read.profiles,
        bytes=sum(part.bytes for part in read.parts),
        written=read.written or run.created,
        refreshed=read.refreshed,
        export=run.export.id,
        run=run.id,
    )


def _thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    """The newest points, and of those before them the last one of each day."""
    ordered = sorted(points, key=lambda point: (point.at, point.written))
    last_of_day = {point.at.date(): point for point in ordered[:-NEWEST]}
    return (*list(last_of_day.values())[-DAYS:], *ordered[-NEWEST:])
