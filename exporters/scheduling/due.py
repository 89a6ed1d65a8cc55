"""What is due: occurrences that have come, and snapshots that have landed. Pure: the clock is an argument."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from exporters.configuration.overview import Row
from exporters.model.schedule import Clock
from exporters.scheduling.landed import Landed
from exporters.scheduling.occurrences import next_occurrence, occurrences

#: How long a new snapshot waits while nothing more comes of the first one of another segment. Ours: as long as a run
#: waits for a snapshot that is being written, before it fails and says so.
PATIENCE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueOccurrences:
    """Occurrences that have come and were not dealt with. One run makes up for all: the newest segment matters."""

    schedule: Clock
    after: datetime
    newest: datetime

    def missed(self, after: datetime) -> Iterator[datetime]:
        """All but the newest that come after a moment, oldest first."""
        return takewhile(lambda moment: moment < self.newest, occurrences(self.schedule, after=after))

    def last_missed(self) -> datetime:
        """The newest of them; there has to be one."""
        return _newest(self.schedule, self.after, self.newest - timedelta(seconds=1))


def due_occurrences(schedule: Clock, *, after: datetime, now: datetime) -> DueOccurrences | None:
    """The occurrences in (after, now]; None where there is none."""
    first = next_occurrence(schedule, after)
    if first is None or first > now:
        return None
    return DueOccurrences(schedule=schedule, after=after, newest=_newest(schedule, after, now))


def handled(row: Row) -> datetime:
    """Up to when the occurrences of an export's schedule are none of it, or were dealt with."""
    return row.scheduled_since if row.occurrence is None else max(row.occurrence, row.scheduled_since)


def news(row: Row, landed: Mapping[str, Landed], now: datetime) -> dict[str, datetime]:
    """Segments of an export whose newest snapshot has landed since its schedule has started a run, and when.

    None while the first snapshot of another one is still being written, for which a run would have to wait: but not
    longer than `PATIENCE`, as then the run has to say what is missing.
    """
    first = [landed[segment] for segment in row.segments if segment in landed and landed[segment].written is None]
    if any(each.changed is not None and now < each.changed + PATIENCE for each in first):
        return {}
    return unexported(row, landed)


def unexported(row: Row, landed: Mapping[str, Landed]) -> dict[str, datetime]:
    """As `news`, also of snapshots that wait for one of another segment.

    A snapshot is news once: if it has become complete since the schedule has waited for its segment, and was written
    after all that a run was started for or has read. One that is older than that, as after a deletion, is none.
    """
    return {
        segment: written
        for segment, written in seen(row, landed).items()
        if _is_waited_for(row, segment, landed[segment])
        and all(segment not in times or written > times[segment] for times in (row.refreshed, row.read))
    }


def seen(row: Row, landed: Mapping[str, Landed]) -> dict[str, datetime]:
    """The segments of an export that have a complete snapshot, and when that was written."""
    times = {segment: landed[segment].written for segment in row.segments if segment in landed}
    return {segment: written for segment, written in times.items() if written is not None}


def _is_waited_for(row: Row, segment: str, found: Landed) -> bool:
    """Whether a snapshot was not complete yet when the schedule was set, or its segment was added: saving runs nothing.

    By when it became complete, not by when it was written: nobody could have exported it in the time between.
    """
    return found.complete is not None and found.complete > row.added.get(segment, row.scheduled_since)


def _newest(schedule: Clock, after: datetime, now: datetime) -> datetime:
    """The last occurrence until now; there is one after `after`."""
    span = timedelta(hours=1)
    while True:
        start = max(after, now - span)
        found = [*takewhile(lambda moment: moment <= now, occurrences(schedule, after=start))]
        if found:
            return found[-1]
        span *= 4
