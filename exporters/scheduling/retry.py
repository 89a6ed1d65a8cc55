"""Retry: a run that sends what an earlier one did not deliver.

The ledger knows who was delivered, so this is a run like any other: it sends who is missing there, as the segments have
them now.
"""

from exporters.model.run import Order, Run, RunStatus, Trigger
from exporters.parts import Parts
from exporters.scheduling.start import Cause, start_run

#: How runs end that may have left somebody out.
INCOMPLETE = frozenset({RunStatus.FAILED, RunStatus.WARNINGS, RunStatus.CANCELED})


def why_not(run: Run) -> str | None:
    """Why a run cannot be retried, and what to do instead; None where it can."""
    if not run.status.ended:
        return "The run has not ended: wait for its end, or cancel it first"
    if run.status is RunStatus.SKIPPED:
        return "No run was started that could be retried: start the export"
    if run.corrects is not None:
        return "The run sent a corrected rejects file, which is not kept: post the file again"
    if run.reconciles or run.goes_back_to is not None:
        return "Only runs that send segments are retried: start this one again as it was started"
    if run.repairs is not None:
        return "A repair has to be wanted by a person each time: start the repair again"
    if run.status not in INCOMPLETE:
        return f"The run's status is {run.status}: everybody who was planned is delivered"
    return None


def start(parts: Parts, run: Run, *, key: str | None = None, by: str = "") -> Run:
    """Start the run; answers the one that was started before, while that is at work or after it has gone well.

    `by` is the `Caller.label` of whoever wants it. Raises as `start_run`.
    """
    text = f"retry of {run.id}" if key is None else f"retry of {run.id}: {key}"
    # The ledger that a full run has left knows who is missing; without one it is everybody still.
    order = Order(retries=run.id, full=run.full and not run.has_ledger)
    cause = Cause(trigger=Trigger.DEMAND, text=text, order=order, by=by, renewable=key is None)
    return start_run(parts, run.export.id, cause)
