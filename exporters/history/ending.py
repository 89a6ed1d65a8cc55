"""What is written down of a run's end before its place is freed, so that no crash can lose it."""

from pydantic import BaseModel, ConfigDict

from exporters.audit import trail
from exporters.history import journal
from exporters.model.caller import BY_APP
from exporters.model.drift import Drift
from exporters.model.run import ExportState, Run, RunStatus
from exporters.model.sums import RemovalSums, Sums
from exporters.parts import Parts
from exporters.receipts.issue import try_to_issue
from exporters.storage import paths


class Ended(BaseModel):
    """How a run has ended, for the audit trail."""

    model_config = ConfigDict(frozen=True)

    status: RunStatus
    sums: Sums | None
    removal: RemovalSums | None
    drift: Drift | None


def record_end(parts: Parts, run: Run) -> None:
    """Write into the journal and the audit trail how a run has ended, and issue its receipt. Harmless when repeated.

    To be called before the run's place is freed: for a run that is not at work any more all this was done.
    """
    found = parts.documents.read(ExportState, paths.export_state(run.export.id))
    if found is None or found.value.active is None or found.value.active.run != run.id:
        return
    journal.note(parts, run)
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


def _ended(run: Run) -> Ended:
    plan, result, removal = run.plan, run.result, run.removal
    return Ended(
        status=run.status,
        sums=None if plan is None or result is None else Sums.of(plan.counts, result),
        removal=None if plan is None or removal is None else RemovalSums.of(plan.counts, removal),
        drift=run.drift,
    )
