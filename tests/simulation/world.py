"""A simulated world: the whole app on in-memory parts, with a scheduler that decides by a seed what happens next.

One thread runs everything. Steps overlap all the same: at any operation of a step other steps may run from their
beginning to their end, and at theirs others again.
"""

import heapq
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from pathlib import PurePosixPath
from random import Random
from typing import NoReturn, TypeVar

from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError

from exporters.errors import StorageConflictError
from exporters.exporter import Exporter
from exporters.model.caller import SignIn
from exporters.parts import Parts, QueueNames
from exporters.storage import paths
from exporters.storage.blobs import Blob
from exporters.storage.memory import MemoryBlobStore, MemoryQueues, MemorySecrets
from tests.simulation.faults import BrokenPromiseError, Chances, Event, Killed, Operation
from tests.simulation.planning import PlainPlanning
from tests.simulation.provider import Account, Shape
from tests.simulation.stores import GuardedQueues, GuardedReceiver, GuardedStore, Inline
from tests.world import START
from tests.world_receiver import SECRET

Result = TypeVar("Result")

STEP_LIMIT = timedelta(minutes=10)  # functionTimeout in host.json
SETTLE = timedelta(seconds=60)
MAX_DELIVERIES = 5  # maxDequeueCount
BACK_AFTER_FAILURE = timedelta(seconds=30)  # visibilityTimeout
#: A message that was received by a process that died: https://github.com/Azure/azure-functions-host/issues/10461
BACK_AFTER_DEATH = timedelta(minutes=10)
POISON = "-poison"
PROGRESS = "{staging}progress/"

CHANGES = frozenset({Operation.WRITE, Operation.CONDITIONAL})
OPERATION = timedelta(milliseconds=10)
PAUSES_S = (1, 5, 31, 300, 700)
#: Steps that run inside each other.
DEEPEST = 3
LONGEST_TICK = timedelta(hours=6)
#: Steps that nothing can need between two rests.
MOST_STEPS = 20_000
#: A run may wait a week for a decision, and its receiver be told for three days.
REST_AFTER = timedelta(days=14)

HANDLERS: dict[str, Callable[[Exporter, bytes], None]] = {
    "plan": Exporter.move_run,
    "batch": Exporter.send_batch,
    "poll": Exporter.poll_batch,
    "notify": Exporter.send_notification,
    f"plan{POISON}": Exporter.abandon_run,
    f"batch{POISON}": Exporter.abandon_send,
    f"poll{POISON}": Exporter.abandon_poll,
    f"notify{POISON}": Exporter.abandon_notification,
}


@dataclass(slots=True, kw_only=True)
class Message:
    """One that somebody may receive now."""

    queue: str
    body: str
    deliveries: int = 0

    def __str__(self) -> str:
        return f"{self.queue} {self.body}"


@dataclass(slots=True, kw_only=True)
class Step:
    """One that is under way."""

    name: str
    exporter: Exporter
    ends: datetime  #: the platform ends it then
    waits_until: datetime | None  #: what the lanes said of the provider's pauses when it began
    dead: bool = False


class Done(Enum):
    """How a step ended."""

    WELL = auto()
    FAILED = auto()
    KILLED = auto()


class World:
    """Everything there is, and the time."""

    def __init__(
        self,
        seed: int,
        *,
        shape: type[Shape],
        chances: Chances,
        trace: list[str] | None = None,
        change: Callable[[Parts], Parts] = lambda parts: parts,
    ) -> None:
        """`change` puts other parts into the app, to see whether that is noticed."""
        self.seed = seed
        self.chance = Random(seed)
        self.shape = shape
        self.chances = chances
        self.trace = trace
        self.time = START
        self.account = Account(world=self, lists={})
        self.state = MemoryBlobStore(now=self.now)
        self.segments = MemoryBlobStore(now=self.now)
        self.queues = MemoryQueues(now=self.now)
        self.secrets = MemorySecrets({"main-key": self.account.key, "signing": SECRET})
        self.receiver = GuardedReceiver(self)
        self.exporters = [Exporter(change(self._parts())) for _ in range(DEEPEST + 1)]
        self.steps: list[Step] = []
        self.inbox: list[Message] = []
        self.hidden: list[tuple[datetime, int, Message]] = []
        self.actions: list[tuple[datetime, int, str, Callable[[], None]]] = []
        self.cursed: set[str] = set()  #: what a message names whose every delivery dies
        self.on_idle: Callable[[], None] = lambda: None
        self.steps_run = 0
        self.faults = 0
        self._at_work: list[tuple[str, str]] | None = None  #: None: somebody has written since it was looked at
        self._changed = True  #: somebody has written since it was last idle
        self._numbers = itertools.count(1)
        self._gap = chances.next_gap(self.chance)
        self.tick_every = timedelta(seconds=60)
        self._ticked = self._worked = START
        self.looks: list[datetime] = []  #: when those ticks began that came to their end

    def _parts(self) -> Parts:
        return Parts(
            state=GuardedStore(self.state, self),
            segments=GuardedStore(self.segments, self),
            queues=GuardedQueues(self.queues, self),
            queue_names=QueueNames(plan="plan", batch="batch", poll="poll", notify="notify", erase="erase"),
            secrets=self.secrets,
            webhooks=self.receiver,
            connect=lambda _, key: self.shape(self.account, key),
            facts=lambda _: self.shape,
            now=self.now,
            jitter=self.chance.random,
            settle=SETTLE,
            planning=PlainPlanning(),
            step_limit=STEP_LIMIT,
            uploaders=lambda _: Inline(),
            sign_in=SignIn.LOCAL,
            new_id=lambda: f"{next(self._numbers):032x}",
        )

    def now(self) -> datetime:
        return self.time

    def note(self, text: str) -> None:
        """Write a line of the trace, where somebody is going to read it."""
        if self.trace is not None:
            self.trace.append(f"{self.time - START!s:>22}  {'    ' * len(self.steps)}{text}")

    # What steps do, and what happens to them.

    def operate(self, operation: Operation, name: str, do: Callable[[], Result]) -> Result:
        """An operation of the step that is under way; where nothing is, of the test itself."""
        if not self.steps:
            return do()
        step = self.steps[-1]
        if step.dead:
            raise Killed
        self.time += OPERATION
        if operation in CHANGES:
            self._at_work, self._changed = None, True
        self._gap -= 1
        if self._gap <= 0:
            self._gap = self.chances.next_gap(self.chance)
            event = self.chances.draw(operation, self.chance)
            if event is not None:
                return self._happen(event, step, operation, name, do)
        if self.trace is not None and operation is not Operation.READ:
            self.note(f"{operation} {name}")
        return do()

    def request(self, what: str, act: Callable[[], Result]) -> Result:
        """A request to the provider by the step that is under way."""
        step = self.steps[-1]

        def act_in_time() -> Result:
            named = self.account.not_before
            if step.waits_until is not None and named is not None and self.time < min(step.waits_until, named):
                raise BrokenPromiseError(f"{what} before {step.waits_until}, until when the provider wanted a pause")
            return act()

        return self.operate(Operation.REQUEST, what, act_in_time)

    def _happen(self, event: Event, step: Step, operation: Operation, name: str, do: Callable[[], Result]) -> Result:
        if event in {Event.OTHERS, Event.PAUSE}:
            if event is Event.PAUSE:
                pause = self.chance.choice(PAUSES_S)
                self.note(f"({pause} s pass)")
                self.time += timedelta(seconds=pause)
            self._run_others()
            if self.time > step.ends:
                self._kill(step, "ended by the platform before", operation, name)
            self.note(f"{operation} {name}")
            return do()
        self.faults += 1
        if event is Event.KILLED_BEFORE:
            self._kill(step, event, operation, name)
        if event is Event.FAILED:
            self.note(f"FAILED: {operation} {name}")
            raise ServiceRequestError("The storage could not be reached")
        do()
        if event is Event.KILLED_AFTER:
            self._kill(step, event, operation, name)
        self.note(f"{event.upper()}: {operation} {name}")
        if event is Event.LOST:
            raise ServiceResponseError("The storage's answer was lost")
        if event is Event.CONFLICT:
            raise StorageConflictError(f"{name} was changed by another step")
        return do()

    def _kill(self, step: Step, how: str, operation: Operation, name: str) -> NoReturn:
        self.note(f"{how.upper()} {operation} {name}")
        step.dead = True
        raise Killed

    def _run_others(self) -> None:
        """Let other steps run while one is under way."""
        if len(self.steps) >= DEEPEST:
            return
        for _ in range(self.chance.randint(1, 3)):
            self._receive()
            if not self.inbox:
                return
            self._deliver(self._pick())

    # What runs, and when.

    def at(self, moment: datetime, what: str, act: Callable[[], None]) -> None:
        """Have something done at a time."""
        heapq.heappush(self.actions, (moment, next(self._numbers), what, act))

    def step(self, name: str, use: Callable[[Exporter], object], *, exporter: Exporter | None = None) -> Done:
        """Run one step to its end, whatever that is."""
        self.steps_run += 1
        if self.steps_run > MOST_STEPS:
            raise BrokenPromiseError("the world does not come to rest: there is no end of steps")
        self.note(f"> {name}")
        step = Step(
            name=name,
            exporter=exporter or self.exporters[len(self.steps)],
            ends=self.time + STEP_LIMIT,
            waits_until=self._waits_until(),
        )
        self.steps.append(step)
        try:
            use(step.exporter)
        except Killed:
            return Done.KILLED
        except (AzureError, StorageConflictError) as error:
            if not self.faults and not isinstance(error, StorageConflictError):  # which is a race that was lost
                raise BrokenPromiseError(f"{name} failed though nothing went wrong: {error!r}") from error
            self.note(f"failed: {error!r}")
            return Done.FAILED
        finally:
            self.steps.pop()
        return Done.KILLED if step.dead else Done.WELL

    def _waits_until(self) -> datetime | None:
        """Until when every lane says that the provider wants a pause."""
        found = [json.loads(lane.data)["not_before"] for lane in self._lanes()]
        return min((datetime.fromisoformat(each) for each in found if each), default=None) if all(found) else None

    def _lanes(self) -> list[Blob]:
        """The lanes of the account, but for the one of those who do not know yet which account theirs is."""
        known = [info.name for info in self.state.list(paths.LANES)]
        if self.account.id is not None:
            known = [name for name in known if name != paths.lane("main")]
        return [blob for name in known if (blob := self.state.get(name)) is not None]

    def tick(self) -> None:
        # A tick bears a segment that it cannot read, and looks at it again the next time.
        self._ticked, faults = self.time, self.faults
        if self.step("tick", Exporter.tick) is Done.WELL and self.faults == faults:
            self.looks.append(self._ticked)
        else:
            self._worked = self.time

    def run(self) -> None:
        """Let time go on until the world is at rest."""
        began, self.steps_run, self._worked = self.time, 0, self.time
        while True:
            self._receive()
            if self.inbox:
                self._worked = self.time
                self._deliver(self._pick())
                continue
            if self._changed:
                self._changed = False
                self.on_idle()
            moment = self._next_moment()
            if moment is None:
                return
            if moment - began > REST_AFTER:
                raise BrokenPromiseError(f"the world has not come to rest in {moment - began}")
            self.time = max(self.time, moment)
            self._act()

    def _act(self) -> None:
        while self.actions and self.actions[0][0] <= self.time:
            _, _, what, act = heapq.heappop(self.actions)
            self.note(f"* {what}")
            act()
        if self._wants_tick() and self.time >= self._next_tick():
            self.tick()

    def _next_moment(self) -> datetime | None:
        """When something happens next; None when the world is at rest."""
        moments = self._moments()
        if self._wants_tick():
            moments.append(self._next_tick())
        return min(moments, default=None)

    def _moments(self) -> list[datetime]:
        """When the next message shows itself, and when somebody wants something next."""
        moments = [each[0][0] for each in (self.hidden, self.actions) if each]
        due = self.queues.next_due()
        return moments if due is None else [*moments, due]

    def _wants_tick(self) -> bool:
        """Whether the timer's turn can matter: while a run is at work, and once after everything else."""
        return bool(self.runs_at_work()) or (self._ticked < self._worked and not self._moments())

    def _next_tick(self) -> datetime:
        """The timer's next turn; turns in which nothing can happen are left out."""
        idle = self.time - self._worked
        return self._ticked + min(max(self.tick_every, idle / 3), LONGEST_TICK)

    def runs_at_work(self) -> list[tuple[str, str]]:
        """Export and run of those who have not ended, by the states of the exports."""
        if self._at_work is None:
            self._at_work = self._read_runs_at_work()
        return self._at_work

    def _read_runs_at_work(self) -> list[tuple[str, str]]:
        states = (self.state.get(info.name) for info in self.state.list(paths.EXPORT_STATES))
        found = [json.loads(blob.data) for blob in states if blob is not None and b'"active":null' not in blob.data]
        return [(state["export"], state["active"]["run"]) for state in found]

    def jobs_followed(self) -> set[str]:
        """Import jobs of batches that have no outcome yet."""
        found = set()
        for export, run in self.runs_at_work():
            ended = {PurePosixPath(info.name).name for info in self.state.list(paths.outcomes(export, run))}
            for info in self.state.list(PROGRESS.format(staging=paths.staging(run))):
                blob = self.state.get(info.name)
                if blob is not None and PurePosixPath(info.name).name not in ended:
                    job = json.loads(blob.data)["job"]
                    found.add("" if job is None else str(job["id"]))
        return found

    # Messages.

    def _receive(self) -> None:
        """Take in what shows itself by now."""
        while self.hidden and self.hidden[0][0] <= self.time:
            self.inbox.append(heapq.heappop(self.hidden)[2])
        chances = self.chances
        while (found := self.queues.due()) is not None:
            message = Message(queue=found[0], body=found[1])
            if chances.doubles_left and self.chance.random() < chances.doubled:
                self.faults += 1
                chances.doubles_left -= 1
                self._hide(replace(message), timedelta(seconds=self.chance.choice([0, 0, 1, 40, 700])))
            if chances.late and self.chance.random() < chances.late:
                self._hide(message, timedelta(seconds=self.chance.choice([1, 10, 60, 900])))
            else:
                self.inbox.append(message)

    def _hide(self, message: Message, wait: timedelta) -> None:
        heapq.heappush(self.hidden, (self.time + wait, next(self._numbers), message))

    def _pick(self) -> Message:
        unordered = self.chances.unordered and self.chance.random() < self.chances.unordered
        return self.inbox.pop(self.chance.randrange(len(self.inbox)) if unordered else 0)

    def _deliver(self, message: Message) -> None:
        message.deliveries += 1
        is_poison = message.queue.endswith(POISON)
        if message.deliveries > MAX_DELIVERIES and not is_poison:
            self._poison(message)
            return
        if self.cursed and not is_poison and self._dies_again(message):
            return
        handler = HANDLERS[message.queue]
        done = self.step(
            f"{message} (delivery {message.deliveries})",
            lambda exporter: handler(exporter, message.body.encode()),
            exporter=self._exporter(message),
        )
        if done is Done.WELL:
            return
        if done is Done.KILLED:
            self._hide(message, BACK_AFTER_DEATH)
        elif message.deliveries >= MAX_DELIVERIES and not is_poison:
            self._poison(message)
        else:
            self._hide(message, BACK_AFTER_FAILURE)

    def _dies_again(self, message: Message) -> bool:
        """Whether the process dies of it before it has done anything, as when it runs out of memory."""
        if not any(word in str(message) for word in self.cursed):
            return False
        self.faults += 1
        self.note(f"> {message} (delivery {message.deliveries}): DIES AT ONCE")
        self._hide(message, BACK_AFTER_FAILURE if self.chance.random() < 0.5 else BACK_AFTER_DEATH)
        return True

    def _poison(self, message: Message) -> None:
        self.note(f"{message} is poisoned")
        self.inbox.append(Message(queue=message.queue + POISON, body=message.body))

    def _exporter(self, message: Message) -> Exporter | None:
        """The process that receives a message; None: one of its own. Two plans may meet in one process."""
        if self.steps and message.queue == "plan" and self.chance.random() < 0.5:
            return self.steps[-1].exporter
        return None
