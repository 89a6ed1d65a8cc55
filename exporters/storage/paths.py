"""Where everything lies in the state container."""

from datetime import datetime

EXPORT_STATES = "state/exports/"
EXPORTS = "config/exports/"
CONNECTIONS = "config/connections/"
OLD_KEYS = "state/old-keys/"
LANES = "lanes/"
AUDIT = "audit/"
LEDGERS = "ledgers/"
#: Files of runs that name people have folders of their own, so that a rule of the account can delete them by age.
REJECTS = "rejects/"
DRIFT = "drift/"
RUNS = "runs/"
STAGING = "staging/"
WITHHELD = "withheld/"
ERASURES = "erasures/receipts/"
PEOPLE_TO_ERASE = "erasures/people/"
OPEN_ERASURES = "erasures/open/"
JOURNAL_FOLDER = "journal/"
RECEIPT_KEYS = "config/receipt-keys.json"
MEASURED = "state/measured.json"


def connection(connection_id: str) -> str:
    return f"{CONNECTIONS}{connection_id}.json"


def export(export_id: str) -> str:
    return f"{EXPORTS}{export_id}.json"


def export_state(export_id: str) -> str:
    return f"{EXPORT_STATES}{export_id}.json"


def known_account(connection_id: str) -> str:
    return f"state/accounts/{connection_id}.json"


def old_key(secret: str) -> str:
    return f"{OLD_KEYS}{secret}.json"


def run(export_id: str, run_id: str) -> str:
    return f"runs/{export_id}/{run_id}/run.json"


def outcomes(export_id: str, run_id: str) -> str:
    """Folder of the outcomes: one blob per batch that has ended, nothing else."""
    return f"runs/{export_id}/{run_id}/batches/"


def outcome(export_id: str, run_id: str, batch: int) -> str:
    return f"{outcomes(export_id, run_id)}{batch:05d}.json"


def receipt(export_id: str, run_id: str) -> str:
    return f"runs/{export_id}/{run_id}/receipt.json"


def receipt_secret(key_id: str) -> str:
    """Name of the secret that holds a key which signs receipts."""
    return f"receipt-signing-key-{key_id}"


def journal(export_id: str | None = None) -> str:
    """Folder of the marks of all runs, or of one export's: names begin with the run's id."""
    return f"{JOURNAL_FOLDER}runs/" if export_id is None else f"{JOURNAL_FOLDER}exports/{export_id}/"


def journal_marks(export_id: str, run_id: str) -> tuple[str, str]:
    """Where a run is marked among all runs, and among those of its export."""
    return f"{journal()}{run_id}/{export_id}", f"{journal(export_id)}{run_id}"


def rejects(export_id: str, run_id: str) -> str:
    return f"{REJECTS}{export_id}/{run_id}.parquet"


def drift(export_id: str, run_id: str) -> str:
    """Who is not on the list as the ledger says, as a reconciliation found it; counts are its metadata."""
    return f"{DRIFT}{export_id}/{run_id}.parquet"


def notification(export_id: str, run_id: str, occasion: str) -> str:
    return f"notifications/{export_id}/{run_id}-{occasion}.json"


def ledger(export_id: str, run_id: str) -> str:
    return f"ledgers/{export_id}/{run_id}.parquet"


def audit(day: datetime, number: int = 1) -> str:
    """The trail of a day in UTC; its further blobs have numbers from 2 on."""
    return f"{audit_day(day)}.jsonl" if number == 1 else f"{audit_day(day)}.{number}.jsonl"


def audit_day(day: datetime) -> str:
    """What the names of a day's blobs begin with."""
    return f"{AUDIT}{day:%Y-%m-%d}"


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


def erasure(erasure_id: str) -> str:
    return f"{ERASURES}{erasure_id}.json"


def open_erasure(erasure_id: str) -> str:
    """An empty mark that is there as long as an erasure has not ended, or has not been tidied up after."""
    return f"{OPEN_ERASURES}{erasure_id}"


def person_to_erase(erasure_id: str) -> str:
    """Whom an erasure is about, as long as it is at work."""
    return f"{PEOPLE_TO_ERASE}{erasure_id}.json"


def progress(run_id: str, batch: int) -> str:
    return f"{staging(run_id)}progress/{batch:05d}.json"
