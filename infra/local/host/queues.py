"""Queue triggers: fetch, hold under a lease, run, then delete, give back or move to the poison queue.

Behaviour, and the words of the poison warning, are those of the storage queues extension:
https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger
"""

import base64
import binascii
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.queue import QueueMessage
from azure.storage.queue import ExponentialRetry, QueueClient
from azure.storage.queue import QueueMessage as StoredMessage

from infra.local.host.functions import QueueFunction
from infra.local.host.options import LEASE_S, QueueOptions
from infra.local.host.polling import Backoff, Bell
from infra.local.host.runner import Runner

log = logging.getLogger("host.queue")

#: A message is hidden for the length of a lease when fetched, and again at each renewal while its function runs.
RENEWALS_PER_LEASE = 2
#: When functions end in quick succession, an empty queue is looked at no more often than this.
PAUSE_AFTER_RING_S = 0.02
#: While storage is away the end of a message is tried again for about half a minute, as by the storage clients of the
#: real host: https://learn.microsoft.com/azure/storage/blobs/storage-retry-policy. After that its lease ends, and it
#: runs once more. Fetching and renewing come again by themselves.
SETTLE_RETRIES = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=5, random_jitter_range=1)
POISON = "-poison"
#: Longest name of a queue.
#: https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata
MAX_QUEUE_NAME = 63


@dataclass(slots=True)
class Held:
    """A message that was fetched and not yet settled."""

    message: StoredMessage
    renew_at: float
    lock: threading.Lock = field(default_factory=threading.Lock)  #: a renewal changes the pop receipt
    settled: bool = False


class QueueListener:
    """One queue trigger of one process. `run` belongs on a thread of its own and ends soon after `stop`."""

    def __init__(
        self,
        function: QueueFunction,
        options: QueueOptions,
        runner: Runner,
        bell: Bell,
        *,
        lease_s: int = LEASE_S,
    ) -> None:
        self._function = function
        self._options = options
        self._runner = runner
        self._bell = bell
        self._lease_s = lease_s
        self._queue = _client(function, function.queue)
        self._poison_queue = _poison_client(function)
        self._backoff = Backoff(options.max_polling_interval.total_seconds(), random.Random())
        self._held: dict[str, Held] = {}
        self._stopping = threading.Event()
        self._is_away = False

    def run(self) -> None:
        while not self._stopping.is_set():
            heard, started = self._bell.count, time.monotonic()
            self._renew_leases()
            if len(self._held) > self._options.new_batch_threshold:
                self._bell.wait(heard, self._lease_s / RENEWALS_PER_LEASE / 2)
            elif self._fetch():
                self._backoff.reset()
            else:
                self._rest(heard, started)

    def stop(self) -> None:
        self._stopping.set()
        self._bell.ring()

    def _rest(self, heard: int, started: float) -> None:
        pause = self._backoff.next_pause_s()
        if self._poison_queue is None:
            self._stopping.wait(pause)  # what comes to a poison queue was not sent by a function
        elif self._bell.wait(heard, pause):
            self._backoff.reset()
            self._stopping.wait(max(0, started + PAUSE_AFTER_RING_S - time.monotonic()))

    def _fetch(self) -> bool:
        """Fetch one batch and start it; answers whether there was any message."""
        try:
            pages = self._queue.receive_messages(
                messages_per_page=self._options.batch_size, visibility_timeout=self._lease_s, retry_total=0
            ).by_page()
            messages = list(next(pages, ()))
        except ResourceNotFoundError:
            return False  # the trigger never creates its queue
        except AzureError as error:
            self._note_away(str(error))
            return False
        self._note_away("")
        for message in messages:
            self._begin(Held(message, time.monotonic() + self._lease_s / RENEWALS_PER_LEASE))
        return bool(messages)

    def _note_away(self, error: str) -> None:
        """Say once that storage is away, and once that it is back."""
        if error and not self._is_away:
            log.warning("%s: cannot fetch from %s: %s", self._function.name, self._function.queue, error)
        elif self._is_away and not error:
            log.warning("%s: fetches from %s again", self._function.name, self._function.queue)
        self._is_away = bool(error)

    def _begin(self, held: Held) -> None:
        message = held.message
        if (message.dequeue_count or 0) > self._options.max_dequeue_count:
            self._settle(held, self._move_to_poison)
            return
        try:
            body = base64.b64decode(message.content, validate=True)
        except (binascii.Error, ValueError):
            log.warning("%s: a message on %s is not base64", self._function.name, self._function.queue)
            self._settle(held, self._move_to_poison)
            return
        self._held[message.id] = held
        try:
            future = self._runner.submit(self._function, _trigger_value(message, body))
        except RuntimeError:  # stopping
            self._end(held)
            return
        future.add_done_callback(partial(self._end, held))

    def _end(self, held: Held, future: Future[Any] | None = None) -> None:
        if future is None or future.cancelled():
            self._settle(held, partial(self._show_again, after_s=0))
        elif future.exception() is None:
            self._settle(held, self._delete)
        elif self._poison_queue is None:
            self._settle(held, lambda _: None)  # stays hidden until the lease ends, so that it does not loop
        elif (held.message.dequeue_count or 0) >= self._options.max_dequeue_count:
            self._settle(held, self._move_to_poison)
        else:
            delay = self._options.visibility_timeout.total_seconds()
            self._settle(held, partial(self._show_again, after_s=round(delay)))

    def _settle(self, held: Held, action: Callable[[StoredMessage], None]) -> None:
        with held.lock:
            held.settled = True
            try:
                action(held.message)
            except ResourceNotFoundError:  # the lease ended and another has the message: it runs twice
                log.debug("%s: lost the lease of message %s", self._function.name, held.message.id)
            except AzureError as error:
                log.warning("%s: cannot settle message %s: %s", self._function.name, held.message.id, error)
        self._held.pop(held.message.id, None)
        self._bell.ring()

    def _delete(self, message: StoredMessage) -> None:
        self._queue.delete_message(message.id, message.pop_receipt)

    def _show_again(self, message: StoredMessage, *, after_s: int) -> None:
        self._queue.update_message(message.id, message.pop_receipt, visibility_timeout=after_s)

    def _move_to_poison(self, message: StoredMessage) -> None:
        if self._poison_queue is None:
            return
        log.warning(
            "Message has reached MaxDequeueCount of %d. Moving message to queue '%s'.",
            self._options.max_dequeue_count,
            self._poison_queue.queue_name,
        )
        try:
            self._poison_queue.send_message(message.content)
        except ResourceNotFoundError:
            _create(self._poison_queue)
            self._poison_queue.send_message(message.content)
        self._delete(message)

    def _renew_leases(self) -> None:
        now = time.monotonic()
        for held in [held for held in list(self._held.values()) if held.renew_at <= now]:
            with held.lock:
                if held.settled:
                    continue
                try:
                    renewed = self._queue.update_message(
                        held.message.id,
                        held.message.pop_receipt,
                        visibility_timeout=self._lease_s,
                        retry_total=0,
                    )
                except AzureError as error:
                    log.warning("%s: cannot renew message %s: %s", self._function.name, held.message.id, error)
                    continue
                held.message.pop_receipt = renewed.pop_receipt
                held.renew_at = now + self._lease_s / RENEWALS_PER_LEASE


def _client(function: QueueFunction, queue: str) -> QueueClient:
    # Without policies: content travels as it is stored, so that a message which is no base64 can still be moved.
    return QueueClient.from_connection_string(function.connection_string, queue, retry_policy=SETTLE_RETRIES)


def _poison_client(function: QueueFunction) -> QueueClient | None:
    name = function.queue + POISON
    return None if function.queue.endswith(POISON) or len(name) > MAX_QUEUE_NAME else _client(function, name)


def _create(queue: QueueClient) -> None:
    try:
        queue.create_queue()
    except ResourceExistsError:
        return


def _trigger_value(message: StoredMessage, body: bytes) -> QueueMessage:
    return QueueMessage(  # type: ignore[no-untyped-call]
        id=message.id,
        body=body,
        dequeue_count=message.dequeue_count,
        pop_receipt=message.pop_receipt,
        insertion_time=message.inserted_on,
        expiration_time=message.expires_on,
        time_next_visible=message.next_visible_on,
    )
