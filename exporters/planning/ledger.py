"""The ledger: who is known to be delivered, and in what form. A Parquet file: email, fingerprint, source; sorted by
email.

A fingerprint is of the contact as the provider got it, a source of what the segment said of the person; each is a
UBIGINT, or NULL where nothing is known that could be compared. Ledgers of older versions have no source.
"""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from exporters.model.batch import Tally
from exporters.planning.database import literal
from exporters.planning.delivered import verdict_tables

# previous, renewed, gone, unsure: empty, in case that nothing is given for them.
CREATE_EMPTY = """
    CREATE TABLE no_ledger (email VARCHAR, fingerprint UBIGINT, source UBIGINT);
    CREATE VIEW previous AS FROM no_ledger;
    CREATE VIEW renewed AS SELECT email, source FROM no_ledger;
    CREATE VIEW gone AS SELECT email FROM no_ledger;
    CREATE VIEW unsure AS SELECT email FROM no_ledger"""
# previous: the ledger that was in force; a column that it does not have yet is NULL.
REPLACE_PREVIOUS = "CREATE OR REPLACE VIEW previous AS FROM no_ledger UNION ALL BY NAME FROM read_parquet({path})"
REPLACE_RENEWED = "CREATE OR REPLACE VIEW renewed AS SELECT email, source FROM read_parquet({path})"
REPLACE_GONE = "CREATE OR REPLACE VIEW gone AS SELECT email FROM read_parquet({path})"
REPLACE_UNSURE = "CREATE OR REPLACE VIEW unsure AS SELECT email FROM read_parquet({path})"

# contacts, undelivered, previous, renewed, gone, unsure -> the new ledger. Someone without a verdict may have been put
# on the list or changed there, or not: there is an entry, so that the person is not forgotten, but it matches nothing,
# so that the person is sent again. So is whoever was to be sent whatever the ledger says and was refused: compared with
# the former entry nobody would come back to that. Someone renewed is not among the contacts; who is all the same keeps
# to the verdict.
WRITE_LEDGER = """COPY (
    WITH
        taken AS (SELECT email, fingerprint, source FROM contacts ANTI JOIN undelivered USING (batch, row)),
        doubtful AS (
            SELECT email FROM contacts JOIN undelivered USING (batch, row) WHERE kind = 'unknown'
            UNION SELECT email FROM unsure
            UNION SELECT email FROM contacts JOIN undelivered USING (batch, row) SEMI JOIN previous USING (email)
                WHERE {everyone}
            UNION SELECT email FROM previous WHERE {doubtful}),
        same AS (SELECT email, source, true AS renewed FROM renewed ANTI JOIN contacts USING (email))
    SELECT email, fingerprint, source FROM taken
    UNION ALL
    SELECT
        email,
        CASE WHEN doubtful.email IS NULL THEN fingerprint END,
        CASE WHEN doubtful.email IS NULL THEN CASE WHEN same.renewed THEN same.source ELSE previous.source END END
    FROM previous LEFT JOIN doubtful USING (email) LEFT JOIN same USING (email)
        ANTI JOIN taken USING (email) ANTI JOIN gone USING (email)
    UNION ALL
    SELECT email, NULL, NULL FROM doubtful SEMI JOIN contacts USING (email)
        ANTI JOIN taken USING (email) ANTI JOIN previous USING (email)
    ORDER BY email
) TO {path} (FORMAT parquet)"""


def merge_ledger(
    previous: Path | None,
    contacts: Path,
    verdicts: Mapping[int, Tally],
    target: Path,
    *,
    renewed: Path | None = None,
    gone: Path | None = None,
    unsure: Path | None = None,
    everyone: bool = False,
    doubtful: bool = False,
    work: Path,
    memory_mb: int,
    threads: int,
) -> None:
    """Write the ledger after a run: the previous one, overlaid with the contacts that were delivered.

    `contacts` is the file of the plan; `verdicts` has the tally of each batch that ended. People who are not in this
    run keep their entry, refused ones too. Parquet files say what else is known: `renewed` (email, source) has people
    whose contact is as it was though the segment says something else of them; `gone` (email) those who are off the
    list, whose entry goes; `unsure` (email) those who may be off it, whose entry matches nothing from now on. With
    `everyone` the plan did not compare with the previous ledger, but sent everybody anew; with `doubtful` because that
    may be wrong about the form in which people are there: who was not taken now keeps an entry that matches nothing.
    The same inputs give the same entries, so a repeated finish does no harm.
    """
    with verdict_tables(contacts, verdicts, work=work, memory_mb=memory_mb, threads=threads) as database:
        database.execute(CREATE_EMPTY)
        _replace(database, REPLACE_PREVIOUS, previous)
        _replace(database, REPLACE_RENEWED, renewed)
        _replace(database, REPLACE_GONE, gone)
        _replace(database, REPLACE_UNSURE, unsure)
        database.execute(WRITE_LEDGER.format(path=literal(str(target)), everyone=everyone, doubtful=doubtful))


def _replace(database: duckdb.DuckDBPyConnection, statement: str, file: Path | None) -> None:
    if file is not None:
        database.execute(statement.format(path=literal(str(file))))
