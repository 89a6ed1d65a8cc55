"""Everyone who is not planned, and why; and the sums of it."""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from exporters.model.fields import ContactShape
from exporters.model.reject import REASONS, Place, ReasonCount, RejectKind, RejectReason
from exporters.model.run import PlanCounts
from exporters.planning.addresses import MAX_ADDRESS_CHARS
from exporters.planning.database import literal
from exporters.planning.values import REASON_OF_TYPE

#: The columns of a rejects file. `column`, `value`, `email` and `words` are empty where there is nothing to say;
#: `contact` is the JSON object of the contact, with the address as it came where that is no address.
SCHEMA = """kind VARCHAR, reason VARCHAR, "column" VARCHAR, value VARCHAR, email VARCHAR,
    segment VARCHAR, part VARCHAR, line BIGINT, words VARCHAR, contact VARCHAR"""

#: Characters of a rejected value that are kept. Nobody needs a novel to find its line.
KEPT_CHARS = 500

# rejects_found: as SCHEMA, with numbers for places and columns. `line` is NULL where `id`, the profile, tells it.
CREATE_FOUND = """CREATE TABLE rejects_found (
    reason VARCHAR, field INTEGER, value VARCHAR, email VARCHAR, id BIGINT, part INTEGER, line BIGINT,
    contact VARCHAR)"""

#: Number of the e-mail column beside the fields, which count from 0; NO_FIELD stands for the whole line.
EMAIL_FIELD, NO_FIELD = -1, -2

BROKEN_LINES = f"INSERT INTO rejects_found SELECT reason, {NO_FIELD}, '', '', NULL, part, line, NULL FROM broken"

# profiles that stand for nobody: of no address, barred, or of an address that an earlier profile has
OTHERS = f"""INSERT INTO rejects_found
    SELECT
        CASE
            WHEN email IS NULL AND address IS NULL THEN '{RejectReason.EMAIL_MISSING}'
            WHEN length(address) > {MAX_ADDRESS_CHARS} THEN '{RejectReason.EMAIL_TOO_LONG}'
            WHEN email IS NULL THEN '{RejectReason.EMAIL_MALFORMED}'
            ELSE coalesce(barred.reason, '{RejectReason.DUPLICATE}') END AS reason,
        CASE WHEN barred.reason = '{RejectReason.CONTACT_TOO_LARGE}' THEN {NO_FIELD} ELSE {EMAIL_FIELD} END,
        CASE WHEN barred.reason = '{RejectReason.CONTACT_TOO_LARGE}' THEN '' ELSE coalesce(email, address, '') END,
        coalesce(email, ''), id, part, line,
        CASE WHEN barred.reason IS DISTINCT FROM '{RejectReason.CONTACT_TOO_LARGE}' THEN contact END
    FROM contacts SEMI JOIN others USING (id) LEFT JOIN barred USING (id)"""

# values left out of contacts that are sent; field -> reason comes in as $reasons
OMITTED_VALUES = f"""INSERT INTO rejects_found
    SELECT
        CASE WHEN $reasons[gone.field + 1] = '{RejectReason.NOT_A_DATE}' AND ambiguous_day(gone.value)
            THEN '{RejectReason.DATE_AMBIGUOUS}' ELSE $reasons[gone.field + 1] END,
        gone.field, gone.value, email, id, part, line, contact
    FROM (
        SELECT unnest(omitted) AS gone, email, id, part, line, contact
        FROM (SELECT * FROM contacts WHERE omitted IS NOT NULL) SEMI JOIN planned USING (id))"""

# kinds: reason -> the term of the sums that it counts for
CREATE_KINDS = "CREATE TABLE kinds AS SELECT unnest($reasons) AS reason, unnest($kinds) AS kind"

# rejects: in words, as SCHEMA. $columns is the e-mail column followed by the columns of the fields.
CREATE_REJECTS = f"""CREATE TABLE rejects AS
    SELECT kinds.kind, found.reason,
        CASE WHEN field = {NO_FIELD} THEN '' ELSE $columns[field + {1 - EMAIL_FIELD}] END AS "column",
        left(value, {KEPT_CHARS}) AS value, email, parts.segment, parts.name AS part,
        coalesce(found.line, found.id - parts.first_id + parts.first_line) AS line, '' AS words,
        found.contact
    FROM rejects_found AS found JOIN parts ON found.part = parts.part JOIN kinds ON found.reason = kinds.reason
    ORDER BY parts.part, line, field"""

WRITE_REJECTS = "COPY (SELECT * FROM rejects) TO {path} (FORMAT parquet)"

# The example is the first place in the order of the plan, which is the order of the table.
REASON_COUNTS = f"""
    SELECT kind, reason, "column", count(*), arg_min({{'segment': segment, 'part': part, 'line': line}}, rowid)
    FROM rejects GROUP BY ALL
    UNION ALL
    SELECT '{RejectKind.WITHHELD}', withheld, '', count(*), arg_min({{'segment': segment, 'part': name,
        'line': coalesce(line, compared.id - first_id + first_line)}}, compared.id)
    FROM compared JOIN profiles ON profiles.rowid = compared.id JOIN parts USING (part)
    WHERE withheld IS NOT NULL GROUP BY withheld
    ORDER BY 4 DESC, 1, 2, 3"""

COUNTS = f"""
    SELECT 'read', (SELECT count(*) FROM profiles) + (SELECT count(*) FROM broken)
    UNION ALL SELECT 'invalid', count(*) FROM rejects WHERE kind = '{RejectKind.INVALID}'
    UNION ALL SELECT 'duplicate', count(*) FROM rejects WHERE kind = '{RejectKind.DUPLICATE}'
    UNION ALL SELECT 'withheld', count(*) FROM compared WHERE withheld IS NOT NULL
    UNION ALL SELECT 'unchanged', (SELECT count(*) FROM same) + (SELECT count(*) FROM renewed)
    UNION ALL SELECT 'planned', count(*) FROM planned
    UNION ALL SELECT 'added', count(*) FROM planned WHERE NOT is_known
    UNION ALL SELECT 'changed', count(*) FROM planned WHERE is_known
    UNION ALL SELECT 'leavers', count(*) FROM leavers"""
OTHER_COUNTS = f"""
    SELECT 'known', count(*) FROM known
    UNION ALL SELECT 'renewed', count(*) FROM renewed
    UNION ALL SELECT 'omitted', count(*) FROM rejects WHERE kind = '{RejectKind.OMITTED}'"""

PROFILES_BY_SEGMENT = """SELECT segment, count(*)
    FROM (SELECT part FROM profiles UNION ALL SELECT part FROM broken) JOIN parts USING (part) GROUP BY segment"""


def collect(database: duckdb.DuckDBPyConnection, shape: ContactShape) -> None:
    """Fill the table `rejects` from the tables of the plan."""
    database.execute(CREATE_FOUND)
    for statement in (BROKEN_LINES, OTHERS):
        database.execute(statement)
    if shape.fields:
        reasons = [REASON_OF_TYPE[field.type].value for field in shape.fields]
        database.execute(OMITTED_VALUES, {"reasons": reasons})
    kinds = {"reasons": [reason.value for reason in REASONS], "kinds": [text.kind.value for text in REASONS.values()]}
    database.execute(CREATE_KINDS, kinds)
    columns = [field.source.label for field in (shape.email, *shape.fields)]
    database.execute(CREATE_REJECTS, {"columns": columns})


def write(database: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Write the rejects of the plan, in the order of parts and lines."""
    database.execute(WRITE_REJECTS.format(path=literal(str(target))))


def count(database: duckdb.DuckDBPyConnection) -> PlanCounts:
    """The first sum of promise 1, each term counted by itself."""
    return PlanCounts(**dict(database.execute(COUNTS).fetchall()))


def count_others(database: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
    """People in the ledger (`known`), `renewed` people, and `omitted` values."""
    return dict(database.execute(OTHER_COUNTS).fetchall())


def reasons(database: duckdb.DuckDBPyConnection) -> tuple[ReasonCount, ...]:
    """How often each reason occurred in each column, most frequent first, with the first place."""
    return tuple(
        ReasonCount(kind=kind, reason=reason, column=column, count=times, example=Place.model_validate(place))
        for kind, reason, column, times, place in database.execute(REASON_COUNTS).fetchall()
    )


def profiles_by_segment(database: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Profiles of each segment that has any."""
    return dict(database.execute(PROFILES_BY_SEGMENT).fetchall())
