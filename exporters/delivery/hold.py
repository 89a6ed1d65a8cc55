"""Hold: a run that a brake has stopped waits for a person, who approves or rejects it. Nobody's silence is a yes.

Each decision is one conditional write of the run document, so the first one counts, however many come at once.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from exporters import log
from exporters.delivery import lanes, records
from exporters.delivery.finish import tidy
from exporters.errors import StorageConflictError
from exporters.model.run import Plan, Run, RunStatus, Step
from exporters.parts import Parts
from exporters.scheduling.next_step import move_later
from exporters.scratch import scratch_folder
from exporters.storage import paths

#: How long a held run waits for a decision. Its batches are as old as its plan: later they say what was true once.
HOLD_LASTS = timedelta(days=7)

EXPIRED = f"Nobody approved the run within {HOLD_LASTS.days} days; nothing was sent. Start the export again"
STAGED_GONE = (
    "The batches that were planned before the approval are gone, so nothing was sent: something deleted them from the"
    " state container. Start the export again"
)


def approve(parts: Parts, run: Run, *, reason: str = "", by: str = "") -> Run:
    """Let a held run go on; answers the run as it is then, with `approved` None when it was not held.

    Repeating it changes nothing: the message that follows does no harm, and is there if the first one got lost.
    """
    now = parts.now()

    def change(run: Run) -> Run:
        if run.status is not RunStatus.HELD:
            return run
        text = _said("approved", reason)
        decision = {"approved": now, "approved_by": by}
        return run.noted(now, text, status=RunStatus.PROCESSING, step=Step.SENDING, **decision)

    decided = records.change_run(parts, run, change)
    if decided.approved is not None and not decided.status.ended:
        if decided.approved == now:
            log_decision(run, "approved")
        move_later(parts, run)
    return decided


def reject(parts: Parts, run: Run, *, reason: str = "", by: str = "") -> Run:
    """End a held run without sending anything; answers the run as it is then. Harmless when repeated."""
    return _cancel(parts, run, _said("rejected", reason), "rejected", by=by)


def is_rejected(run: Run) -> bool:
    """Whether a run has ended before it began to send: rejected, not approved in time, or canceled."""
    return run.status is RunStatus.CANCELED and run.result is None


def expire(parts: Parts, run: Run) -> None:
    """End a held run that nobody has decided about in time. Harmless when repeated."""
    if parts.now() - _held_since(run) > HOLD_LASTS:
        _cancel(parts, run, EXPIRED, "canceled")


def has_lost_its_batches(parts: Parts, run: Run, plan: Plan) -> bool:
    """Whether an approved run that has not begun to send misses what was staged for it."""
    if run.approved is None or lanes.knows(parts, run) or records.delivered_so_far(parts, run).ended:
        return False
    there = {blob.name for blob in parts.state.list(paths.staged(run.id, plan.attempt))}
    files = (paths.staged_contacts, paths.staged_rejects, paths.staged_renewed, paths.staged_withheld)
    needed = {file(run.id, plan.attempt) for file in (*files, paths.staged_leavers)}
    needed |= {paths.staged_batch(run.id, plan.attempt, number) for number in range(len(plan.batches))}
    return not needed <= there


def _held_since(run: Run) -> datetime:
    return run.updated  # a held run changes only when somebody decides about it


def log_decision(run: Run, decision: Literal["approved", "rejected", "canceled"]) -> None:
    """Say that a run is not held any more: approved, rejected, or canceled by a person or by time."""
    log.step("hold", decision, export=run.export.id, run_id=run.id, provider=run.connection.provider)


def _cancel(parts: Parts, run: Run, text: str, decision: Literal["rejected", "canceled"], *, by: str = "") -> Run:
    now = parts.now()

    def change(run: Run) -> Run:
        if run.status is not RunStatus.HELD:
            return run
        end = {"status": RunStatus.CANCELED, "step": Step.ENDED, "finished": now, "rejected_by": by}
        return run.noted(now, text, reason=text, **end)

    decided = records.change_run(parts, run, change)
    if is_rejected(decided):
        if decided.finished == now:
            log_decision(run, decision)
        clear_up(parts, decided)
    return decided


def clear_up(parts: Parts, run: Run) -> None:
    """Tidy up after a run that has ended, and keep the rejects of one that was rejected. Harmless when repeated."""
    if is_rejected(run):
        _keep_rejects(parts, run)
    tidy(parts, run)


def _keep_rejects(parts: Parts, run: Run) -> None:
    """Keep what the plan says of those who could not be sent: often it shows why the run was held.

    Only after the decision: an approved run writes rejects of its own. They are still staged unless they are kept.
    """
    if run.plan is None:
        return
    with scratch_folder("hold-") as folder, suppress(StorageConflictError):
        file = folder / "rejects.parquet"
        parts.state.download(paths.staged_rejects(run.id, run.plan.attempt), file)
        parts.state.upload(paths.rejects(run.export.id, run.id), file)


def _said(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else what
