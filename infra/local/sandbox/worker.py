"""The background thread of a sandbox: does what is due, one thing at a time, in order."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable

Action = Callable[[], None]


class Worker:
    """Runs actions at their times; those due together run in the order they were given."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sandbox-worker", daemon=True)
        self._thread.start()

    def at(self, when: float, action: Action) -> None:
        """Run an action once `time.time()` has reached `when`."""
        with self._changed:
            heapq.heappush(self._due, (when, next(self._numbers), action))
            self._changed.notify()

    def clear(self) -> None:
        """Forget what is not yet begun."""
        with self._changed:
            self._due.clear()

    def close(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (action := self._next()) is not None:
            action()

    def _next(self) -> Action | None:
        """Wait for what is due next; None when the worker is to stop."""
        with self._changed:
            while not self._stopping:
                if not self._due:
                    self._changed.wait()
                elif (wait_s := self._due[0][0] - time.time()) > 0:
                    self._changed.wait(wait_s)
                else:
                    return heapq.heappop(self._due)[2]
            return None
