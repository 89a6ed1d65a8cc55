"""Faults: everything in which a sandbox departs from a provider that is instant, unlimited and always well.

Given at the start, changed by `PUT /_sandbox/faults`, or set on `sandbox.faults` by a test in the same process.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError

from infra.local.sandbox.server import Reply


class TroubleKind(StrEnum):
    """What happens to a request."""

    ERROR = "error"  #: `status` with the vendor's JSON body; nothing is done
    HTML_ERROR = "html_error"  #: `status` with the HTML page of a proxy; nothing is done
    THROTTLE = "throttle"  #: 429 with the vendor's body and headers that name `reset_s`; nothing is done
    CUT_BEFORE = "cut_before"  #: the body is read, then the connection is reset; nothing is done
    CUT_AFTER = "cut_after"  #: the request is carried out, then the connection is reset instead of an answer
    TRUNCATED = "truncated"  #: the request is carried out, and half of the JSON answer is sent


class Trouble(BaseModel):
    """One kind of trouble for the next requests."""

    model_config = ConfigDict(extra="forbid")

    kind: TroubleKind
    times: PositiveInt = 1  #: for so many requests
    route: str | None = None  #: only for these, as `GET /_sandbox/requests` names them: `PUT /v3/marketing/contacts`
    status: int = Field(default=503, ge=400, le=599)
    reset_s: NonNegativeInt = 1


class Faults(BaseModel):
    """Faults of every sandbox."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    next: list[Trouble] = []  #: what is spent counts down here; the first that fits a request is taken
    unauthorized: bool = False  #: from now on every key is refused

    def take(self, route: str) -> Trouble | None:
        """The trouble that meets a request on this route, and one less of it for the next."""
        for trouble in self.next:
            if trouble.route in (None, route):
                trouble.times -= 1
                if not trouble.times:
                    self.next.remove(trouble)
                return trouble
        return None


class ReportFile(StrEnum):
    """In what state the file with the refused rows of an import is found."""

    CSV = "csv"
    GZIP = "gzip"  #: gzip bytes, not announced by any header
    MISSING = "missing"  #: the address answers 404
    HUGE = "huge"  #: the rows, then a quarter of a gigabyte of filling
    UNKNOWN_COLUMNS = "unknown_columns"  #: columns that nobody documented, none of them an address
    NONE = "none"  #: the job counts errors and has no file


class ImportFaults(Faults):
    """Faults of a sandbox that imports contacts."""

    #: From the answer to the end of a job; in the middle its contacts are stored. With 0 it ends once its work is done.
    #: A single contact was seen to take about 30 s at SendGrid; help pages speak of hours for 100,000.
    job_delay_s: NonNegativeFloat = 0.0
    lag_s: NonNegativeFloat = 0.0  #: counts and look-ups show a job's work so much later; some 30 s at SendGrid
    stuck_jobs: NonNegativeInt = 0  #: so many of the next jobs never begin
    refuse_emails: frozenset[str] = frozenset()  #: lower-case addresses that every job refuses
    refuse_every: PositiveInt | None = None  #: every job refuses each n-th of its contacts
    report_file: ReportFile = ReportFile.CSV
    keys: frozenset[str] | None = None  #: these keys are accepted from now on, in place of those of the start

    def take_stuck_job(self) -> bool:
        """Whether the job that is about to be queued never begins."""
        if not self.stuck_jobs:
            return False
        self.stuck_jobs -= 1
        return True

    @property
    def refuses_anyone(self) -> bool:
        """Whether a job may refuse good contacts."""
        return bool(self.refuse_emails) or self.refuse_every is not None

    def refuses(self, email: str, number: int) -> bool:
        """Whether a job refuses its contact with this lower-case address and number (from 1)."""
        return email in self.refuse_emails or (self.refuse_every is not None and number % self.refuse_every == 0)


def truncated(reply: Reply) -> Reply:
    """The first half of an answer, in a well-formed HTTP message."""
    if not isinstance(reply.body, bytes):
        return reply
    return Reply(status=reply.status, body=reply.body[: len(reply.body) // 2], headers=reply.headers)


def words(error: ValidationError) -> str:
    """What is wrong with faults that were given, by name."""
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
