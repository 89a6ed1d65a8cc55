"""Lanes: who may send on a provider account now, who comes next, and until when everyone waits.

A slot is taken in the lane's document before the message of its batch is sent, so two dispatchers never give the
same slot twice. A dispatcher that dies between the two leaves a slot without a message; the watch sends it again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from exporters import tracing
from exporters.model.lane import Lane, Slot, Waiter
from exporters.model.messages import BatchMessage
from exporters.model.run import Run, Trigger
from exporters.parts import Parts
from exporters.storage import paths

#: Share of a wait that is added at random, so that all who wait do not come back in the same second.
JITTER = 0.1


def fill(lane: Lane, now: datetime) -> Lane:
    """Give free slots to waiting batches: on-demand runs before scheduled ones, and within each kind in turns."""
    while lane.waiting and len(lane.slots) < lane.size:
        turn = in_turn(lane)[0]
        slot = Slot(export=turn.export, run=turn.run, batch=turn.next_batch, since=now, trace=turn.trace)
        others = tuple(waiter for waiter in lane.waiting if waiter != turn)
        rest = turn.model_copy(update={"next_batch": turn.next_batch + 1})
        waiting = (*others, rest) if rest.next_batch < rest.batches else others
        lane = lane.model_copy(update={"slots": (*lane.slots, slot), "waiting": waiting})
    return lane


def in_turn(lane: Lane) -> list[Waiter]:
    """Who waits, in the order in which they get the next slots: on-demand runs before scheduled ones."""
    return sorted(lane.waiting, key=lambda waiter: waiter.trigger is not Trigger.DEMAND)


def join(parts: Parts, run: Run, *, batches: int, size: int) -> None:
    """Let a planned run wait for slots; for its removals, once they have begun.

    Harmless when repeated: a run that the lane knows is not taken in again.
    """
    first = len(run.plan.batches) if run.plan is not None and run.removals else 0

    def change(lane: Lane) -> Lane:
        if _knows(lane, run):
            return lane
        waiter = Waiter(
            export=run.export.id,
            run=run.id,
            trigger=run.trigger,
            next_batch=first,
            batches=batches,
            trace=run.trace,
        )
        return lane.model_copy(update={"size": size, "waiting": (*lane.waiting, waiter)})

    _dispatch(parts, run.lane, change)


def knows(parts: Parts, run: Run) -> bool:
    """Whether a run has a slot of its lane, or waits for one."""
    return _knows(read(parts, run.lane), run)


def _knows(lane: Lane, run: Run) -> bool:
    return run.id in {slot.run for slot in lane.slots} | {waiter.run for waiter in lane.waiting}


def leave_slot(parts: Parts, run: Run, batch: int) -> None:
    """Free the slot of a batch that has its outcome, and hand it on."""

    def change(lane: Lane) -> Lane:
        kept = tuple(slot for slot in lane.slots if (slot.run, slot.batch) != (run.id, batch))
        return lane.model_copy(update={"slots": kept})

    _dispatch(parts, run.lane, change)


def leave(parts: Parts, account: str, run_id: str) -> None:
    """Take a run that has ended out of a lane altogether; one that was in none leaves no lane behind."""
    if parts.documents.read(Lane, paths.lane(account)) is None:
        return

    def change(lane: Lane) -> Lane:
        return lane.model_copy(
            update={
                "slots": tuple(slot for slot in lane.slots if slot.run != run_id),
                "waiting": tuple(waiter for waiter in lane.waiting if waiter.run != run_id),
            }
        )

    _dispatch(parts, account, change)


def withdraw(parts: Parts, run: Run) -> tuple[Slot, ...]:
    """Let a run wait for no more slots; answers those that it has, whose batches are still at work."""

    def change(lane: Lane) -> Lane:
        waiting = tuple(waiter for waiter in lane.waiting if waiter.run != run.id)
        return lane if waiting == lane.waiting else lane.model_copy(update={"waiting": waiting})

    lane = parts.documents.change(Lane, paths.lane(run.lane), change, default=Lane(account=run.lane))
    return tuple(slot for slot in lane.slots if slot.run == run.id)


def job_took(parts: Parts, account: str, seconds: float) -> None:
    """Remember how long an import job is taken to have needed."""
    taken = round(seconds, 1)
    path = paths.lane(account)
    parts.documents.change(
        Lane, path, lambda lane: lane.model_copy(update={"job_s": taken}), default=Lane(account=account)
    )


def first_question_s(parts: Parts, account: str, delays_s: Sequence[float]) -> float:
    """Seconds from the start of a job to the first question for it: as many as the last one is taken to have needed.

    So a job that takes twenty seconds costs one or two questions of the few that a provider allows, not four.
    """
    return min(max(delays_s[0], read(parts, account).job_s), delays_s[-1])


def hold_back(parts: Parts, account: str, wait_s: float, *, polls_only: bool = False) -> None:
    """Let nobody on this account make a request for so long; or nobody ask for a job, while imports may go on."""
    until = parts.now() + timedelta(seconds=wait_s * (1 + JITTER * parts.jitter()))
    pause = "polls_not_before" if polls_only else "not_before"

    def change(lane: Lane) -> Lane:
        known: datetime | None = getattr(lane, pause)
        return lane if known is not None and known >= until else lane.model_copy(update={pause: until})

    parts.documents.change(Lane, paths.lane(account), change, default=Lane(account=account))


def wait_s(parts: Parts, account: str, *, to_poll: bool = False) -> float:
    """Seconds that the account has to wait before its next request, or question for a job; 0 when it may go on."""
    lane = read(parts, account)
    pauses = (lane.not_before, lane.polls_not_before if to_poll else None)
    return max([0.0, *((until - parts.now()).total_seconds() for until in pauses if until is not None)])


def read(parts: Parts, account: str) -> Lane:
    """The lane of an account; an empty one where nothing has run yet."""
    found = parts.documents.read(Lane, paths.lane(account))
    return Lane(account=account) if found is None else found.value


def _dispatch(parts: Parts, account: str, change: Callable[[Lane], Lane]) -> None:
    """Change a lane, fill its free slots in the same write, and send the messages of the slots that are new."""
    before: Lane = Lane(account=account)

    def change_and_fill(lane: Lane) -> Lane:
        nonlocal before
        before = lane
        return fill(change(lane), parts.now())

    after = parts.documents.change(Lane, paths.lane(account), change_and_fill, default=before)
    for slot in after.slots:
        if slot not in before.slots:
            send_message(parts, slot)


def send_message(parts: Parts, slot: Slot) -> None:
    """Put the message on the batch queue that works on a slot."""
    traceparent = tracing.carried(slot.trace)
    message = BatchMessage(export=slot.export, run=slot.run, batch=slot.batch, traceparent=traceparent)
    parts.queues.send(parts.queue_names.batch, message.model_dump_json())
