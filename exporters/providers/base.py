"""The seam to an email-marketing provider: it declares facts and translates words, nothing else.

Retries, pace, counting and state are common to all providers and live in `exporters.delivery`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol

from exporters.model.export import Mapping as FieldMapping
from exporters.model.fields import ContactShape, FieldType, StandardField


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What one import request may hold at most."""

    max_contacts: int
    max_body_bytes: int  #: of the whole request body, envelope included


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What stands around the contacts in a request body. Contacts are JSON objects with a comma between them."""

    head: bytes
    tail: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the provider says before the first write."""

    list_name: str
    list_count: int | None  #: contacts on the list now, where it is told
    shape: ContactShape  #: the mapping, resolved against the fields of the account
    #: Contacts that the whole account holds now and that count towards its plan; None where nobody asked.
    account_contacts: int | None = None


class JobState(StrEnum):
    """Where the provider is with an import job."""

    PENDING = "pending"
    DONE = "done"  #: ended; contacts that are not in the report were taken
    FAILED = "failed"  #: ended without taking anyone


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One contact that an import job did not take."""

    email: str
    words: str  #: the provider's, as they came; they may hold the address


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What the provider says of an import job."""

    state: JobState
    refusals: Sequence[Refusal] = field(default=())
    #: Contacts that the job did not take, by its own count; None where it gives none. With more of them than
    #: `refusals` name, the rest have no verdict.
    errored: int | None = None
    report_missing: bool = False  #: the job had errors, but its report is missing, unreadable or empty
    words: str = ""  #: why the job failed


class SuppressionKind(StrEnum):
    """Why the provider mails nobody at an address."""

    UNSUBSCRIBED = "unsubscribed"  #: from everything that the account sends
    BOUNCED = "bounced"  #: the address does not take mail
    SPAM_REPORT = "spam_report"  #: somebody called our mail spam
    BLOCKED = "blocked"  #: on a blocklist that does not say why


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One address that the provider mails nothing to."""

    email: str  #: in lower case
    kind: SuppressionKind
    since: datetime | None  #: UTC, where the provider says


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressions:
    """What one question for suppressions brought."""

    rows: Sequence[Suppression]
    #: For the next question: all that the provider has to know to go on, and no personal data. None: that was the end.
    token: str | None
    wait_s: float = 0.0  #: seconds until the next question makes sense: the provider is still writing a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody who is on a list."""

    email: str  #: in lower case
    id: str = ""  #: of the contact at the provider, where removals by it are cheaper than by address


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """What one question for the people on a list brought."""

    rows: Sequence[Member]
    token: str | None  #: as `Suppressions.token`
    wait_s: float = 0.0  #: as `Suppressions.wait_s`


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What became of the addresses that were to leave a list. Each of them is in exactly one of the four."""

    removed: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()  #: were not on the list, or are not known to the account at all
    refused: dict[str, str] = field(default_factory=dict)  #: address -> the provider's words, without what they quote
    pending: frozenset[str] = frozenset()  #: leave with `job`: removed once it is done, save those its report names
    job: str | None = None  #: to be polled; None where nobody is pending


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactList:
    """A contact list of the account."""

    id: str  #: as `canonical_list_id` writes it
    name: str
    count: int | None  #: contacts on it, where it is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """What one question for the lists of the account brought."""

    rows: Sequence[ContactList]
    token: str | None  #: as `Suppressions.token`


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountField:
    """A field of the account that a mapping may fill."""

    name: str  #: at the provider; the mapping names custom fields by it
    type: FieldType
    standard: StandardField | None  #: which one the mapping calls it; None: a custom field
    max_chars: int | None = None  #: longest text, in Unicode code points; None: no limit, or no text


class Provider(Protocol):
    """One account at one provider. Built for one step, used by one thread."""

    name: ClassVar[str]  #: key in settings, blob paths and logs; never renamed
    title: ClassVar[str]  #: name as people know it
    limits: ClassVar[BatchLimits]  #: of one request, with the page that states them
    jobs_in_flight: ClassVar[int]  #: import jobs that an account may have at work at once
    poll_delays_s: ClassVar[
        Sequence[float]
    ]  #: wait before the first, second, … question for a job; the last one repeats
    job_deadline_s: ClassVar[float]  #: a job that has not ended by then leaves its contacts unknown
    removal_limit: ClassVar[int]  #: people that one removal may name by their addresses
    removal_limit_by_id: ClassVar[int]  #: the same where the ids of all of them are known
    #: Leavers from which on it takes fewer requests to read the whole list for their ids first; None: never.
    listing_pays_from: ClassVar[int | None]
    #: Suppressions can be read as they are; False: the first question for them starts a job that writes a file.
    suppressions_at_once: ClassVar[bool]
    stated_limit: ClassVar[int]  #: profiles in one export that the connector replaced by this app is stated to carry
    pace_per_minute: ClassVar[float]  #: contacts a minute at its published pace, until runs tell better
    max_list_name: ClassVar[int]  #: longest name of a list, in characters
    #: Standard field -> what it is called there, in accounts that give it no other name.
    standard_names: ClassVar[Mapping[StandardField, str]]

    @property
    def not_before_s(self) -> float | None:
        """Seconds that the account wants no further request for, as the answers so far said; None: go on.

        Read it after each call, failed ones included: an answer that used up the limit is a good answer.
        """

    @property
    def polls_not_before_s(self) -> float | None:
        """The same for `poll` alone, where jobs are asked for under a limit of their own."""

    @staticmethod
    def canonical_list_id(list_id: str) -> str:
        """The same text for all that the provider reads as the same list. Raises ConfigError for what is no list id."""

    def check_access(self, list_id: str, mapping: FieldMapping, *, count_account: bool = False) -> Access:
        """Prove key, list and mapped fields without writing anything, and resolve the mapping.

        `count_account` asks for `account_contacts` as well, which takes one more request. Raises AccessError when the
        key is refused, ConfigError for an unknown list or field, ThrottledError or TransientError.
        """

    def envelope(self, list_id: str) -> Envelope:
        """What stands around the contacts of one request to this list. Pure; sizes batches."""

    def submit(self, list_id: str, contacts: Sequence[bytes]) -> str:
        """Start the import of contacts, each the JSON object that the shape describes; answers the job's id.

        Safe to repeat, since imports add or update. Raises RefusedError (with the rows at fault, where they are named),
        AccessError, ConfigError, ThrottledError, or TransientError when it is not known whether the import was started.
        """

    def import_runs(self) -> bool:
        """Whether an import is at work on the account, whoever started it. Raises as `poll`.

        Asked where only one may be, before a request is made that may have been carried out already.
        """

    def poll(self, job_id: str) -> JobReport:
        """Ask where a job is, and read its error report once it has ended. Raises as `submit`, but for RefusedError."""

    def suppressions(self, token: str | None) -> Suppressions:
        """Who is suppressed at the provider: the first part of them for None, else what follows the part with `token`.

        One request a call, or one file. Nothing changes at the provider, beyond a job of its own that writes a file.
        A token may be used again: it answers the same part, save for what changed meanwhile. An address may come twice.
        Raises AccessError when the key may not read them, ConfigError, ThrottledError or TransientError.
        """

    def account(self) -> str | None:
        """What tells this account from all others, whichever key is used; None where the key may not ask for it.

        Not for people's eyes: it may be an address. Raises AccessError when the key is refused altogether,
        ThrottledError or TransientError.
        """

    def lists(self, token: str | None) -> Lists:
        """The lists that contacts can be put on: the first part of them for None, else what follows that with `token`.

        One request a call; a part may be empty though others follow. The token as for `suppressions`. This is also what
        proves a key: it changes nothing and needs no list. Raises AccessError, ConfigError, ThrottledError or
        TransientError.
        """

    def create_list(self, name: str) -> ContactList:
        """Make an empty list with this name, of 1 to `max_list_name` characters.

        Not safe to repeat: some providers take the same name twice. Raises RefusedError with the provider's words where
        it does not want such a list, and as `lists`; after TransientError it is not known whether the list was made.
        """

    def fields(self) -> Sequence[AccountField]:
        """All fields of the account that a mapping may fill, the standard ones first. Raises as `lists`."""

    def members(self, list_id: str, token: str | None) -> Members:
        """Who is on a list: the first part of them for None, else what follows the part with `token`.

        As `suppressions` in all else. Raises ConfigError also for an unknown list.
        """

    def remove(self, list_id: str, people: Sequence[Member]) -> Removal:
        """Take people off a list, each named once: 1 to `removal_limit`, or `removal_limit_by_id` if all have an id.

        Nobody is deleted. The answer names them by address. Safe to repeat: who has left already is `absent`. Raises
        AccessError, ConfigError for an unknown list, ThrottledError, or TransientError when it is not known what was
        done.
        """
