"""Start of a run: one for each cause, and one at work for each export, however often and wherever it is asked.

Everything is decided by one conditional write of the export's state. The run document and the first message follow from
that state, so a start that died after the write is completed by whoever looks next: a replayed call, or the watch.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from exporters import log, tracing
from exporters.audit import trail
from exporters.errors import ConfigError
from exporters.history import journal
from exporters.history.ending import record_end
from exporters.model.caller import BY_SCHEDULE
from exporters.model.connection import Connection
from exporters.model.export import Export
from exporters.model.names import run_id
from exporters.model.run import Active, Event, ExportState, LastRead, LastWell, Order, Run, RunStatus, Step, Trigger
from exporters.notifications.outbox import tell_end
from exporters.parts import Parts
from exporters.scheduling.next_step import move_later
from exporters.storage import paths
from exporters.storage.documents import Versioned

Named = TypeVar("Named", Export, Connection)

#: Idempotency keys that an export remembers, newest last.
KEYS_KEPT = 200
#: After a run that was cut short and left no ledger: in what form the provider holds people is not known, so the next
#: run sends everyone. Who was put there before is known still, so that leavers are not forgotten.
_DOUBTFUL: dict[str, object] = {"ledger_doubtful": True}
#: How a run ends that did not do what it was started for.
FRUITLESS = frozenset({RunStatus.FAILED, RunStatus.CANCELED})


class NoSuchExportError(ConfigError):
    """There is no export of this id."""


class RunActiveError(ConfigError):
    """The export has a run at work, or one that is held; `export` and `run` are ids, `reconciles`: it only asks."""

    def __init__(self, export: str, run: str, *, held: bool = False, reconciles: bool = False) -> None:
        remedy = "a run that is held for approval; approve or reject it" if held else "a run at work; wait for its end"
        super().__init__(f"The export {export} has {remedy}")
        self.export = export
        self.run = run
        self.held = held
        self.reconciles = reconciles


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What wants a run. Two equal causes start one run."""

    trigger: Trigger
    text: str  #: the occurrence, or the Idempotency-Key, or something unique
    occurrence: datetime | None = None
    #: By segment: when the snapshot was written that a schedule with every refresh has seen.
    refreshed: Mapping[str, datetime] = field(default_factory=dict)
    order: Order = field(default_factory=Order)
    by: str = ""  #: `Caller.label` of whoever wants it; equal causes of two callers are one
    #: Starts another run once the one that it started is `FRUITLESS`, or is no longer kept.
    renewable: bool = False

    @property
    def digest(self) -> str:
        """What is remembered of it: a key of the caller's may be a secret."""
        return hashlib.sha256(f"{self.trigger}\n{self.text}".encode()).hexdigest()[:32]

    def run_of(self, export_id: str, now: datetime, *, spent: str | None = None) -> str:
        """Id of the run that it starts now; of an occurrence's, whenever that is."""
        return run_id(export_id, self.occurrence or now, _id_text(self, spent))


def scheduled(occurrence: datetime) -> Cause:
    """The cause of the run of an occurrence."""
    text = occurrence.isoformat()
    return Cause(trigger=Trigger.SCHEDULE, text=text, occurrence=occurrence, by=BY_SCHEDULE.label)


def refreshed(seen: Mapping[str, datetime]) -> Cause:
    """The cause of the run for snapshots that were written then, by segment."""
    text = "\n".join(f"{segment} {written.isoformat()}" for segment, written in sorted(seen.items()))
    return Cause(trigger=Trigger.REFRESH, text=text, refreshed=seen, by=BY_SCHEDULE.label)


def read_export(parts: Parts, export_id: str) -> tuple[Export, Connection]:
    """An export and its connection.

    Raises NoSuchExportError, or ConfigError when a document or its provider is missing or unreadable.
    """
    export = read_named(parts, Export, paths.export(export_id), export_id)
    if export is None:
        raise NoSuchExportError(f"There is no export {export_id}")
    if export.connection is None:
        raise ConfigError(f"The export {export_id} is detached: attach a connection to it")
    connection = read_named(parts, Connection, paths.connection(export.connection), export.connection)
    if connection is None:
        raise ConfigError(f"The export {export_id} uses the connection {export.connection}, which does not exist")
    parts.facts(connection)
    return export, connection


def read_named(parts: Parts, kind: type[Named], path: str, name: str) -> Named | None:
    """As `find_named`, without its ETag."""
    found = find_named(parts, kind, path, name)
    return None if found is None else found.value


def find_named(parts: Parts, kind: type[Named], path: str, name: str) -> Versioned[Named] | None:
    """A document whose id is the name of its file: with another one, two files would share one state or one lane.

    None where there is none. Raises ConfigError where it cannot be used.
    """
    found = parts.documents.read(kind, path)
    if found is not None and found.value.id != name:
        raise ConfigError(f"{path} says that its id is {found.value.id}: make id and file name the same")
    return found


def start_run(parts: Parts, export_id: str, cause: Cause, *, before_claim: Callable[[str], None] | None = None) -> Run:
    """Start a run, or answer the one that this cause has started before.

    `before_claim` is called with the id that a new run would have, before anybody can know of it. Causes that correct
    with different files never get the same id.
    Raises NoSuchExportError, ConfigError, and RunActiveError when another run of the export is at work.
    """
    export, connection = read_export(parts, export_id)
    state = _claim(parts, export_id, cause, before_claim)
    run_of_cause = state.keys[cause.digest]
    if state.active is not None and state.active.run == run_of_cause:
        return _claimed(parts, state.active, export, connection)
    found = parts.documents.read(Run, paths.run(export_id, run_of_cause))
    if found is None:
        raise ConfigError(f"The run {run_of_cause} of {export_id} is no longer kept; use a new Idempotency-Key")
    return found.value


def _claimed(parts: Parts, active: Active, export: Export, connection: Connection) -> Run:
    """Complete a start whose run has the export's place, with the export as it is since then.

    Whoever removes or detaches an export looks at its place afterwards, so one of the two sees the other. A run of an
    export that is gone, or detached, ends before it begins.
    """
    if parts.documents.read(Run, paths.run(export.id, active.run)) is None:
        try:
            export, connection = read_export(parts, export.id)
        except ConfigError as error:
            run = fail(parts, active, export, connection, f"The export was changed while the run was started. {error}")
            if isinstance(error, NoSuchExportError):
                drop_state(parts, export.id)
            return run
    return ensure_started(parts, active, export, connection)


def has_started(parts: Parts, export_id: str, cause: Cause) -> bool:
    """Whether `start_run` would answer a run that this cause has started before, instead of starting one."""
    found = parts.documents.read(ExportState, paths.export_state(export_id))
    run = None if found is None else found.value.keys.get(cause.digest)
    return run is not None and run != _spent(parts, export_id, cause)


def has_claimed(parts: Parts, export_id: str, cause: Cause, run: str) -> bool:
    """Whether a cause has started just this run, also where `start_run` has raised since."""
    state = parts.documents.read(ExportState, paths.export_state(export_id))
    return state is not None and state.value.keys.get(cause.digest) == run


def ensure_started(parts: Parts, active: Active, export: Export, connection: Connection) -> Run:
    """See that the active run has its document and, while it is queued, a message. Harmless when repeated.

    It is entered into the journal and the audit trail first, so that there is no run that they lack. Where the
    document says that the occurrence was skipped, that was decided before, and the place is free again.
    """
    path, run = paths.run(export.id, active.run), _queued(active, export, connection)
    found = parts.documents.read(Run, path)
    if found is None:
        with tracing.span("start run", export=export.id, run_id=run.id):
            run = run.model_copy(update={"trace": tracing.here()})
            _enter(parts, run)
            if parts.documents.create(path, run):
                log.step("start", "queued", run_id=run.id, export=export.id, trigger=active.trigger)
        found = parts.documents.read(Run, path)
    run = run if found is None else found.value
    if run.status is RunStatus.QUEUED:
        move_later(parts, run)
    elif run.status is RunStatus.SKIPPED:
        release(parts, run)
    return run


def fail(parts: Parts, active: Active, export: Export, connection: Connection, reason: str) -> Run:
    """End an active run that has no document yet; answers the document that stands. Harmless when repeated.

    Somebody slow may write the run's first document at the same time: what is there first stands. So it is entered as
    one at work, and only the end of what stands is told.
    """
    path, run, now = paths.run(export.id, active.run), _queued(active, export, connection), parts.now()
    found = parts.documents.read(Run, path)
    if found is None:
        _enter(parts, run)
        event = Event(at=now, text=f"failed: {reason}")
        changes = {"status": RunStatus.FAILED, "step": Step.ENDED, "reason": reason, "timeline": (event,)}
        run = run.model_copy(update={**changes, "updated": now, "finished": now})
        parts.documents.create(path, run)
        found = parts.documents.read(Run, path)
    release_if_ended(parts, export.id)
    return run if found is None else found.value


def drop_state(parts: Parts, export_id: str) -> None:
    """Delete the state of an export that is gone, as its removal would have done; whatever starts next begins anew."""
    if parts.state.get(paths.export(export_id)) is None:
        parts.state.delete(paths.export_state(export_id))


def _queued(active: Active, export: Export, connection: Connection) -> Run:
    """The first document of an active run."""
    return Run(
        id=active.run,
        export=export,
        connection=connection,
        trigger=active.trigger,
        started_by=active.by,
        occurrence=active.occurrence,
        created=active.since,
        updated=active.since,
        **order_of(active),
        timeline=(Event(at=active.since, text=_started(active)),),
    )


def _enter(parts: Parts, run: Run) -> None:
    """The journal, and the trail where a schedule wants the run: what callers want they have put there themselves."""
    journal.note(parts, run)
    if run.trigger is not Trigger.DEMAND:
        subject = f"/runs/{run.export.id}/{run.id}"
        trail.note(parts, BY_SCHEDULE, trail.Action.RUN_STARTED, subject, id=f"{run.id}-started", at=run.created)


def order_of(order: Order) -> dict[str, Any]:
    """What a run is to do, to make another document of it."""
    return {name: getattr(order, name) for name in Order.model_fields}


def _started(active: Active) -> str:
    if active.corrects is not None:
        return f"started ({active.trigger}, with corrected rejects of the run {active.corrects.run})"
    if active.retries is not None:
        return f"started ({active.trigger}, to retry the run {active.retries})"
    if active.reconciles:
        return f"started ({active.trigger}, to hold the list against the ledger)"
    if active.repairs is not None:
        return f"started ({active.trigger}, to repair what the reconciliation {active.repairs} has found)"
    if active.goes_back_to is not None:
        return f"started ({active.trigger}, to go back to the people of the run {active.goes_back_to})"
    return f"started ({active.trigger})"


def _claim(parts: Parts, export_id: str, cause: Cause, before_claim: Callable[[str], None] | None) -> ExportState:
    """Make the cause's run the active one, if it has none yet and the place is free."""
    path = paths.export_state(export_id)
    held = release_if_ended(parts, export_id)
    spent = _spent(parts, export_id, cause)
    now = parts.now()
    fresh = Active(
        run=cause.run_of(export_id, now, spent=spent),
        trigger=cause.trigger,
        occurrence=cause.occurrence,
        since=now,
        by=cause.by,
        **order_of(cause.order),
    )

    def claim(state: ExportState) -> ExportState:
        if state.keys.get(cause.digest) not in {None, spent}:
            return state
        if state.active is not None:
            return state
        others = [(digest, run) for digest, run in state.keys.items() if digest != cause.digest]
        keys = dict([*others, (cause.digest, fresh.run)][-KEYS_KEPT:])
        started = state.model_copy(
            update={"active": fresh, "keys": keys, "refreshed": {**state.refreshed, **cause.refreshed}}
        )
        if cause.occurrence is None:
            return started
        newest = max(cause.occurrence, state.occurrence or cause.occurrence)
        return started.model_copy(update={"occurrence": newest, "occurrence_skipped": ""})

    if before_claim is not None:
        before_claim(fresh.run)
    state = parts.documents.change(ExportState, path, claim, default=ExportState(export=export_id))
    if state.keys.get(cause.digest) in {None, spent} and state.active is not None:
        active = state.active
        raise RunActiveError(export_id, active.run, held=active.run == held, reconciles=active.reconciles)
    return state


def _spent(parts: Parts, export_id: str, cause: Cause) -> str | None:
    """The run that a cause has started and may start anew; None where there is none."""
    if not cause.renewable:
        return None
    found = parts.documents.read(ExportState, paths.export_state(export_id))
    state = ExportState(export=export_id) if found is None else found.value
    before = state.keys.get(cause.digest)
    if before is None or (state.active is not None and state.active.run == before):
        return None
    run = parts.documents.read(Run, paths.run(export_id, before))
    return before if run is None or run.value.status in FRUITLESS else None


def _id_text(cause: Cause, spent: str | None) -> str:
    """What makes the id of a cause's run its own, even where clocks show the same time."""
    file = None if cause.order.corrects is None else cause.order.corrects.digest
    return "\n".join(part for part in (cause.text, spent, file) if part is not None)


def release_if_ended(parts: Parts, export_id: str) -> str | None:
    """Free the export's place when its run ended but died before it said so; answers the id of a run that is held."""
    state = parts.documents.read(ExportState, paths.export_state(export_id))
    if state is None or state.value.active is None:
        return None
    run = parts.documents.read(Run, paths.run(export_id, state.value.active.run))
    if run is not None and run.value.status.ended:
        tell_end(parts, run.value)
        record_end(parts, run.value)
        move_later(parts, run.value)  # what it staged may be there still
        release(parts, run.value)  # last: the watch looks no more at a run that is not at work
    return run.value.id if run is not None and run.value.status is RunStatus.HELD else None


def release(parts: Parts, run: Run) -> None:
    """Free the export's place after an ended run, and put its ledger and what it read in force: one write.

    A run that never began to send (no result: rejected, expired) leaves both as they were. What an approved run has
    read is the new measure for the next one, even if it was nobody. Harmless when repeated: only the active run is
    released.
    """
    changes: dict[str, object] = {}
    if run.plan is not None and run.result is not None:
        if run.has_ledger:
            changes |= {"ledger": run.id, "ledger_target": run.target}
        elif run.plan.counts.planned or run.removals:
            changes |= _DOUBTFUL
        if run.has_ledger and run.reads_segments:  # a correction says nothing of the others
            changes["ledger_doubtful"] = False
        if run.reads_segments:
            changes["last_read"] = {
                read.segment: LastRead(profiles=read.profiles, written=read.written, refreshed=read.refreshed)
                for read in run.plan.segments
            }
    # Another one says nothing of how the export does.
    status = run.status if run.reads_segments and run.status is not RunStatus.SKIPPED else None
    if status is not None and status.well:
        changes["last_well"] = _well(run)
    _free(parts, run.export.id, run.id, changes, status=status, finished=run.finished)


def _well(run: Run) -> LastWell:
    finished = run.finished or run.updated
    segments = () if run.plan is None else run.plan.segments
    read = {read.segment: read.written for read in segments if read.written is not None}
    return LastWell(finished=finished, took_s=(finished - run.created).total_seconds(), read=read)


def release_unreadable(parts: Parts, export_id: str, run_id: str) -> None:
    """Free the export's place when its run's document cannot be read. Harmless when repeated."""
    _free(parts, export_id, run_id, _DOUBTFUL, status=RunStatus.FAILED, finished=parts.now())


def _free(
    parts: Parts,
    export_id: str,
    run_id: str,
    changes: dict[str, object],
    *,
    status: RunStatus | None,
    finished: datetime | None,
) -> None:
    def change(state: ExportState) -> ExportState:
        if state.active is None or state.active.run != run_id:
            return state
        standing = {} if status is None else _standing(state, run_id, status) | {"last_finished": finished}
        return state.model_copy(update={"active": None, **changes, **standing})

    path = paths.export_state(export_id)
    if parts.state.get(path) is not None:  # gone with its export, it is not to come back
        parts.documents.change(ExportState, path, change, default=ExportState(export=export_id))


def _standing(state: ExportState, run_id: str, status: RunStatus) -> dict[str, object]:
    """How the export does after a run has ended. One that was canceled leaves it failing, if it was."""
    first = None if status.well else state.failing_since
    if status is RunStatus.FAILED:
        first = first or run_id
    return {"last_run": run_id, "last_status": status, "failing_since": first}
