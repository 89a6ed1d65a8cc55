"""People who are to leave the list: cut into batches, and after the removals who has left it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from exporters.model.batch import Tally
from exporters.planning.database import literal, open_database
from exporters.planning.delivered import verdict_tables

# leavers -> their batches and rows, as `read_batches` makes them
WRITE_NUMBERED = """COPY (
    SELECT file_row_number // {size} AS batch, file_row_number % {size} AS row, email
    FROM read_parquet({leavers}, file_row_number = true)
) TO {path} (FORMAT parquet)"""
# contacts (the numbered leavers), undelivered -> those who are off the list, and those of whom that is not known
WRITE_GONE = "COPY (SELECT email FROM contacts ANTI JOIN undelivered USING (batch, row)) TO {path} (FORMAT parquet)"
WRITE_UNSURE = """COPY (
    SELECT email FROM contacts JOIN undelivered USING (batch, row) WHERE kind = 'unknown'
) TO {path} (FORMAT parquet)"""


def read_batches(leavers: Path, size: int, *, work: Path, memory_mb: int, threads: int) -> Iterator[list[str]]:
    """The addresses of the file in its order, so many at a time."""
    with open_database(work, memory_mb=memory_mb, threads=threads) as database:
        rows = database.execute("SELECT email FROM read_parquet($path)", {"path": str(leavers)})
        while batch := rows.fetchmany(size):
            yield [email for (email,) in batch]


def write_gone(
    leavers: Path,
    size: int,
    verdicts: Mapping[int, Tally],
    *,
    gone: Path,
    unsure: Path,
    work: Path,
    memory_mb: int,
    threads: int,
) -> None:
    """Write who is off the list (removed, or not on it) and of whom that is not known; the refused are in neither.

    `size` is that of the batches; `verdicts` has the tally of each that ended, by number from 0. Parquet: email.
    """
    numbered = work / "numbered-leavers.parquet"
    with (
        TemporaryDirectory(dir=work) as folder,
        open_database(Path(folder), memory_mb=memory_mb, threads=threads) as database,
    ):
        database.execute(WRITE_NUMBERED.format(size=size, leavers=literal(str(leavers)), path=literal(str(numbered))))
    with verdict_tables(numbered, verdicts, work=work, memory_mb=memory_mb, threads=threads) as database:
        database.execute(WRITE_GONE.format(path=literal(str(gone))))
        database.execute(WRITE_UNSURE.format(path=literal(str(unsure))))
