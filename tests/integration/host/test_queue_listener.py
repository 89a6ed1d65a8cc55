"""Queue triggers against Azurite, in this process."""

import base64
import threading
import time
from collections.abc import Callable, Iterator

import azure.functions as func
import pytest
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from infra.local.host.functions import QueueFunction
from infra.local.host.options import QueueOptions
from infra.local.host.polling import Bell
from infra.local.host.queues import QueueListener
from infra.local.host.runner import Runner
from tests.conftest import Storage

OPTIONS = QueueOptions.model_validate(
    {
        "batchSize": 2,
        "newBatchThreshold": 1,
        "maxDequeueCount": 2,
        "visibilityTimeout": "00:00:01",
        "maxPollingInterval": "00:00:00.2",
    }
)


class Worker:
    """A queue with a listener on it; `got` are the messages that the function has seen."""

    def __init__(self, storage: Storage, queue: str) -> None:
        self.queue = self.client(storage, queue)
        self.poison = self.client(storage, f"{queue}-poison")
        self.got: list[func.QueueMessage] = []
        self.work: Callable[[func.QueueMessage], None] = lambda message: None
        self._bell = Bell()
        self._runner = Runner(threads=8, timeout_s=60, on_end=self._bell.ring)
        self._function = QueueFunction(
            name="worker", argument="m", body=self._run, queue=queue, connection_string=storage.connection_string
        )

    @staticmethod
    def client(storage: Storage, queue: str) -> QueueClient:
        return QueueClient.from_connection_string(
            storage.connection_string, queue, message_encode_policy=TextBase64EncodePolicy()
        )

    def start(self, *, lease_s: int = 600) -> None:
        self._listener = QueueListener(self._function, OPTIONS, self._runner, self._bell, lease_s=lease_s)
        self._thread = threading.Thread(target=self._listener.run)
        self._thread.start()

    def stop(self) -> None:
        self._listener.stop()
        self._thread.join(5)
        assert self._runner.stop(5)

    def _run(self, m: func.QueueMessage) -> None:
        self.got.append(m)
        self.work(m)


def eventually(condition: Callable[[], bool], *, within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_empty(queue: QueueClient) -> bool:
    return queue.get_queue_properties().approximate_message_count == 0


def fail(message: func.QueueMessage) -> None:
    raise ValueError("as ordered")


@pytest.fixture
def worker(azurite: Storage) -> Iterator[Worker]:
    worker = Worker(azurite, azurite.queue())
    yield worker
    worker.stop()


def test_a_message_arrives_as_it_was_sent_with_what_the_service_knows_of_it(worker):
    sent = worker.queue.send_message('{"name": "Zoë"}')
    worker.start()
    assert eventually(lambda: is_empty(worker.queue))
    [message] = worker.got
    assert message.get_body() == '{"name": "Zoë"}'.encode()
    assert message.get_json() == {"name": "Zoë"}
    assert (message.id, message.dequeue_count) == (sent.id, 1)
    assert message.insertion_time == sent.inserted_on
    assert message.pop_receipt


def test_a_failed_message_returns_after_the_visibility_timeout_and_ends_in_the_poison_queue(worker):
    times: list[float] = []

    def work(message: func.QueueMessage) -> None:
        times.append(time.monotonic())
        fail(message)

    worker.work = work
    worker.queue.send_message("bad")
    worker.start()
    assert eventually(lambda: len(worker.got) == 2)
    assert times[1] - times[0] >= 0.9
    assert eventually(lambda: is_empty(worker.queue))
    [poisoned] = worker.poison.receive_messages()
    assert base64.b64decode(poisoned.content) == b"bad"
    assert [message.dequeue_count for message in worker.got] == [1, 2]


def test_a_message_above_the_dequeue_count_is_poisoned_before_it_runs(worker):
    worker.queue.send_message("died twice")
    for _ in range(2):
        message = worker.queue.receive_message(visibility_timeout=1)
        worker.queue.update_message(message.id, message.pop_receipt, visibility_timeout=0)
    worker.start()
    assert eventually(lambda: is_empty(worker.queue))
    assert worker.got == []
    [poisoned] = worker.poison.receive_messages()
    assert base64.b64decode(poisoned.content) == b"died twice"


def test_a_message_that_is_not_base64_is_poisoned_as_it_is(worker, azurite):
    QueueClient.from_connection_string(azurite.connection_string, worker.queue.queue_name).send_message("{plain}")
    worker.start()
    assert eventually(lambda: is_empty(worker.queue))
    assert [message.content for message in worker.poison.receive_messages()] == ["{plain}"]
    assert worker.got == []


def test_at_most_batch_size_and_threshold_run_at_once(worker):
    lock, three_run, running, most = threading.Lock(), threading.Event(), [0], [0]

    def work(message: func.QueueMessage) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            if running[0] == 3:
                three_run.set()
        if message.get_body() != b"0":  # one ends at once, so that there is room for another batch of two
            assert three_run.wait(5)
        time.sleep(0.05)
        with lock:
            running[0] -= 1

    worker.work = work
    for number in range(12):
        worker.queue.send_message(str(number))
    worker.start()
    assert eventually(lambda: is_empty(worker.queue))
    assert most[0] == 3
    assert len({message.id for message in worker.got}) == len(worker.got) == 12


def test_a_message_stays_hidden_while_its_function_outlives_the_lease(worker):
    worker.work = lambda message: time.sleep(4)
    worker.queue.send_message("long")
    worker.start(lease_s=2)
    assert eventually(lambda: is_empty(worker.queue))
    assert len(worker.got) == 1


def test_a_function_that_fails_on_a_poison_queue_does_not_loop(azurite):
    queue = azurite.queues.create_queue(f"{azurite.fresh_name()}-poison").queue_name
    worker = Worker(azurite, queue)
    worker.work = fail
    worker.queue.send_message("bad")
    worker.start()
    assert eventually(lambda: len(worker.got) == 1)
    time.sleep(1.5)
    worker.stop()
    assert len(worker.got) == 1
    assert not is_empty(worker.queue)
    assert not any(found.name == f"{queue}-poison" for found in azurite.queues.list_queues())


def test_a_message_that_waits_for_a_thread_at_the_end_is_given_back(azurite):
    worker = Worker(azurite, azurite.queue())
    blocking = threading.Event()
    worker._runner = Runner(threads=1, timeout_s=60, on_end=lambda: None)
    worker.work = lambda message: blocking.wait(5) and None
    worker.queue.send_message("runs")
    worker.queue.send_message("waits")
    worker.start()
    assert eventually(lambda: len(worker.got) == 1)
    time.sleep(0.3)
    worker._listener.stop()
    threading.Timer(0.2, blocking.set).start()
    worker.stop()
    [back] = worker.queue.receive_messages()
    assert base64.b64decode(back.content) == b"waits"


def test_a_queue_that_appears_later_is_served(azurite):
    worker = Worker(azurite, azurite.fresh_name())
    worker.start()
    time.sleep(0.3)
    worker.queue.create_queue()
    worker.queue.send_message("hello")
    assert eventually(lambda: len(worker.got) == 1)
    worker.stop()
