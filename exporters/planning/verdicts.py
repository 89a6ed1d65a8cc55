"""Everyone who is not planned, and why; and the sums of it."""

from pathlib import Path

import duckdb

from exporters.model.fields import ContactShape
from exporters.model.reject import REASONS, Place, ReasonCount, RejectKind, RejectReason
from exporters.model.run import PlanCounts
from exporters.planning.database import literal
from exporters.planning.values import REASON_OF_TYPE

#: The columns of a rejects file. `column`, `value`, `email` and `words` are empty where there is nothing to say.
SCHEMA = """kind VARCHAR, reason VARCHAR, "column" VARCHAR, value VARCHAR, email VARCHAR,
    segment VARCHAR, part VARCHAR, line BIGINT, words VARCHAR"""

#: Characters of a rejected value that are kept. Nobody needs a novel to find its line.
KEPT_CHARS = 500

# rejects_found: as SCHEMA, with numbers for places and columns. `line` is NULL where `id`, the profile, tells it.
CREATE_FOUND = """CREATE TABLE rejects_found (
    reason VARCHAR, field INTEGER, value VARCHAR, email VARCHAR, id BIGINT, part INTEGER, line BIGINT)"""

#: Number of the e-mail column beside the fields, which count from 0; NO_FIELD stands for the whole line.
EMAIL_FIELD, NO_FIELD = -1, -2

BROKEN_LINES = f"INSERT INTO rejects_found SELECT reason, {NO_FIELD}, '', '', NULL, part, line FROM broken"

# profiles whose address nobody took
BAD_ADDRESSES = f"""INSERT INTO rejects_found
    SELECT CASE WHEN address IS NULL THEN '{RejectReason.EMAIL_MISSING}' ELSE judged.reason END,
        {EMAIL_FIELD}, coalesce(address, ''), '', profiles.rowid, part, line
    FROM profiles LEFT JOIN judged USING (address)
    WHERE profiles.email IS NULL AND judged.email IS NULL"""

TOO_LARGE = f"""INSERT INTO rejects_found
    SELECT '{RejectReason.CONTACT_TOO_LARGE}', {NO_FIELD}, '', email, id, part, line
    FROM contacts SEMI JOIN too_large USING (id)"""

DUPLICATES = f"""INSERT INTO rejects_found
    SELECT '{RejectReason.DUPLICATE}', {EMAIL_FIELD}, email, email, id, part, line
    FROM contacts ANTI JOIN winners USING (id) ANTI JOIN too_large USING (id)"""

# values left out of contacts that are sent; field -> reason comes in as $reasons
OMITTED_VALUES = """INSERT INTO rejects_found
    SELECT $reasons[gone.field + 1], gone.field, gone.value, email, id, part, line
    FROM (
        SELECT unnest(omitted) AS gone, planned.email AS email, planned.id AS id, planned.part AS part,
            planned.line AS line
        FROM profiles JOIN planned ON profiles.rowid = planned.id
        WHERE omitted IS NOT NULL)"""

# kinds: reason -> the term of the sums that it counts for
CREATE_KINDS = "CREATE TABLE kinds AS SELECT unnest($reasons) AS reason, unnest($kinds) AS kind"

# rejects: in words, as SCHEMA. $columns is the e-mail column followed by the columns of the fields.
CREATE_REJECTS = f"""CREATE TABLE rejects AS
    SELECT kinds.kind, found.reason,
        CASE WHEN field = {NO_FIELD} THEN '' ELSE $columns[field + {1 - EMAIL_FIELD}] END AS "column",
        left(value, {KEPT_CHARS}) AS value, email, parts.segment, parts.name AS part,
        coalesce(found.line, found.id - parts.first_id + parts.first_line) AS line, '' AS words
    FROM rejects_found AS found JOIN parts ON found.part = parts.part JOIN kinds ON found.reason = kinds.reason
    ORDER BY parts.part, line, field"""

WRITE_REJECTS = "COPY (SELECT * FROM rejects) TO {path} (FORMAT parquet)"

# The example is the first place in the order of the plan, which is the order of the table.
REASON_COUNTS = """SELECT kind, reason, "column", count(*),
        arg_min({'segment': segment, 'part': part, 'line': line}, rowid)
    FROM rejects GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3"""

COUNTS = f"""SELECT
    (SELECT count(*) FROM profiles) + (SELECT count(*) FROM broken) AS read,
    (SELECT count(*) FROM rejects WHERE kind = '{RejectKind.INVALID}') AS invalid,
    (SELECT count(*) FROM rejects WHERE kind = '{RejectKind.DUPLICATE}') AS duplicate,
    (SELECT count(*) FROM winners) - (SELECT count(*) FROM planned) AS unchanged,
    (SELECT count(*) FROM planned) AS planned,
    (SELECT count(*) FROM rejects WHERE kind = '{RejectKind.OMITTED}') AS omitted"""

PROFILES_BY_SEGMENT = """SELECT segment, count(*)
    FROM (SELECT part FROM profiles UNION ALL SELECT part FROM broken) JOIN parts USING (part) GROUP BY segment"""


def collect(database: duckdb.DuckDBPyConnection, shape: ContactShape) -> None:
    """Fill the table `rejects` from the tables of the plan."""
    database.execute(CREATE_FOUND)
    for statement in (BROKEN_LINES, BAD_ADDRESSES, TOO_LARGE, DUPLICATES):
        database.execute(statement)
    if shape.fields:
        reasons = [REASON_OF_TYPE[field.type].value for field in shape.fields]
        database.execute(OMITTED_VALUES, {"reasons": reasons})
    kinds = {"reasons": [reason.value for reason in REASONS], "kinds": [text.kind.value for text in REASONS.values()]}
    database.execute(CREATE_KINDS, kinds)
    columns = [shape.email.column, *(field.column for field in shape.fields)]
    database.execute(CREATE_REJECTS, {"columns": columns})


def write(database: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Write the rejects of the plan, in the order of parts and lines."""
    database.execute(WRITE_REJECTS.format(path=literal(str(target))))


def count(database: duckdb.DuckDBPyConnection) -> tuple[PlanCounts, int]:
    """The first sum of promise 1, each term counted by itself; and the values left out."""
    read, invalid, duplicate, unchanged, planned, omitted = database.execute(COUNTS).fetchall()[0]
    counts = PlanCounts(read=read, invalid=invalid, duplicate=duplicate, unchanged=unchanged, planned=planned)
    return counts, omitted


def reasons(database: duckdb.DuckDBPyConnection) -> tuple[ReasonCount, ...]:
    """How often each reason occurred in each column, most frequent first, with the first place."""
    return tuple(
        ReasonCount(kind=kind, reason=reason, column=column, count=times, example=Place.model_validate(place))
        for kind, reason, column, times, place in database.execute(REASON_COUNTS).fetchall()
    )


def profiles_by_segment(database: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Profiles of each segment that has any."""
    return dict(database.execute(PROFILES_BY_SEGMENT).fetchall())
