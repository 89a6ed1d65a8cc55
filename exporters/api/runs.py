"""Runs over HTTP: start one, look at one, decide about one that is held, cancel it, retry it."""

import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from exporters.api.answers import Answer, Request, document, problem
from exporters.api.reading import read_body
from exporters.audit.trail import Action, audited, hidden
from exporters.configuration.connections import ConnectionBusyError
from exporters.delivery import hold, reconcile, records, undo
from exporters.delivery.cancel import cancel
from exporters.delivery.waiting import Waiting, WaitsFor, remaining, waiting
from exporters.errors import ConfigError
from exporters.history import journal
from exporters.history.earlier import earlier
from exporters.history.journal import RunKind
from exporters.model.brake import Brake
from exporters.model.drift import Drift
from exporters.model.names import ID_PATTERN, RUN_ID_PATTERN, Reason
from exporters.model.reject import REASONS, ReasonCount
from exporters.model.run import (
    DeliveryCounts,
    Event,
    Order,
    Run,
    RunStatus,
    SegmentRead,
    Step,
    StepBegun,
    Trigger,
)
from exporters.model.status_word import StatusWord, word_of
from exporters.model.sums import RemovalSums, Sums
from exporters.parts import Parts
from exporters.scheduling import retry
from exporters.scheduling.start import FRUITLESS, Cause, NoSuchExportError, RunActiveError, start_run

#: Seconds after which a caller may look at a run again.
RETRY_AFTER_S = 5
#: Longest Idempotency-Key: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ leaves it to
#: the server.
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
#: Why a decision that somebody repeats is none: the first one stands, with its reason.
REPEATED = "It was decided so before"
#: What follows for whoever repeats the key of a run that has come to nothing.
KEY_IS_SPENT = "This Idempotency-Key stays with this run: to start another one, use a new Idempotency-Key."

Body = TypeVar("Body", bound=BaseModel)


class StartBody(BaseModel):
    """Body of a start; may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"full": True}]})

    full: bool = False


class DecisionBody(BaseModel):
    """Body of an approval or a rejection; may be left out."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"reason": "Checked with the owner of the segment"}]},
    )

    reason: Reason = Field(default="", description="everybody with a role reads it, without addresses and keys")


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


class DriftView(BaseModel):
    """Two sums: known = both + missing + unsure, and listed = both + strangers + those of the unsure who are on it."""

    known: int  #: people in the ledger
    listed: int  #: people on the list
    both: int
    missing: int  #: were delivered, and are not on the list
    strangers: int  #: are on the list, and this export has not put them there
    unsure: int  #: in the ledger, but it is not known whether they were delivered
    ledger: str  #: where the run is whose ledger was compared
    people: str  #: where the missing and the strangers are listed
    repair: str | None  #: where the missing are sent again; None where nobody is missing


class StepView(BaseModel):
    """A step that a run has come to."""

    step: Step
    began: datetime
    ended: datetime | None  #: None: the run is there now
    duration_s: float  #: up to now, where it has not ended


class EarlierView(BaseModel):
    """Earlier runs of the same export and sort that ended well, to hold this one against."""

    runs: int  #: how many were looked at, the newest ones
    last: str  #: address of the newest of them
    last_s: float
    last_planned: int
    last_delivered: int
    median_s: float
    median_planned: int


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
    kind: RunKind
    started_by: str
    corrects: str | None  #: where the run is whose corrected rejects this one sends; None: it sends its segments
    retries: str | None  #: where the run is whose missing people this one sends
    reconciles: bool  #: it holds the list against the ledger, and sends nobody
    repairs: str | None  #: where the reconciliation is whose missing people this run sends again
    goes_back_to: str | None  #: where the run is whose people the list gets back
    changed_since: int | None  #: of them, those whose values are not known to be as they were; they stay as they are
    drift: DriftView | None  #: what a reconciliation has found
    notes: tuple[str, ...]  #: what such a run does not do, and what comes after it
    status: RunStatus
    status_word: StatusWord
    step: Step
    steps: tuple[StepView, ...]
    reason: str
    waiting_until: datetime | None  #: the provider wants no request on the account before
    waiting: Waiting | None  #: what it waits for; None when it is being worked on, is held or has ended
    seconds_remaining: int | None  #: until everyone planned has a verdict, estimated; None while it does not send
    brakes: tuple[Brake, ...]  #: what holds the run, or has held it
    approved: datetime | None  #: when somebody let it go on
    approved_by: str
    rejected_by: str
    approve: str | None  #: where a held run is approved, and where it is rejected
    reject: str | None
    canceled: datetime | None  #: when somebody wanted it to end
    canceled_by: str
    cancel: str | None  #: where a run that has not ended is canceled
    retry: str | None  #: where one that has not delivered everybody is retried
    created: datetime
    updated: datetime
    finished: datetime | None
    duration_s: float  #: from its creation to its end; up to now, where it has not ended
    earlier: EarlierView | None  #: None where no earlier run can be compared
    sums: Sums | None  #: None until the plan is made; while the run is at work the second sum is still growing
    removal: RemovalSums | None  #: None where nobody is removed, or not yet; grows while the run is at work
    batches: int  #: of the plan; of the removals too once they have begun
    batches_ended: int
    batch_list: str  #: where they are listed, one by one
    requests: int
    bytes: int
    omitted_values: int
    compared_with: str | None
    mapping_version: str | None  #: digest of everything that decides how a profile becomes a contact
    receipt: str | None  #: where the signed receipt is; None until it has ended
    segments: tuple[SegmentRead, ...]
    rejects: tuple[RejectView, ...]
    timeline: tuple[Event, ...]


def start(parts: Parts, request: Request) -> Answer:
    """POST /api/exports/{export}/runs: 202 with the run's address; a repeated Idempotency-Key answers the same run."""
    export_id = request.route.get("export", "")
    if not re.fullmatch(ID_PATTERN, export_id):
        return no_export(export_id)
    key = read_key(request)
    if isinstance(key, Answer):
        return key
    wanted = read_body(StartBody, request)
    if isinstance(wanted, Answer):
        return wanted
    cause = Cause(
        trigger=Trigger.DEMAND,
        text=key or uuid.uuid4().hex,
        order=Order(full=wanted.full),
        by=request.caller.label,
    )

    def begin() -> Run | None:
        run = start_run(parts, export_id, cause)
        return run if run.full == wanted.full else None

    return started(parts, request, export_id, key, begin)


def show(parts: Parts, request: Request) -> Answer:
    """GET /api/runs/{export}/{run}"""
    run = find(parts, request)
    return no_run() if run is None else _shown(parts, run)


def approve(parts: Parts, request: Request) -> Answer:
    """POST /api/runs/{export}/{run}/approve: let a held run go on. Repeating it answers the run as it is.

    For people only, as `reject`: what may start a run cannot lift the brake that holds it.
    """
    return _decide(parts, request, Action.RUN_APPROVED, hold.approve, lambda run: run.approved is not None)


def reject(parts: Parts, request: Request) -> Answer:
    """POST /api/runs/{export}/{run}/reject: end a held run. Repeating it answers the run as it is."""
    return _decide(parts, request, Action.RUN_REJECTED, hold.reject, hold.is_rejected)


def cancel_run(parts: Parts, request: Request) -> Answer:
    """POST /api/runs/{export}/{run}/cancel: have a run end, wherever it is. Repeating it answers the run as it is."""
    run = find(parts, request)
    if run is None:
        return no_run()
    said = read_body(DecisionBody, request)
    if isinstance(said, Answer):
        return said
    is_repeated = run.canceled is not None
    with audited(parts, request.caller, Action.RUN_CANCELED, _subject(run), reason=said.reason) as course:
        run = cancel(parts, run, reason=hidden(said.reason), by=request.caller.label)
        if run.canceled is None:
            detail = f"The run has ended, its status is {run.status}: there is nothing left to cancel"
            course.not_done(detail)
            return problem("run-ended", detail)
        if is_repeated:
            course.not_done(REPEATED)
    return _shown(parts, run)


def retry_run(parts: Parts, request: Request) -> Answer:
    """POST /api/runs/{export}/{run}/retry: start a run that sends what this one did not deliver.

    Repeating it answers the run that the first call started, until that one has failed or was canceled.
    """
    run = find(parts, request)
    if run is None:
        return no_run()
    key = read_key(request)
    if isinstance(key, Answer):
        return key
    why_not = retry.why_not(run)
    if why_not is not None:
        return problem("nothing-to-retry", why_not)
    by = request.caller.label
    return started(parts, request, run.export.id, key, lambda: retry.start(parts, run, key=key, by=by))


def _decide(
    parts: Parts, request: Request, action: Action, decide: Callable[..., Run], is_decided: Callable[[Run], bool]
) -> Answer:
    run = find(parts, request)
    if run is None:
        return no_run()
    said = read_body(DecisionBody, request)
    if isinstance(said, Answer):
        return said
    is_repeated = is_decided(run)
    with audited(parts, request.caller, action, _subject(run), reason=said.reason) as course:
        run = decide(parts, run, reason=hidden(said.reason), by=request.caller.label)
        if not is_decided(run):
            detail = f"The run's status is {run.status}: only a held run can be {action.removeprefix('run ')}"
            course.not_done(detail)
            return problem("run-not-held", detail)
        if is_repeated:
            course.not_done(REPEATED)
    return _shown(parts, run)


def _subject(run: Run) -> str:
    """How the audit trail names a run."""
    return f"/runs/{run.export.id}/{run.id}"


def read_key(request: Request) -> str | Answer | None:
    """The Idempotency-Key of a request, where there is one; a problem document when it cannot be used."""
    key = request.headers.get("idempotency-key")
    if key is None or _KEY.fullmatch(key):
        return key
    return problem("idempotency-key", "Use 1 to 255 visible ASCII characters, for example a UUID")


def started(
    parts: Parts, request: Request, export_id: str, key: str | None, begin: Callable[[], Run | Answer | None]
) -> Answer:
    """The answer to a start, whatever it is that was to be started; it goes into the audit trail.

    `begin` answers the run, None where the key has started something else, or why there is nothing to start; it raises
    as `start_run`.
    """
    try:
        begun = _audited_start(parts, request, export_id, begin)
    except NoSuchExportError:
        return no_export(export_id)
    except RunActiveError as error:
        return run_active(error)
    except ConfigError as error:
        return problem("export-unusable", str(error))
    if begun is None:
        return problem("idempotency-key", "It was used for another request: use a new key")
    return begun if isinstance(begun, Answer) else _accepted(parts, begun, key=key)


def _audited_start(
    parts: Parts, request: Request, export_id: str, begin: Callable[[], Run | Answer | None]
) -> Run | Answer | None:
    with audited(parts, request.caller, Action.RUN_STARTED, f"/exports/{export_id}") as course:
        begun = begin()
        if isinstance(begun, Run):
            course.reason = f"the run {begun.id}: {begun.timeline[0].text}"
        else:
            course.not_done("there was nothing to start, or the Idempotency-Key has started something else")
    return begun


def run_active(error: RunActiveError | ConnectionBusyError) -> Answer:
    """The answer where a run of an export is at work, or is held."""
    address = address_of(error.export, error.run)
    return problem("run-active", str(error), headers={"Location": address}, run=address)


def _accepted(parts: Parts, run: Run, *, key: str | None) -> Answer:
    """Where the run is, and when to look; of a run that has come to nothing under its key, that another one takes
    another key.
    """
    headers = {"Location": address_of(run.export.id, run.id), **_look_again(run)}
    shown = view(parts, run)
    if key is not None and run.status in FRUITLESS:
        shown.reason = f"{run.reason.rstrip('.')}. {KEY_IS_SPENT}"
    return document(shown, status=202, headers=headers)


def find(parts: Parts, request: Request) -> Run | None:
    """The run of a request's address; None where there is none."""
    export_id, run_id = request.route.get("export", ""), request.route.get("run", "")
    if re.fullmatch(ID_PATTERN, export_id) and re.fullmatch(RUN_ID_PATTERN, run_id):
        return records.read_run(parts, export_id, run_id)
    return None


def no_run() -> Answer:
    """The answer where there is no such run."""
    return problem("no-such-run", "There is no run at this address; check the export and run ids")


def _shown(parts: Parts, run: Run) -> Answer:
    return document(view(parts, run), headers=_look_again(run))


def _look_again(run: Run) -> dict[str, str]:
    """When to ask for a run again: not once it has ended, and not while it waits for a person."""
    is_still = run.status.ended or run.status is RunStatus.HELD
    return {} if is_still else {"Retry-After": str(RETRY_AFTER_S)}


def address_of(export_id: str, run_id: str) -> str:
    """Where a run can be read."""
    return f"/api/runs/{export_id}/{run_id}"


def view(parts: Parts, run: Run) -> RunView:
    """A run with its counts as they are now."""
    plan, ended, counts, removal = run.plan, 0, run.result or DeliveryCounts(), run.removal
    left: timedelta | None = None
    waits = waiting(parts, run)
    address = address_of(run.export.id, run.id)
    held_at = address if run.status is RunStatus.HELD else None
    by = {"started_by", "approved_by", "rejected_by", "canceled_by"}
    if plan is not None:
        so_far = records.delivered_so_far(parts, run)
        ended, counts, removal = so_far.ended, run.result or so_far.counts, run.removal or so_far.removal
        left = remaining(parts, run, plan, so_far)
    return RunView(
        **run.model_dump(include={"id", "trigger", "status", "step", "reason", "created", "updated", "finished", *by}),
        status_word=word_of(run, fails=waits is not None and waits.reason is WaitsFor.TROUBLE),
        steps=_steps(parts, run),
        kind=journal.kind_of(run),
        duration_s=_seconds(run.created, run.finished or parts.now()),
        earlier=_earlier(parts, run),
        export=run.export.id,
        name=run.export.name,
        corrects=None if run.corrects is None else address_of(run.export.id, run.corrects.run),
        provider=run.connection.provider,
        connection=run.connection.id,
        list_id=run.export.list_id,
        list_name=None if plan is None else plan.list_name,
        list_count=None if plan is None else plan.list_count,
        retries=None if run.retries is None else address_of(run.export.id, run.retries),
        reconciles=run.reconciles,
        repairs=None if run.repairs is None else address_of(run.export.id, run.repairs),
        goes_back_to=None if run.goes_back_to is None else address_of(run.export.id, run.goes_back_to),
        changed_since=None if plan is None else plan.changed_since,
        drift=None if run.drift is None else _drift(run, run.drift),
        notes=_notes(run),
        waiting_until=waits.until if waits is not None and waits.reason is WaitsFor.PROVIDER else None,
        waiting=waits,
        seconds_remaining=None if left is None else round(left.total_seconds()),
        brakes=() if plan is None else plan.brakes,
        approved=run.approved,
        approve=held_at and f"{held_at}/approve",
        reject=held_at and f"{held_at}/reject",
        canceled=run.canceled,
        cancel=None if run.status.ended or run.canceled else f"{address}/cancel",
        retry=f"{address}/retry" if retry.why_not(run) is None else None,
        sums=None if plan is None else Sums.of(plan.counts, counts),
        removal=None if plan is None or removal is None else RemovalSums.of(plan.counts, removal),
        batches=len(run.batches),
        batches_ended=ended,
        batch_list=f"{address}/batches",
        requests=counts.requests + (0 if removal is None else removal.requests),
        bytes=0 if plan is None else plan.bytes,
        omitted_values=0 if plan is None else plan.omitted,
        compared_with=None if plan is None else plan.compared_with,
        mapping_version=None if plan is None else plan.mapping_version,
        receipt=f"{address}/receipt" if run.status.ended else None,
        segments=() if plan is None else plan.segments,
        rejects=tuple(reject_view(row) for row in (*run.refusals, *(() if plan is None else plan.reasons))),
        timeline=run.timeline,
    )


def _steps(parts: Parts, run: Run) -> tuple[StepView, ...]:
    """The steps that a run has come to, but for its end."""
    begun = (StepBegun(step=Step.WAITING, at=run.created), *run.steps)
    ends = (*(later.at for later in begun[1:]), run.finished)
    return tuple(
        StepView(step=one.step, began=one.at, ended=end, duration_s=_seconds(one.at, end or parts.now()))
        for one, end in zip(begun, ends, strict=True)
        if one.step is not Step.ENDED
    )


def _seconds(began: datetime, ended: datetime) -> float:
    return round(max(0.0, (ended - began).total_seconds()), 3)


def _earlier(parts: Parts, run: Run) -> EarlierView | None:
    found = earlier(parts, run)
    if found is None:
        return None
    return EarlierView(**found.model_dump(exclude={"last"}), last=address_of(run.export.id, found.last))


def _drift(run: Run, drift: Drift) -> DriftView:
    address = address_of(run.export.id, run.id)
    return DriftView(
        **drift.model_dump(exclude={"ledger"}),
        ledger=address_of(run.export.id, drift.ledger),
        people=f"{address}/drift",
        repair=f"{address}/repair" if drift.missing else None,
    )


def _notes(run: Run) -> tuple[str, ...]:
    """What a person should know of a run that does not simply send its segments."""
    if run.goes_back_to is not None:
        return undo.NOTES
    return reconcile.REPAIR_NOTES if run.reconciles or run.repairs is not None else ()


def reject_view(row: ReasonCount) -> RejectView:
    """A reason with its texts and its first place."""
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


def no_export(export_id: str) -> Answer:
    """The answer where there is no such export."""
    shown = export_id if re.fullmatch(ID_PATTERN, export_id) else "of this name"
    return problem("no-such-export", f"There is no export {shown}; ids are case-sensitive")
