"""POST /api/exports/{export}/undo: bring the people on the list back to those whom an earlier run left there."""

import re
import uuid
from functools import partial

from pydantic import BaseModel, ConfigDict, Field

from exporters.api.answers import Answer, Request, problem
from exporters.api.reading import read_body
from exporters.api.runs import no_export, read_key, started
from exporters.delivery import ledgers, records, undo
from exporters.model.names import ID_PATTERN, RunId
from exporters.model.run import ExportState, Order, Run, Trigger, target_of
from exporters.parts import Parts
from exporters.scheduling.start import (
    Cause,
    has_started,
    read_export,
    release_if_ended,
    start_run,
)
from exporters.storage import paths

#: What is known of a list after a run was cut short.
CUT_SHORT = (
    ". A run was cut short since, so people may be on the list whom no ledger knows: a reconciliation lists them as"
    " strangers"
)


class UndoBody(BaseModel):
    """Body of an undo."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"run": "79738876939999999-0123abcd"}]}
    )

    run: RunId = Field(description="which run to go back to: the list gets the people that it left there")


def start(parts: Parts, request: Request) -> Answer:
    """202 with the address of a run that goes back; a repeated Idempotency-Key answers the same run.

    For people only: it removes people, whatever the mode of the export is. Brakes hold it as any other run.
    """
    export_id = request.route.get("export", "")
    if not re.fullmatch(ID_PATTERN, export_id):
        return no_export(export_id)
    key = read_key(request)
    if isinstance(key, Answer):
        return key
    wanted = read_body(UndoBody, request)
    if isinstance(wanted, Answer):
        return wanted
    text = f"undo: {key or uuid.uuid4().hex}"
    cause = Cause(trigger=Trigger.DEMAND, text=text, order=Order(goes_back_to=wanted.run), by=request.caller.label)
    return started(parts, request, export_id, key, partial(_begin, parts, export_id, cause, wanted.run))


def _begin(parts: Parts, export_id: str, cause: Cause, then: RunId) -> Run | Answer | None:
    export, connection = read_export(parts, export_id)
    if not has_started(parts, export_id, cause):
        release_if_ended(parts, export_id)  # its ledger is in force from then on
        state = ledgers.read_state(parts, export_id)
        if (why := _why_not(parts, state, then, target_of(export, connection))) is not None:
            return why
    run = start_run(parts, export_id, cause)
    return run if run.goes_back_to == then else None


def _why_not(parts: Parts, state: ExportState, run_id: RunId, target: str) -> Answer | None:
    """Why an export cannot go back to a run, and what to do; None where it can."""
    run = records.read_run(parts, state.export, run_id)
    if run is None:
        return problem("no-such-run", f"The export {state.export} has no run {run_id}")
    if run.target != target:
        return problem(
            "another-list",
            "That run filled another list, or used another connection, so its ledger says nothing of the list that the"
            " export fills now: go back to a run of this list",
        )
    if state.ledger is None or state.ledger_target != target:
        return problem("no-ledger", undo.NO_LEDGER)
    if not run.has_ledger:
        return problem("no-ledger", _without_ledger(run))
    if state.ledger == run_id:
        detail = f"The list has the people that this run left on it{CUT_SHORT if state.ledger_doubtful else ''}"
        return problem("nothing-to-undo", detail)
    name = paths.ledger(state.export, run_id)
    if not any(blob.name == name for blob in parts.state.list(name)):
        return problem("no-ledger", undo.LEDGER_GONE.format(run=run_id))
    return None


def _without_ledger(run: Run) -> str:
    if not run.status.ended:
        return "That run has not ended: go back to one that has"
    before = None if run.plan is None else run.plan.ledger
    if before is None:
        return "That run put nobody on the list: go back to one that did"
    return f"That run has written no ledger: go back to the run {before}, whose people it found on the list"
