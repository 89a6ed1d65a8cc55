"""An erasure: one person taken out of everything that the app keeps. Its document is the receipt, and names nobody.

Stored as `erasures/receipts/<id>.json`, changed under its ETag. The address lies apart, as `erasures/people/<id>.json`,
only as long as the erasure is at work.
"""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt, StringConstraints

from exporters.model.names import Id, RunId

ERASURE_ID_PATTERN = r"^[0-9a-f]{32}$"
ErasureId = Annotated[str, StringConstraints(pattern=ERASURE_ID_PATTERN)]


def erasure_id(begun: datetime, word: str) -> str:
    """Id of an erasure; newest first when sorted. `word` is the same for no two of them.

    The first part counts milliseconds down, in hexadecimal digits.
    """
    countdown = 16**12 - int(begun.timestamp() * 1000)
    return f"{countdown:012x}{hashlib.sha256(word.encode()).hexdigest()[:20]}"


class Holding(StrEnum):
    """A kind of file that names people."""

    LEDGER = "ledger"  #: whom a run left on the list
    REJECTS = "rejects"  #: whom a run did not send, or the provider did not take
    DRIFT = "drift"  #: whom a reconciliation has found missing, or as a stranger
    WITHHELD = "withheld"  #: whom the last run of an export left out because the provider has suppressed them
    STAGED = "staged"  #: whom a run is going to send, or a file of corrections; deleted as a whole when a run ends


class ListOutcome(StrEnum):
    """What came of taking the person off a list."""

    WAITING = "waiting"  #: not asked yet
    AT_WORK = "at work"  #: a job of the provider's does it
    REMOVED = "removed"
    ABSENT = "absent"  #: was not on it
    REFUSED = "refused"  #: the provider said no, with `words`
    NOT_KNOWN = "not known"  #: the provider's job gave no verdict in time
    BY_HAND = "by hand"  #: it cannot be asked, for `words`

    @property
    def final(self) -> bool:
        """Whether nothing more comes of it."""
        return self not in {ListOutcome.WAITING, ListOutcome.AT_WORK}


class ListErasure(BaseModel):
    """One list that the person has to leave."""

    model_config = ConfigDict(frozen=True)

    connection: Id
    list_id: str
    former: bool = False  #: filled before its connection was removed and made anew under the same id
    outcome: ListOutcome = ListOutcome.WAITING
    words: str = ""  #: the provider's without what they quote, or what to do
    since: AwareDatetime | None = None  #: since when it is tried, or its job is at work
    job: str | None = None  #: id of the provider's


class ExportErasure(BaseModel):
    """Where an erasure is with the files of one export."""

    model_config = ConfigDict(frozen=True)

    looked_at: dict[Holding, NonNegativeInt] = Field(default_factory=dict)  #: files
    #: Rows about the person, by the name of their file. They are noted before they are erased.
    found: dict[str, NonNegativeInt] = Field(default_factory=dict)
    unreadable: tuple[str, ...] = ()  #: files that nobody can look into
    #: That the export fills, or has filled; none unless the person has to leave them.
    lists: tuple[ListErasure, ...] = ()
    lists_up_to: str = ""  #: the last run, by its id, whose document was looked into for its list
    runs_of_no_list: tuple[str, ...] = ()  #: runs that may have filled a list that nobody can name any more
    segments: tuple[str, ...] = ()  #: that the export read when it was done with; of one that is there
    connections: tuple[Id, ...] = ()  #: accounts that the person may be in because of it
    is_excluded: bool = False  #: its settings name the address among the placeholders
    waits_for: str = ""  #: why it is not done, in an operator's words
    done: AwareDatetime | None = None


class Erasure(BaseModel):
    """The document."""

    model_config = ConfigDict(frozen=True)

    id: ErasureId
    begun: AwareDatetime
    by: str  #: `Caller.label`
    reason: str = ""
    off_lists: bool = False
    digest: str  #: HMAC-SHA-256 of the address, with the proof as its key that only the caller was told
    due: AwareDatetime  #: nothing is done earlier
    claim: str = ""  #: of the step that works on it; counts until `claimed_until`
    claimed_until: AwareDatetime | None = None
    exports: dict[Id, ExportErasure] = Field(default_factory=dict)
    staged_runs: tuple[RunId, ...] = ()  #: ended runs whose staged files were deleted as a whole
    trouble: str = ""  #: why it does not get on, or has failed
    finished: AwareDatetime | None = None
    failed: bool = False  #: it has ended without looking everywhere, for `trouble`


class PersonToErase(BaseModel):
    """Whom an erasure is about, and how far it has come. Deleted at its end."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    email: str  #: as the app compares addresses
    spellings: tuple[str, ...]  #: how it may be written in files
    seen: dict[str, str] = Field(default_factory=dict)  #: files without the person: name -> ETag
