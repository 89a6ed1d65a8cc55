"""The times that a schedule names, in UTC, whatever its zone does to its clocks. Pure.

Schedules come as cron expressions, which cronsim follows over times without a zone, as a wall clock shows them. What
such a time is in UTC is settled here, as Debian's cron does it
(https://manpages.debian.org/bookworm/cron/cron.8.en.html#DEBIAN_SPECIFIC):

- Where an expression names minutes and hours, each runs once a day: right after the gap, if clocks skip the time, and
  the first time, if they show it twice.
- Where its minute or its hour begins with `*`, it is a pace, and follows real time: what clocks skip is left out, and
  what they show twice runs twice.

cronsim would know zones too, but leaves out times where clocks are set by half an hour, as on Lord Howe Island.
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim

from exporters.model.schedule import Clock

#: Answers that are remembered: the tick asks the same of each export every minute, and a list for many that are alike.
REMEMBERED = 16_384


def occurrences(schedule: Clock, *, after: datetime) -> Iterator[datetime]:
    """All occurrences after a moment, in order, each once."""
    zone = ZoneInfo(schedule.time_zone)
    last = after
    for moment in heapq.merge(*(times for cron in schedule.crons for times in _times(cron, zone, after))):
        if moment > last:
            yield moment
            last = moment


@lru_cache(maxsize=REMEMBERED)
def next_occurrence(schedule: Clock, after: datetime) -> datetime | None:
    """The first occurrence after a moment; None where there is none within 50 years."""
    return next(occurrences(schedule, after=after), None)


def _times(cron: str, zone: ZoneInfo, after: datetime) -> Iterable[Iterator[datetime]]:
    """The moments of an expression, some of them before `after`, in streams that are each in order."""
    # What a clock shows at its first turn never goes back as time goes on, so nothing earlier than this is after it.
    start = after.astimezone(zone).replace(tzinfo=None)
    minute, hour = cron.split()[:2]
    if not minute.startswith("*") and not hour.startswith("*"):
        return [(_once(local, zone) for local in CronSim(cron, start))]
    # The second turn of an hour in whose first turn we are still goes back to where the first one began.
    back = _moment(start, zone, fold=1) - _moment(start, zone, fold=0)
    return [_paced(cron, zone, start, fold=0), _paced(cron, zone, start - back, fold=1)]


def _paced(cron: str, zone: ZoneInfo, start: datetime, *, fold: int) -> Iterator[datetime]:
    """The moments at which clocks show the times of an expression, at their first or their second turn."""
    for local in CronSim(cron, start):
        moment = _moment(local, zone, fold=fold)
        if _shown(moment, zone) == local:
            yield moment


def _once(local: datetime, zone: ZoneInfo) -> datetime:
    """When clocks show a time first, or the first later one where they skip it."""
    moment = _moment(local, zone, fold=0)
    if _shown(moment, zone) == local:
        return moment
    # In a gap the two turns are those of the clock after and before it, so that the gap ends between the two moments.
    # https://peps.python.org/pep-0495/#mind-the-gap
    before = _moment(local, zone, fold=1)
    seconds = range(round(before.timestamp()), round(moment.timestamp()) + 1)
    first = bisect_left(seconds, True, key=lambda second: _shown(datetime.fromtimestamp(second, UTC), zone) > local)
    return datetime.fromtimestamp(seconds[first], UTC)


def _moment(local: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    return local.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """What a clock shows then."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
