"""Runs functions on a pool of threads, as the Python worker does, and logs when each started and how it ended."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from infra.local.host.functions import Function

log = logging.getLogger("host.function")


class Runner:
    """The pool of one process. `on_end` is called whenever a function has ended, however it did."""

    def __init__(self, *, threads: int, timeout_s: float, on_end: Callable[[], None]) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        self._timeout_s = timeout_s
        self._on_end = on_end
        self._changed = threading.Condition()
        self._unfinished: dict[Future[Any], tuple[str, float]] = {}

    def submit(self, function: Function, value: object) -> Future[Any]:
        """Run a function when a thread is free. Raises RuntimeError once `stop` was called."""
        with self._changed:
            future = self._pool.submit(self._run, function, value)
            self._unfinished[future] = (function.name, time.monotonic() + self._timeout_s)
        future.add_done_callback(self._forget)
        return future

    def overdue(self) -> list[str]:
        """Names of functions over the time limit, which runs from the moment they were handed over, as in Azure."""
        with self._changed:
            return [name for name, deadline in self._unfinished.values() if time.monotonic() > deadline]

    def stop(self, grace_s: float) -> bool:
        """Cancel what has not started, wait for the rest; answers whether everything ended in time."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            return self._changed.wait_for(lambda: not self._unfinished, grace_s)

    def _run(self, function: Function, value: object) -> Any:
        log.info("%s started", function.name)
        started = time.monotonic()
        try:
            result = function(value)
        except Exception:
            log.exception("%s failed after %d ms", function.name, _ms_since(started))
            raise
        log.info("%s succeeded in %d ms", function.name, _ms_since(started))
        return result

    def _forget(self, future: Future[Any]) -> None:
        with self._changed:
            del self._unfinished[future]
            self._changed.notify_all()
        self._on_end()


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
