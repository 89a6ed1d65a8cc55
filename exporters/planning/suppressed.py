"""Whom the provider has suppressed: its answers made one file for planning, and the file about those who were left out.

Answers are CSV: email in lower case, kind, and since when as ISO 8601 in UTC or nothing; without a header.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from exporters.planning.database import literal, open_database
from exporters.providers.base import Suppression, SuppressionKind

#: Which kind counts for an address that has several: what the person said before what became of the address, and a
#: blocklist that gives no reason last.
STRONGEST_FIRST: Sequence[SuppressionKind] = (
    SuppressionKind.UNSUBSCRIBED,
    SuppressionKind.SPAM_REPORT,
    SuppressionKind.BOUNCED,
    SuppressionKind.BLOCKED,
)

CREATE_ANSWERS = "CREATE TABLE answers (email VARCHAR, kind VARCHAR, since VARCHAR)"
# one answer -> answers
INSERT_ANSWER = """INSERT INTO answers FROM read_csv(
    $path, header = false, auto_detect = false, delim = ',', quote = '"',
    columns = {'email': 'VARCHAR', 'kind': 'VARCHAR', 'since': 'VARCHAR'})"""
# answers -> one row for each address, with the strongest kind and since when that has been so
WRITE_SUPPRESSED = """COPY (
    SELECT email, kind, since FROM answers
    QUALIFY row_number() OVER (PARTITION BY email ORDER BY list_position({kinds}, kind), since NULLS LAST) = 1
    ORDER BY email
) TO {path} (FORMAT parquet)"""

WITHHELD_HEADER = ("email", "reason", "since", "run")
READ_WITHHELD = "SELECT DISTINCT email, kind, coalesce(since, '') FROM read_parquet($path) ORDER BY email"
#: Rows of the file that are in memory at once.
ROWS_AT_ONCE = 10_000


def encode_answer(rows: Iterable[Suppression]) -> bytes:
    """One answer of the provider, as it is stored."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows((row.email, row.kind.value, _iso(row.since)) for row in rows)
    return text.getvalue().encode()


def merge_answers(answers: Iterable[Path], target: Path, *, work: Path, memory_mb: int, threads: int) -> None:
    """Write one Parquet file (email, kind, since; by email) from stored answers, each address once."""
    kinds = ", ".join(literal(kind) for kind in STRONGEST_FIRST)
    with open_database(work, memory_mb=memory_mb, threads=threads) as database:
        database.execute(CREATE_ANSWERS)
        for answer in answers:
            database.execute(INSERT_ANSWER, {"path": str(answer)})
        database.execute(WRITE_SUPPRESSED.format(kinds=f"[{kinds}]", path=literal(str(target))))


def write_withheld(withheld: Path, target: Path, *, run_id: str, work: Path, memory_mb: int, threads: int) -> None:
    """Write who was left out as CSV for other systems to read: UTF-8, with a header, as RFC 4180 has it.

    Values stand as they are, and are not made harmless for spreadsheets: no person is meant to open the file in one.
    https://www.rfc-editor.org/rfc/rfc4180
    """
    with (
        open_database(work, memory_mb=memory_mb, threads=threads) as database,
        target.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(WITHHELD_HEADER)
        rows = database.execute(READ_WITHHELD, {"path": str(withheld)})
        while some := rows.fetchmany(ROWS_AT_ONCE):
            writer.writerows((*row, run_id) for row in some)


def _iso(since: datetime | None) -> str:
    return "" if since is None else since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
