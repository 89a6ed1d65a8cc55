"""Start of a run: one for each cause, and one at work for each export, however often and wherever it is asked.

Everything is decided by one conditional write of the export's state. The run document and the first message follow from
that state, so a start that died after the write is completed by whoever looks next: a replayed call, or the watch.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from exporters import log
from exporters.errors import ConfigError
from exporters.model.connection import Connection
from exporters.model.export import Export
from exporters.model.names import run_id
from exporters.model.run import Active, Event, ExportState, LastRead, Order, Run, RunStatus, Trigger
from exporters.notifications.outbox import tell_end
from exporters.parts import Parts
from exporters.scheduling.due import due_occurrence
from exporters.scheduling.next_step import move_later
from exporters.storage import paths

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
    """The export has a run at work, or one that is held; `run` is its id."""

    def __init__(self, export: str, run: str, *, held: bool = False) -> None:
        remedy = "a run that is held for approval; approve or reject it" if held else "a run at work; wait for its end"
        super().__init__(f"The export {export} has {remedy}")
        self.run = run


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What wants a run. Two equal causes start one run."""

    trigger: Trigger
    text: str  #: the occurrence, or the Idempotency-Key, or something unique
    occurrence: datetime | None = None
    order: Order = field(default_factory=Order)
    #: Starts another run once the one that it started is `FRUITLESS`, or is no longer kept.
    renewable: bool = False

    @property
    def digest(self) -> str:
        """What is remembered of it: a key of the caller's may be a secret."""
        return hashlib.sha256(f"{self.trigger}\n{self.text}".encode()).hexdigest()[:32]


def read_export(parts: Parts, export_id: str) -> tuple[Export, Connection]:
    """An export and its connection.

    Raises NoSuchExportError, or ConfigError when a document or its provider is missing or unreadable.
    """
    export = _read_named(parts, Export, paths.export(export_id), export_id)
    if export is None:
        raise NoSuchExportError(f"There is no export {export_id}")
    connection = _read_named(parts, Connection, paths.connection(export.connection), export.connection)
    if connection is None:
        raise ConfigError(f"The export {export_id} uses the connection {export.connection}, which does not exist")
    parts.facts(connection)
    return export, connection


def _read_named(parts: Parts, kind: type[Named], path: str, name: str) -> Named | None:
    """A document whose id is the name of its file: with another one, two files would share one state or one lane."""
    found = parts.documents.read(kind, path)
    if found is None:
        return None
    if found.value.id != name:
        raise ConfigError(f"{path} says that its id is {found.value.id}: make id and file name the same")
    return found.value


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
        return ensure_started(parts, state.active, export, connection)
    found = parts.documents.read(Run, paths.run(export_id, run_of_cause))
    if found is None:
        raise ConfigError(f"The run {run_of_cause} of {export_id} is no longer kept; use a new Idempotency-Key")
    return found.value


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
    """See that the active run has its document and, while it is queued, a message. Harmless when repeated."""
    path = paths.run(export.id, active.run)
    run = Run(
        id=active.run,
        export=export,
        connection=connection,
        trigger=active.trigger,
        created=active.since,
        updated=active.since,
        **order_of(active),
        timeline=(Event(at=active.since, text=_started(active)),),
    )
    if parts.documents.create(path, run):
        log.step("start", "queued", run_id=run.id, export=export.id, trigger=active.trigger)
    found = parts.documents.read(Run, path)
    run = run if found is None else found.value
    if run.status is RunStatus.QUEUED:
        move_later(parts, run)
    return run


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


def start_due(parts: Parts) -> None:
    """Start every export whose schedule has come. Repeating it starts nothing twice: an occurrence is claimed once."""
    for blob in parts.state.list(paths.EXPORTS):
        export_id = blob.name.removeprefix(paths.EXPORTS).removesuffix(".json")
        try:
            occurrence = _due(parts, export_id, configured=blob.modified)
        except ConfigError as error:
            log.step("schedule", "unreadable", level=logging.ERROR, export=export_id, reason=str(error))
            continue
        if occurrence is not None:
            _start_scheduled(parts, export_id, occurrence)


def _due(parts: Parts, export_id: str, *, configured: datetime) -> datetime | None:
    """The occurrence that an export has to be started for now."""
    export = _read_named(parts, Export, paths.export(export_id), export_id)
    if export is None or export.schedule is None:
        return None
    state = parts.documents.read(ExportState, paths.export_state(export_id))
    handled = None if state is None else state.value.occurrence
    # An occurrence before the export was written is none of its own.
    after = configured if handled is None else max(handled, configured)
    return due_occurrence(export.schedule, after=after, now=parts.now())


def _start_scheduled(parts: Parts, export_id: str, occurrence: datetime) -> None:
    cause = Cause(trigger=Trigger.SCHEDULE, text=occurrence.isoformat(), occurrence=occurrence)
    try:
        start_run(parts, export_id, cause)
    except RunActiveError as error:  # the claim has noted it
        log.step("schedule", "still at work", level=logging.WARNING, export=export_id, run_id=error.run)
    except ConfigError as error:
        reason = str(error)
        log.step("schedule", "not started", level=logging.ERROR, export=export_id, reason=reason)
        parts.documents.change(
            ExportState,
            paths.export_state(export_id),
            lambda state: _skipped(state, occurrence, reason),
            default=ExportState(export=export_id),
        )


def _claim(parts: Parts, export_id: str, cause: Cause, before_claim: Callable[[str], None] | None) -> ExportState:
    """Make the cause's run the active one, if it has none yet and the place is free."""
    path = paths.export_state(export_id)
    held = release_if_ended(parts, export_id)
    spent = _spent(parts, export_id, cause)
    now = parts.now()
    fresh = Active(
        run=run_id(export_id, cause.occurrence or now, _id_text(cause, spent)),
        trigger=cause.trigger,
        since=now,
        **order_of(cause.order),
    )

    def claim(state: ExportState) -> ExportState:
        if state.keys.get(cause.digest) not in {None, spent}:
            return state
        if state.active is not None and state.active.reconciles:
            return state  # an occurrence stays due until the list is read: that needs no turn in the schedule
        if state.active is not None:
            is_held = state.active.run == held
            reason = f"the run {state.active.run} was {'held for approval' if is_held else 'still at work'}"
            return state if cause.occurrence is None else _skipped(state, cause.occurrence, reason)
        others = [(digest, run) for digest, run in state.keys.items() if digest != cause.digest]
        keys = dict([*others, (cause.digest, fresh.run)][-KEYS_KEPT:])
        started = state.model_copy(update={"active": fresh, "keys": keys})
        if cause.occurrence is None:
            return started
        return started.model_copy(update={"occurrence": cause.occurrence, "occurrence_skipped": ""})

    if before_claim is not None:
        before_claim(fresh.run)
    state = parts.documents.change(ExportState, path, claim, default=ExportState(export=export_id))
    if state.keys.get(cause.digest) in {None, spent} and state.active is not None:
        raise RunActiveError(export_id, state.active.run, held=state.active.run == held)
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


def _skipped(state: ExportState, occurrence: datetime, reason: str) -> ExportState:
    return state.model_copy(update={"occurrence": occurrence, "occurrence_skipped": reason})


def release_if_ended(parts: Parts, export_id: str) -> str | None:
    """Free the export's place when its run ended but died before it said so; answers the id of a run that is held."""
    state = parts.documents.read(ExportState, paths.export_state(export_id))
    if state is None or state.value.active is None:
        return None
    run = parts.documents.read(Run, paths.run(export_id, state.value.active.run))
    if run is not None and run.value.status.ended:
        tell_end(parts, run.value)
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
    status = run.status if run.reads_segments else None  # another one says nothing of how the export does
    _free(parts, run.export.id, run.id, changes, status)


def release_unreadable(parts: Parts, export_id: str, run_id: str) -> None:
    """Free the export's place when its run's document cannot be read. Harmless when repeated."""
    _free(parts, export_id, run_id, _DOUBTFUL, RunStatus.FAILED)


def _free(parts: Parts, export_id: str, run_id: str, changes: dict[str, object], status: RunStatus | None) -> None:
    def change(state: ExportState) -> ExportState:
        if state.active is None or state.active.run != run_id:
            return state
        return state.model_copy(update={"active": None, **changes, **_standing(state, run_id, status)})

    parts.documents.change(ExportState, paths.export_state(export_id), change, default=ExportState(export=export_id))


def _standing(state: ExportState, run_id: str, status: RunStatus | None) -> dict[str, object]:
    """How the export does after a run has ended. One that was canceled leaves it failing, if it was."""
    if status is None:
        return {}
    first = None if status.well else state.failing_since
    if status is RunStatus.FAILED:
        first = first or run_id
    return {"last_status": status, "failing_since": first}
