"""How often an idle queue is looked at: exponential pauses, and a bell that cuts them short.

The pauses are the real host's: https://github.com/Azure/azure-sdk-for-net/tree/main/sdk/storage/Microsoft.Azure.WebJobs.Extensions.Storage.Queues
The bell is ours. A function that has ended may have sent a message, and in this process that is known at once.
"""

import random
import threading

#: First pause after a message.
MIN_PAUSE_S = 0.1


class Backoff:
    """Pauses of 0.1 s, 0.2 s, 0.3 s, 0.5 s, 0.9 s, …, give or take a fifth of what grows, up to a maximum."""

    def __init__(self, max_s: float, rng: random.Random) -> None:
        self._max_s = max(max_s, MIN_PAUSE_S)
        self._rng = rng
        self._misses = 0

    def reset(self) -> None:
        self._misses = 0

    def next_pause_s(self) -> float:
        growth = 0.0 if self._misses == 0 else 2.0 ** (self._misses - 1) * MIN_PAUSE_S
        pause = MIN_PAUSE_S + growth * self._rng.uniform(0.8, 1.2)
        if pause >= self._max_s:
            return self._max_s
        self._misses += 1
        return pause


class Bell:
    """Wakes all who wait. A ring between `count` and `wait` is not missed."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.count = 0

    def ring(self) -> None:
        with self._condition:
            self.count += 1
            self._condition.notify_all()

    def wait(self, heard: int, seconds: float) -> bool:
        """Wait for a ring after the `heard` first ones; answers whether there was one."""
        with self._condition:
            return self._condition.wait_for(lambda: self.count > heard, seconds)
