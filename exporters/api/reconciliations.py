"""POST /api/exports/{export}/reconciliations and POST /api/runs/{export}/{run}/repair: hold a list against the ledger,
and have those put back who should be on it.
"""

import re
import uuid

from exporters.api.answers import Answer, Request, problem
from exporters.api.runs import find, no_export, no_run, read_key, started
from exporters.delivery import ledgers, reconcile
from exporters.model.names import ID_PATTERN
from exporters.model.run import Order, Run, Trigger, target_of
from exporters.parts import Parts
from exporters.scheduling.start import (
    Cause,
    has_started,
    read_export,
    release_if_ended,
    start_run,
)


def start(parts: Parts, request: Request) -> Answer:
    """202 with the run's address; a repeated Idempotency-Key answers the same run.

    Applications may do it: nothing is changed, and the answer tells counts only.
    """
    export_id = request.route.get("export", "")
    if not re.fullmatch(ID_PATTERN, export_id):
        return no_export(export_id)
    key = read_key(request)
    if isinstance(key, Answer):
        return key
    text = f"reconciliation: {key or uuid.uuid4().hex}"
    cause = Cause(trigger=Trigger.DEMAND, text=text, order=Order(reconciles=True), by=request.caller.label)
    return started(parts, request, export_id, key, lambda: _begin(parts, export_id, cause))


def repair(parts: Parts, request: Request) -> Answer:
    """202 with the address of a run that sends the missing people of a reconciliation again, as far as they are still
    in the segments. Strangers stay.

    Repeating it answers the run that the first call started, until that one has failed or was canceled. For people
    only: who is missing may have left the list by themselves, so somebody has to want it.
    """
    run = find(parts, request)
    if run is None:
        return no_run()
    key = read_key(request)
    if isinstance(key, Answer):
        return key
    if (why := _nothing_to_repair(run)) is not None:
        return problem("nothing-to-repair", why)
    text = f"repair of {run.id}" if key is None else f"repair of {run.id}: {key}"
    by, order = request.caller.label, Order(repairs=run.id)
    cause = Cause(trigger=Trigger.DEMAND, text=text, order=order, by=by, renewable=key is None)
    export_id = run.export.id
    return started(parts, request, export_id, key, lambda: _begin(parts, export_id, cause, reconciliation=run))


def _begin(parts: Parts, export_id: str, cause: Cause, *, reconciliation: Run | None = None) -> Run | Answer:
    export, connection = read_export(parts, export_id)
    if not has_started(parts, export_id, cause):
        release_if_ended(parts, export_id)  # its ledger is in force from then on
        state, target = ledgers.read_state(parts, export_id), target_of(export, connection)
        if state.ledger is None or state.ledger_target != target:
            return problem("no-ledger", reconcile.NO_LEDGER)
        if reconciliation is not None and reconcile.is_too_old(reconciliation, state, target):
            return problem("reconciliation-too-old", reconcile.TOO_OLD)
    return start_run(parts, export_id, cause)


def _nothing_to_repair(run: Run) -> str | None:
    """Why a run cannot be repaired, and what to do instead; None where it can."""
    if not run.reconciles:
        return (
            "Only what a reconciliation has found is repaired: start one with"
            f" POST /api/exports/{run.export.id}/reconciliations"
        )
    if not run.status.ended:
        return "The reconciliation has not ended: wait for its end"
    if run.drift is None or not run.drift.closes:
        return f"The reconciliation has found nothing: {run.reason}"
    if not run.drift.missing:
        return "Nobody is missing on the list. Strangers are never taken off it: do that at the provider, if need be"
    return None
