"""A process that dies in the middle of a step, right before or right after a change that others can see."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from exporters.exporter import Exporter
from tests.world import World

CHANGES = {"create", "replace", "put", "append", "delete", "upload", "upload_over", "send", "post"}


class Died(BaseException):
    """The process was killed. Whatever it still wants to do, such as tidying up, dies as well."""


class Mortal:
    """Runs the steps of a world, and dies at a moment: 0 is before the first change, 1 after it, 2 before the second.

    `counts` says of a method and its first argument whether it is a change to die at.
    """

    def __init__(self, world: World, *, counts: Callable[[str, str], bool], dies_at: int | None) -> None:
        self._counts = counts
        self._dies_at = dies_at
        self._is_dead = False
        self.moments = 0
        self.has_died = False
        parts = world.parts
        changed = {name: _Watched(getattr(parts, name), self) for name in ("state", "queues", "webhooks")}
        world.exporter = Exporter(replace(parts, **changed))

    def pump(self, world: World, *, back_after_s: float = 30) -> None:
        """Deliver messages until there is none; the one that a step died at comes back after a while."""
        while (when := world.queues.next_due()) is not None:
            world.time = max(world.time, when)
            message = world.queues.due()
            if not self.deliver(world, *message):
                world.queues.send(*message, delay_s=back_after_s)

    def deliver(self, world: World, queue: str, body: str) -> bool:
        """Deliver one message; False when the process died. The next one finds another process."""
        return self.survives(lambda: world.deliver(queue, body))

    def survives(self, do: Callable[[], object]) -> bool:
        """Do something; False when the process died of it."""
        try:
            do()
        except Died:
            self._is_dead = False
            return False
        return True

    def call(self, method: Callable[..., Any], name: str, *args: Any, **options: Any) -> Any:
        if self._is_dead:
            raise Died
        if name not in CHANGES or not self._counts(name, str(args[0])):
            return method(*args, **options)
        self._moment()
        answer = method(*args, **options)
        self._moment()
        return answer

    def _moment(self) -> None:
        self.moments += 1
        if self.moments - 1 == self._dies_at:
            self.has_died = self._is_dead = True
            raise Died


class _Watched:
    """A part whose changes are moments."""

    def __init__(self, part: object, mortal: Mortal) -> None:
        self._part = part
        self._mortal = mortal

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        return lambda *args, **options: self._mortal.call(method, name, *args, **options)
