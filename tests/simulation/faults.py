"""What may happen to a step at any of its reads, writes, sends and requests, and how often, by the seed."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Killed(BaseException):
    """The process of a step has ended without notice. Nothing of the step reaches the world any more."""


class BrokenPromiseError(AssertionError):
    """What the design promises has not come true."""


class Operation(StrEnum):
    """What a step does at the edge of its process."""

    READ = "read"
    WRITE = "write"  #: whatever was there
    CONDITIONAL = "conditional"  #: under an ETag, or only where nothing is
    SEND = "send"
    REQUEST = "request"


class Event(StrEnum):
    """What happens at an operation."""

    OTHERS = "others"  #: other steps run before it, from their beginning to their end
    PAUSE = "pause"  #: a while passes before it, in which others run
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    FAILED = "failed"  #: the storage answers nothing, and has done nothing
    LOST = "lost"  #: the storage has done it, and its answer is lost
    #: It was done and the answer was lost; the SDK has tried again by itself, and has met its own write.
    CONFLICT = "conflict"
    TWICE = "twice"  #: the same, of a message


APPLIES: dict[Operation, tuple[Event, ...]] = {
    Operation.READ: (Event.OTHERS, Event.PAUSE, Event.FAILED),
    Operation.WRITE: (
        Event.OTHERS,
        Event.PAUSE,
        Event.KILLED_BEFORE,
        Event.KILLED_AFTER,
        Event.FAILED,
        Event.LOST,
    ),
    Operation.CONDITIONAL: tuple(event for event in Event if event is not Event.TWICE),
    Operation.SEND: tuple(event for event in Event if event is not Event.CONFLICT),
    Operation.REQUEST: (Event.OTHERS, Event.PAUSE, Event.KILLED_BEFORE, Event.KILLED_AFTER),
}
#: Events that may only happen where the world is not calm, so often.
FAULTS = frozenset(Event) - {Event.OTHERS}


@dataclass(kw_only=True)
class Chances:
    """How likely what is, in one world."""

    every: int  #: operations between two events, on average
    weights: dict[Event, int] = field(default_factory=dict)
    faults_left: int = 0
    late: float = 0.0  #: share of messages that are delivered late
    doubled: float = 0.0  #: share of messages that are delivered twice, as long as there are any
    doubles_left: int = 0
    unordered: float = 0.0  #: share of deliveries that are not those of the oldest message

    def next_gap(self, chance: Random) -> int:
        return chance.randint(1, 2 * self.every)

    def draw(self, operation: Operation, chance: Random) -> Event | None:
        """What happens at an operation; None where nothing of what may happen applies to it."""
        events = [
            event
            for event in APPLIES[operation]
            if self.weights.get(event) and (self.faults_left > 0 or event not in FAULTS)
        ]
        if not events:
            return None
        (event,) = chance.choices(events, [self.weights[event] for event in events])
        if event in FAULTS:
            self.faults_left -= 1
        return event


def calm() -> Chances:
    """Steps run beside each other, and nothing goes wrong."""
    return Chances(every=12, weights={Event.OTHERS: 1}, unordered=0.3)


def stormy(chance: Random) -> Chances:
    """Faults, some of them more likely than others in this world."""
    others = chance.choice([1, 4])
    weights = {event: chance.choice([0, 1, 1, 2, 6]) if event in FAULTS else others for event in Event}
    return Chances(
        every=chance.choice([4, 10, 20, 40]),
        weights=weights,
        faults_left=chance.choice([1, 2, 4, 8, 16]),
        late=chance.choice([0.0, 0.0, 0.1, 0.3]),
        doubled=chance.choice([0.05, 0.3]),
        doubles_left=chance.choice([0, 0, 5, 40]),
        unordered=chance.choice([0.0, 0.3, 1.0]),
    )
