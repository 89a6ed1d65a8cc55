"""When an export runs next by itself, or why it does not. It asks what the tick asks, so it says what the tick does."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from exporters.configuration.overview import Row
from exporters.errors import ConfigError
from exporters.model.run import Run
from exporters.model.schedule import Clock, EveryRefresh, Off
from exporters.parts import Parts
from exporters.scheduling.due import due_occurrences, handled, news
from exporters.scheduling.landed import Landed, look_at
from exporters.scheduling.occurrences import next_occurrence
from exporters.scheduling.start import read_export
from exporters.storage import paths


class NextRunKind(StrEnum):
    """What the next run waits for."""

    TIME = "time"  #: for a time that the schedule names
    NOW = "now"  #: for the tick, within a minute
    REFRESH = "refresh"  #: for a new complete snapshot
    RUN = "run"  #: for another run of the export, which has to end first, or to be decided about
    NONE = "none"  #: there is none: runs start on demand only, or not at all


class NextRun(BaseModel):
    """When an export runs next by itself."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {"kind": "time", "at": "2026-11-24T05:00:00Z", "text": "On 2026-11-24 at 06:00 (Europe/Zagreb)"}
            ]
        },
    )

    kind: NextRunKind = Field(description="what it waits for")
    at: AwareDatetime | None = Field(
        default=None, description="time: when it starts; now: since when it is due; null where that is not known"
    )
    text: str = Field(description="the same for people, and what may keep it from starting")


def next_run(
    row: Row,
    now: datetime,
    *,
    active: Run | None = None,
    landed: Mapping[str, Landed] | None = None,
    unusable: str = "",
) -> NextRun:
    """When an export runs next by itself, by what is known of it; without its details for lists.

    `active` is its run at work, `landed` what lies at its segments, `unusable` why no run of it can start.
    """
    schedule = row.schedule
    if row.fault:
        return _none(row.fault)
    if isinstance(schedule, Off):
        return _none("The schedule is off: runs start on demand only")
    if row.connection is None:
        return _none("The export is detached: no run starts until a connection is attached")
    if unusable:
        return _none(unusable)
    if isinstance(schedule, EveryRefresh):
        return _after_refresh(row, now, active, landed or {})
    return _by_the_clock(row, schedule, now, active)


def next_run_of(parts: Parts, row: Row) -> NextRun:
    """When an export runs next by itself, by all that the tick would look at."""
    active, unusable = None, ""
    if row.active is not None:
        with suppress(ConfigError):  # its document cannot be read: it is at work all the same
            found = parts.documents.read(Run, paths.run(row.id, row.active))
            active = None if found is None else found.value
    try:
        read_export(parts, row.id)
    except ConfigError as error:
        unusable = str(error)
    landed = look_at(parts, row.segments) if isinstance(row.schedule, EveryRefresh) else {}
    return next_run(row, parts.now(), active=active, landed=landed, unusable=unusable)


def _by_the_clock(row: Row, schedule: Clock, now: datetime, active: Run | None) -> NextRun:
    if active is not None and active.held:
        return NextRun(
            kind=NextRunKind.RUN,
            text=f"The run {active.id} is held: occurrences pass without a run until it is approved or rejected",
        )
    due = due_occurrences(schedule, after=handled(row), now=now)
    if due is not None and row.active is None:
        shown = _shown(due.newest, schedule)
        return NextRun(kind=NextRunKind.NOW, at=due.newest, text=f"Due since {shown}: it starts within a minute")
    if due is not None and active is not None and active.reconciles:
        text = f"Due since {_shown(due.newest, schedule)}: it starts when the reconciliation {active.id} has ended"
        return NextRun(kind=NextRunKind.RUN, text=text)
    at = next_occurrence(schedule, now)
    if at is None:
        return _none("The schedule names no time within the next 50 years")
    return NextRun(kind=NextRunKind.TIME, at=at, text=f"On {_shown(at, schedule)}{_unless(row, active)}")


def _unless(row: Row, active: Run | None) -> str:
    """What may keep the next occurrence from starting a run."""
    if row.active is None:
        return ""
    if active is not None and active.reconciles:
        return f", or once the reconciliation {row.active} has ended"
    return f", unless the run {row.active} is still at work then"


def _after_refresh(row: Row, now: datetime, active: Run | None, landed: Mapping[str, Landed]) -> NextRun:
    fresh = news(row, landed, now)
    if active is not None and active.held:
        text = f"The run {active.id} is held: a new snapshot is exported once it is approved or rejected"
        return NextRun(kind=NextRunKind.RUN, text=text)
    if fresh:
        segment = max(fresh, key=fresh.__getitem__)
        what = f"The snapshot {landed[segment].snapshot}, written {_utc(fresh[segment])}"
        if row.active is None:
            return NextRun(kind=NextRunKind.NOW, at=fresh[segment], text=f"{what}, starts a run within a minute")
        text = f"{what}, starts a run when {row.active} has ended, unless that one has read it"
        return NextRun(kind=NextRunKind.RUN, text=text)
    seen = [*row.refreshed.values(), *row.read.values()]
    since = f"; what was exported last was written {_utc(max(seen))}" if seen else ""
    text = f"When a new snapshot of {_segments(row)} is complete{since}"
    return NextRun(kind=NextRunKind.REFRESH, text=". ".join([text, *_troubles(landed)]))


def _segments(row: Row) -> str:
    return row.segments[0] if len(row.segments) == 1 else f"one of its {len(row.segments)} segments"


def _troubles(landed: Mapping[str, Landed]) -> list[str]:
    """What keeps snapshots of segments from being complete, or from being seen at all."""
    told = [each.trouble or (each.unfinished and f"Still being written: {each.unfinished}") for each in landed.values()]
    return [text.rstrip(".") for text in told if text]


def _none(text: str) -> NextRun:
    return NextRun(kind=NextRunKind.NONE, text=text)


def _shown(moment: datetime, schedule: Clock) -> str:
    return f"{moment.astimezone(ZoneInfo(schedule.time_zone)):%Y-%m-%d at %H:%M} ({schedule.time_zone})"


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
