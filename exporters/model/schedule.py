"""Schedules: when runs start by themselves. What they mean across daylight saving: `scheduling.occurrences`."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)

from exporters.model.names import PLAIN_TEXT_PATTERN


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:  # not found is a KeyError, a folder an OSError
        raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Zagreb") from error
    return value


TimeZone = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    AfterValidator(_known_zone),
    WithJsonSchema({"type": "string", "enum": sorted(available_timezones())}),
]
CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
#: A time of day.
ClockTime = Annotated[str, StringConstraints(pattern=CLOCK_PATTERN)]


class Weekday(StrEnum):
    """Days of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


#: Any time: whether an expression ever names one is the same from everywhere, as cronsim looks 50 years ahead and what
#: comes least often, the 29th of February on one day of the week, comes within 40.
_ANY_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 (a wall clock's)


class _Kind(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Off(_Kind):
    """Runs start on demand only."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "off"}]})

    kind: Literal["off"] = "off"


class EveryRefresh(_Kind):
    """A run starts when a new complete snapshot of one of the segments has landed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "refresh"}]})

    kind: Literal["refresh"] = "refresh"


class Cron(_Kind):
    """A five-field cron expression, read in an IANA time zone."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "cron", "cron": "0 6 * * 1-5", "time_zone": "Europe/Zagreb"}]}
    )

    kind: Literal["cron"] = "cron"
    cron: Annotated[str, StringConstraints(max_length=200, pattern=PLAIN_TEXT_PATTERN)] = Field(
        description="minute, hour, day of month, month, day of week; where minute or hour begin with * it is a pace,"
        " which follows real time across daylight saving"
    )
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if len(self.cron.split()) != 5:
            raise ValueError("cron takes five fields: minute, hour, day of month, month, day of week")
        try:
            if next(CronSim(self.cron, _ANY_TIME), None) is None:
                raise ValueError(f"{self.cron!r} is no cron expression of a time that ever comes")
        except CronSimError as error:
            raise ValueError(f"{self.cron!r} is not a cron expression: {error}") from error
        return self

    @property
    def crons(self) -> tuple[str, ...]:
        """The expressions that name its times together."""
        return (self.cron,)


class Daily(_Kind):
    """At these times of every day."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "daily", "times": ["06:00", "18:30"], "time_zone": "Europe/Zagreb"}]}
    )

    kind: Literal["daily"] = "daily"
    times: tuple[ClockTime, ...] = Field(min_length=1, max_length=24)
    time_zone: TimeZone = "UTC"

    @property
    def crons(self) -> tuple[str, ...]:
        """The expressions that name its times together."""
        return _at(self.times, "* * *")


class Weekly(_Kind):
    """At these times of these days of every week."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "weekly", "days": ["monday", "thursday"], "times": ["06:00"], "time_zone": "UTC"}]
        }
    )

    kind: Literal["weekly"] = "weekly"
    days: tuple[Weekday, ...] = Field(min_length=1, max_length=7)
    times: tuple[ClockTime, ...] = Field(min_length=1, max_length=24)
    time_zone: TimeZone = "UTC"

    @property
    def crons(self) -> tuple[str, ...]:
        """The expressions that name its times together."""
        return _at(self.times, f"* * {','.join(day[:3] for day in self.days)}")


class Monthly(_Kind):
    """At these times of these days of every month; a day that a month does not have is left out, `last` is its last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "monthly", "days": [1, "last"], "times": ["06:00"], "time_zone": "UTC"}]
        }
    )

    kind: Literal["monthly"] = "monthly"
    days: tuple[Annotated[int, Field(ge=1, le=31, strict=True)] | Literal["last"], ...] = Field(
        min_length=1, max_length=31
    )
    times: tuple[ClockTime, ...] = Field(min_length=1, max_length=24)
    time_zone: TimeZone = "UTC"

    @property
    def crons(self) -> tuple[str, ...]:
        """The expressions that name its times together."""
        return _at(self.times, f"{','.join('L' if day == 'last' else str(day) for day in self.days)} * *")


def _at(times: Sequence[str], days: str) -> tuple[str, ...]:
    """One expression for each minute of the hour among times of day."""
    hours = defaultdict(list)
    for hour, minute in (time.split(":") for time in times):
        hours[int(minute)].append(str(int(hour)))
    return tuple(f"{minute} {','.join(each)} {days}" for minute, each in hours.items())


def _kind_of(value: Any) -> str:
    """The tag of a schedule; one that has `cron` alone, as documents had before there were kinds, is a Cron."""
    if not isinstance(value, dict):
        return str(getattr(value, "kind", ""))
    return str(value.get("kind", "cron" if "cron" in value else ""))


KINDS = ("off", "refresh", "cron", "daily", "weekly", "monthly")
Clock = Cron | Daily | Weekly | Monthly
Schedule = Annotated[
    Annotated[Off, Tag("off")]
    | Annotated[EveryRefresh, Tag("refresh")]
    | Annotated[Cron, Tag("cron")]
    | Annotated[Daily, Tag("daily")]
    | Annotated[Weekly, Tag("weekly")]
    | Annotated[Monthly, Tag("monthly")],
    Discriminator(
        _kind_of, custom_error_type="schedule_kind", custom_error_message=f"needs a kind, one of {', '.join(KINDS)}"
    ),
]


def is_active(schedule: Schedule) -> bool:
    """Whether a schedule ever starts a run."""
    return not isinstance(schedule, Off)
