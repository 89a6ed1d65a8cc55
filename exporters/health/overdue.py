"""Overdue: an export whose schedule should have had a run that ended well by now. Pure: the clock is an argument.

By the clock it is the first occurrence after the last run that ended well, whatever started that one; of a schedule
with every refresh the oldest snapshot that no such run has read. Occurrences, and snapshots, from before the schedule
was set count for nothing. What is due may take its time: a run that is at work is late after that, too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporters.configuration.overview import Row
from exporters.model.schedule import Clock, EveryRefresh, Off
from exporters.scheduling.due import unexported
from exporters.scheduling.landed import Landed
from exporters.scheduling.occurrences import next_occurrence

#: How long a run may take beyond what the last good one took. Ours: a run waits as long for a snapshot that is being
#: written, or for a provider that does not answer, before it fails.
GRACE = timedelta(hours=1)
#: What the last good one took counts up to here: it may have been held for days until somebody approved it.
LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """One export without the run that it should have had."""

    export: str
    due: datetime


def scheduled(rows: Iterable[Row]) -> list[Row]:
    """The exports that have to run by themselves: a schedule that is on, and a connection."""
    return [row for row in rows if not isinstance(row.schedule, Off) and row.connection is not None]


def late(rows: Iterable[Row], landed: Mapping[str, Landed], now: datetime) -> Iterator[Late]:
    """Those of `scheduled` that are overdue. `landed`: what lies at the segments of those whose run is at work."""
    for row in rows:
        due = _due(row, row.schedule, landed)
        if due is not None and now - due > _patience(row):
            yield Late(export=row.id, due=due)


def _due(row: Row, schedule: Clock | EveryRefresh | Off, landed: Mapping[str, Landed]) -> datetime | None:
    """Since when there should have been a run that ended well; None where nothing is owed, or only in the future."""
    if isinstance(schedule, Off):
        return None
    if isinstance(schedule, EveryRefresh):
        return min(_unread(row, landed), default=None)
    well = row.scheduled_since if row.last_well is None else row.last_well.finished
    return next_occurrence(schedule, max(well, row.scheduled_since))


def _unread(row: Row, landed: Mapping[str, Landed]) -> Iterator[datetime]:
    """When the snapshots were written that have started a run, or wait for it, and that no good run has read."""
    read = {} if row.last_well is None else row.last_well.read
    started = {segment: row.refreshed[segment] for segment in row.segments if segment in row.refreshed}
    for segment, written in (started | unexported(row, landed)).items():
        known = max(row.added.get(segment, row.scheduled_since), read.get(segment, row.scheduled_since))
        if written > known:
            yield written


def _patience(row: Row) -> timedelta:
    took = timedelta(0) if row.last_well is None else timedelta(seconds=row.last_well.took_s)
    return GRACE + min(took, LONGEST)
