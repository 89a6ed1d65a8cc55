"""Reconcile: ask the provider who is on the list, and hold that against the ledger. Changes neither.

Answers are stored before the next question, as those about suppressions are. What was found is a file that is created
once; the first one stands, with its counts as metadata, and the run ends with just those. So any step may come twice.
"""

import logging
from pathlib import Path

from exporters import log
from exporters.delivery import ledgers, members, records
from exporters.delivery.access import with_access
from exporters.delivery.finish import tidy
from exporters.delivery.inquiry import stored
from exporters.errors import ConfigError, StorageConflictError
from exporters.model.drift import Drift
from exporters.model.export import ADDRESS_ONLY
from exporters.model.run import ExportState, Run, RunStatus, Step
from exporters.parts import Parts
from exporters.scratch import scratch_folder
from exporters.storage import paths

NO_LEDGER = f"{ledgers.NO_LEDGER}, so there is nothing to hold the list against. Start the export first"
TOO_OLD = (
    "Since that reconciliation the ledger has changed, or the export has another list or connection: reconcile again,"
    " and repair what that finds"
)
#: What a person who has something repaired should know of it.
REPAIR_NOTES = (
    "Only people who are still in the segments are sent again; strangers are left alone",
    "Who was taken off the list, or left this one list by themselves, is put back on it",
    "Unsubscribes and blocks of the whole account are not touched",
)


def look_ahead(parts: Parts, run: Run) -> None:
    """Find at once what would make the run fail: access, the list, or that there is no ledger.

    Raises AccessError, ConfigError, ThrottledError or TransientError.
    """
    state = ledgers.read_state(parts, run.export.id)
    if state.ledger is None or state.ledger_target != run.target:
        raise ConfigError(NO_LEDGER)
    with_access(parts, run, lambda provider: provider.check_access(run.export.list_id, ADDRESS_ONLY))


def compare(parts: Parts, run: Run) -> Run:
    """Hold the answers against the ledger in force, and end the run. Harmless when repeated: the first file stands.

    Raises ConfigError when there is no ledger.
    """
    with scratch_folder("reconcile-") as folder:
        drift = _find(parts, run, folder)
    status, reason = verdict(drift)
    now = parts.now()
    text = (
        f"{status}: {drift.missing:,} missing on the list, {drift.strangers:,} strangers on it, {drift.both:,} as known"
    )
    ended = records.change_run(
        parts,
        run,
        lambda run: run.noted(now, text, status=status, step=Step.ENDED, finished=now, reason=reason, drift=drift),
    )
    log.step(
        "reconcile",
        ended.status,
        level=logging.INFO if ended.status is RunStatus.SUCCESSFUL else logging.WARNING,
        export=run.export.id,
        run_id=run.id,
        provider=run.connection.provider,
        contacts=drift.listed,
        missing=drift.missing,
        strangers=drift.strangers,
        duration_s=(now - run.created).total_seconds(),
    )
    tidy(parts, ended)
    return ended


def verdict(drift: Drift) -> tuple[RunStatus, str]:
    """How a reconciliation ends, and what an operator should know about it."""
    if not drift.closes:
        return RunStatus.FAILED, "The sums of this run do not close: please report it, with the run document"
    again = "the next run sends those again who are still in the segments"
    unsure = f". Not known whether delivered: {drift.unsure:,}; {again}" if drift.unsure else ""
    if not drift.found:
        return RunStatus.SUCCESSFUL, f"The list is as the ledger says. Delivered, and on it: {drift.both:,}{unsure}"
    said = []
    if drift.missing:
        said.append(
            f"Missing on the list: {drift.missing:,} of {drift.both + drift.missing:,} delivered; a repair sends those"
            " of them again who are still in the segments"
        )
    if drift.strangers:
        said.append(f"On the list, and not put there by this export: {drift.strangers:,}; they are left alone")
    return RunStatus.WARNINGS, f"{'. '.join(said)}{unsure}"


def is_too_old(reconciliation: Run, state: ExportState, target: str) -> bool:
    """Whether a reconciliation was made with another ledger than the one in force for a run's target."""
    drift = reconciliation.drift
    return drift is None or drift.ledger != state.ledger or state.ledger_target != target


def check_repair(parts: Parts, run: Run, state: ExportState) -> None:
    """Raises ConfigError when a run repairs what a reconciliation has found that is too old."""
    if run.repairs is not None:
        reconciliation = records.read_run(parts, run.export.id, run.repairs)
        if reconciliation is None or is_too_old(reconciliation, state, run.target):
            raise ConfigError(TOO_OLD)


def _find(parts: Parts, run: Run, work: Path) -> Drift:
    ledger, file = ledgers.in_force(parts, run, ledgers.read_state(parts, run.export.id), work)
    if ledger is None or file is None:
        raise ConfigError(NO_LEDGER)
    target, folder = work / "drift.parquet", work / "compare"
    folder.mkdir()
    counts = parts.planning.find_drift(
        file, stored(parts, members.inquiry(run), work / "answer.csv"), target, work=folder
    )
    found = Drift(ledger=ledger, **counts.model_dump())
    name = paths.drift(run.export.id, run.id)
    try:
        parts.state.create(name, target.read_bytes(), metadata=found.metadata())
    except StorageConflictError:
        first = next((blob for blob in parts.state.list(name) if blob.name == name), None)
        return found if first is None else Drift.model_validate(first.metadata)
    return found
