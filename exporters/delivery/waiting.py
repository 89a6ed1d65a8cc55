"""What a run waits for, and how much longer it is going to take, as far as that can be known."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, PositiveInt

from exporters.delivery import lanes
from exporters.delivery.account import known_lane
from exporters.delivery.pace import began_to_send, expected
from exporters.delivery.records import Delivered
from exporters.errors import ConfigError
from exporters.model.batch import BatchProgress
from exporters.model.lane import Lane, Slot
from exporters.model.run import Plan, Run, RunStatus, Step
from exporters.parts import Parts
from exporters.storage import paths


class WaitsFor(StrEnum):
    """Why a run that is at work does not go on."""

    PLANNER = "planner"  #: no step has begun; other runs are being planned
    TROUBLE = "trouble"  #: a snapshot that is being written, or a provider that does not answer
    PROVIDER = "provider"  #: it wants a pause
    TURN = "turn"  #: other runs have all the slots of the account
    UNREADABLE = "unreadable"  #: nobody can tell, as a document that says so cannot be read


class Waiting(BaseModel):
    """What a run waits for."""

    model_config = ConfigDict(frozen=True)

    reason: WaitsFor
    text: str
    until: AwareDatetime | None = None  #: where the provider has named a time, or it is tried again
    place: PositiveInt | None = None  #: among the runs that wait for a slot; 1 is the next one
    waiters: PositiveInt | None = None  #: how many those are


def waiting(parts: Parts, run: Run) -> Waiting | None:
    """What a run waits for; None when it is being worked on, is held, or has ended."""
    if run.status.ended or run.held:
        return None
    try:
        return _waiting(parts, run)
    except ConfigError as error:
        return Waiting(reason=WaitsFor.UNREADABLE, text=f"nobody can tell what it waits for: {error}")


def _waiting(parts: Parts, run: Run) -> Waiting | None:
    lane = lanes.read(parts, run.account or known_lane(parts, run.connection))
    title = parts.facts(run.connection).title
    if lane.not_before is not None and lane.not_before > parts.now():
        return _pause(lane.not_before, f"{title} wants a pause")
    if run.plan is None:
        return _before_the_plan(run)
    slots = [slot for slot in lane.slots if slot.run == run.id]
    if slots and lane.polls_not_before is not None and lane.polls_not_before > parts.now():
        return _pause(lane.polls_not_before, f"{title} answers no questions about import jobs before")
    return _after_failures(parts, slots, title) if slots else _turn(lane, run)


def fails(parts: Parts, run: Run) -> bool:
    """Whether the requests of a run fail at the provider, and are tried again: what `model.status_word` asks for.

    Where a document that tells it cannot be read, nobody knows of any.
    """
    if run.status is not RunStatus.PROCESSING or run.plan is None:
        return False
    waits = waiting(parts, run)
    return waits is not None and waits.reason is WaitsFor.TROUBLE


def _pause(until: datetime, why: str) -> Waiting:
    text = f"waiting for the provider until {until:%Y-%m-%d %H:%M:%S} UTC: {why}"
    return Waiting(reason=WaitsFor.PROVIDER, text=text, until=until)


def _before_the_plan(run: Run) -> Waiting | None:
    if run.status is RunStatus.QUEUED:
        return Waiting(reason=WaitsFor.PLANNER, text="waiting for its first step; another run may be planned first")
    if run.troubled_since is not None:
        return Waiting(reason=WaitsFor.TROUBLE, text=f"waiting: {run.trouble}")
    return None


def _after_failures(parts: Parts, slots: Sequence[Slot], title: str) -> Waiting | None:
    """That all that a run has tried last at the provider has failed; None where anything of it goes on."""
    tries = []
    for slot in slots:
        held = parts.documents.read(BatchProgress, paths.progress(slot.run, slot.batch))
        if held is None or not held.value.failures or held.value.not_before is None:
            return None
        tries.append(held.value)
    until = min(batch.not_before for batch in tries if batch.not_before is not None)
    failures = max(batch.failures for batch in tries)
    text = f"waiting: {title} did not answer as it should, {failures} times in a row; it is tried again"
    return Waiting(reason=WaitsFor.TROUBLE, text=text, until=until)


def _turn(lane: Lane, run: Run) -> Waiting | None:
    order = [waiter.run for waiter in lanes.in_turn(lane)]
    if run.id not in order:
        return None
    place = order.index(run.id) + 1
    busy = len({slot.run for slot in lane.slots})
    text = f"waiting for its turn on the account, place {place} of {len(order)}: other runs at work there: {busy}"
    return Waiting(reason=WaitsFor.TURN, text=text, place=place, waiters=len(order))


def remaining(parts: Parts, run: Run, plan: Plan, so_far: Delivered) -> timedelta | None:
    """How much longer a run is going to send, at its own pace so far, else at that of earlier runs.

    None when it does not send: while it is planned, held or removes people, and after its end.
    """
    if run.step is not Step.SENDING or run.status.ended or run.halted:
        return None
    counts = so_far.counts
    done = counts.delivered + counts.refused + counts.unknown
    left = plan.counts.planned - done
    if not left:
        return timedelta(0)
    if done:
        return (parts.now() - began_to_send(run)) / done * left
    pace = expected(parts, run.export.id, left, published=parts.facts(run.connection).pace_per_minute)
    return timedelta(minutes=left / pace.per_minute)
