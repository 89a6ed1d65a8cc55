"""Where everything lies in the state container."""

EXPORT_STATES = "state/exports/"
EXPORTS = "config/exports/"
LANES = "lanes/"


def connection(connection_id: str) -> str:
    return f"config/connections/{connection_id}.json"


def export(export_id: str) -> str:
    return f"{EXPORTS}{export_id}.json"


def export_state(export_id: str) -> str:
    return f"{EXPORT_STATES}{export_id}.json"


def known_account(connection_id: str) -> str:
    return f"state/accounts/{connection_id}.json"


def run(export_id: str, run_id: str) -> str:
    return f"runs/{export_id}/{run_id}/run.json"


def outcomes(export_id: str, run_id: str) -> str:
    """Folder of the outcomes: one blob per batch that has ended, nothing else."""
    return f"runs/{export_id}/{run_id}/batches/"


def outcome(export_id: str, run_id: str, batch: int) -> str:
    return f"{outcomes(export_id, run_id)}{batch:05d}.json"


def rejects(export_id: str, run_id: str) -> str:
    return f"runs/{export_id}/{run_id}/rejects.parquet"


def drift(export_id: str, run_id: str) -> str:
    """Who is not on the list as the ledger says, as a reconciliation found it; counts are its metadata."""
    return f"runs/{export_id}/{run_id}/drift.parquet"


def notification(export_id: str, run_id: str, occasion: str) -> str:
    return f"notifications/{export_id}/{run_id}-{occasion}.json"


def ledger(export_id: str, run_id: str) -> str:
    return f"ledgers/{export_id}/{run_id}.parquet"


def lane(account: str) -> str:
    return f"{LANES}{account}.json"


def staging(run_id: str) -> str:
    """Folder of everything that goes when the run ends."""
    return f"staging/{run_id}/"


def staged(run_id: str, attempt: str) -> str:
    """Folder of one attempt at planning: two attempts never mix their batches."""
    return f"{staging(run_id)}{attempt}/"


def staged_batch(run_id: str, attempt: str, batch: int) -> str:
    return f"{staged(run_id, attempt)}{batch:05d}.ndjson"


def staged_contacts(run_id: str, attempt: str) -> str:
    return f"{staged(run_id, attempt)}contacts.parquet"


def staged_rejects(run_id: str, attempt: str) -> str:
    return f"{staged(run_id, attempt)}rejects.parquet"


def staged_renewed(run_id: str, attempt: str) -> str:
    return f"{staged(run_id, attempt)}renewed.parquet"


def staged_withheld(run_id: str, attempt: str) -> str:
    return f"{staged(run_id, attempt)}withheld.parquet"


def staged_leavers(run_id: str, attempt: str) -> str:
    return f"{staged(run_id, attempt)}leavers.parquet"


def staged_removals(run_id: str, attempt: str) -> str:
    """The leavers in the order of the batches that remove them, where the list was read first."""
    return f"{staged(run_id, attempt)}removals.parquet"


def suppressed(run_id: str) -> str:
    """Folder of what the provider says whom it has suppressed, page by page."""
    return f"{staging(run_id)}suppressed/"


def members(run_id: str) -> str:
    """Folder of what the provider says who is on the list, page by page."""
    return f"{staging(run_id)}members/"


def correction(run_id: str) -> str:
    """A corrected rejects file that was posted, checked and written anew."""
    return f"{staging(run_id)}correction.csv"


def withheld(export_id: str) -> str:
    """Who was left out of the export's last run because the provider has suppressed them: for other systems to read."""
    return f"withheld/{export_id}.csv"


def progress(run_id: str, batch: int) -> str:
    return f"{staging(run_id)}progress/{batch:05d}.json"
