"""A page of a rejects file: people with what is wrong with each, in the order of the file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import duckdb

from exporters.model.reject import REASONS, RejectKind, RejectReason
from exporters.planning.database import literal, open_database

#: Memory for data while a page is read. The answer is a small part of the file, and what does not fit goes to disk.
MEMORY_MB = 100
#: Rows that are held as Python objects at once.
CHUNK = 500

# rejects: the file, each row with its number in it.
CREATE_REJECTS = """CREATE VIEW rejects AS
    SELECT *, file_row_number AS number FROM read_parquet({path}, file_row_number = true)"""

# entries: what makes a line of the page. Values left out of one contact belong together: who corrects one of them
# needs to see the others, for the person is sent as one.
CREATE_ENTRIES = f"""CREATE TABLE entries AS
    SELECT kind, [reason] AS reasons, number AS first, [number] AS numbers
    FROM rejects WHERE kind <> '{RejectKind.OMITTED}'
    UNION ALL
    SELECT kind, list(reason), min(number), list(number)
    FROM rejects WHERE kind = '{RejectKind.OMITTED}' GROUP BY kind, segment, part, line"""

TOTALS = "SELECT kind, count(*) FROM entries GROUP BY kind ORDER BY kind"
WANTED = "($kind IS NULL OR kind = $kind) AND ($reason IS NULL OR list_contains(reasons, $reason))"
COUNT = f"SELECT count(*) FROM entries WHERE {WANTED}"
PAGE = f"SELECT first, numbers FROM entries WHERE {WANTED} ORDER BY first LIMIT $limit OFFSET $offset"
# A scan alone is handed over as it goes: a join or a sort would hold all contacts of the page in memory.
ROWS = """SELECT number, kind, reason, "column", value, email, words, segment, part, line, contact
    FROM rejects WHERE number BETWEEN $first AND $last AND ($kind IS NULL OR kind = $kind)"""

#: A row of `ROWS`.
_Row = tuple[int, str, str, str, str, str, str, str, str, int, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a person."""

    reason: RejectReason
    column: str  #: at fault; empty where it is the whole line
    value: str  #: cut where it is very long


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One person, or one line that is nobody."""

    kind: RejectKind
    faults: tuple[Fault, ...]  #: several only where several values were left out
    email: str  #: empty where there is no valid one
    words: str  #: the provider's
    segment: str
    part: str
    line: int
    contact: str | None  #: JSON object of the contact, as it was or would be sent


@dataclass(frozen=True, slots=True)
class RejectsPage:
    """An opened rejects file, and what is wanted of it."""

    database: duckdb.DuckDBPyConnection
    kind: RejectKind | None
    reason: RejectReason | None

    def totals(self) -> Mapping[RejectKind, int]:
        """Entries of each kind in the whole file."""
        return {RejectKind(kind): count for kind, count in self.database.execute(TOTALS).fetchall()}

    def count(self) -> int:
        """Entries that are wanted, on all pages."""
        (count,) = self.database.execute(COUNT, self._wanted).fetchone() or (0,)
        return int(count)

    def entries(self, *, offset: int, limit: int) -> Iterator[Entry]:
        """The wanted entries, from number `offset` on, at most `limit`."""
        page = self.database.execute(PAGE, {**self._wanted, "offset": offset, "limit": limit}).fetchall()
        entry_of = {number: first for first, numbers in page for number in numbers}
        # Rows of one entry stand one below the other.
        for _, rows in groupby(self._rows(entry_of), lambda row: entry_of[row[0]]):
            yield _entry(list(rows))

    def _rows(self, wanted: Collection[int]) -> Iterator[_Row]:
        """The rows of these numbers, in the order of the file."""
        if not wanted:
            return
        kind = self.kind if self.reason is None else REASONS[self.reason].kind
        answer = self.database.execute(ROWS, {"first": min(wanted), "last": max(wanted), "kind": kind})
        while rows := answer.fetchmany(CHUNK):
            yield from (row for row in rows if row[0] in wanted)

    @property
    def _wanted(self) -> dict[str, object]:
        return {"kind": self.kind, "reason": self.reason}


@contextmanager
def open_rejects(
    file: Path, *, kind: RejectKind | None, reason: RejectReason | None, work: Path
) -> Iterator[RejectsPage]:
    """Open a rejects file, of which all of a kind, or all with a reason, are wanted. `work` is an empty folder."""
    with open_database(work, memory_mb=MEMORY_MB, threads=1) as database:
        database.execute(CREATE_REJECTS.format(path=literal(str(file))))
        database.execute(CREATE_ENTRIES)
        yield RejectsPage(database, kind, reason)


def _entry(rows: Sequence[_Row]) -> Entry:
    _, kind, _, _, _, email, words, segment, part, line, contact = rows[0]
    return Entry(
        kind=RejectKind(kind),
        faults=tuple(Fault(reason=RejectReason(row[2]), column=row[3], value=row[4]) for row in rows),
        email=email,
        words=words,
        segment=segment,
        part=part,
        line=line,
        contact=contact,
    )
