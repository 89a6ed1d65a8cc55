"""A notification: what a receiver is told of a run, and what came of telling it.

Stored as `notifications/<export>/<run>-<occasion>.json`: created once, then changed under its ETag by each try. The
body has the form of https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload
It holds no personal data: nothing goes in that is not in the run document too.
"""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from exporters.model.brake import Brake
from exporters.model.names import Id, RunId
from exporters.model.receiver import Occasion
from exporters.model.run import DeliveryCounts, ExportState, Run, RunStatus, Trigger
from exporters.model.sums import RemovalSums, Sums


class RunNews(BaseModel):
    """What is told of a run."""

    model_config = ConfigDict(frozen=True)

    export: Id
    name: str  #: of the export
    run: RunId
    address: str  #: where the run is read, below the app's host
    trigger: Trigger
    provider: str
    list_id: str
    list_name: str  #: as the provider calls it; empty until access was checked
    status: RunStatus
    previous_status: RunStatus | None  #: how the run before it ended; None for the first one
    failing_since: str | None  #: address of the run that the failures in a row began with, this one included
    reason: str  #: why it failed, or what to look at, in an operator's words
    brakes: tuple[Brake, ...]  #: what holds the run, or has held it
    sums: Sums | None  #: None where there was no plan
    removal: RemovalSums | None  #: None where nobody was removed
    created: AwareDatetime
    finished: AwareDatetime | None  #: None while it is held


class Body(BaseModel):
    """What is posted."""

    model_config = ConfigDict(frozen=True)

    type: str  #: "run." and the occasion
    timestamp: AwareDatetime  #: when it happened; the header of a try says when it was made
    data: RunNews


class Try(BaseModel):
    """One request, or what kept it from being made."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    status: int | None  #: what the receiver answered; None without an answer
    words: str  #: what went wrong, and what to do; empty where nothing did


class Fate(StrEnum):
    """What came of a notification."""

    WAITING = "waiting"  #: for its first or next try
    DELIVERED = "delivered"  #: the receiver has answered 2xx
    REFUSED = "refused"  #: the receiver has answered 410: it wants no more
    GIVEN_UP = "given up"  #: every try has failed
    UNWANTED = "unwanted"  #: the export has no receiver any more
    ABANDONED = "abandoned"  #: its step failed again and again


class Notification(BaseModel):
    """The document."""

    model_config = ConfigDict(frozen=True)

    id: str  #: the same over all tries, so a receiver knows what it has had already
    export: Id
    run: RunId
    occasion: Occasion
    created: AwareDatetime
    body: Body
    fate: Fate = Fate.WAITING
    tries: tuple[Try, ...] = ()
    claimed_until: AwareDatetime | None = None  #: a step makes a try; past this time it counts for dead

    @property
    def closed(self) -> bool:
        """Whether nothing more is posted."""
        return self.fate is not Fate.WAITING


def notification_of(
    run: Run, occasion: Occasion, state: ExportState, *, happened: AwareDatetime, now: AwareDatetime
) -> Notification:
    """What there is to tell of a run; `state` is its export's, before the run's end has changed it."""
    news = RunNews(
        export=run.export.id,
        name=run.export.name,
        run=run.id,
        address=_address(run, run.id),
        trigger=run.trigger,
        provider=run.connection.provider,
        list_id=run.export.list_id,
        list_name="" if run.plan is None else run.plan.list_name,
        status=run.status,
        previous_status=state.last_status,
        failing_since=_failing_since(run, state),
        reason=run.reason,
        brakes=() if run.plan is None else run.plan.brakes,
        sums=_sums(run),
        removal=_removal(run),
        created=run.created,
        finished=run.finished,
    )
    return Notification(
        # A full stop would let two ids be read as one: the signature joins id, time and body with it.
        id=f"{run.export.id}_{run.id}_{occasion}",
        export=run.export.id,
        run=run.id,
        occasion=occasion,
        created=now,
        body=Body(type=f"run.{occasion}", timestamp=happened, data=news),
    )


def _address(run: Run, run_id: str) -> str:
    return f"/api/runs/{run.export.id}/{run_id}"


def _failing_since(run: Run, state: ExportState) -> str | None:
    begins = run.status is RunStatus.FAILED and run.reads_segments
    first = state.failing_since or (run.id if begins else None)
    return None if first is None else _address(run, first)


def _sums(run: Run) -> Sums | None:
    if run.plan is None:
        return None
    return Sums.of(run.plan.counts, run.result or DeliveryCounts())


def _removal(run: Run) -> RemovalSums | None:
    if run.plan is None or run.removal is None:
        return None
    return RemovalSums.of(run.plan.counts, run.removal)
