"""Timer schedules: NCRONTAB expressions of five or six fields, in UTC, and what is due after a pause.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

#: Schedules that fire more often keep no record, so what they miss is not made up.
#: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#attributes
MIN_MONITORED = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One expression. Raises CronSimError at the first use when it is none."""

    expression: str

    def after(self, moment: datetime) -> datetime:
        """The first occurrence after a moment."""
        return next(CronSim(self.expression, moment.astimezone(UTC)))

    def is_frequent(self, now: datetime) -> bool:
        first = self.after(now)
        return self.after(first) - first < MIN_MONITORED


class Status(BaseModel):
    """What is kept of a timer between runs and between processes, in the words of `TimerRequest.schedule_status`."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    last: AwareDatetime | None = Field(default=None, alias="Last")
    next: AwareDatetime = Field(alias="Next")
    updated: AwareDatetime = Field(alias="LastUpdated")

    @classmethod
    def fresh(cls, schedule: Schedule, now: datetime) -> "Status":
        return cls(next=schedule.after(now), updated=now)

    def ran(self, schedule: Schedule, started: datetime) -> "Status":
        """After a run that started then; whatever was missed before it is made up by it."""
        return Status(last=started, next=schedule.after(started), updated=started)

    def fits(self, schedule: Schedule) -> bool:
        """False when it was written under another schedule, which forgets what that one missed."""
        return schedule.after(self.last or self.updated) == self.next
