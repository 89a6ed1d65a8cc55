"""Who is planned: one contact for each address, the first one, and only those that the ledger does not know so."""

from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from exporters.model.reject import RejectReason
from exporters.planning.addresses import judge
from exporters.planning.batches import Slice
from exporters.planning.database import literal

# known: the ledger, an older one without sources too. suppressed: whom the provider mails nothing.
CREATE_NOBODY = """CREATE TABLE nobody_known (email VARCHAR, fingerprint UBIGINT, source UBIGINT);
    CREATE TABLE nobody_suppressed (email VARCHAR, kind VARCHAR, since VARCHAR);
    CREATE VIEW known AS FROM nobody_known;
    CREATE VIEW suppressed AS FROM nobody_suppressed"""
REPLACE_KNOWN = "CREATE OR REPLACE VIEW known AS FROM nobody_known UNION ALL BY NAME FROM read_parquet({path})"
REPLACE_SUPPRESSED = """CREATE OR REPLACE VIEW suppressed AS
    SELECT email, kind, since::VARCHAR AS since FROM read_parquet({path})"""

# barred: profiles that cannot stand for their address: it is a placeholder by the export's word, or the contact alone
# is more than a request may hold.
CREATE_BARRED = "CREATE TABLE barred (id BIGINT, reason VARCHAR)"
INSERT_EXCLUDED = f"""INSERT INTO barred
    SELECT rowid, '{RejectReason.EMAIL_EXCLUDED}' FROM profiles
    WHERE email IN (SELECT unnest($addresses)) OR split_part(email, '@', -1) IN (SELECT unnest($domains))"""
INSERT_TOO_LARGE = f"""INSERT INTO barred
    SELECT id, '{RejectReason.CONTACT_TOO_LARGE}'
    FROM (SELECT id FROM contacts WHERE bytes > {{max_bytes}}) SEMI JOIN wanted USING (id)"""

# others: profiles that stand for nobody, to be explained in the rejects file: of no address, barred, or of an address
# that an earlier profile stands for. Addresses are grouped by digest first, as few of them come twice.
CREATE_OTHERS = """CREATE OR REPLACE TABLE others AS
    WITH
        able AS (SELECT rowid AS id, email FROM profiles
            WHERE email IS NOT NULL AND rowid NOT IN (SELECT id FROM barred)),
        repeated AS (SELECT hash(email) AS digest FROM able GROUP BY digest HAVING count(*) > 1),
        suspects AS (SELECT * FROM able WHERE hash(email) IN (SELECT digest FROM repeated))
    SELECT id FROM suspects WHERE id NOT IN (SELECT min(id) FROM suspects GROUP BY email)
    UNION ALL SELECT rowid FROM profiles WHERE email IS NULL
    UNION ALL SELECT id FROM barred"""
COUNT_OTHERS = "SELECT (SELECT count(*) FROM others), (SELECT count(*) FROM profiles)"
#: With more of them than one in so many, flagging takes more memory than sorting.
FEW_OTHERS = 8
# A flag keeps the order of profiles, which a join might not.
FLAG_OTHERS = "UPDATE profiles SET is_first = false FROM others WHERE profiles.rowid = others.id"

# compared: the first profile of each address, beside what the provider and the ledger say of it.
CREATE_COMPARED = """CREATE OR REPLACE TABLE compared AS
    SELECT profiles.rowid AS id, profiles.email, profiles.source, suppressed.kind AS withheld, suppressed.since,
        known.email IS NOT NULL AS is_known, known.fingerprint AS was,
        coalesce(known.source = profiles.source, false) AS is_same
    FROM profiles LEFT JOIN suppressed USING (email) LEFT JOIN known USING (email)
    WHERE profiles.rowid NOT IN (SELECT id FROM others)"""
# The same where nothing is said of anybody.
COMPARED_WITH_NOBODY = """CREATE OR REPLACE VIEW compared AS
    SELECT rowid AS id, email, source, NULL::VARCHAR AS withheld, NULL::VARCHAR AS since, false AS is_known,
        NULL::UBIGINT AS was, false AS is_same
    FROM profiles WHERE rowid NOT IN (SELECT id FROM others)"""

# wanted: people whose contact has to be looked at. same: people whose contact is as the ledger knows it, by the source.
CREATE_WANTED = """
    CREATE OR REPLACE VIEW wanted AS FROM compared WHERE withheld IS NULL AND ({full} OR NOT is_same);
    CREATE OR REPLACE VIEW same AS FROM compared WHERE withheld IS NULL AND NOT {full} AND is_same"""

# Contacts are written for all profiles of the addresses of wanted and others.
CREATE_WANTED_EMAILS = """CREATE OR REPLACE TABLE wanted_emails AS
    SELECT email FROM wanted UNION SELECT email FROM profiles WHERE rowid IN (SELECT id FROM others)"""

# contacts: every profile of which a contact was written; `place` is where it stands in the view `written`.
CREATE_CONTACTS = """CREATE VIEW written AS SELECT rowid AS place, contact, fingerprint FROM profiles;
    CREATE VIEW contacts AS SELECT rowid AS id, rowid AS place, part, line, address, email, source,
        contact, bytes, fingerprint, omitted
    FROM profiles"""
CREATE_CONTACTS_MADE = """CREATE VIEW written AS SELECT rowid AS place, contact, fingerprint FROM made;
    CREATE VIEW contacts AS SELECT profiles.rowid AS id, made.rowid AS place, part, line, address, profiles.email,
        profiles.source, made.contact, made.bytes, made.fingerprint, made.omitted
    FROM profiles JOIN made
        ON profiles.source = made.source AND profiles.email IS NOT DISTINCT FROM made.email"""

# renewed: wanted people whose contact is as the ledger knows it, though their source is not.
CREATE_RENEWED = """CREATE TABLE renewed AS
    SELECT wanted.email, wanted.source FROM contacts JOIN wanted USING (id) WHERE NOT {full} AND was = fingerprint"""
# planned: wanted people whose contact the ledger does not know in just this form, in the order of sending.
CREATE_PLANNED = """CREATE TABLE planned AS
    SELECT id, place, bytes, is_known FROM contacts JOIN wanted USING (id)
    WHERE {full} OR was IS DISTINCT FROM fingerprint
    ORDER BY id"""
# The same where everyone is planned: nothing has to be copied.
EVERYONE_PLANNED = """CREATE VIEW planned AS
    SELECT rowid AS id, rowid AS place, bytes, false AS is_known FROM profiles WHERE is_first"""

WRITE_RENEWED = "COPY renewed TO {path} (FORMAT parquet)"

WRITE_WITHHELD = """COPY (
    SELECT compared.email, withheld AS kind, since, parts.segment, parts.name AS part,
        coalesce(profiles.line, compared.id - parts.first_id + parts.first_line) AS line
    FROM compared JOIN profiles ON profiles.rowid = compared.id JOIN parts USING (part)
    WHERE withheld IS NOT NULL ORDER BY compared.id
) TO {path} (FORMAT parquet)"""

# leavers: people of the ledger whose address no profile has, not even one that is not sent.
CREATE_LEAVERS = """CREATE TABLE leavers AS
    SELECT email FROM known ANTI JOIN (SELECT email FROM profiles WHERE email IS NOT NULL) USING (email)"""
# Nobody can have left when everyone known was found: then nothing has to be joined.
CREATE_NO_LEAVERS = "CREATE TABLE leavers (email VARCHAR)"
COUNT_MISSING = "SELECT (SELECT count(*) FROM known) - (SELECT count(*) FROM compared WHERE is_known)"
WRITE_LEAVERS = "COPY (SELECT email FROM leavers ORDER BY email) TO {path} (FORMAT parquet)"

CREATE_BATCHES = "CREATE TABLE batches AS SELECT unnest($numbers) AS number, unnest($sizes) AS contacts"

# planned, batches -> the file of planned contacts. The positional join pairs the rows of all batches with the contacts,
# both in the order of sending. Parts come in as lists: few, and known before.
WRITE_CONTACTS = """COPY (
    SELECT batch, row, email, written.fingerprint, source,
        $segments[part + 1] AS segment, $names[part + 1] AS part,
        coalesce(line, id - $first_ids[part + 1] + $first_lines[part + 1]) AS line
    FROM (
        SELECT batch, row, id, place
        FROM (SELECT number AS batch, unnest(range(contacts)) AS row FROM batches) POSITIONAL JOIN planned)
    JOIN profiles ON profiles.rowid = id JOIN written USING (place)
) TO {path} (FORMAT parquet)"""
# The same where everyone is planned: no join is needed.
WRITE_EVERYONE = """COPY (
    SELECT batch, row, email, fingerprint, source, $segments[part + 1] AS segment, $names[part + 1] AS part,
        coalesce(line, id - $first_ids[part + 1] + $first_lines[part + 1]) AS line
    FROM (SELECT number AS batch, unnest(range(contacts)) AS row FROM batches)
        POSITIONAL JOIN (SELECT rowid AS id, * FROM profiles WHERE is_first)
) TO {path} (FORMAT parquet)"""

PART_LISTS = ("segments", "names", "first_ids", "first_lines")
PARTS = """SELECT list(segment ORDER BY part), list(name ORDER BY part), list(first_id ORDER BY part),
    list(first_line ORDER BY part) FROM parts"""


def compare(
    database: duckdb.DuckDBPyConnection,
    *,
    ledger: Path | None,
    suppressed: Path | None,
    exclude: Sequence[str],
    full: bool,
    max_bytes: int,
    make_contacts: Callable[[], None] | None,
) -> bool:
    """From `profiles` to `compared`, `wanted`, `same`, `others`, `barred`, `renewed` and `planned`.

    `make_contacts` fills `made` for the table `wanted_emails`; None where `profiles` has the contacts. Answers whether
    everyone who stands for an address is planned, which saves copies.
    """
    database.execute(CREATE_NOBODY)
    if ledger is not None:
        database.execute(REPLACE_KNOWN.format(path=literal(str(ledger))))
    if suppressed is not None:
        database.execute(REPLACE_SUPPRESSED.format(path=literal(str(suppressed))))
    database.execute(CREATE_BARRED)
    if exclude:
        # In the form in which addresses are compared, with domains in ASCII.
        addresses = [judge(entry) or entry for entry in exclude if not entry.startswith("@")]
        domains = [(judge(f"a{entry}") or entry).rpartition("@")[2] for entry in exclude if entry.startswith("@")]
        database.execute(INSERT_EXCLUDED, {"addresses": addresses, "domains": domains})
    database.execute(CREATE_CONTACTS if make_contacts is None else CREATE_CONTACTS_MADE)
    alone = ledger is None and suppressed is None
    while True:
        database.execute(CREATE_OTHERS)
        database.execute(COMPARED_WITH_NOBODY if alone else CREATE_COMPARED)
        database.execute(CREATE_WANTED.format(full=full))
        if make_contacts is not None:
            (wanted,) = database.execute(CREATE_WANTED_EMAILS).fetchone() or (0,)
            if wanted:  # otherwise nothing has changed, and the parts need not be read again
                make_contacts()
        (found,) = database.execute(INSERT_TOO_LARGE.format(max_bytes=max_bytes)).fetchone() or (0,)
        if not found:
            break  # nearly always at once; otherwise the next profile of the address takes its turn
    others, profiles = database.execute(COUNT_OTHERS).fetchone() or (0, 0)
    everyone = alone and others * FEW_OTHERS <= profiles
    if everyone:
        database.execute(FLAG_OTHERS)
    database.execute(CREATE_RENEWED.format(full=full or alone))
    database.execute(EVERYONE_PLANNED if everyone else CREATE_PLANNED.format(full=full))
    return everyone


def write_contacts(
    database: duckdb.DuckDBPyConnection, slices: Sequence[Slice], target: Path, *, everyone: bool
) -> None:
    """Write down which contact is which row of which batch, and where it came from; in any order."""
    sizes = {"numbers": list(range(len(slices))), "sizes": [batch.contacts for batch in slices]}
    database.execute(CREATE_BATCHES, sizes)
    lists = database.execute(PARTS).fetchall()[0]
    parts = {name: found or [] for name, found in zip(PART_LISTS, lists, strict=True)}
    statement = WRITE_EVERYONE if everyone else WRITE_CONTACTS
    database.execute(statement.format(path=literal(str(target))), parts)


def write_others(database: duckdb.DuckDBPyConnection, *, renewed: Path, withheld: Path, leavers: Path) -> None:
    """Write down who needs no request now: renewed, withheld, and who has left, also as the table `leavers`."""
    (missing,) = database.execute(COUNT_MISSING).fetchone() or (0,)
    database.execute(CREATE_LEAVERS if missing else CREATE_NO_LEAVERS)
    for statement, target in ((WRITE_RENEWED, renewed), (WRITE_WITHHELD, withheld), (WRITE_LEAVERS, leavers)):
        database.execute(statement.format(path=literal(str(target))))
