"""Start of a run: at most one for each cause, and one at work for each export, however often and wherever it is asked.

Everything is decided by one conditional write of the export's state. The run document and the first message follow from
that state, so a start that died after the write is completed by whoever looks next: a replayed call, or the watch.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from exporters import log
from exporters.errors import ConfigError
from exporters.model.connection import Connection
from exporters.model.export import Export
from exporters.model.messages import RunMessage
from exporters.model.names import run_id
from exporters.model.run import Active, Event, ExportState, Run, RunStatus, Trigger
from exporters.parts import Parts
from exporters.scheduling.due import due_occurrence
from exporters.storage import paths

Named = TypeVar("Named", Export, Connection)

#: Idempotency keys that an export remembers, newest last.
KEYS_KEPT = 200
#: After a run that was cut short: what the provider holds is not known, so the next run sends everyone.
_NO_LEDGER: dict[str, object] = {"ledger": None, "ledger_target": ""}


class NoSuchExportError(ConfigError):
    """There is no export of this id."""


class RunActiveError(ConfigError):
    """The export has a run at work; `run` is its id."""

    def __init__(self, export: str, run: str) -> None:
        super().__init__(f"The export {export} has a run at work; wait for its end")
        self.run = run


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What wants a run. Two equal causes start one run."""

    trigger: Trigger
    text: str  #: the occurrence, or the Idempotency-Key, or something unique
    occurrence: datetime | None = None
    full: bool = False

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


def start_run(parts: Parts, export_id: str, cause: Cause) -> Run:
    """Start a run, or answer the one that this cause has started before.

    Raises NoSuchExportError, ConfigError, and RunActiveError when another run of the export is at work.
    """
    export, connection = read_export(parts, export_id)
    state = _claim(parts, export_id, cause)
    run_of_cause = state.keys[cause.digest]
    if state.active is not None and state.active.run == run_of_cause:
        return ensure_started(parts, state.active, export, connection)
    found = parts.documents.read(Run, paths.run(export_id, run_of_cause))
    if found is None:
        raise ConfigError(f"The run {run_of_cause} of {export_id} is no longer kept; use a new Idempotency-Key")
    return found.value


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
        full=active.full,
        timeline=(Event(at=active.since, text=f"started ({active.trigger})"),),
    )
    if parts.documents.create(path, run):
        log.step("start", "queued", run_id=run.id, export=export.id, trigger=active.trigger)
    found = parts.documents.read(Run, path)
    run = run if found is None else found.value
    if run.status is RunStatus.QUEUED:
        message = RunMessage(export=export.id, run=run.id)
        parts.queues.send(parts.queue_names.plan, message.model_dump_json())
    return run


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


def _claim(parts: Parts, export_id: str, cause: Cause) -> ExportState:
    """Make the cause's run the active one, if it has none yet and the place is free."""
    now = parts.now()
    fresh = Active(
        run=run_id(export_id, cause.occurrence or now, cause.text), trigger=cause.trigger, since=now, full=cause.full
    )

    def claim(state: ExportState) -> ExportState:
        if cause.digest in state.keys:
            return state
        if state.active is not None:
            reason = f"the run {state.active.run} was still at work"
            return state if cause.occurrence is None else _skipped(state, cause.occurrence, reason)
        keys = dict([*state.keys.items(), (cause.digest, fresh.run)][-KEYS_KEPT:])
        started = state.model_copy(update={"active": fresh, "keys": keys})
        if cause.occurrence is None:
            return started
        return started.model_copy(update={"occurrence": cause.occurrence, "occurrence_skipped": ""})

    path = paths.export_state(export_id)
    _release_if_ended(parts, export_id)
    state = parts.documents.change(ExportState, path, claim, default=ExportState(export=export_id))
    if cause.digest not in state.keys and state.active is not None:
        raise RunActiveError(export_id, state.active.run)
    return state


def _skipped(state: ExportState, occurrence: datetime, reason: str) -> ExportState:
    return state.model_copy(update={"occurrence": occurrence, "occurrence_skipped": reason})


def _release_if_ended(parts: Parts, export_id: str) -> None:
    """Free the export's place when its run ended but died before it said so."""
    state = parts.documents.read(ExportState, paths.export_state(export_id))
    if state is None or state.value.active is None:
        return
    run = parts.documents.read(Run, paths.run(export_id, state.value.active.run))
    if run is not None and run.value.status.ended:
        release(parts, run.value)


def release(parts: Parts, run: Run) -> None:
    """Free the export's place after an ended run, and put the run's ledger in force: one write.

    Harmless when repeated: only the active run is released.
    """
    ledger: dict[str, object] = {}
    if run.has_ledger:
        ledger = {"ledger": run.id, "ledger_target": run.target}
    elif run.plan is not None and run.plan.counts.planned:
        ledger = _NO_LEDGER
    _free(parts, run.export.id, run.id, ledger)


def release_unreadable(parts: Parts, export_id: str, run_id: str) -> None:
    """Free the export's place when its run's document cannot be read. Harmless when repeated."""
    _free(parts, export_id, run_id, _NO_LEDGER)


def _free(parts: Parts, export_id: str, run_id: str, ledger: dict[str, object]) -> None:
    def change(state: ExportState) -> ExportState:
        if state.active is None or state.active.run != run_id:
            return state
        return state.model_copy(update={"active": None, **ledger})

    parts.documents.change(ExportState, paths.export_state(export_id), change, default=ExportState(export=export_id))
