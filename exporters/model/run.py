"""A run: one execution of an export. Stored as `runs/<export>/<run>/run.json`, changed under its ETag."""

from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt

from exporters.model.brake import Brake
from exporters.model.connection import Connection
from exporters.model.drift import Drift
from exporters.model.export import Export, Mode
from exporters.model.names import Id, RunId
from exporters.model.reject import ReasonCount
from exporters.model.trace import TraceParent


class RunStatus(StrEnum):
    """What a person sees. Words of the Dynamics pages, each with one meaning."""

    QUEUED = "queued"  #: started; no step has begun
    PROCESSING = "processing"  #: a step works on it, or it waits for the provider
    HELD = "held"  #: planned; a brake holds it until somebody approves or rejects it
    SUCCESSFUL = "successful"  #: everyone planned was delivered
    WARNINGS = "completed_with_warnings"  #: some planned contacts were refused or have no verdict
    FAILED = "failed"  #: nobody who was planned was delivered, or sending had to be stopped, or the sums do not close
    CANCELED = "canceled"  #: ended by a person, or held and not approved in time; `result` says what was sent before
    SKIPPED = "skipped"  #: no run: an occurrence of the schedule that started none, and `reason` says why

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in {RunStatus.QUEUED, RunStatus.PROCESSING, RunStatus.HELD}

    @property
    def well(self) -> bool:
        """Whether it ended with people delivered, or with nothing to deliver."""
        return self in {RunStatus.SUCCESSFUL, RunStatus.WARNINGS}


class Step(StrEnum):
    """Where a run is on its way."""

    WAITING = "waiting"
    PLANNING = "planning"
    RECONCILING = "reconciling"
    HELD = "held"
    SENDING = "sending"
    REMOVING = "removing"
    ENDED = "ended"


class Trigger(StrEnum):
    """What started a run."""

    SCHEDULE = "schedule"  #: a time that it names
    REFRESH = "refresh"  #: a new snapshot, where the schedule is every refresh
    DEMAND = "on demand"


class PartRead(BaseModel):
    """One file that was read, as it was then."""

    model_config = ConfigDict(frozen=True)

    name: str
    etag: str
    bytes: NonNegativeInt


class SegmentRead(BaseModel):
    """One snapshot that was read."""

    model_config = ConfigDict(frozen=True)

    segment: str
    snapshot: str  #: its folder below the segments container, or its file
    parts: tuple[PartRead, ...]
    profiles: NonNegativeInt
    written: AwareDatetime | None = None  #: when the newest part was
    refreshed: AwareDatetime | None = None  #: what a dated folder says


class PlanCounts(BaseModel):
    """The first sum of promise 1: read = invalid + duplicate + withheld + unchanged + planned."""

    model_config = ConfigDict(frozen=True)

    read: NonNegativeInt = 0
    invalid: NonNegativeInt = 0
    duplicate: NonNegativeInt = 0
    withheld: NonNegativeInt = 0
    unchanged: NonNegativeInt = 0
    planned: NonNegativeInt = 0
    added: NonNegativeInt = 0  #: planned people whom the ledger does not know
    changed: NonNegativeInt = 0  #: planned people whom it knows, as another contact or without a verdict
    leavers: NonNegativeInt = 0  #: people of the ledger who are in no segment any more; they are removed in mirror mode

    @property
    def closes(self) -> bool:
        """Whether the sum holds."""
        named = self.invalid + self.duplicate + self.withheld + self.unchanged + self.planned
        return self.read == named and self.planned == self.added + self.changed


class PlannedField(BaseModel):
    """A field of the planned contacts, to read them with."""

    model_config = ConfigDict(frozen=True)

    name: str  #: as the mapping calls it
    path: tuple[str, ...]  #: keys from the contact's object down to the value
    date_format: str = ""  #: strftime form of its values; empty where they are no dates


class Plan(BaseModel):
    """What a run is going to send, and why not the rest."""

    model_config = ConfigDict(frozen=True)

    segments: tuple[SegmentRead, ...]
    counts: PlanCounts
    omitted: NonNegativeInt = 0  #: single values left out of contacts that were sent
    reasons: tuple[ReasonCount, ...] = ()  #: most frequent first
    mapping_version: str  #: digest of everything that decides how a profile becomes a contact
    ledger: RunId | None = None  #: the run whose ledger was in force; its people stay known after this run
    doubtful: bool = False  #: that ledger may be wrong about the form in which people are there, so it was not compared
    compared_with: RunId | None = None  #: the run whose ledger was compared; None: everyone was planned
    list_name: str = ""  #: as the provider calls it
    list_count: int | None = None  #: contacts on the list before, where the provider tells
    attempt: str  #: folder of the staged batches; a plan that was made twice has two, and only this one counts
    batches: tuple[NonNegativeInt, ...] = ()  #: contacts of each batch, by number from 0
    bytes: NonNegativeInt = 0  #: request bodies, all together
    fields: tuple[PlannedField, ...] = ()  #: the address first
    brakes: tuple[Brake, ...] = ()  #: what holds the run
    account_contacts: int | None = None  #: contacts of the whole account before, where it was asked
    renewed: NonNegativeInt = 0  #: unchanged people whose source reads differently; the next ledger knows it
    #: Of a run that goes back: people on the list then and now, who are not known to be there in the same form.
    changed_since: NonNegativeInt | None = None


class DeliveryCounts(BaseModel):
    """The second sum of promise 1: planned = delivered + refused + unknown."""

    model_config = ConfigDict(frozen=True)

    delivered: NonNegativeInt = 0
    refused: NonNegativeInt = 0
    unknown: NonNegativeInt = 0
    requests: NonNegativeInt = 0  #: write requests made at the provider

    def closes(self, planned: int) -> bool:
        """Whether the sum holds."""
        return planned == self.delivered + self.refused + self.unknown


class RemovalCounts(BaseModel):
    """The third sum of promise 1: leavers = removed + absent + refused + unknown."""

    model_config = ConfigDict(frozen=True)

    removed: NonNegativeInt = 0  #: were taken off the list
    absent: NonNegativeInt = 0  #: were not on it, or not known to the account at all
    refused: NonNegativeInt = 0
    unknown: NonNegativeInt = 0
    requests: NonNegativeInt = 0  #: removals made at the provider

    def closes(self, leavers: int) -> bool:
        """Whether the sum holds."""
        return leavers == self.removed + self.absent + self.refused + self.unknown


class Event(BaseModel):
    """One line of a run's history."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    text: str


class StepBegun(BaseModel):
    """When a run came to a step; it was there until it came to the next one."""

    model_config = ConfigDict(frozen=True)

    step: Step
    at: AwareDatetime


class Corrections(BaseModel):
    """A corrected rejects file, stored as `paths.correction`."""

    model_config = ConfigDict(frozen=True)

    run: RunId  #: whose rejects were corrected
    digest: str  #: SHA-256 of the file as it was posted
    fields: tuple[str, ...]  #: fields that it has a column for, the address included


class Order(BaseModel):
    """What a run is to do; nothing of it: send what is new and changed in the segments."""

    model_config = ConfigDict(frozen=True)

    full: bool = False  #: send everyone, whatever the ledger says
    corrects: Corrections | None = None  #: sends only the people of this file
    retries: RunId | None = None  #: sends what this run did not deliver
    #: Writes nothing at the provider: compares the ledger with the people who are on the list.
    reconciles: bool = False
    repairs: RunId | None = None  #: sends again whom this reconciliation missed on the list
    goes_back_to: RunId | None = None  #: brings the list back to the people of this run's ledger


def target_of(export: Export, connection: Connection) -> str:
    """As `Run.target`, of a run that is not there yet.

    A connection that was removed and made anew under the same id may lead to another account, so it is not the same.
    """
    made = "" if connection.created is None else f"@{connection.created.at.isoformat()}"
    return f"{connection.id}{made}/{export.list_id}"


class Run(Order):
    """The run document. `export` and `connection` are copies as they were at the start: later edits do not reach it."""

    model_config = ConfigDict(frozen=True)

    id: RunId
    export: Export
    connection: Connection
    trigger: Trigger
    started_by: str = ""  #: `Caller.label`, as for the three below
    occurrence: AwareDatetime | None = None  #: of the schedule, that it is for
    #: Where it was skipped: it stands for all occurrences until then, which were too many for one each, or came
    #: while the export was detached.
    skipped_until: AwareDatetime | None = None
    status: RunStatus = RunStatus.QUEUED
    step: Step = Step.WAITING
    created: AwareDatetime
    updated: AwareDatetime
    finished: AwareDatetime | None = None
    account: Id | None = None  #: the lane that its account's requests go through; None until that is known
    troubled_since: AwareDatetime | None = None  #: since when each try to plan it has failed with what may pass
    trouble: str = ""  #: what that was the last time
    awaits_snapshot: bool = False  #: that was a snapshot that is still being written
    paused_since: AwareDatetime | None = None  #: since when each try has met a pause that the provider wanted
    approved: AwareDatetime | None = None  #: when somebody let a held run go on
    approved_by: str = ""
    rejected_by: str = ""
    canceled_by: str = ""
    canceled: AwareDatetime | None = None  #: when somebody wanted it to end; jobs that were accepted are still followed
    plan: Plan | None = None
    result: DeliveryCounts | None = None
    #: People of each batch of removals; their numbers go on after the plan's. Empty: nobody is removed, or not yet.
    removals: tuple[NonNegativeInt, ...] = ()
    lists_first: bool | None = None  #: whether the list was read for ids before anybody is removed; None: not decided
    removals_by_id: NonNegativeInt = 0  #: the first so many of those batches name people by their ids at the provider
    removal: RemovalCounts | None = None  #: what came of the removals; None where there were none
    refusals: tuple[ReasonCount, ...] = ()  #: what the provider said of those it did not take, most frequent first
    reason: str = ""  #: why the run failed, or what to look at, in an operator's words
    halted: bool = False  #: nothing more is sent: batches that still wait end as refused, for `reason`
    drift: Drift | None = None  #: what a reconciliation has found
    has_ledger: bool = False  #: a ledger of this run is stored and is the one in force from its end on
    timeline: tuple[Event, ...] = ()
    steps: tuple[StepBegun, ...] = ()  #: in order, but for `Step.WAITING`, which begins when the run is created
    trace: TraceParent = None  #: of the span that started it; None where nothing recorded that

    @property
    def removes(self) -> bool:
        """Whether people who have left the segments, or were not there then, are to leave the list."""
        return self.goes_back_to is not None or (self.export.mode is Mode.MIRROR and not self.correction)

    @property
    def reads_segments(self) -> bool:
        """Whether it reads the segments of its export, and so has something to say of everyone."""
        return not (self.correction or self.reconciles or self.goes_back_to is not None)

    @property
    def batches(self) -> tuple[int, ...]:
        """People of each batch, by number: those of the plan, then those of the removals."""
        return (*(() if self.plan is None else self.plan.batches), *self.removals)

    @property
    def lane(self) -> str:
        """Id of the lane that its requests go through."""
        return self.account or self.connection.lane

    @property
    def correction(self) -> bool:
        """Whether the run sends the people of a corrected rejects file instead of its segments."""
        return self.corrects is not None

    @property
    def held(self) -> bool:
        """Whether a brake holds the run, and nobody has decided about it yet."""
        return self.status is RunStatus.HELD

    @property
    def target(self) -> str:
        """What a ledger is true for: with another connection or list nobody is known to be delivered."""
        return target_of(self.export, self.connection)

    def began(self, step: Step) -> datetime | None:
        """When the run came to a step; None where it has not."""
        return next((begun.at for begun in self.steps if begun.step is step), None)

    def noted(self, at: datetime, text: str, **changes: object) -> "Run":
        """This run with some values changed and a line more in its history; with the time, where the step changes."""
        timeline = (*self.timeline, Event(at=at, text=text))
        step, steps = changes.get("step"), self.steps
        if isinstance(step, Step) and step is not self.step:
            steps = (*steps, StepBegun(step=step, at=at))
        return self.model_copy(update={"updated": at, "timeline": timeline, "steps": steps, **changes})


class Active(Order):
    """The run that an export has at work; enough to create its document again if the start died half-way."""

    model_config = ConfigDict(frozen=True)

    run: RunId
    trigger: Trigger
    since: AwareDatetime
    by: str = ""  #: `Caller.label` of whoever started it
    occurrence: AwareDatetime | None = None  #: of the schedule, that it is for


class Skipped(BaseModel):
    """An occurrence that has started no run, or a snapshot that has not."""

    model_config = ConfigDict(frozen=True)

    run: RunId  #: where it is entered
    at: AwareDatetime  #: when the run should have started
    reason: str


class LastRead(BaseModel):
    """What the last run that was not stopped read of a segment; the next one is held against it."""

    model_config = ConfigDict(frozen=True)

    profiles: NonNegativeInt
    written: AwareDatetime | None = None
    refreshed: AwareDatetime | None = None


class LastWell(BaseModel):
    """The last run that read the segments and ended well."""

    model_config = ConfigDict(frozen=True)

    finished: AwareDatetime
    took_s: NonNegativeFloat  #: from its start to its end
    read: dict[str, AwareDatetime] = Field(default_factory=dict)  #: by segment: when what it read was written


class ExportState(BaseModel):
    """What the system knows about an export. Stored as `state/exports/<export>.json`.

    Every start and every end of a run is one conditional change of it.
    """

    model_config = ConfigDict(frozen=True)

    export: Id
    active: Active | None = None
    #: Run whose ledger is in force, and the connection and list it is true for: with others it is void.
    ledger: RunId | None = None
    ledger_target: str = ""
    #: A run was cut short since: the ledger still says who was put on the list, but not in what form they are there.
    ledger_doubtful: bool = False
    last_read: dict[str, LastRead] = Field(default_factory=dict)  #: by segment
    #: Newest scheduled occurrence that was dealt with; earlier ones never start again.
    occurrence: AwareDatetime | None = None
    occurrence_skipped: str = ""  #: why that occurrence started no run
    skipped: tuple[Skipped, ...] = ()  #: the last ones, newest first
    last_status: RunStatus | None = None  #: how the last run ended
    last_run: RunId | None = None  #: and which one that was
    last_finished: AwareDatetime | None = None
    last_well: LastWell | None = None
    #: By segment: when the newest snapshot was written that a schedule with every refresh has started a run for.
    refreshed: dict[str, AwareDatetime] = Field(default_factory=dict)
    failing_since: RunId | None = None  #: the run that failed first, where none has ended well since
    #: Digest of an Idempotency-Key -> the run it started; the newest ones only.
    keys: dict[str, RunId] = Field(default_factory=dict)
