"""The way back: from the people of the ledger in force to the people of an earlier one."""

from dataclasses import dataclass
from pathlib import Path

from exporters.model.fields import EMAIL_FIELD
from exporters.planning.database import literal, open_database

# now, then -> everyone who is in either, once
CREATE_BOTH = """CREATE TABLE both_ledgers AS
    SELECT email, ledger_then.email IS NULL AS leaves, ledger_now.email IS NULL AS comes_back,
        NOT coalesce(ledger_now.fingerprint = ledger_then.fingerprint, false) AS differs
    FROM (SELECT email, fingerprint FROM read_parquet({now})) AS ledger_now
        FULL JOIN (SELECT email, fingerprint FROM read_parquet({then})) AS ledger_then USING (email)"""
COUNT = """SELECT count(*) FILTER (comes_back), count(*) FILTER (leaves),
    count(*) FILTER (differs AND NOT comes_back AND NOT leaves), count(*) FILTER (NOT comes_back)
    FROM both_ledgers"""
# A header and quotes around everything, as our own reader of CSV takes it.
WRITE_PUT_BACK = f"""COPY (SELECT email AS {EMAIL_FIELD} FROM both_ledgers WHERE comes_back ORDER BY email)
    TO {{path}} (FORMAT csv, HEADER, FORCE_QUOTE *)"""
WRITE_LEAVERS = "COPY (SELECT email FROM both_ledgers WHERE leaves ORDER BY email) TO {path} (FORMAT parquet)"


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """How many people it concerns."""

    put_back: int  #: are in the earlier ledger alone
    leavers: int  #: are in the one in force alone
    changed_since: int  #: are in both, and were not delivered in the same form, or it is not known in which
    known: int  #: are in the one in force


def find_way_back(
    now: Path, then: Path, *, put_back: Path, leavers: Path, work: Path, memory_mb: int, threads: int
) -> WayBack:
    """Write who has to come back (CSV: email, a person a line below the header) and who has to leave (Parquet: email).

    `now` and `then` are ledgers. Both files are in the order of addresses; the same ledgers give the same files.
    """
    with open_database(work, memory_mb=memory_mb, threads=threads) as database:
        database.execute(CREATE_BOTH.format(now=literal(str(now)), then=literal(str(then))))
        database.execute(WRITE_PUT_BACK.format(path=literal(str(put_back))))
        database.execute(WRITE_LEAVERS.format(path=literal(str(leavers))))
        back, gone, changed, known = database.execute(COUNT).fetchone() or (0, 0, 0, 0)
        return WayBack(put_back=back, leavers=gone, changed_since=changed, known=known)
