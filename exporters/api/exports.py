"""Exports over HTTP: set them up, copy, attach, detach and remove them, and start all that have a schedule."""

import re
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from functools import wraps

from pydantic import BaseModel, ConfigDict, Field

from exporters.api.answers import Answer, Request, document, problem
from exporters.api.export_views import Permission, permission, saved_view, view
from exporters.api.permissions import may_use_connection
from exporters.api.reading import changed_meanwhile, read_body, read_query, stale
from exporters.api.runs import address_of, no_export, read_key, run_active
from exporters.audit.trail import Action
from exporters.configuration import exports, overview
from exporters.configuration.checks import Checked, check
from exporters.configuration.exports import ExportExistsError, Started
from exporters.configuration.overview import Row
from exporters.errors import StorageConflictError
from exporters.model.export import EXAMPLE, Export, ExportSettings, Mapping
from exporters.model.names import ID_PATTERN, PLAIN_TEXT_PATTERN, Id
from exporters.model.schedule import EveryRefresh, Schedule
from exporters.parts import Parts
from exporters.scheduling.start import NoSuchExportError, RunActiveError
from exporters.storage.documents import Versioned

#: How long starts of all exports may take. The platform ends the wait of a caller after 230 seconds.
#: https://learn.microsoft.com/azure/azure-functions/functions-scale#timeout
START_WITHIN = timedelta(seconds=150)
#: Longest text about faults; all of them are in `faults`.
MAX_DETAIL = 2_000

Handler = Callable[[Parts, Request], Answer]


class NewExport(ExportSettings):
    """A new export."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "newsletter", **EXAMPLE}]})

    id: Id | None = Field(default=None, description="without one it is made of the name; with one, repeating is safe")
    schedule: Schedule = Field(default=EveryRefresh(), description="when runs start by themselves")


class ExportBody(ExportSettings):
    """All settings of an export. One that is left out is set to its default, but for the schedule, which stays."""


class SaveQuery(BaseModel):
    """How an export is saved."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=False)

    dry_run: bool = Field(default=False, alias="dry-run", description="only check the settings, and save nothing")


class AttachBody(BaseModel):
    """What an export is attached to."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"connection": "brevo-marketing", "list_id": "7"}]},
    )

    connection: Id
    list_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        pattern=PLAIN_TEXT_PATTERN,
        description="the list there; left out: the same as before",
    )
    mapping: Mapping | None = Field(default=None, description="left out: the same as before")


class StartResult(StrEnum):
    """What came of the start of one export among many."""

    STARTED = "started"  #: now, or before by the same Idempotency-Key
    AT_WORK = "at work"  #: another run of it is, or is held
    UNUSABLE = "unusable"  #: it cannot run as it is
    LATER = "later"  #: the time was too short; the same Idempotency-Key goes on


class StartedView(BaseModel):
    """What came of the start of one export."""

    export: Id
    name: str
    result: StartResult
    run: str | None = Field(description="address of the run that was started, or that is at work")
    detail: str = Field(description="why it was not started; empty where it was")


class AllStarted(BaseModel):
    """What came of the starts of all exports that have an active schedule, by id."""

    items: tuple[StartedView, ...]


def _with_problems(handle: Handler) -> Handler:
    """A handler whose use case may find that it cannot be done."""

    @wraps(handle)
    def answer(parts: Parts, request: Request) -> Answer:
        try:
            return handle(parts, request)
        except NoSuchExportError:
            return no_export(request.route.get("export", ""))
        except ExportExistsError as error:
            return problem("export-exists", str(error))
        except RunActiveError as error:
            return run_active(error)
        except StorageConflictError:
            return changed_meanwhile()

    return answer


@_with_problems
def create(parts: Parts, request: Request) -> Answer:
    """POST /api/exports: 201 with its address; 422 with all faults."""
    how = read_query(SaveQuery, request)
    wanted = read_body(NewExport, request)
    if isinstance(how, Answer):
        return how
    if isinstance(wanted, Answer):
        return wanted
    settings = exports.settings_of(wanted)
    checked = _checked(parts, request, settings, None)
    if isinstance(checked, Answer):
        return checked
    if how.dry_run:
        export = exports.planned(parts, request.caller, settings, export_id=wanted.id)
        return document(saved_view(parts, request.caller, export, checked, is_stored=False))
    return _created(parts, request, exports.create(parts, request.caller, settings, export_id=wanted.id), checked)


@_with_problems
def show(parts: Parts, request: Request) -> Answer:
    """GET /api/exports/{export}"""
    found = exports.read(parts, _id(request))
    return document(view(parts, request.caller, found.value), headers={"ETag": found.etag})


@_with_problems
def edit(parts: Parts, request: Request) -> Answer:
    """PUT /api/exports/{export}: 200 with what it is now; 422 with all faults."""
    found = exports.read(parts, _id(request))
    how = read_query(SaveQuery, request)
    wanted = read_body(ExportBody, request)
    if isinstance(how, Answer):
        return how
    if isinstance(wanted, Answer):
        return wanted
    settings = exports.settings_of(wanted)
    if "schedule" not in wanted.model_fields_set:
        settings = settings.model_copy(update={"schedule": found.value.schedule})
    return _save(parts, request, found, settings, dry_run=how.dry_run)


@_with_problems
def attach(parts: Parts, request: Request) -> Answer:
    """POST /api/exports/{export}/attach"""
    found = exports.read(parts, _id(request))
    wanted = read_body(AttachBody, request)
    if isinstance(wanted, Answer):
        return wanted
    settings = exports.attached(found.value, wanted.connection, list_id=wanted.list_id, mapping=wanted.mapping)
    return _save(parts, request, found, settings, action=Action.EXPORT_ATTACHED)


@_with_problems
def detach(parts: Parts, request: Request) -> Answer:
    """POST /api/exports/{export}/detach: repeating it changes nothing."""
    export_id = _id(request)
    refused = stale(request, exports.read(parts, export_id).etag) if "if-match" in request.headers else None
    if refused is not None:
        return refused
    found = exports.detach(parts, request.caller, export_id)
    return document(view(parts, request.caller, found.value), headers={"ETag": found.etag})


@_with_problems
def duplicate(parts: Parts, request: Request) -> Answer:
    """POST /api/exports/{export}/duplicate: 201 with the address of the copy."""
    made = exports.duplicate(parts, request.caller, _id(request))
    headers = {"ETag": made.etag, "Location": _address(made.value.id)}
    return document(view(parts, request.caller, made.value), status=201, headers=headers)


@_with_problems
def remove(parts: Parts, request: Request) -> Answer:
    """DELETE /api/exports/{export}: 204."""
    found = exports.read(parts, _id(request))
    refused = stale(request, found.etag)
    if refused is not None:
        return refused
    exports.remove(parts, request.caller, found.value.id, found=found)
    return Answer(status=204, body=b"", headers={"Content-Type": "application/json"})


def start_all(parts: Parts, request: Request) -> Answer:
    """POST /api/exports/runs: what came of each export that has an active schedule and that the caller may use."""
    key = read_key(request)
    if isinstance(key, Answer):
        return key
    seen = overview.look(parts)
    shared = {name: known.used_by for name, known in seen.connections.items()}
    rows = [
        row
        for row in sorted(seen.rows.values(), key=lambda row: row.id)
        if permission(request.caller, row, shared.get(row.connection or "")) is Permission.EDIT
    ]
    until = parts.now() + START_WITHIN
    results = exports.start_all(parts, request.caller, rows, key=key or parts.new_id(), until=until)
    return document(AllStarted(items=tuple(_started(result) for result in results)))


def _save(
    parts: Parts,
    request: Request,
    found: Versioned[Export],
    settings: ExportSettings,
    *,
    action: Action = Action.EXPORT_EDITED,
    dry_run: bool = False,
) -> Answer:
    """Check settings and, unless this is a dry run, store them."""
    refused = stale(request, found.etag)
    if refused is not None:
        return refused
    checked = _checked(parts, request, settings, found.value.id)
    if isinstance(checked, Answer):
        return checked
    if dry_run:
        export = found.value.model_copy(update={name: getattr(settings, name) for name in ExportSettings.model_fields})
        shown = saved_view(parts, request.caller, export, checked, is_stored=True)
        return document(shown, headers={"ETag": found.etag})
    saved = exports.edit(parts, request.caller, found, settings, action=action)
    shown = saved_view(parts, request.caller, saved.value, checked, is_stored=True)
    return document(shown, headers={"ETag": saved.etag})


def _created(parts: Parts, request: Request, made: Versioned[Export], checked: Checked) -> Answer:
    shown = saved_view(parts, request.caller, made.value, checked, is_stored=True)
    return document(shown, status=201, headers={"ETag": made.etag, "Location": _address(made.value.id)})


def _checked(parts: Parts, request: Request, settings: ExportSettings, export_id: str | None) -> Checked | Answer:
    """What there is to say about settings; an answer where they cannot be saved."""
    if settings.connection is not None and not may_use_connection(parts, request.caller, settings.connection):
        detail = "The connection is not shared with contributors; ask an administrator to share it"
        return problem("forbidden", detail)
    checked = check(parts, settings, overview.current(parts), export_id=export_id)
    if not checked.faults:
        return checked
    detail = "; ".join(f"{fault.field}: {fault.message.rstrip('.')}" for fault in checked.faults)
    faults = [fault.model_dump() for fault in checked.faults]
    warnings = [warning.model_dump() for warning in checked.warnings]
    return problem("export-unusable", _cut(detail), faults=faults, warnings=warnings)


def _started(result: Started | Row) -> StartedView:
    if isinstance(result, Row):
        detail = "The time was too short: ask again with the same Idempotency-Key"
        return StartedView(export=result.id, name=result.name, result=StartResult.LATER, run=None, detail=detail)
    row, error = result.row, result.error
    if result.run is not None:
        word, run = StartResult.STARTED, address_of(row.id, result.run.id)
    elif isinstance(error, RunActiveError):
        word, run = StartResult.AT_WORK, address_of(row.id, error.run)
    else:
        word, run = StartResult.UNUSABLE, None
    return StartedView(export=row.id, name=row.name, result=word, run=run, detail="" if error is None else str(error))


def _id(request: Request) -> str:
    """The export of the address. Raises NoSuchExportError for what no export is called."""
    export_id = request.route.get("export", "")
    if not re.fullmatch(ID_PATTERN, export_id):
        raise NoSuchExportError("There is no such export")
    return export_id


def _address(export_id: str) -> str:
    return f"/api/exports/{export_id}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_DETAIL else f"{text[:MAX_DETAIL]} …"
