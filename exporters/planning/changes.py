"""Who is planned: one contact for each address, the first one, and only those that the ledger does not know so."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from exporters.model.fields import ContactShape
from exporters.planning.batches import Slice
from exporters.planning.database import literal
from exporters.planning.values import contact_json


def create_settled(shape: ContactShape) -> str:
    """SQL: profiles whose address email-validator took, written as contacts."""
    return f"""CREATE TABLE settled AS
        SELECT id, part, line, email, contact, strlen(contact)::UINTEGER AS bytes,
            md5_number_lower(contact) AS fingerprint
        FROM (
            SELECT profiles.rowid AS id, part, line, judged.email AS email,
                {contact_json(shape, "judged.email", "contact")} AS contact
            FROM profiles JOIN judged USING (address)
            WHERE profiles.email IS NULL AND judged.email IS NOT NULL)
        ORDER BY id"""


# contacts: every profile with a valid address, as it would be sent.
CREATE_CONTACTS = """CREATE VIEW contacts AS
    SELECT rowid AS id, part, line, email, contact, bytes, fingerprint FROM profiles WHERE email IS NOT NULL
    UNION ALL SELECT id, part, line, email, contact, bytes, fingerprint FROM settled"""

# too_large: contacts that fill more than a request alone.
CREATE_TOO_LARGE = "CREATE TABLE too_large AS SELECT id FROM contacts WHERE bytes > {max_bytes}"

# winners: the first contact of each address that fits into a request.
CREATE_WINNERS = """CREATE TABLE winners AS
    SELECT min(id) AS id FROM contacts WHERE bytes <= {max_bytes} GROUP BY email"""

# known: what the ledger says was delivered.
CREATE_KNOWN = """CREATE VIEW known AS SELECT email, fingerprint FROM read_parquet({path})"""
CREATE_KNOWN_EMPTY = "CREATE TABLE known (email VARCHAR, fingerprint UBIGINT)"

# planned: winners that the ledger does not know in just this form. Its rowid is the order of sending; `past` counts
# the bytes of all contacts so far, with a comma after each.
CREATE_PLANNED = """CREATE TABLE planned AS
    SELECT id, part, line, email, fingerprint,
        sum(bytes + 1) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING)::BIGINT AS past
    FROM contacts SEMI JOIN winners USING (id) ANTI JOIN known USING (email, fingerprint)
    ORDER BY id"""

CREATE_BATCHES = "CREATE TABLE batches AS SELECT unnest($numbers) AS number, unnest($sizes) AS contacts"

# planned, batches -> the file of planned contacts. The positional join pairs the rows of all batches with the contacts,
# both in the order of sending. Parts come in as lists: a join with their table would give up that order.
WRITE_CONTACTS = """COPY (
    SELECT batch, row, email, fingerprint, $segments[part + 1] AS segment, $names[part + 1] AS part,
        coalesce(line, id - $first_ids[part + 1] + $first_lines[part + 1]) AS line
    FROM (SELECT number AS batch, unnest(range(contacts)) AS row FROM batches) POSITIONAL JOIN planned
) TO {path} (FORMAT parquet)"""

PART_LISTS = ("segments", "names", "first_ids", "first_lines")
PARTS = """SELECT list(segment ORDER BY part), list(name ORDER BY part), list(first_id ORDER BY part),
    list(first_line ORDER BY part) FROM parts"""


def compare(database: duckdb.DuckDBPyConnection, shape: ContactShape, *, ledger: Path | None, max_bytes: int) -> None:
    """From `profiles` and `judged` to the table `planned`."""
    database.execute(create_settled(shape))
    database.execute(CREATE_CONTACTS)
    database.execute(CREATE_TOO_LARGE.format(max_bytes=max_bytes))
    database.execute(CREATE_WINNERS.format(max_bytes=max_bytes))
    database.execute(CREATE_KNOWN_EMPTY if ledger is None else CREATE_KNOWN.format(path=literal(str(ledger))))
    database.execute(CREATE_PLANNED)


def write_contacts(database: duckdb.DuckDBPyConnection, slices: Sequence[Slice], target: Path) -> None:
    """Write down which contact is which row of which batch, and where it came from."""
    sizes = {"numbers": list(range(len(slices))), "sizes": [batch.contacts for batch in slices]}
    database.execute(CREATE_BATCHES, sizes)
    lists = database.execute(PARTS).fetchall()[0]
    parts = {name: found or [] for name, found in zip(PART_LISTS, lists, strict=True)}
    database.execute(WRITE_CONTACTS.format(path=literal(str(target))), parts)
