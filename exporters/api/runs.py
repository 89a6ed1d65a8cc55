"""Runs over HTTP: start one, look at one."""

import re
import uuid
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from exporters.api.answers import Answer, Request, document, problem
from exporters.delivery import lanes, records
from exporters.errors import ConfigError
from exporters.model.names import ID_PATTERN, RUN_ID_PATTERN
from exporters.model.reject import REASONS, ReasonCount
from exporters.model.run import DeliveryCounts, Event, PlanCounts, Run, RunStatus, SegmentRead, Step, Trigger
from exporters.parts import Parts
from exporters.scheduling.start import Cause, NoSuchExportError, RunActiveError, start_run
from exporters.storage.documents import faults_of

#: Seconds after which a caller may look at a run again.
RETRY_AFTER_S = 5
#: Longest Idempotency-Key: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ leaves it to
#: the server.
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class StartBody(BaseModel):
    """Body of a start; may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    full: bool = False


class Sums(BaseModel):
    """Both sums: read = invalid + duplicate + unchanged + planned, and planned = delivered + refused + unknown."""

    read: int
    invalid: int
    duplicate: int
    unchanged: int
    planned: int
    delivered: int
    refused: int
    unknown: int


class RejectView(BaseModel):
    """A reason with its texts."""

    kind: str
    reason: str
    column: str
    count: int
    sentence: str
    remedy: str
    words: str  #: the provider's own, for those it refused
    segment: str
    part: str
    line: int


class RunView(BaseModel):
    """A run as callers see it."""

    id: str
    export: str
    name: str
    provider: str
    connection: str
    list_id: str
    list_name: str | None  #: None until access was checked
    list_count: int | None  #: contacts on the list before the run, where the provider tells
    trigger: Trigger
    status: RunStatus
    step: Step
    reason: str
    waiting_until: datetime | None
    created: datetime
    updated: datetime
    finished: datetime | None
    sums: Sums | None  #: None until the plan is made; while the run is at work the second sum is still growing
    batches: int
    batches_ended: int
    requests: int
    bytes: int
    omitted_values: int
    compared_with: str | None
    segments: tuple[SegmentRead, ...]
    rejects: tuple[RejectView, ...]
    timeline: tuple[Event, ...]


def start(parts: Parts, request: Request) -> Answer:
    """POST /api/exports/{export}/runs: 202 with the run's address; a repeated Idempotency-Key answers the same run."""
    export_id = request.route.get("export", "")
    if not re.fullmatch(ID_PATTERN, export_id):
        return _no_export(export_id)
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        return problem(
            422,
            "idempotency-key",
            "Unusable Idempotency-Key",
            "Use 1 to 255 visible ASCII characters, for example a UUID",
        )
    try:
        wanted = StartBody.model_validate_json(request.body) if request.body.strip() else StartBody()
    except ValidationError as error:
        return problem(422, "request-body", "The body cannot be used", faults_of(error))
    cause = Cause(trigger=Trigger.DEMAND, text=key or uuid.uuid4().hex, full=wanted.full)
    try:
        run = start_run(parts, export_id, cause)
    except NoSuchExportError:
        return _no_export(export_id)
    except RunActiveError as error:
        address = address_of(export_id, error.run)
        return problem(409, "run-active", "A run is at work", str(error), headers={"Location": address}, run=address)
    except ConfigError as error:
        return problem(422, "export-unusable", "The export cannot run", str(error))
    if run.full != wanted.full:
        return problem(
            422, "idempotency-key", "Idempotency-Key was used for another request", "Use a new key for a new request"
        )
    headers = {"Location": address_of(export_id, run.id), "Retry-After": str(RETRY_AFTER_S)}
    return document(view(parts, run), status=202, headers=headers)


def show(parts: Parts, request: Request) -> Answer:
    """GET /api/runs/{export}/{run}"""
    export_id, run_id = request.route.get("export", ""), request.route.get("run", "")
    run = None
    if re.fullmatch(ID_PATTERN, export_id) and re.fullmatch(RUN_ID_PATTERN, run_id):
        run = records.read_run(parts, export_id, run_id)
    if run is None:
        return problem(
            404, "no-such-run", "No such run", "There is no run at this address; check the export and run ids"
        )
    headers = {} if run.status.ended else {"Retry-After": str(RETRY_AFTER_S)}
    return document(view(parts, run), headers=headers)


def address_of(export_id: str, run_id: str) -> str:
    """Where a run can be read."""
    return f"/api/runs/{export_id}/{run_id}"


def view(parts: Parts, run: Run) -> RunView:
    """A run with its counts as they are now."""
    plan, ended, counts = run.plan, 0, run.result or DeliveryCounts()
    if plan is not None:
        so_far = records.delivered_so_far(parts, run)
        ended, counts = so_far.ended, run.result or so_far.counts
    return RunView(
        **run.model_dump(include={"id", "trigger", "status", "step", "reason", "created", "updated", "finished"}),
        export=run.export.id,
        name=run.export.name,
        provider=run.connection.provider,
        connection=run.connection.id,
        list_id=run.export.list_id,
        list_name=None if plan is None else plan.list_name,
        list_count=None if plan is None else plan.list_count,
        waiting_until=None if run.status.ended else _waiting_until(parts, run),
        sums=None if plan is None else _sums(plan.counts, counts),
        batches=0 if plan is None else len(plan.batches),
        batches_ended=ended,
        requests=counts.requests,
        bytes=0 if plan is None else plan.bytes,
        omitted_values=0 if plan is None else plan.omitted,
        compared_with=None if plan is None else plan.compared_with,
        segments=() if plan is None else plan.segments,
        rejects=tuple(_reject(row) for row in (*run.refusals, *(() if plan is None else plan.reasons))),
        timeline=run.timeline,
    )


def _sums(planned: PlanCounts, delivered: DeliveryCounts) -> Sums:
    return Sums(**planned.model_dump(), **delivered.model_dump(exclude={"requests"}))


def _waiting_until(parts: Parts, run: Run) -> datetime | None:
    """Until when the provider wants no request on the account."""
    until = lanes.read(parts, run.connection.lane).not_before
    return until if until is not None and until > parts.now() else None


def _reject(row: ReasonCount) -> RejectView:
    text = REASONS[row.reason]
    return RejectView(
        kind=row.kind,
        reason=row.reason,
        column=row.column,
        count=row.count,
        sentence=text.sentence,
        remedy=text.remedy,
        words=row.words,
        segment=row.example.segment,
        part=row.example.part,
        line=row.example.line,
    )


def _no_export(export_id: str) -> Answer:
    shown = export_id if re.fullmatch(ID_PATTERN, export_id) else "of this name"
    return problem(404, "no-such-export", "No such export", f"There is no export {shown}; ids are case-sensitive")
