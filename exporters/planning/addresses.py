"""Which e-mail addresses are taken, and how they are written.

Two judges with one law: a regular expression settles plain ASCII addresses inside DuckDB, and email-validator settles
every distinct address that is left. The expression takes nothing that email-validator refuses.
https://github.com/JoshData/python-email-validator

- The address is sent, and compared, in lower case. SendGrid stores it so; for Brevo that is an assumption.
- A domain in another script is sent in its ASCII form (xn--…), which every mail system takes.
- A local part outside ASCII is refused: neither provider says that it mails by SMTPUTF8.
- Names that can never be reached, such as .invalid, .local and .test (RFC 6761), are refused.
"""

from collections.abc import Sequence

import duckdb
from email_validator import EmailNotValidError, validate_email

from exporters.model.reject import RejectReason

#: Longest address in a mail transaction: 256 characters with its angle brackets. RFC 5321, section 4.5.3.1.3
MAX_ADDRESS_CHARS = 254
#: Addresses that go to email-validator and back at once.
CHUNK = 10_000

_ATOM = r"[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+"  # the quote is doubled: it stands in SQL
_LABEL = r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*"  # without --, which would be an IDN label
_PLAIN = rf"{_ATOM}(\.{_ATOM})*@({_LABEL}\.)+[A-Za-z]{{2,}}"
_SPECIAL = r"\.(arpa|invalid|local|localhost|onion|test)$"

#: The length keeps local part and labels below their own limits of 64 and 63.
#: A special-use name is rare, so it is looked for only after the pattern has matched.
PLAIN_ADDRESS = f"""CREATE TEMP MACRO plain_address(v) AS CASE
    WHEN strlen(v) <= 64 AND regexp_full_match(v, '{_PLAIN}') AND NOT regexp_matches(lower(right(v, 10)), '{_SPECIAL}')
    THEN lower(v) END"""

#: judged: address as in the segment -> address as sent, or the reason why not.
CREATE_JUDGED = "CREATE TABLE judged (address VARCHAR, email VARCHAR, reason VARCHAR)"

#: profiles -> addresses that the pattern did not settle
UNSETTLED = "SELECT DISTINCT address FROM profiles WHERE email IS NULL AND address IS NOT NULL"

INSERT_JUDGED = """INSERT INTO judged
    SELECT unnest($addresses), unnest($emails::VARCHAR[]), unnest($reasons::VARCHAR[])"""


def judge(address: str) -> tuple[str | None, RejectReason | None]:
    """The address as it is sent, or why it is not."""
    if len(address) > MAX_ADDRESS_CHARS:
        return None, RejectReason.EMAIL_TOO_LONG
    try:
        email = validate_email(address, check_deliverability=False, allow_smtputf8=False, strict=True).ascii_email
    except EmailNotValidError:
        return None, RejectReason.EMAIL_MALFORMED
    if email is None:
        return None, RejectReason.EMAIL_MALFORMED
    if len(email) > MAX_ADDRESS_CHARS:
        return None, RejectReason.EMAIL_TOO_LONG
    return email.lower(), None


def judge_unsettled(database: duckdb.DuckDBPyConnection) -> None:
    """Fill the table `judged` with every distinct address that the pattern left open."""
    database.execute(CREATE_JUDGED)
    reader = database.cursor()
    reader.execute(UNSETTLED)
    while rows := reader.fetchmany(CHUNK):
        _insert(database, [address for (address,) in rows])


def _insert(database: duckdb.DuckDBPyConnection, addresses: Sequence[str]) -> None:
    verdicts = [judge(address) for address in addresses]
    database.execute(
        INSERT_JUDGED,
        {
            "addresses": addresses,
            "emails": [email for email, _ in verdicts],
            "reasons": [None if reason is None else reason.value for _, reason in verdicts],
        },
    )
