"""The rejects file of a run: who was not planned, and who was sent and not taken. Columns as in `verdicts.SCHEMA`."""

from collections.abc import Mapping
from pathlib import Path

from exporters.model.batch import Tally
from exporters.model.reject import Place, ReasonCount, RejectKind, RejectReason
from exporters.planning.database import literal
from exporters.planning.delivered import verdict_tables

# the rejects of the plan, contacts, undelivered -> the final file: the plan's in their order, then by batch and row
WRITE_REJECTS = """COPY (
    SELECT kind, reason, "column", value, email, segment, part, line, words FROM (
        SELECT *, -1 AS batch, file_row_number AS row
        FROM read_parquet({planned}, file_row_number = true)
        UNION ALL BY NAME
        SELECT kind, kind AS reason, '' AS "column", '' AS value, email, segment, part, line, words, batch, row
        FROM contacts JOIN undelivered USING (batch, row))
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
    work: Path,
    memory_mb: int,
    threads: int,
) -> tuple[ReasonCount, ...]:
    """Write the final rejects: those of the plan, then refused and unknown rows with the provider's words.

    `planned` and `contacts` are the files of the plan; `verdicts` has the tally of each batch that ended. Repeatable.
    Answers how often each sentence of the provider stands among those rows.
    """
    with verdict_tables(contacts, verdicts, work=work, memory_mb=memory_mb, threads=threads) as database:
        database.execute(WRITE_REJECTS.format(planned=literal(str(planned)), path=literal(str(target))))
        rows = database.execute(COUNT_VERDICTS.format(path=literal(str(target)), most=MOST_WORDS)).fetchall()
    return tuple(_reason(*row) for row in rows)


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
