"""Timer triggers: one process at a time fires them, in UTC, without overlap; a late occurrence is made up once.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import wait
from datetime import UTC, datetime

from azure.core.exceptions import AzureError
from azure.functions.timer import TimerRequest
from azure.storage.blob import BlobLeaseClient
from cronsim import CronSimError

from infra.local.host.functions import LoadError, TimerFunction
from infra.local.host.locks import RENEW_S, TimerRecord, describe, release
from infra.local.host.runner import Runner
from infra.local.host.schedule import Schedule, Status

log = logging.getLogger("host.timer")


def utc_now() -> datetime:
    return datetime.now(UTC)


class TimerListener:
    """One timer trigger of one process. `run` belongs on a thread of its own and ends soon after `stop`.

    Raises LoadError for an expression that is no schedule.
    """

    def __init__(
        self,
        function: TimerFunction,
        record: TimerRecord,
        runner: Runner,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._function = function
        self._schedule = Schedule(function.schedule)
        self._record = record
        self._runner = runner
        self._now = now
        try:
            self._monitored = not self._schedule.is_frequent(now()) and function.use_monitor
        except CronSimError as error:
            raise LoadError(f"{function.name}: {function.schedule!r} is not a timer schedule: {error}") from error
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                lease = self._record.acquire()
                if lease is not None:
                    self._serve_under(lease)
            except AzureError as error:
                log.warning("%s: lost or cannot take the timer's lock: %s", self._function.name, error)
            self._stopping.wait(RENEW_S)

    def stop(self) -> None:
        self._stopping.set()

    def _serve_under(self, lease: BlobLeaseClient) -> None:
        log.debug("%s: this process has the timer", self._function.name)
        try:
            status = self._first_status()
            while True:
                late = status.next <= self._now()
                if not self._wait_until(status.next, lease):
                    return
                status = self._fire(status, lease, late=late)
        finally:
            release(lease)

    def _first_status(self) -> Status:
        now = self._now()
        kept = self._record.load() if self._monitored else None
        if kept is not None and kept.fits(self._schedule):
            return kept
        status = Status.fresh(self._schedule, now)
        if self._monitored:
            self._record.save(status)
        return status.model_copy(update={"next": now}) if self._function.run_on_startup else status

    def _wait_until(self, moment: datetime, lease: BlobLeaseClient) -> bool:
        """Keep the lock until then; False when the process ends before."""
        while (left_s := (moment - self._now()).total_seconds()) > 0:
            if self._stopping.wait(min(left_s, RENEW_S)):
                return False
            lease.renew()
        return not self._stopping.is_set()

    def _fire(self, status: Status, lease: BlobLeaseClient, *, late: bool) -> Status:
        started = self._now()
        request = TimerRequest(past_due=late, schedule_status=describe(status), schedule={"AdjustForDST": True})
        try:
            call = self._runner.submit(self._function, request)
        except RuntimeError:  # stopping
            return status
        while not wait([call], RENEW_S).done:
            lease.renew()
        done = status.ran(self._schedule, started)
        if self._monitored and not call.cancelled():
            self._record.save(done)
        return done
