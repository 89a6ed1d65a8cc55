"""Finish: when every batch has its outcome, the sums, the ledger, the rejects, and the place is free for the next run.

The order makes a second time harmless: ledger and rejects are written from the same outcomes with the same content,
the run document ends once, and the export's state takes over the ledger and frees the place in one write.
"""

import logging
import tempfile
from pathlib import Path
from typing import Any

from exporters import log
from exporters.delivery import lanes, records
from exporters.model.batch import Outcome
from exporters.model.reject import ReasonCount
from exporters.model.run import DeliveryCounts, Plan, Run, RunStatus, Step
from exporters.parts import Parts
from exporters.planning.ledger import merge_ledger
from exporters.planning.rejects import write_rejects
from exporters.scheduling.start import release
from exporters.storage import paths


def finish_run(parts: Parts, run: Run, plan: Plan) -> None:
    """End a run of which every batch has its outcome."""
    outcomes = records.read_outcomes(parts, run)
    result = add_up(outcomes)
    status, reason = verdict(run, plan, outcomes, result)
    has_ledger = plan.counts.planned > 0 and closes(plan, outcomes, result)
    with tempfile.TemporaryDirectory(prefix="finish-") as folder:
        refusals = _write_files(parts, run, plan, outcomes, Path(folder), with_ledger=has_ledger)
    now = parts.now()
    text = f"{status}: {result.delivered:,} delivered, {result.refused:,} refused, {result.unknown:,} unknown"
    ended = records.change_run(
        parts,
        run,
        lambda run: run.noted(
            now,
            text,
            status=status,
            step=Step.ENDED,
            finished=now,
            result=result,
            refusals=refusals,
            reason=reason,
            has_ledger=has_ledger,
        ),
    )
    level = logging.INFO if status is RunStatus.SUCCESSFUL else logging.WARNING
    log.step(
        "finish",
        status,
        level=level,
        run_id=run.id,
        provider=run.connection.provider,
        contacts=result.delivered,
        rejects=result.refused,
        unknown=result.unknown,
        duration_s=round((now - run.created).total_seconds(), 1),
    )
    tidy(parts, ended)


def fail_run(parts: Parts, run: Run, reason: str) -> None:
    """End a run that cannot go on. When it had begun to send, the next run sends everyone."""
    now = parts.now()
    plan = run.plan
    counts = DeliveryCounts() if plan is None else _with_rest_unknown(parts, run, plan)
    ended = records.change_run(
        parts,
        run,
        lambda run: run.noted(
            now,
            f"failed: {reason}",
            status=RunStatus.FAILED,
            step=Step.ENDED,
            finished=now,
            result=counts,
            reason=reason,
        ),
    )
    log.step("finish", "failed", level=logging.ERROR, run_id=run.id, provider=run.connection.provider, reason=reason)
    tidy(parts, ended)


def tidy(parts: Parts, run: Run) -> None:
    """What is left to do once a run has ended: free its places, delete what was staged. Harmless when repeated."""
    lanes.leave(parts, run.connection.lane, run.id)
    release(parts, run)
    delete_staged(parts, run.id)


def delete_staged(parts: Parts, run_id: str) -> None:
    """Delete everything that is only needed while a run is at work."""
    for blob in parts.state.list(paths.staging(run_id)):
        parts.state.delete(blob.name)


def add_up(outcomes: list[Outcome]) -> DeliveryCounts:
    """The second sum's terms."""
    return DeliveryCounts(
        delivered=sum(outcome.tally.delivered for outcome in outcomes),
        refused=sum(outcome.tally.refusals for outcome in outcomes),
        unknown=sum(outcome.tally.unknown for outcome in outcomes),
        requests=sum(outcome.requests for outcome in outcomes),
    )


def verdict(run: Run, plan: Plan, outcomes: list[Outcome], result: DeliveryCounts) -> tuple[RunStatus, str]:
    """How the run ended, and what an operator should know about it."""
    planned = plan.counts.planned
    if not closes(plan, outcomes, result):
        return RunStatus.FAILED, "The sums of this run do not close: please report it, with the run document"
    reason = run.reason or next((outcome.reason for outcome in outcomes if outcome.reason), "")
    if planned == 0:
        return RunStatus.SUCCESSFUL, "Nothing was sent: " + _why_nothing(plan)
    if result.delivered == 0:
        return RunStatus.FAILED, reason or _first_words(outcomes)
    if result.refused or result.unknown:
        return RunStatus.WARNINGS, reason or _first_words(outcomes)
    return RunStatus.SUCCESSFUL, reason


def closes(plan: Plan, outcomes: list[Outcome], result: DeliveryCounts) -> bool:
    """Whether both sums of the run, and the sum of each batch, hold."""
    return plan.counts.closes and result.closes(plan.counts.planned) and all(outcome.closes for outcome in outcomes)


def _why_nothing(plan: Plan) -> str:
    counts = plan.counts
    if counts.unchanged and plan.compared_with:
        return f"all {counts.unchanged:,} contacts are as the run {plan.compared_with} delivered them"
    return f"none of the {counts.read:,} profiles is a valid contact"


def _first_words(outcomes: list[Outcome]) -> str:
    """What the provider said first of those it refused."""
    for outcome in outcomes:
        for _, words in outcome.tally.refused_ranges:
            return words
        for words in outcome.tally.refused.values():
            return words
    return "The provider gave no verdict for any contact"


def _with_rest_unknown(parts: Parts, run: Run, plan: Plan) -> DeliveryCounts:
    """Counts of a run that was cut short: whoever has no verdict is unknown, so the sum closes."""
    counts = records.delivered_so_far(parts, run).counts
    rest = plan.counts.planned - counts.delivered - counts.refused - counts.unknown
    return counts.model_copy(update={"unknown": counts.unknown + rest})


def _write_files(
    parts: Parts, run: Run, plan: Plan, outcomes: list[Outcome], folder: Path, *, with_ledger: bool
) -> tuple[ReasonCount, ...]:
    """The rejects file of the run and, where its sums close, its ledger; answers the provider's words for rejects."""
    contacts, planned, previous = folder / "contacts.parquet", folder / "planned.parquet", None
    parts.state.download(paths.staged_contacts(run.id, plan.attempt), contacts)
    parts.state.download(paths.staged_rejects(run.id, plan.attempt), planned)
    verdicts = {outcome.number: outcome.tally for outcome in outcomes}
    limits: dict[str, Any] = {"work": folder, "memory_mb": parts.plan_memory_mb, "threads": parts.plan_threads}
    refusals = write_rejects(planned, contacts, verdicts, folder / "rejects.parquet", **limits)
    parts.state.upload(paths.rejects(run.export.id, run.id), folder / "rejects.parquet")
    if not with_ledger:
        return refusals
    if plan.ledger is not None:
        previous = folder / "previous.parquet"
        parts.state.download(paths.ledger(run.export.id, plan.ledger), previous)
    merge_ledger(previous, contacts, verdicts, folder / "ledger.parquet", **limits)
    parts.state.upload(paths.ledger(run.export.id, run.id), folder / "ledger.parquet")
    return refusals
