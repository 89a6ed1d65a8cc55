"""The ledgers of an export: the one in force, and what a run takes from it."""

import logging
import tempfile
from pathlib import Path

from exporters import log
from exporters.errors import ConfigError, StorageConflictError
from exporters.model.names import RunId
from exporters.model.run import ExportState, Run
from exporters.parts import Parts
from exporters.storage import paths

NO_LEDGER = "Nobody is known to be on this list: no run of the export has put anyone there yet"


def read_state(parts: Parts, export_id: str) -> ExportState:
    """What is known about an export."""
    found = parts.documents.read(ExportState, paths.export_state(export_id))
    return ExportState(export=export_id) if found is None else found.value


def in_force(parts: Parts, run: Run, state: ExportState, work: Path) -> tuple[RunId, Path] | tuple[None, None]:
    """The run whose ledger says who is on this list already, and its file; None when nobody is known to be.

    Raises ConfigError as `fetch`.
    """
    if state.ledger is None or state.ledger_target != run.target:
        return None, None
    file = work / "ledger.parquet"
    try:
        fetch(parts, run, state.ledger, file)
    except StorageConflictError:
        log.step("plan", "ledger is gone", level=logging.WARNING, export=run.export.id, run_id=run.id)
        return None, None
    return state.ledger, file


def fetch(parts: Parts, run: Run, ledger: RunId, target: Path, *, doubts: bool = True) -> None:
    """Bring a ledger to a local file; for a repair, the people whom the reconciliation missed count as not delivered.

    Without `doubts` they count as the ledger has them: after a repair that somebody has canceled, the next run must not
    go on with it. Raises StorageConflictError when the ledger is gone, ConfigError when what the reconciliation has
    found is.
    """
    parts.state.download(paths.ledger(run.export.id, ledger), target)
    if run.repairs is None or not doubts:
        return
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        work = Path(folder)
        drift, as_it_was = work / "drift.parquet", target.rename(work / "ledger.parquet")
        try:
            parts.state.download(paths.drift(run.export.id, run.repairs), drift)
        except StorageConflictError as error:
            raise ConfigError(
                f"What the reconciliation {run.repairs} has found is gone from the state container: reconcile again"
            ) from error
        parts.planning.doubt_missing(as_it_was, drift, target, work=work)
