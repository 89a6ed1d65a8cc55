"""A batch on its way: which rows still wait, which import job works on which rows, and what came of it in the end.

A row is a contact's line in the staged file of the batch, from 0. Ranges are half open: [first, end).
"""

from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt

#: [first, end) of rows in a staged batch.
RowRange = tuple[NonNegativeInt, NonNegativeInt]
#: Characters of job ids that fit into the metadata of a blob, which may have 8 KiB in all.
#: https://learn.microsoft.com/rest/api/storageservices/setting-and-retrieving-properties-and-metadata-for-blob-resources
LONGEST_JOBS = 6_000


class ImportJob(BaseModel):
    """The provider's own asynchronous work on some rows of a batch."""

    model_config = ConfigDict(frozen=True)

    id: str  #: the provider's id, as text
    rows: tuple[RowRange, ...]
    contacts: NonNegativeInt
    submitted: AwareDatetime
    polls: NonNegativeInt = 0  #: questions asked so far
    asked: AwareDatetime  #: when the last one was asked, or the job was submitted
    next_s: float  #: seconds from then to the next question
    shut_out: AwareDatetime | None = None  #: since when the provider has refused the key
    in_doubt: bool = False  #: there may be another job for the same rows, whose acceptance got lost on its way


class Claim(BaseModel):
    """Who works on a batch, so that a doubled message does not send it twice. Past `until` it counts for nothing."""

    model_config = ConfigDict(frozen=True)

    since: AwareDatetime
    until: AwareDatetime


class Tally(BaseModel):
    """Verdicts of the rows that have one."""

    model_config = ConfigDict(frozen=True)

    delivered: NonNegativeInt = 0  #: of a removal: people who were taken off the list
    absent: NonNegativeInt = 0  #: of a removal: people who were not on the list
    #: Row -> the provider's words, addresses blacked out.
    refused: dict[int, str] = Field(default_factory=dict)
    #: Rows of whole requests that the provider refused, with its words.
    refused_ranges: tuple[tuple[RowRange, str], ...] = ()
    #: Number of rows without a verdict. Which ones is known only up to `unknown_ranges`, which may hold delivered rows
    #: too: a job that reports three errors and does not name them leaves three unknown among all its rows.
    unknown: NonNegativeInt = 0
    unknown_ranges: tuple[RowRange, ...] = ()

    @property
    def refusals(self) -> int:
        """Number of refused rows."""
        return len(self.refused) + sum(end - first for (first, end), _ in self.refused_ranges)


class BatchProgress(BaseModel):
    """Where a batch is. Stored as `staging/<run>/progress/<n>.json`, changed under its ETag by the step that holds the
    claim.
    """

    model_config = ConfigDict(frozen=True)

    contacts: NonNegativeInt
    pending: tuple[tuple[RowRange, ...], ...]  #: requests still to be made, each a set of ranges, in order
    job: ImportJob | None = None  #: the one in flight; a batch has one at a time, so a slot is a job
    jobs: tuple[str, ...] = ()  #: ids of all import jobs so far
    tally: Tally = Tally()
    requests: NonNegativeInt = 0  #: write requests made, refused ones included
    failures: NonNegativeInt = 0  #: tries in a row that failed and may pass
    forbidden: NonNegativeInt = 0  #: tries in a row that the provider forbade
    not_before: AwareDatetime | None = None  #: after a failure: no request earlier
    answered: AwareDatetime | None = None  #: when the provider last said yes or no to a request
    claim: Claim | None = None
    #: The first pending request may have been carried out: whoever made it got no answer, or died before it was noted.
    in_doubt: bool = False

    @classmethod
    def fresh(cls, contacts: int, *, request: int | None = None) -> "BatchProgress":
        """A batch of which nothing was sent yet; in one request, or in requests of so many contacts."""
        size = contacts if request is None else request
        firsts = range(0, contacts, size)
        return cls(contacts=contacts, pending=tuple(((first, min(first + size, contacts)),) for first in firsts))


class Outcome(BaseModel):
    """The verdicts of one batch. Stored once as `…/batches/<n>.json`, the counts also as metadata of the blob."""

    model_config = ConfigDict(frozen=True)

    number: NonNegativeInt
    contacts: NonNegativeInt
    tally: Tally
    requests: NonNegativeInt
    jobs: tuple[str, ...]
    reason: str = ""  #: why a batch ended without the provider's verdict, in an operator's words
    finished: AwareDatetime

    @property
    def closes(self) -> bool:
        """Whether delivered, absent, refused and unknown add up to the contacts of the batch."""
        tally = self.tally
        return tally.delivered + tally.absent + tally.refusals + tally.unknown == self.contacts

    def metadata(self) -> dict[str, str]:
        """The counts, jobs and end, as blob metadata: a listing of the folder is the progress of the run.

        Jobs are left out where their names would be too long for it.
        """
        jobs = " ".join(quote(job, safe="") for job in self.jobs)
        return {
            "contacts": str(self.contacts),
            "delivered": str(self.tally.delivered),
            "absent": str(self.tally.absent),
            "refused": str(self.tally.refusals),
            "unknown": str(self.tally.unknown),
            "requests": str(self.requests),
            "finished": self.finished.isoformat(),
            **({"jobs": jobs} if len(jobs) <= LONGEST_JOBS else {}),
        }
