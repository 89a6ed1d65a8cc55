"""Watch: look at every run at work and move on what has stood still, because a message was lost or a step died.

Everything that it sends again is harmless when it was not lost.
"""

import logging
from datetime import timedelta

from exporters import log
from exporters.delivery import hold, lanes, records
from exporters.delivery.assignment import Assignment
from exporters.errors import ConfigError
from exporters.model.lane import Slot
from exporters.model.messages import BatchMessage, RunMessage
from exporters.model.run import ExportState, Run, RunStatus
from exporters.parts import Parts
from exporters.scheduling.start import ensure_started, read_export
from exporters.storage import paths

#: How long a step may be silent before it is taken for dead, as a multiple of the time that the platform lets it live:
#: a quarter of an hour where that is ten minutes. By then a message that was received by a process that died has come
#: back: https://github.com/Azure/azure-functions-host/issues/10461
SILENCE = 1.5


def watch(parts: Parts) -> None:
    """Look once at every export that has a run at work. A document that cannot be read holds up its own run only."""
    for blob in parts.state.list(paths.EXPORT_STATES):
        try:
            _look_at_export(parts, blob.name)
        except ConfigError as error:
            log.step("watch", "unreadable", level=logging.ERROR, reason=str(error))


def _look_at_export(parts: Parts, path: str) -> None:
    state = parts.documents.read(ExportState, path)
    if state is None or state.value.active is None:
        return
    run = records.read_run(parts, state.value.export, state.value.active.run)
    if run is None:
        _create_again(parts, state.value)
    else:
        _look(parts, run)


def _create_again(parts: Parts, state: ExportState) -> None:
    """A start that died before it wrote the run document."""
    if state.active is None or parts.now() - state.active.since < timedelta(minutes=1):
        return
    export, connection = read_export(parts, state.export)
    ensure_started(parts, state.active, export, connection)


def _look(parts: Parts, run: Run) -> None:
    if run.status is RunStatus.HELD:
        hold.expire(parts, run)
        return
    if lanes.wait_s(parts, run.lane) > 0 and not run.status.ended:
        return  # the provider wants a pause: everything about the run waits in hidden messages
    silent = parts.now() - run.updated > SILENCE * parts.step_limit
    ended = run.plan is not None and records.all_ended(parts, run, run.plan)
    if run.status.ended or (silent and (run.plan is None or ended)):
        _move_on(parts, run)
    elif run.plan is not None and silent:
        _look_at_lane(parts, run)


def _look_at_lane(parts: Parts, run: Run) -> None:
    """Send again what works on the run's slots; have the run taken in again when the lane has lost it."""
    lane = lanes.read(parts, run.lane)
    slots = [slot for slot in lane.slots if slot.run == run.id]
    for slot in slots:
        if parts.now() - slot.since > SILENCE * parts.step_limit and _stands_still(parts, slot):
            log.step("watch", "sent again", level=logging.WARNING, run_id=run.id, batch=slot.batch)
            lanes.send_message(parts, slot)
    if not slots and run.id not in {waiter.run for waiter in lane.waiting}:
        _move_on(parts, run)


def _move_on(parts: Parts, run: Run) -> None:
    log.step("watch", "moved on", level=logging.WARNING, run_id=run.id)
    message = RunMessage(export=run.export.id, run=run.id)
    parts.queues.send(parts.queue_names.plan, message.model_dump_json())


def _stands_still(parts: Parts, slot: Slot) -> bool:
    """Whether nobody has worked on a slot's batch for too long."""
    batch = Assignment.of(parts, BatchMessage(export=slot.export, run=slot.run, batch=slot.batch))
    held = None if batch is None else batch.progress()
    if held is None:
        return True
    progress = held.value
    if progress.job is not None:
        due = progress.job.asked + timedelta(seconds=progress.job.next_s)
    elif progress.claim is not None:
        due = progress.claim.until
    else:
        due = progress.not_before or slot.since
    return parts.now() > due + SILENCE * parts.step_limit
