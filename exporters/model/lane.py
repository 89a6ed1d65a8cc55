"""A lane: what one provider account lets run at once, and who waits for it. `lanes/<account>.json`, under its ETag."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt

from exporters.model.names import Id, RunId
from exporters.model.run import Trigger
from exporters.model.trace import TraceParent


class Slot(BaseModel):
    """One import job's place."""

    model_config = ConfigDict(frozen=True)

    export: Id
    run: RunId
    batch: NonNegativeInt
    since: AwareDatetime
    trace: TraceParent = None  #: of the run


class Waiter(BaseModel):
    """A run with batches that have no slot yet, in the order in which runs come to their turn."""

    model_config = ConfigDict(frozen=True)

    export: Id
    run: RunId
    trigger: Trigger
    next_batch: NonNegativeInt
    batches: NonNegativeInt
    trace: TraceParent = None  #: of the run


class Lane(BaseModel):
    """The slots and the queue of one account."""

    model_config = ConfigDict(frozen=True)

    account: str
    size: NonNegativeInt = 1  #: import jobs that the provider lets the account have at work at once
    slots: tuple[Slot, ...] = ()
    waiting: tuple[Waiter, ...] = ()
    not_before: AwareDatetime | None = None  #: the provider wants no request earlier
    job_s: NonNegativeFloat = (
        0.0  #: that the last import job is taken to have needed; the next one is first asked for then
    )
    polls_not_before: AwareDatetime | None = None  #: the provider wants no question for a job earlier
