"""The verdicts of a run's batches as a table, for the ledger and the rejects file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from exporters.model.batch import RowRange, Tally
from exporters.model.reject import RejectKind
from exporters.planning.database import literal, open_database

# contacts: the file of planned contacts.
CREATE_CONTACTS = "CREATE VIEW contacts AS SELECT * FROM read_parquet({path})"

CREATE_RANGES = "CREATE TABLE ranges (batch BIGINT, first BIGINT, past BIGINT, kind VARCHAR, words VARCHAR)"
INSERT_RANGES = """INSERT INTO ranges
    SELECT $batch, unnest($firsts), unnest($pasts), unnest($kinds), unnest($words)"""

# Batches without a verdict, for which nothing can be said.
INSERT_SILENT = f"""INSERT INTO ranges
    SELECT batch, 0, max(row) + 1, '{RejectKind.UNKNOWN}', '' FROM contacts
    WHERE NOT list_contains($batches::BIGINT[], batch) GROUP BY batch"""

# undelivered: every row that was refused or has no verdict, once. A refusal is the stronger word.
CREATE_UNDELIVERED = """CREATE TABLE undelivered AS
    SELECT batch, row, min(kind) AS kind, coalesce(min(words) FILTER (kind = 'refused'), '') AS words
    FROM (SELECT batch, unnest(range(first, past)) AS row, kind, words FROM ranges)
    GROUP BY batch, row"""


@contextmanager
def verdict_tables(
    contacts: Path, verdicts: Mapping[int, Tally], *, work: Path, memory_mb: int, threads: int
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the view `contacts` and the table `undelivered`; it is gone with the end of the block.

    `verdicts` has the tally of each batch that ended; the rows of all others are unknown.
    """
    with (
        TemporaryDirectory(dir=work) as folder,
        open_database(Path(folder), memory_mb=memory_mb, threads=threads) as database,
    ):
        database.execute(CREATE_CONTACTS.format(path=literal(str(contacts))))
        database.execute(CREATE_RANGES)
        for batch, tally in verdicts.items():
            if rows := list(_undelivered(tally)):
                _insert(database, batch, rows)
        database.execute(INSERT_SILENT, {"batches": list(verdicts)})
        database.execute(CREATE_UNDELIVERED)
        yield database


def _undelivered(tally: Tally) -> Iterator[tuple[RowRange, RejectKind, str]]:
    for row, words in tally.refused.items():
        yield (row, row + 1), RejectKind.REFUSED, words
    for rows, words in tally.refused_ranges:
        yield rows, RejectKind.REFUSED, words
    for rows in tally.unknown_ranges:
        yield rows, RejectKind.UNKNOWN, ""


def _insert(database: duckdb.DuckDBPyConnection, batch: int, rows: list[tuple[RowRange, RejectKind, str]]) -> None:
    database.execute(
        INSERT_RANGES,
        {
            "batch": batch,
            "firsts": [first for (first, _), _, _ in rows],
            "pasts": [past for (_, past), _, _ in rows],
            "kinds": [kind.value for _, kind, _ in rows],
            "words": [words for _, _, words in rows],
        },
    )
