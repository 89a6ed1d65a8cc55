"""Move a run on: plan it, let its batches wait for slots, or finish it; whatever its documents say comes next.

The plan queue's message only says that a run can be moved. Repeating it is harmless: a plan is written once under
the run's ETag, a held run stays where it is, a lane takes a run in once, and an ended run is only tidied up again.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from exporters import log
from exporters.delivery import hold, inquiry, lanes, members, reconcile, records, remove, withhold
from exporters.delivery.access import key_refused
from exporters.delivery.account import identify
from exporters.delivery.cancel import stop_sending
from exporters.delivery.finish import fail_run, finish_run
from exporters.delivery.prepare import look_ahead, prepare
from exporters.errors import ConfigError, DiskFullError, NotCompleteError, SegmentError, ThrottledError, TransientError
from exporters.model.messages import RunMessage
from exporters.model.run import Plan, Run, RunStatus, Step
from exporters.notifications.outbox import tell_hold
from exporters.parts import Parts
from exporters.scheduling.next_step import move_later

#: How long a run waits for a snapshot that is being written, or for a provider that does not answer, before it fails.
#: Pauses that the provider wants do not count.
PATIENCE = timedelta(hours=1)
#: How long a provider may put a run off before it is planned, again and again, until the run fails.
LONGEST_PAUSES = timedelta(days=1)
LOOK_AT_LIMITS = "look what else uses up the limits of the account, then start the export again"
RETRY_S = 30.0
#: When another run is being planned in this process; two at once would not fit into its memory.
BUSY_S = 2.0

Result = TypeVar("Result")


def move_run(parts: Parts, message: RunMessage) -> None:
    """Do the next step of a run that is not a batch's."""
    run = records.read_run(parts, message.export, message.run)
    if run is None:
        return
    try:
        if not run.status.ended and not run.held:
            _move(parts, run)
    finally:
        _clear_up(parts, message)


def _clear_up(parts: Parts, message: RunMessage) -> None:
    """Tidy up after a run that has ended. A step that knew too late of the end has staged people after it.

    Of one that is held, see that it was told.
    """
    run = records.read_run(parts, message.export, message.run)
    if run is not None and run.held:
        tell_hold(parts, run)
    if run is not None and run.status.ended:
        hold.clear_up(parts, run)


def _move(parts: Parts, run: Run) -> None:
    if run.plan is None and run.account is None:
        identified = _try(parts, run, lambda: identify(parts, run))
        if identified is None or identified.status.ended:
            return
        run = identified
    if run.reconciles:
        _reconcile(parts, run)
        return
    if run.plan is not None and not _knows_whom_to_remove(parts, run, run.plan):
        return
    if run.plan is None and run.export.withhold and not _try(parts, run, lambda: _ask_whom_to_withhold(parts, run)):
        return
    if not parts.heavy_work.acquire(blocking=False):
        move_later(parts, run, BUSY_S)
        return
    try:
        planned = run if run.plan is not None else _plan(parts, run)
        if planned is not None and planned.plan is not None and not planned.held and not planned.status.ended:
            _go_on(parts, planned, planned.plan)
    finally:
        parts.heavy_work.release()


def _reconcile(parts: Parts, run: Run) -> None:
    """Ask who is on the list; once that is told, hold it against the ledger."""
    if not _try(parts, run, lambda: _ask_who_is_on_the_list(parts, run)):
        return
    if not parts.heavy_work.acquire(blocking=False):
        move_later(parts, run, BUSY_S)
        return
    try:
        _try(parts, run, lambda: reconcile.compare(parts, run))
    finally:
        parts.heavy_work.release()


def _go_on(parts: Parts, run: Run, plan: Plan) -> None:
    """What comes after the plan."""
    if hold.has_lost_its_batches(parts, run, plan):
        fail_run(parts, run, hold.STAGED_GONE, sent=False)
        return
    if run.halted:
        stop_sending(parts, run, plan)
    if records.all_ended(parts, run, plan):
        if not remove.is_ready(parts, run, plan):
            move_later(parts, run, 0)  # the list is read by a step that leaves the room for plans to others
            return
        removing = remove.begin(parts, run, plan)
        if removing is None:
            finish_run(parts, run, plan)
            return
        if removing.status.ended:
            return
        run = removing
    if run.halted:
        return  # its last jobs are followed to their end
    lanes.join(parts, run, batches=len(run.batches), size=parts.facts(run.connection).jobs_in_flight)


def _knows_whom_to_remove(parts: Parts, run: Run, plan: Plan) -> bool:
    """Whether the run needs nothing more to be known for its removals; if not, it comes back for the next questions."""
    if remove.is_ready(parts, run, plan) or not records.all_ended(parts, run, plan):
        return True
    move_later(parts, run, remove.read_list(parts, run))
    return False


def _plan(parts: Parts, run: Run) -> Run | None:
    """Plan a run; None when it has failed, or has to be planned later."""

    def plan() -> Plan:
        _note(parts, run, "planning")
        return prepare(parts, run)

    made = _try(parts, run, plan)
    return None if made is None else _store_plan(parts, run, made)


def _ask_whom_to_withhold(parts: Parts, run: Run) -> bool:
    """Whether the provider has told whom it has suppressed; if not, the run comes back for the next questions."""
    question = withhold.inquiry(run)
    if not inquiry.has_begun(parts, question):
        look_ahead(parts, run)
    return _ask(parts, run, question)


def _ask_who_is_on_the_list(parts: Parts, run: Run) -> bool:
    """Whether the provider has told who is on the list; if not, the run comes back for the next questions."""
    question = members.inquiry(run)
    if not inquiry.has_begun(parts, question):
        reconcile.look_ahead(parts, run)
    return _ask(parts, run, question)


def _ask(parts: Parts, run: Run, question: inquiry.Inquiry) -> bool:
    _note(parts, run, f"asking {parts.facts(run.connection).title} {question.about}")
    wait_s = inquiry.collect(parts, run, question)
    if wait_s is not None:
        move_later(parts, run, wait_s)
    return wait_s is None


def _try(parts: Parts, run: Run, step: Callable[[], Result]) -> Result | None:
    """What a step towards the plan answers; None when the run has failed, or comes back to try it again."""
    wait_s = lanes.wait_s(parts, run.lane)
    if wait_s > 0:
        _pause(parts, run, wait_s)
        return None
    try:
        answer = step()
    except ThrottledError as error:
        _pause(parts, run, error.wait_s)
    except (NotCompleteError, TransientError) as error:
        _bear(parts, run, error)
    except (ConfigError, SegmentError, DiskFullError) as error:
        key_refused(run, error)
        fail_run(parts, run, str(error))
    else:
        if run.troubled_since is not None or run.paused_since is not None:
            _now_waiting(parts, run)
        return answer
    return None


def _bear(parts: Parts, run: Run, error: NotCompleteError | TransientError) -> None:
    """Come back after what may pass; fail the run when it has not passed for too long."""
    reason, since = str(error), run.troubled_since or parts.now()
    if parts.now() - since > PATIENCE:
        fail_run(parts, run, reason)
        return
    log.step("plan", "later", level=logging.WARNING, export=run.export.id, run_id=run.id, reason=reason)
    trouble = {"troubled_since": since, "trouble": reason, "awaits_snapshot": isinstance(error, NotCompleteError)}
    _note(parts, run, f"waiting: {reason}", **trouble, paused_since=None)
    move_later(parts, run, RETRY_S)


def _pause(parts: Parts, run: Run, wait_s: float) -> None:
    """Come back when the provider wants to be asked again; fail the run when it has wanted pauses for too long."""
    since = run.paused_since or parts.now()
    if parts.now() - since > LONGEST_PAUSES:
        who = parts.facts(run.connection).title
        fail_run(parts, run, f"{who} has wanted one pause after the other for a day: {LOOK_AT_LIMITS}")
        return
    _now_waiting(parts, run, paused_since=since)
    move_later(parts, run, wait_s)


def _now_waiting(parts: Parts, run: Run, *, paused_since: datetime | None = None) -> None:
    """Note since when the provider has wanted pauses, or that nothing is waited for; either way trouble is over."""
    changes = {"troubled_since": None, "trouble": "", "awaits_snapshot": False, "paused_since": paused_since}
    records.change_run(parts, run, lambda run: run.model_copy(update=changes))


def _note(parts: Parts, run: Run, text: str, **changes: object) -> None:
    """Write into the history what the run is doing now, once for each text. A run with a plan has gone past that."""
    now = parts.now()

    def change(run: Run) -> Run:
        if run.plan is not None:
            return run
        if any(event.text == text for event in run.timeline):
            return run.model_copy(update={"updated": now, **changes})  # so that the watch sees it alive
        step = Step.RECONCILING if run.reconciles else Step.PLANNING
        return run.noted(now, text, status=RunStatus.PROCESSING, step=step, **changes)

    records.change_run(parts, run, change)


def _store_plan(parts: Parts, run: Run, plan: Plan) -> Run:
    """Write the plan, unless another step has written one meanwhile: the first one counts. Brakes hold the run."""
    now = parts.now()
    text = f"planned {plan.counts.planned:,} of {plan.counts.read:,} profiles; batches: {len(plan.batches)}"
    kinds = ", ".join(dict.fromkeys(brake.kind.replace("_", " ") for brake in plan.brakes))

    def change(run: Run) -> Run:
        if run.plan is not None:
            return run
        if not plan.brakes:
            return run.noted(now, text, plan=plan, step=Step.SENDING)
        planned = run.noted(now, text, plan=plan, step=Step.HELD)
        return planned.noted(now, f"held for approval: {kinds}", status=RunStatus.HELD)

    planned = records.change_run(parts, run, change)
    is_taken = planned.plan is not None and planned.plan.attempt == plan.attempt
    log.step(
        "plan",
        "not needed any more" if not is_taken else "held" if planned.held else "planned",
        level=logging.WARNING if planned.held else logging.INFO,
        export=run.export.id,
        run_id=run.id,
        provider=run.connection.provider,
        contacts=plan.counts.planned,
        rejects=plan.counts.invalid,
        duration_s=(now - run.created).total_seconds(),
    )
    return planned
