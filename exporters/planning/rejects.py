"""The rejects file of a run: who was not planned, and who was sent and not taken. Columns as in `verdicts.SCHEMA`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb

from exporters.errors import StorageConflictError
from exporters.model.batch import Tally
from exporters.model.reject import Place, ReasonCount, RejectKind, RejectReason
from exporters.planning.database import literal
from exporters.planning.delivered import verdict_tables

#: The contacts of a batch as staged, one JSON object each; None when they are gone.
StagedLines = Callable[[int], Sequence[bytes] | None]

# refused: what was sent of the contacts that the provider refused.
CREATE_REFUSED = "CREATE TABLE refused (batch BIGINT, row BIGINT, contact VARCHAR)"
BATCHES_WITH_REFUSALS = f"SELECT DISTINCT batch FROM undelivered WHERE kind = '{RejectKind.REFUSED}' ORDER BY batch"
REFUSED_ROWS = f"SELECT row FROM undelivered WHERE kind = '{RejectKind.REFUSED}' AND batch = $batch ORDER BY row"
INSERT_REFUSED = "INSERT INTO refused SELECT $batch, unnest($rows::BIGINT[]), unnest($contacts::VARCHAR[])"

# the rejects of the plan, contacts, undelivered, refused -> the final file: the plan's in their order, then by batch
# and row
WRITE_REJECTS = """COPY (
    SELECT kind, reason, "column", value, email, segment, part, line, words, contact FROM (
        SELECT *, -1 AS batch, file_row_number AS row
        FROM read_parquet({planned}, file_row_number = true)
        UNION ALL BY NAME
        SELECT kind, kind AS reason, '' AS "column", '' AS value, email, segment, part, line, words, contact, batch, row
        FROM contacts JOIN undelivered USING (batch, row) LEFT JOIN refused USING (batch, row))
    ORDER BY batch, row
) TO {path} (FORMAT parquet)"""


# the final file -> how often the provider said what, most often first, with the place of the first one
COUNT_VERDICTS = """SELECT kind, words, count(*), min_by((segment, part, line), (segment, part, line))
    FROM read_parquet({path}) WHERE kind IN ('refused', 'unknown')
    GROUP BY kind, words ORDER BY count(*) DESC, kind, words LIMIT {most}"""
#: Different sentences of the provider that a run shows.
MOST_WORDS = 20


def write_rejects(
    planned: Path,
    contacts: Path,
    verdicts: Mapping[int, Tally],
    target: Path,
    *,
    staged_lines: StagedLines,
    work: Path,
    memory_mb: int,
    threads: int,
) -> tuple[ReasonCount, ...]:
    """Write the final rejects: those of the plan, then refused and unknown rows with the provider's words.

    `planned` and `contacts` are the files of the plan; `verdicts` has the tally of each batch that ended. Refused rows
    carry what was sent of them; `staged_lines` is asked for the batches that have any, one after the other. Repeatable
    while they are staged: once they are gone the run has ended, and so StorageConflictError is raised rather than a
    poorer file written. Answers how often each sentence of the provider stands among those rows.
    """
    with verdict_tables(contacts, verdicts, work=work, memory_mb=memory_mb, threads=threads) as database:
        _collect_refused(database, staged_lines)
        database.execute(WRITE_REJECTS.format(planned=literal(str(planned)), path=literal(str(target))))
        rows = database.execute(COUNT_VERDICTS.format(path=literal(str(target)), most=MOST_WORDS)).fetchall()
    return tuple(_reason(*row) for row in rows)


def _collect_refused(database: duckdb.DuckDBPyConnection, staged_lines: StagedLines) -> None:
    database.execute(CREATE_REFUSED)
    for (batch,) in database.execute(BATCHES_WITH_REFUSALS).fetchall():
        lines = staged_lines(batch)
        if lines is None:
            raise StorageConflictError(f"The batch {batch} is not staged any more: the run has ended")
        rows = [row for (row,) in database.execute(REFUSED_ROWS, {"batch": batch}).fetchall()]
        contacts = [lines[row].decode() for row in rows]
        database.execute(INSERT_REFUSED, {"batch": batch, "rows": rows, "contacts": contacts})


def _reason(kind: str, words: str, count: int, place: tuple[str, str, int]) -> ReasonCount:
    segment, part, line = place
    return ReasonCount(
        kind=RejectKind(kind),
        reason=RejectReason(kind),
        column="",
        count=count,
        example=Place(segment=segment, part=part, line=line),
        words=words,
    )
