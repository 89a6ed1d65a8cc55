"""Which e-mail addresses are taken, and how they are written.

Two judges with one law: a regular expression settles plain ASCII addresses inside DuckDB, and email-validator settles
every address that is left. The expression takes nothing that email-validator refuses.
https://github.com/JoshData/python-email-validator

- The address is sent, and compared, in lower case. SendGrid stores it so; for Brevo that is an assumption.
- A domain in another script is sent in its ASCII form (xn--…), which every mail system takes.
- A local part outside ASCII is refused: neither provider says that it mails by SMTPUTF8.
- A quoted local part is taken, without its quotes where it needs none.
- Names that can never be reached, such as .invalid, .local and .test (RFC 6761), are refused.
"""

from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

#: Longest address in a mail transaction: 256 characters with its angle brackets. RFC 5321, section 4.5.3.1.3
MAX_ADDRESS_CHARS = 254
#: Judged addresses that are remembered: real files repeat their placeholders.
REMEMBERED = 10_000

_ATOM = r"[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+"  # the quote is doubled: it stands in SQL
_LABEL = r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*"  # without --, which would be an IDN label
_PLAIN = rf"{_ATOM}(\.{_ATOM})*@({_LABEL}\.)+[A-Za-z]{{2,}}"
_SPECIAL = r"\.(arpa|invalid|local|localhost|onion|test)$"

#: The length keeps local part and labels below their own limits of 64 and 63.
#: A special-use name is rare, so it is looked for only after the pattern has matched.
PLAIN_ADDRESS = f"""CREATE TEMP MACRO plain_address(v) AS CASE
    WHEN strlen(v) <= 64 AND regexp_full_match(v, '{_PLAIN}') AND NOT regexp_matches(lower(right(v, 10)), '{_SPECIAL}')
    THEN lower(v) END"""


@lru_cache(maxsize=REMEMBERED)
def judge(address: str) -> str | None:
    """The address as it is sent; None where it is none."""
    if len(address) > MAX_ADDRESS_CHARS:
        return None
    try:
        email = validate_email(
            address, check_deliverability=False, allow_smtputf8=False, allow_quoted_local=True, strict=True
        ).ascii_email
    except EmailNotValidError:
        return None
    return email.lower() if email is not None and len(email) <= MAX_ADDRESS_CHARS else None
