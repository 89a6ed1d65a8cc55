"""Schedules: /api/exports/{export}/schedule, /api/schedules, and what a schedule that is not saved yet would do."""

import re
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from exporters.api.answers import Answer, Request, document
from exporters.api.permissions import may_use_export
from exporters.api.reading import changed_meanwhile, read_body, stale
from exporters.api.runs import address_of, no_export
from exporters.configuration import exports, overview
from exporters.errors import ConfigError, StorageConflictError
from exporters.model.caller import Caller
from exporters.model.export import Export
from exporters.model.names import ID_PATTERN, Id
from exporters.model.run import ExportState
from exporters.model.schedule import EveryRefresh, Off, Schedule, is_active
from exporters.parts import Parts
from exporters.scheduling.next_run import NextRun, next_run_of
from exporters.scheduling.occurrences import occurrences
from exporters.scheduling.start import find_named
from exporters.storage import paths
from exporters.storage.documents import Versioned

#: Occurrences that are told of a schedule that is in force, and of one that is not saved yet.
NEXT, PREVIEWED = 5, 10
#: Exports that get a schedule at once. Ours: each takes some ten storage requests, and an answer must not take minutes.
MAX_EXPORTS = 100


class ScheduleBody(BaseModel):
    """A schedule."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"schedule": {"kind": "refresh"}},
                {"schedule": {"kind": "daily", "times": ["06:00", "18:30"], "time_zone": "Europe/Zagreb"}},
            ]
        },
    )

    schedule: Schedule = Field(
        description="off; refresh: when a new complete snapshot of one of the segments has landed; daily, weekly or"
        " monthly at times of an IANA zone; or a cron expression"
    )


class OccurrenceView(BaseModel):
    """A time at which a run is going to start."""

    at: AwareDatetime = Field(description="in UTC")
    local: str = Field(description="in the schedule's zone, with its offset then")


class SkippedView(BaseModel):
    """An occurrence, or a snapshot, that has started no run."""

    at: AwareDatetime = Field(description="when a run should have started")
    reason: str
    run: str = Field(description="address of its entry among the runs")


class ScheduleView(BaseModel):
    """The schedule of an export, and what it does."""

    export: Id
    schedule: Schedule
    since: AwareDatetime = Field(description="occurrences before, and snapshots, start nothing")
    next_run: NextRun
    occurrences: tuple[OccurrenceView, ...] = Field(description=f"the next {NEXT} times that the schedule names")
    skipped: tuple[SkippedView, ...] = Field(description="what has started no run lately, newest first")


class SchedulePreview(BaseModel):
    """What a schedule would do."""

    schedule: Schedule
    text: str
    occurrences: tuple[OccurrenceView, ...] = Field(description=f"the next {PREVIEWED} times that it names")


class SeveralBody(BaseModel):
    """A schedule for several exports."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "exports": ["newsletter", "win-back"],
                    "schedule": {
                        "kind": "weekly",
                        "days": ["monday"],
                        "times": ["06:00"],
                        "time_zone": "Europe/Zagreb",
                    },
                    "keep_existing": True,
                }
            ]
        },
    )

    exports: tuple[Id, ...] = Field(min_length=1, max_length=MAX_EXPORTS)
    schedule: Schedule
    keep_existing: bool = Field(
        default=False, strict=True, description="only exports whose schedule is off get this one"
    )


class Given(StrEnum):
    """What came of one of several exports."""

    SET = "set"  #: it has the schedule now, or had it before
    KEPT = "kept"  #: it has one of its own, which was to be kept
    FORBIDDEN = "forbidden"  #: its connection is not shared with contributors
    CHANGED_MEANWHILE = "changed-meanwhile"  #: somebody has changed the export; ask again
    NO_SUCH_EXPORT = "no-such-export"
    UNREADABLE = "state-unreadable"  #: its document cannot be used


class GivenView(BaseModel):
    """What came of one of several exports."""

    export: Id
    result: Given
    detail: str


class SeveralView(BaseModel):
    """What came of each export, in the order in which they were named."""

    exports: tuple[GivenView, ...]


def show(parts: Parts, request: Request) -> Answer:
    """GET /api/exports/{export}/schedule"""
    found = _find(parts, request.route.get("export", ""))
    return no_export(request.route.get("export", "")) if found is None else _shown(parts, found)


def change(parts: Parts, request: Request) -> Answer:
    """PUT /api/exports/{export}/schedule: the answer has the new next run. If-Match is the export's ETag."""
    export_id = request.route.get("export", "")
    found = _find(parts, export_id)
    if found is None:
        return no_export(export_id)
    refused = stale(request, found.etag)
    if refused is not None:
        return refused
    wanted = read_body(ScheduleBody, request)
    if isinstance(wanted, Answer):
        return wanted
    try:
        return _shown(parts, _set(parts, request.caller, found, wanted.schedule))
    except StorageConflictError:
        return changed_meanwhile()


def change_several(parts: Parts, request: Request) -> Answer:
    """PUT /api/schedules: the same schedule for several exports, each of them by itself.

    Each is changed as it was read here, so nobody's change is overwritten, and none waits for another. Repeating it
    changes nothing more.
    """
    wanted = read_body(SeveralBody, request)
    if isinstance(wanted, Answer):
        return wanted
    with overview.refreshed_together(parts):
        given = tuple(_give(parts, request, export_id, wanted) for export_id in dict.fromkeys(wanted.exports))
    return document(SeveralView(exports=given))


def preview(parts: Parts, request: Request) -> Answer:
    """POST /api/schedules/preview"""
    wanted = read_body(ScheduleBody, request)
    if isinstance(wanted, Answer):
        return wanted
    schedule = wanted.schedule
    times = next_times(schedule, parts.now(), PREVIEWED)
    return document(SchedulePreview(schedule=schedule, text=_text(schedule), occurrences=times))


def next_times(schedule: Schedule, now: datetime, count: int) -> tuple[OccurrenceView, ...]:
    """The next times that a schedule names, as many as there are; none where it names none."""
    if isinstance(schedule, Off | EveryRefresh):
        return ()
    zone = ZoneInfo(schedule.time_zone)
    moments = islice(occurrences(schedule, after=now), count)
    return tuple(OccurrenceView(at=moment, local=moment.astimezone(zone).isoformat()) for moment in moments)


def _text(schedule: Schedule) -> str:
    if isinstance(schedule, Off):
        return "Runs start on demand only"
    if isinstance(schedule, EveryRefresh):
        return "A run starts within a minute of a new snapshot of one of the segments being complete"
    return f"A run starts within a minute of each of these times ({schedule.time_zone})"


def _find(parts: Parts, export_id: str) -> Versioned[Export] | None:
    if not re.fullmatch(ID_PATTERN, export_id):
        return None
    return find_named(parts, Export, paths.export(export_id), export_id)


def _shown(parts: Parts, found: Versioned[Export]) -> Answer:
    export = found.value
    row = overview.rows_of(parts, [export.id]).get(export.id)
    if row is None:
        return no_export(export.id)
    view = ScheduleView(
        export=export.id,
        schedule=export.schedule,
        since=row.scheduled_since,
        next_run=next_run_of(parts, row),
        occurrences=next_times(export.schedule, parts.now(), NEXT),
        skipped=_skipped(parts, export.id),
    )
    return document(view, headers={"ETag": found.etag})


def _skipped(parts: Parts, export_id: str) -> tuple[SkippedView, ...]:
    state = parts.documents.read(ExportState, paths.export_state(export_id))
    entries = () if state is None else state.value.skipped
    return tuple(SkippedView(at=each.at, reason=each.reason, run=address_of(export_id, each.run)) for each in entries)


def _give(parts: Parts, request: Request, export_id: str, wanted: SeveralBody) -> GivenView:
    """Give one of several exports the schedule, or say why not."""
    try:
        result = _given(parts, request, export_id, wanted)
    except ConfigError as error:
        return GivenView(export=export_id, result=Given.UNREADABLE, detail=str(error))
    return GivenView(export=export_id, result=result, detail=_DETAILS[result])


def _given(parts: Parts, request: Request, export_id: str, wanted: SeveralBody) -> Given:
    if not may_use_export(parts, request.caller, export_id):
        return Given.FORBIDDEN
    found = _find(parts, export_id)
    if found is None:
        return Given.NO_SUCH_EXPORT
    if wanted.keep_existing and is_active(found.value.schedule):
        return Given.KEPT
    with suppress(StorageConflictError):
        _set(parts, request.caller, found, wanted.schedule)
        return Given.SET
    return Given.CHANGED_MEANWHILE


def _set(parts: Parts, caller: Caller, found: Versioned[Export], schedule: Schedule) -> Versioned[Export]:
    """Change an export as it was found. Raises StorageConflictError where somebody has changed it since."""
    settings = exports.settings_of(found.value).model_copy(update={"schedule": schedule})
    return exports.edit(parts, caller, found, settings)


_DETAILS = {
    Given.SET: "It has this schedule now",
    Given.KEPT: "It keeps the schedule that it has",
    Given.FORBIDDEN: "Its connection is not shared with contributors; ask an administrator to share it",
    Given.CHANGED_MEANWHILE: "Somebody has changed the export at the same moment; ask again for it",
    Given.NO_SUCH_EXPORT: "There is no export of this id",
}
