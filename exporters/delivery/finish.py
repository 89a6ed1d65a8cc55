"""Finish: when every batch has its outcome, the sums, the ledger, the rejects, and the place is free for the next run.

The order makes a second time harmless: ledger and rejects are written from the same outcomes with the same content,
the run document ends once, and the export's state takes over the ledger and frees the place in one write.
"""

import logging
from pathlib import Path

from azure.core.exceptions import AzureError

from exporters import log
from exporters.delivery import lanes, ledgers, records, remove, withhold
from exporters.delivery.assignment import Assignment
from exporters.history.ending import record_end
from exporters.model.batch import Outcome
from exporters.model.reject import ReasonCount
from exporters.model.run import DeliveryCounts, Plan, RemovalCounts, Run, RunStatus, Step
from exporters.notifications.outbox import tell_end
from exporters.parts import Parts
from exporters.scheduling.start import release
from exporters.scratch import scratch_folder
from exporters.storage import paths


def finish_run(parts: Parts, run: Run, plan: Plan) -> None:
    """End a run of which every batch has its outcome."""
    outcomes = records.read_outcomes(parts, run)
    result, removal = add_up([outcome for outcome in outcomes if outcome.number < len(plan.batches)]), None
    if run.removals:
        removal = remove.add_up([outcome for outcome in outcomes if outcome.number >= len(plan.batches)])
    news = bool(plan.counts.planned or plan.renewed or removal or run.repairs)
    has_ledger = news and closes(plan, outcomes, result, removal)
    with scratch_folder("finish-") as folder:
        refusals = _write_files(parts, run, plan, outcomes, folder, with_ledger=has_ledger)
    now = parts.now()
    text = f"{result.delivered:,} delivered, {result.refused:,} refused, {result.unknown:,} unknown"
    if removal is not None:
        text += f"; {remove.in_words(removal)}"

    def end(run: Run) -> Run:
        # Of the run as it is now: somebody may have canceled it since.
        status, reason = verdict(run, plan, outcomes, result, removal)
        return run.noted(
            now,
            f"{status}: {text}",
            status=status,
            step=Step.ENDED,
            finished=now,
            result=result,
            removal=removal,
            refusals=refusals,
            reason=reason,
            has_ledger=has_ledger,
        )

    ended = records.change_run(parts, run, end)
    tidy(parts, ended)


def fail_run(parts: Parts, run: Run, reason: str, *, sent: bool = True) -> None:
    """End a run that cannot go on. When it may have begun to send (`sent`), what is known of that is kept.

    A step that came too late fails nothing: neither a run that is held, nor one that has been planned since.
    """
    now = parts.now()
    plan = run.plan
    counts, removal = (DeliveryCounts(), None) if plan is None else _with_rest_unknown(parts, run, plan)
    refusals = None if plan is None or run.held or not sent else _keep_what_is_known(parts, run, plan)

    def end(now_run: Run) -> Run:
        if now_run.held or (plan is None and now_run.plan is not None):
            return now_run
        return now_run.noted(
            now,
            f"failed: {reason}",
            status=RunStatus.FAILED,
            step=Step.ENDED,
            finished=now,
            result=counts if sent else None,
            removal=removal,
            refusals=refusals or (),
            reason=reason,
            has_ledger=refusals is not None,
        )

    ended = records.change_run(parts, run, end)
    if not ended.status.ended or ended.status is RunStatus.CANCELED:
        return  # who rejected a run keeps its rejects before anything is deleted; the watch sees to it
    tidy(parts, ended)


def _keep_what_is_known(parts: Parts, run: Run, plan: Plan) -> tuple[ReasonCount, ...] | None:
    """Write rejects and ledger of a run that was cut short: whoever has no verdict is unknown.

    None when that cannot be done, whatever the reason: it may be what the run fails for. The next run sends everyone
    then. Trouble with the storage is raised, as it may pass: the message comes back, a poisoned one again and again.
    """
    outcomes = records.read_outcomes(parts, run)
    if not plan.counts.closes or not all(outcome.closes for outcome in outcomes):
        return None
    try:
        with scratch_folder("finish-") as folder:
            return _write_files(parts, run, plan, outcomes, folder, with_ledger=True)
    except AzureError:
        raise
    except Exception as error:  # noqa: BLE001 (see above)
        keys = {"export": run.export.id, "run_id": run.id, "error": type(error).__name__}
        log.step("ledger", "not kept", level=logging.ERROR, **keys)
        return None


def tidy(parts: Parts, run: Run) -> None:
    """What is left to do once a run has ended: delete what was staged, free its places. Harmless when repeated.

    The export's place comes last: until it is free, the watch comes back to what a step that died has left undone.
    """
    lanes.leave(parts, run.lane, run.id)
    delete_staged(parts, run.id)
    if run.reconciles and run.drift is None:  # canceled while it compared: nobody would ever look for the file
        parts.state.delete(paths.drift(run.export.id, run.id))
    tell_end(parts, run)
    record_end(parts, run)
    release(parts, run)


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


def verdict(
    run: Run, plan: Plan, outcomes: list[Outcome], result: DeliveryCounts, removal: RemovalCounts | None
) -> tuple[RunStatus, str]:
    """How the run ended, and what an operator should know about it."""
    if not closes(plan, outcomes, result, removal):
        return RunStatus.FAILED, "The sums of this run do not close: please report it, with the run document"
    reason = run.reason or next((outcome.reason for outcome in outcomes if outcome.reason), "")
    kept = remove.why_nobody(run, plan, result)
    if run.canceled is not None:
        return RunStatus.CANCELED, _sentences(run.reason, kept)
    if run.halted:
        return RunStatus.FAILED, _sentences(run.reason, kept)
    if not outcomes:
        return RunStatus.SUCCESSFUL, "Nothing was sent: " + _why_nothing(run, plan)
    gone = removal or RemovalCounts()
    if result.delivered + gone.removed + gone.absent == 0:
        return RunStatus.FAILED, _sentences(reason or _first_words(outcomes), kept)
    if result.refused or result.unknown or gone.refused or gone.unknown:
        return RunStatus.WARNINGS, _sentences(reason or _first_words(outcomes), kept)
    return RunStatus.WARNINGS if kept else RunStatus.SUCCESSFUL, _sentences(reason, kept)


def closes(plan: Plan, outcomes: list[Outcome], result: DeliveryCounts, removal: RemovalCounts | None) -> bool:
    """Whether the sums of the run, and the sum of each batch, hold."""
    return (
        plan.counts.closes
        and result.closes(plan.counts.planned)
        and (removal is None or removal.closes(plan.counts.leavers))
        and all(outcome.closes for outcome in outcomes)
    )


def _sentences(*texts: str) -> str:
    return ". ".join(text.removesuffix(".") for text in texts if text)


def _why_nothing(run: Run, plan: Plan) -> str:
    counts = plan.counts
    if run.goes_back_to is not None and not counts.read:
        return f"the list has the people that the run {run.goes_back_to} left on it"
    if not counts.read:
        return "the segments have no profile"
    if counts.unchanged and plan.compared_with:
        return f"all {counts.unchanged:,} contacts are as the run {plan.compared_with} delivered them"
    if counts.withheld:
        return f"{counts.withheld:,} of the {counts.read:,} profiles were withheld, and no other is a valid contact"
    return f"none of the {counts.read:,} profiles is a valid contact"


def _first_words(outcomes: list[Outcome]) -> str:
    """What the provider said first of those it refused."""
    for outcome in outcomes:
        for _, words in outcome.tally.refused_ranges:
            return words
        for words in outcome.tally.refused.values():
            return words
    return "The provider gave no verdict for any contact"


def _with_rest_unknown(parts: Parts, run: Run, plan: Plan) -> tuple[DeliveryCounts, RemovalCounts | None]:
    """Counts of a run that was cut short: whoever has no verdict is unknown, so the sums close."""
    so_far = records.delivered_so_far(parts, run)
    counts, removal = so_far.counts, so_far.removal
    unknown = plan.counts.planned - counts.delivered - counts.refused
    if removal is not None:
        rest = plan.counts.leavers - removal.removed - removal.absent - removal.refused
        removal = removal.model_copy(update={"unknown": rest})
    return counts.model_copy(update={"unknown": unknown}), removal


def _write_files(
    parts: Parts, run: Run, plan: Plan, outcomes: list[Outcome], folder: Path, *, with_ledger: bool
) -> tuple[ReasonCount, ...]:
    """The rejects file of the run and, where its sums close, its ledger; answers the provider's words for rejects."""
    contacts, planned, previous = folder / "contacts.parquet", folder / "planned.parquet", None
    parts.state.download(paths.staged_contacts(run.id, plan.attempt), contacts)
    parts.state.download(paths.staged_rejects(run.id, plan.attempt), planned)
    if run.export.withhold and run.reads_segments:  # a correction knows only about the people in it
        withhold.tell(parts, run, plan, work=folder)
    verdicts = {outcome.number: outcome.tally for outcome in outcomes if outcome.number < len(plan.batches)}
    rejects = folder / "rejects.parquet"
    refusals = parts.planning.write_rejects(
        planned,
        contacts,
        verdicts,
        rejects,
        staged_lines=lambda batch: Assignment(parts=parts, run=run, plan=plan, batch=batch).staged_lines(),
        work=folder,
    )
    parts.state.upload(paths.rejects(run.export.id, run.id), rejects)
    if not with_ledger:
        return refusals
    if plan.ledger is not None:
        previous = folder / "previous.parquet"
        ledgers.fetch(parts, run, plan.ledger, previous, doubts=run.canceled is None)
    renewed = folder / "renewed.parquet"
    parts.state.download(paths.staged_renewed(run.id, plan.attempt), renewed)
    gone, unsure = remove.write_gone(parts, run, plan, outcomes, work=folder)
    parts.planning.merge_ledger(
        previous,
        contacts,
        verdicts,
        folder / "ledger.parquet",
        renewed=renewed,
        gone=gone,
        unsure=unsure,
        everyone=plan.compared_with is None,
        doubtful=plan.doubtful,
        work=folder,
    )
    parts.state.upload(paths.ledger(run.export.id, run.id), folder / "ledger.parquet")
    return refusals
