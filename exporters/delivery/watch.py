"""Watch: look at every run at work and move on what has stood still, because a message was lost or a step died.

Everything that it sends again is harmless when it was not lost.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from exporters import log
from exporters.delivery import hold, lanes, records
from exporters.delivery.assignment import Assignment
from exporters.delivery.conclude import halt
from exporters.errors import ConfigError
from exporters.model.lane import Lane, Slot
from exporters.model.messages import BatchMessage
from exporters.model.run import ExportState, Run, RunStatus
from exporters.notifications.outbox import tell_hold
from exporters.parts import Parts
from exporters.scheduling.cut_short import fail_start
from exporters.scheduling.next_step import move_later
from exporters.scheduling.start import ensure_started, read_export
from exporters.storage import paths

#: How long a step may be silent before it is taken for dead, as a multiple of the time that the platform lets it live:
#: a quarter of an hour where that is ten minutes. By then a message that was received by a process that died has come
#: back: https://github.com/Azure/azure-functions-host/issues/10461
SILENCE = 1.5
#: How long a batch may have its slot without the provider taking it.
LONGEST_WAIT = timedelta(days=1)


def watch(parts: Parts) -> None:
    """Look once at every export that has a run at work, and at every lane.

    A document that cannot be read holds up its own run only.
    """
    for blob in parts.state.list(paths.EXPORT_STATES):
        _whatever_comes(partial(_look_at_export, parts, blob.name))
    for blob in parts.state.list(paths.LANES):
        _whatever_comes(partial(_clear_lane, parts, blob.name))


def _whatever_comes(look: Callable[[], None]) -> None:
    try:
        look()
    except ConfigError as error:
        log.step("watch", "unreadable", level=logging.ERROR, reason=str(error))


def _clear_lane(parts: Parts, path: str) -> None:
    """Take runs out of a lane that have ended, or are there no more: who joins late is put out by nobody else."""
    found = parts.documents.read(Lane, path)
    if found is None:
        return
    lane = found.value
    export_of = {slot.run: slot.export for slot in lane.slots} | {waiter.run: waiter.export for waiter in lane.waiting}
    for run_id, export in export_of.items():
        run = records.read_run(parts, export, run_id)
        if run is None or run.status.ended:
            log.step("watch", "lane cleared", level=logging.WARNING, account=lane.account, export=export, run_id=run_id)
            lanes.leave(parts, lane.account, run_id)


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
    try:
        export, connection = read_export(parts, state.export)
    except ConfigError as error:  # it was detached since, for example: nobody else would ever free its place
        fail_start(parts, state.active, state.export, error)
        return
    ensure_started(parts, state.active, export, connection)


def _look(parts: Parts, run: Run) -> None:
    if run.status is RunStatus.HELD:
        tell_hold(parts, run)
        hold.expire(parts, run)
        return
    if _gets_nowhere(parts, run):
        halt(parts, run, _why_nowhere(parts, run))
        _move_on(parts, run)
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
            keys = {"export": slot.export, "run_id": slot.run}
            log.step("watch", "sent again", level=logging.WARNING, batch=slot.batch, **keys)
            lanes.send_message(parts, slot)
    if not slots and run.id not in {waiter.run for waiter in lane.waiting}:
        _move_on(parts, run)


def _move_on(parts: Parts, run: Run) -> None:
    log.step("watch", "moved on", level=logging.WARNING, export=run.export.id, run_id=run.id)
    move_later(parts, run)
    now = parts.now()
    # Not silent any more: a run that waits for others to be planned would get one more message at each look, and each
    # of them comes back every two seconds until the run has its plan.
    records.change_run(parts, run, lambda run: run.model_copy(update={"updated": now}))


def _gets_nowhere(parts: Parts, run: Run) -> bool:
    """Whether every batch of the run that has a slot has had it for too long without an import job.

    A job has a deadline of its own, and so has a run without a plan.
    """
    if run.status.ended or run.halted or run.plan is None or parts.now() - run.updated <= LONGEST_WAIT:
        return False
    slots = [slot for slot in lanes.read(parts, run.lane).slots if slot.run == run.id]
    return bool(slots) and all(_is_left_alone(parts, slot) for slot in slots)


def _is_left_alone(parts: Parts, slot: Slot) -> bool:
    """Whether the provider has answered no request of a slot's batch for too long, and has no job of it."""
    if parts.now() - slot.since <= LONGEST_WAIT:
        return False
    batch = Assignment.of(parts, BatchMessage(export=slot.export, run=slot.run, batch=slot.batch))
    held = None if batch is None else batch.progress()
    if held is None:
        return True
    answered = held.value.answered or slot.since
    return held.value.job is None and parts.now() - answered > LONGEST_WAIT


def _why_nowhere(parts: Parts, run: Run) -> str:
    who, hours = parts.facts(run.connection).title, LONGEST_WAIT // timedelta(hours=1)
    return f"{who} took nothing for {hours} hours: look at its status page, and at what else uses the account's limits"


def _stands_still(parts: Parts, slot: Slot) -> bool:
    """Whether nobody has worked on a slot's batch for too long."""
    return parts.now() > due(parts, slot) + SILENCE * parts.step_limit


def due(parts: Parts, slot: Slot) -> datetime:
    """When the next step of a slot's batch was, or is, to be done, as far as its documents tell."""
    batch = Assignment.of(parts, BatchMessage(export=slot.export, run=slot.run, batch=slot.batch))
    held = None if batch is None else batch.progress()
    if batch is None or held is None:
        return slot.since
    progress = held.value
    if progress.job is not None:
        asked = progress.job.asked + timedelta(seconds=progress.job.next_s)
        return max(asked, lanes.read(parts, batch.account).polls_not_before or asked)
    if progress.claim is not None:
        return progress.claim.until
    return progress.not_before or slot.since
