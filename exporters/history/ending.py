"""What is written down of a run's end before its place is freed, so that no crash can lose it."""

import logging
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from exporters import log
from exporters.audit import trail
from exporters.history import journal
from exporters.model.caller import BY_APP
from exporters.model.drift import Drift
from exporters.model.run import DeliveryCounts, ExportState, PlanCounts, RemovalCounts, Run, RunStatus
from exporters.model.sums import RemovalSums, Sums
from exporters.parts import Parts
from exporters.receipts.issue import try_to_issue
from exporters.storage import paths

LEVELS: Mapping[RunStatus, int] = {
    RunStatus.SUCCESSFUL: logging.INFO,
    RunStatus.WARNINGS: logging.WARNING,
    RunStatus.CANCELED: logging.WARNING,
    RunStatus.FAILED: logging.ERROR,
}


class Ended(BaseModel):
    """How a run has ended, for the audit trail."""

    model_config = ConfigDict(frozen=True)

    status: RunStatus
    sums: Sums | None
    removal: RemovalSums | None
    drift: Drift | None


def record_end(parts: Parts, run: Run) -> None:
    """Write into the journal, the audit trail and the log how a run has ended, and issue its receipt.

    Harmless when repeated: only the line in the log is there twice then.
    To be called before the run's place is freed: for a run that is not at work any more all this was done.
    """
    found = parts.documents.read(ExportState, paths.export_state(run.export.id))
    if found is None or found.value.active is None or found.value.active.run != run.id:
        return
    journal.note(parts, run)
    if run.status is not RunStatus.SKIPPED:
        _log(run)
    trail.note(
        parts,
        BY_APP,
        trail.Action.RUN_ENDED,
        f"/runs/{run.export.id}/{run.id}",
        id=f"end-of-{run.export.id}-{run.id}",
        at=run.finished or run.updated,
        reason=run.reason,
        after=_ended(run),
    )
    try_to_issue(parts, run)


def _log(run: Run) -> None:
    """One line with the verdict, whatever became of the run: sums that it did not come to are zero.

    Why somebody canceled it is told in their own words, which may name people: the run and the trail have them.
    """
    counts = PlanCounts() if run.plan is None else run.plan.counts
    result, removal = run.result or DeliveryCounts(), run.removal or RemovalCounts()
    log.step(
        "finish",
        run.status,
        level=LEVELS[run.status],
        export=run.export.id,
        run_id=run.id,
        provider=run.connection.provider,
        trigger=run.trigger,
        read=counts.read,
        invalid=counts.invalid,
        planned=counts.planned,
        delivered=result.delivered,
        refused=result.refused,
        unknown=result.unknown,
        requests=result.requests + removal.requests,
        duration_s=((run.finished or run.updated) - run.created).total_seconds(),
        reason=None if run.status is RunStatus.CANCELED else run.reason,
    )


def _ended(run: Run) -> Ended:
    plan, result, removal = run.plan, run.result, run.removal
    return Ended(
        status=run.status,
        sums=None if plan is None or result is None else Sums.of(plan.counts, result),
        removal=None if plan is None or removal is None else RemovalSums.of(plan.counts, removal),
        drift=run.drift,
    )
