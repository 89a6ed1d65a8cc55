"""The ledger: who is known to be delivered, and in what form. A Parquet file: email, fingerprint; sorted by email."""

from collections.abc import Mapping
from pathlib import Path

from exporters.model.batch import Tally
from exporters.planning.database import literal
from exporters.planning.delivered import verdict_tables

# previous: the ledger that was in force.
CREATE_PREVIOUS = "CREATE VIEW previous AS SELECT email, fingerprint FROM read_parquet({path})"
CREATE_PREVIOUS_EMPTY = "CREATE TABLE previous (email VARCHAR, fingerprint UBIGINT)"

# contacts, undelivered, previous -> the new ledger. Someone without a verdict may have been changed at the provider or
# not: the old entry stays, so that the person is not forgotten, but matches nothing, so that the person is sent again.
WRITE_LEDGER = """COPY (
    WITH
        taken AS (SELECT email, fingerprint FROM contacts ANTI JOIN undelivered USING (batch, row)),
        unsure AS (SELECT email FROM contacts JOIN undelivered USING (batch, row) WHERE kind = 'unknown')
    SELECT email, fingerprint FROM taken
    UNION ALL
    SELECT email, CASE WHEN unsure.email IS NULL THEN fingerprint END
    FROM previous LEFT JOIN unsure USING (email) ANTI JOIN taken USING (email)
    ORDER BY email
) TO {path} (FORMAT parquet)"""


def merge_ledger(
    previous: Path | None,
    contacts: Path,
    verdicts: Mapping[int, Tally],
    target: Path,
    *,
    work: Path,
    memory_mb: int,
    threads: int,
) -> None:
    """Write the ledger after a run: the previous one, overlaid with the contacts that were delivered.

    `contacts` is the file of the plan; `verdicts` has the tally of each batch that ended. People who are not in this
    run keep their entry, refused ones too. The same inputs give the same entries, so a repeated finish does no harm.
    """
    with verdict_tables(contacts, verdicts, work=work, memory_mb=memory_mb, threads=threads) as database:
        database.execute(
            CREATE_PREVIOUS_EMPTY if previous is None else CREATE_PREVIOUS.format(path=literal(str(previous)))
        )
        database.execute(WRITE_LEDGER.format(path=literal(str(target))))
