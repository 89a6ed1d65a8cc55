"""The seam to an email-marketing provider: it declares facts and translates words, nothing else.

Retries, pace, counting and state are common to all providers and live in `exporters.delivery`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from exporters.model.export import Mapping
from exporters.model.fields import ContactShape


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

    @property
    def not_before_s(self) -> float | None:
        """Seconds that the account wants no further request for, as the answers so far said; None: go on.

        Read it after each call, failed ones included: an answer that used up the limit is a good answer.
        """

    def check_access(self, list_id: str, mapping: Mapping) -> Access:
        """Prove key, list and mapped fields without writing anything, and resolve the mapping.

        Raises AccessError when the key is refused, ConfigError for an unknown list or field, ThrottledError or
        TransientError.
        """

    def envelope(self, list_id: str) -> Envelope:
        """What stands around the contacts of one request to this list. Pure; sizes batches."""

    def submit(self, list_id: str, contacts: Sequence[bytes]) -> str:
        """Start the import of contacts, each the JSON object that the shape describes; answers the job's id.

        Safe to repeat, since imports add or update. Raises RefusedError (with the rows at fault, where they are named),
        AccessError, ConfigError, ThrottledError, or TransientError when it is not known whether the import was started.
        """

    def poll(self, job_id: str) -> JobReport:
        """Ask where a job is, and read its error report once it has ended. Raises as `submit`, but for RefusedError."""
