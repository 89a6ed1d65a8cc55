"""Why a profile was not sent, or refused: the closed list of reasons, each with a sentence and a remedy."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class RejectKind(StrEnum):
    """Which term of the sums a reject belongs to."""

    INVALID = "invalid"  #: ours: the profile cannot be a contact
    DUPLICATE = "duplicate"  #: ours: an earlier profile has the same address
    OMITTED = "omitted"  #: ours: one value was left out; the person was sent without it, so it is in no sum
    REFUSED = "refused"  #: theirs: the provider said no to this contact
    UNKNOWN = "unknown"  #: sent, but the provider gave no verdict in time; sent again by the next run
    WITHHELD = "withheld"  #: the provider has suppressed the address, and the export leaves such people out


class RejectReason(StrEnum):
    """Every reason a person could meet. Texts for people are in `REASONS`."""

    EMAIL_MISSING = "email_missing"
    EMAIL_MALFORMED = "email_malformed"
    EMAIL_TOO_LONG = "email_too_long"
    EMAIL_EXCLUDED = "email_excluded"
    LINE_MALFORMED = "line_malformed"
    LINE_CUT_OFF = "line_cut_off"
    ENCODING_BROKEN = "encoding_broken"
    NUL_BYTE = "nul_byte"
    CONTACT_TOO_LARGE = "contact_too_large"
    DUPLICATE = "duplicate"
    VALUE_TOO_LONG = "value_too_long"
    NOT_A_NUMBER = "not_a_number"
    NOT_A_DATE = "not_a_date"
    DATE_AMBIGUOUS = "date_ambiguous"
    NOT_A_BOOLEAN = "not_a_boolean"
    NOT_A_PHONE = "not_a_phone"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    SPAM_REPORT = "spam_report"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonText:
    """A reason in an operator's words."""

    kind: RejectKind
    sentence: str
    remedy: str


def _invalid(sentence: str, remedy: str) -> ReasonText:
    return ReasonText(kind=RejectKind.INVALID, sentence=sentence, remedy=remedy)


def _omitted(sentence: str, remedy: str) -> ReasonText:
    return ReasonText(kind=RejectKind.OMITTED, sentence=sentence, remedy=remedy)


def _withheld(sentence: str, remedy: str) -> ReasonText:
    return ReasonText(kind=RejectKind.WITHHELD, sentence=sentence, remedy=remedy)


REASONS: dict[RejectReason, ReasonText] = {
    RejectReason.EMAIL_MISSING: _invalid(
        "The profile has no e-mail address.", "Fill the mapped column, or map the column that holds the address."
    ),
    RejectReason.EMAIL_MALFORMED: _invalid(
        "The e-mail address is not valid.", "Correct the address in the source system."
    ),
    RejectReason.EMAIL_TOO_LONG: _invalid(
        "The e-mail address is longer than the 254 characters that mail allows.", "Correct the address at its source."
    ),
    RejectReason.EMAIL_EXCLUDED: _invalid(
        "The export excludes this address as a placeholder.",
        "Fill in the person's own address, or take it off the export's list (exclude).",
    ),
    RejectReason.LINE_MALFORMED: _invalid(
        "The line does not have the columns of its header.", "Check quotes and separators of this line at its source."
    ),
    RejectReason.LINE_CUT_OFF: _invalid(
        "The file ends in the middle of this line.", "Export the segment again; the file was not written to its end."
    ),
    RejectReason.ENCODING_BROKEN: _invalid(
        "The line holds bytes that are not text in the file's encoding.", "Write the file as UTF-8."
    ),
    RejectReason.NUL_BYTE: _invalid("The line holds NUL bytes.", "Remove the NUL bytes at the source."),
    RejectReason.CONTACT_TOO_LARGE: _invalid(
        "The contact alone is larger than one request may be.", "Map fewer or shorter columns."
    ),
    RejectReason.DUPLICATE: ReasonText(
        kind=RejectKind.DUPLICATE,
        sentence="An earlier profile of the run has the same e-mail address; that one was used.",
        remedy="Nothing, unless two people share the address by mistake.",
    ),
    RejectReason.VALUE_TOO_LONG: _omitted(
        "The value is longer than the provider's field; the person was sent without it.",
        "Shorten the value, or map it to a longer field.",
    ),
    RejectReason.NOT_A_NUMBER: _omitted(
        "The value is not a number; the person was sent without it.", "Write digits with a point, as in 1234.5."
    ),
    RejectReason.NOT_A_DATE: _omitted(
        "The value is not a date; the person was sent without it.", "Write dates as in 2026-01-31."
    ),
    RejectReason.DATE_AMBIGUOUS: _omitted(
        "The date could be read day first or month first; the person was sent without it.",
        "Set date_order in the mapping's formats, or write dates as in 2026-01-31.",
    ),
    RejectReason.NOT_A_BOOLEAN: _omitted(
        "The value is neither true nor false; the person was sent without it.", "Write true or false."
    ),
    RejectReason.NOT_A_PHONE: _omitted(
        "The value is not a telephone number that can be dialled from abroad; the person was sent without it.",
        "Write numbers as in +44 20 7946 0123, or set phone_country in the mapping's formats.",
    ),
    RejectReason.REFUSED: ReasonText(
        kind=RejectKind.REFUSED,
        sentence="The provider refused the contact.",
        remedy="Read the provider's words beside it; the next run tries again.",
    ),
    RejectReason.UNKNOWN: ReasonText(
        kind=RejectKind.UNKNOWN,
        sentence="The provider gave no verdict for the contact.",
        remedy="Nothing; the next run sends it again.",
    ),
    RejectReason.UNSUBSCRIBED: _withheld(
        "The person has unsubscribed at the provider.", "Nothing: opt-outs win. Write it back to the source system."
    ),
    RejectReason.BOUNCED: _withheld(
        "Mail to this address came back, so the provider sends it nothing more.", "Correct the address at its source."
    ),
    RejectReason.SPAM_REPORT: _withheld(
        "The person has reported a mail as spam.", "Nothing: opt-outs win. Write it back to the source system."
    ),
    RejectReason.BLOCKED: _withheld(
        "The provider has blocked the contact: unsubscribed, bounced or complained.",
        "Nothing: opt-outs win. Write it back to the source system.",
    ),
}


class Place(BaseModel):
    """Where a profile stands. `line` counts lines of the file from 1, a header included; for Parquet it counts rows."""

    model_config = ConfigDict(frozen=True)

    segment: str
    part: str  #: blob name below the segments container
    line: int


class ReasonCount(BaseModel):
    """How often a reason occurred, with one example."""

    model_config = ConfigDict(frozen=True)

    kind: RejectKind
    reason: RejectReason
    column: str  #: column at fault; empty when it is the whole line
    count: int
    example: Place
    words: str = ""  #: the provider's, for those it refused; what they quote is blacked out
