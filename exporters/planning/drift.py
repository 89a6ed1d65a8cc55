"""Drift: the people on a list held against the ledger, the file about those who differ, and the ledger without them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from exporters.model.drift import DriftCounts, DriftKind
from exporters.planning.database import literal, open_database
from exporters.planning.members import ANSWER

CREATE_LISTED = "CREATE TABLE listed (email VARCHAR)"
# one answer -> listed
INSERT_ANSWER = f"INSERT INTO listed SELECT email FROM {ANSWER}"

# ledger, listed -> everyone who is in either, once
CREATE_COMPARED = """CREATE TABLE compared AS
    SELECT email, listed.email IS NOT NULL AS is_listed, known.email IS NOT NULL AS is_known,
        known.email IS NOT NULL AND fingerprint IS NULL AS is_unsure
    FROM (SELECT DISTINCT email FROM listed) AS listed
        FULL JOIN (SELECT email, fingerprint FROM read_parquet({ledger})) AS known USING (email)"""
COUNT = """SELECT
    count(*) FILTER (is_known) AS known,
    count(*) FILTER (is_listed) AS listed,
    count(*) FILTER (is_known AND is_listed AND NOT is_unsure) AS both,
    count(*) FILTER (is_known AND NOT is_listed AND NOT is_unsure) AS missing,
    count(*) FILTER (NOT is_known) AS strangers,
    count(*) FILTER (is_unsure) AS unsure
    FROM compared"""
# compared -> who differs: the missing, then the strangers, each in the order of addresses
WRITE_DRIFT = f"""COPY (
    SELECT email, CASE WHEN is_known THEN '{DriftKind.MISSING}' ELSE '{DriftKind.STRANGER}' END AS kind
    FROM compared WHERE NOT is_known OR (NOT is_listed AND NOT is_unsure)
    ORDER BY kind, email
) TO {{path}} (FORMAT parquet)"""

CREATE_NOBODY = "CREATE TABLE nobody_known (email VARCHAR, fingerprint UBIGINT, source UBIGINT)"
# ledger, drift -> the ledger; whoever is missing has an entry that matches nothing
WRITE_DOUBTED = f"""COPY (
    WITH
        known AS (FROM nobody_known UNION ALL BY NAME FROM read_parquet({{ledger}})),
        missing AS (SELECT email, true AS missed FROM read_parquet({{drift}}) WHERE kind = '{DriftKind.MISSING}')
    SELECT email, CASE WHEN missed IS NULL THEN fingerprint END AS fingerprint,
        CASE WHEN missed IS NULL THEN source END AS source
    FROM known LEFT JOIN missing USING (email) ORDER BY email
) TO {{path}} (FORMAT parquet)"""

#: Memory for data while a page is read.
PAGE_MEMORY_MB = 100
TOTALS = "SELECT kind, count(*) FROM read_parquet($path) GROUP BY kind"
PAGE = """SELECT email, kind FROM read_parquet($path) WHERE $kind IS NULL OR kind = $kind
    LIMIT $limit OFFSET $offset"""
#: Rows that are held as Python objects at once.
CHUNK = 500


def find_drift(
    ledger: Path, answers: Iterable[Path], target: Path, *, work: Path, memory_mb: int, threads: int
) -> DriftCounts:
    """Compare a ledger with the people on the list, from answers as `planning.members` has them, some perhaps twice.

    Writes who differs as Parquet: email, kind; missing people before strangers. The same inputs give the same file.
    """
    with open_database(work, memory_mb=memory_mb, threads=threads) as database:
        database.execute(CREATE_LISTED)
        for answer in answers:
            database.execute(INSERT_ANSWER, {"path": str(answer)})
        database.execute(CREATE_COMPARED.format(ledger=literal(str(ledger))))
        database.execute(WRITE_DRIFT.format(path=literal(str(target))))
        found = database.execute(COUNT)
        names = [column[0] for column in found.description or ()]
        return DriftCounts(**dict(zip(names, found.fetchone() or (), strict=True)))


def doubt_missing(ledger: Path, drift: Path, target: Path, *, work: Path, memory_mb: int, threads: int) -> None:
    """Write a ledger anew in which the missing people of a drift file count as not delivered."""
    with open_database(work, memory_mb=memory_mb, threads=threads) as database:
        database.execute(CREATE_NOBODY)
        database.execute(
            WRITE_DOUBTED.format(ledger=literal(str(ledger)), drift=literal(str(drift)), path=literal(str(target)))
        )


@dataclass(frozen=True, slots=True)
class DriftPage:
    """An opened drift file, of which one kind is wanted, or everyone."""

    database: duckdb.DuckDBPyConnection
    file: Path
    kind: DriftKind | None

    def totals(self) -> Mapping[DriftKind, int]:
        """People of each kind in the whole file."""
        found = dict(self.database.execute(TOTALS, {"path": str(self.file)}).fetchall())
        return {kind: found.get(kind.value, 0) for kind in DriftKind}

    def people(self, *, offset: int, limit: int) -> Iterator[tuple[str, DriftKind]]:
        """Address and kind of the wanted people, from number `offset` on, at most `limit`, in the order of the file."""
        wanted = {"path": str(self.file), "kind": self.kind, "limit": limit, "offset": offset}
        answer = self.database.execute(PAGE, wanted)
        while rows := answer.fetchmany(CHUNK):
            yield from ((email, DriftKind(kind)) for email, kind in rows)


@contextmanager
def open_drift(file: Path, *, kind: DriftKind | None, work: Path) -> Iterator[DriftPage]:
    """Open a drift file. `work` is an empty folder."""
    with open_database(work, memory_mb=PAGE_MEMORY_MB, threads=1) as database:
        yield DriftPage(database, file, kind)
