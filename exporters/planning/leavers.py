"""People who are to leave the list: their ids, their batches, and after the removals who has left it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

from exporters.model.batch import Tally
from exporters.planning.database import literal, open_database
from exporters.planning.delivered import verdict_tables
from exporters.planning.members import ANSWER
from exporters.providers.base import Member

CREATE_LEAVERS = "CREATE TABLE leavers AS SELECT email FROM read_parquet({leavers})"
CREATE_MEMBERS = "CREATE TABLE members (email VARCHAR, id VARCHAR)"
# one answer, leavers -> members, as far as they are leavers
INSERT_ANSWER = f"INSERT INTO members SELECT email, id FROM {ANSWER} SEMI JOIN leavers USING (email)"
# leavers, members -> the leavers, those with an id first
WRITE_FOUND = """COPY (
    SELECT email, coalesce(id, '') AS id FROM leavers LEFT JOIN (
        SELECT email, min(id) AS id FROM members WHERE id <> '' GROUP BY email
    ) AS found USING (email) ORDER BY found.id IS NULL, email
) TO {path} (FORMAT parquet)"""
COUNT_FOUND = "SELECT count(*) FILTER (id <> '') FROM read_parquet($path)"

READ_LEAVERS = "SELECT * FROM read_parquet($path)"
CREATE_FIRSTS = "CREATE TABLE firsts AS SELECT unnest($batches) AS batch, unnest($firsts) AS first"
# leavers, firsts -> their batches and rows, as `read_batches` makes them
WRITE_NUMBERED = """COPY (
    SELECT batch, file_row_number - first AS row, email
    FROM read_parquet({leavers}, file_row_number = true) ASOF JOIN firsts ON file_row_number >= first
) TO {path} (FORMAT parquet)"""
# contacts (the numbered leavers), undelivered -> those who are off the list, and those of whom that is not known
WRITE_GONE = """COPY (
    SELECT email FROM contacts ANTI JOIN undelivered USING (batch, row) ORDER BY email
) TO {path} (FORMAT parquet)"""
WRITE_UNSURE = """COPY (
    SELECT email FROM contacts JOIN undelivered USING (batch, row) WHERE kind = 'unknown' ORDER BY email
) TO {path} (FORMAT parquet)"""


def find_ids(leavers: Path, answers: Iterable[Path], target: Path, *, work: Path, memory_mb: int, threads: int) -> int:
    """Write the leavers anew, with the ids that stored answers about the people on the list have of them.

    Parquet: email, id; those with an id first, then those without, whose id is empty. Answers how many have one. The
    same inputs give the same file.
    """
    with open_database(work, memory_mb=memory_mb, threads=threads) as database:
        database.execute(CREATE_LEAVERS.format(leavers=literal(str(leavers))))
        database.execute(CREATE_MEMBERS)
        for answer in answers:
            database.execute(INSERT_ANSWER, {"path": str(answer)})
        database.execute(WRITE_FOUND.format(path=literal(str(target))))
        (with_id,) = database.execute(COUNT_FOUND, {"path": str(target)}).fetchone() or (0,)
        return int(with_id)


def read_batches(
    leavers: Path, sizes: Sequence[int], *, work: Path, memory_mb: int, threads: int
) -> Iterator[list[Member]]:
    """The people of the file in its order, cut into batches of these sizes."""
    with open_database(work, memory_mb=memory_mb, threads=threads) as database:
        rows = database.execute(READ_LEAVERS, {"path": str(leavers)})
        for size in sizes:
            yield [Member(email=email, id="".join(ids)) for email, *ids in rows.fetchmany(size)]


def write_gone(
    leavers: Path,
    sizes: Sequence[int],
    verdicts: Mapping[int, Tally],
    *,
    gone: Path,
    unsure: Path,
    work: Path,
    memory_mb: int,
    threads: int,
) -> None:
    """Write who is off the list (removed, or not on it) and of whom that is not known; the refused are in neither.

    `sizes` are those of all batches; `verdicts` has the tally of each that ended, by number from 0. Parquet: email.
    """
    firsts = list(accumulate(sizes, initial=0))[: len(sizes)]
    numbered = work / "numbered-leavers.parquet"
    with (
        TemporaryDirectory(dir=work) as folder,
        open_database(Path(folder), memory_mb=memory_mb, threads=threads) as database,
    ):
        database.execute(CREATE_FIRSTS, {"batches": list(range(len(sizes))), "firsts": firsts})
        database.execute(WRITE_NUMBERED.format(leavers=literal(str(leavers)), path=literal(str(numbered))))
    with verdict_tables(numbered, verdicts, work=work, memory_mb=memory_mb, threads=threads) as database:
        database.execute(WRITE_GONE.format(path=literal(str(gone))))
        database.execute(WRITE_UNSURE.format(path=literal(str(unsure))))
