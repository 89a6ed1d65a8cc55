"""Which occurrence of a schedule is due. Pure: the clock is an argument."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from exporters.model.export import Schedule


def due_occurrence(schedule: Schedule, *, after: datetime, now: datetime) -> datetime | None:
    """The newest occurrence in (after, now], in UTC; None when there is none.

    After an outage this is one occurrence, however many were missed: the newest segment is what matters.
    """
    zone = ZoneInfo(schedule.time_zone)
    # cronsim leaves the starting point out, and works in whole minutes: start one minute on and step back.
    start = datetime.fromtimestamp(now.timestamp() // 60 * 60 + 60, zone)
    newest = next(CronSim(schedule.cron, start, reverse=True), None)
    if newest is None:
        return None
    occurrence = newest.astimezone(UTC)
    return occurrence if after < occurrence <= now else None
