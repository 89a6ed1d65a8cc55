"""Storage and queues of a simulated world: the in-memory twins, with the world asked at every operation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeVar

from exporters.errors import TransientError
from exporters.notifications.webhooks import Reply
from exporters.storage.blobs import Blob, BlobInfo
from exporters.storage.memory import MemoryBlobStore, MemoryQueues
from exporters.storage.queues import QueueLook
from tests.simulation.faults import Operation

Result = TypeVar("Result")


class Guard(Protocol):
    """Who says what becomes of an operation."""

    def operate(self, operation: Operation, name: str, do: Callable[[], Result]) -> Result: ...


class GuardedStore:
    """A container whose every operation may be the last of its step."""

    def __init__(self, store: MemoryBlobStore, guard: Guard) -> None:
        self._store = store
        self._operate = guard.operate

    def get(self, name: str) -> Blob | None:
        return self._operate(Operation.READ, name, lambda: self._store.get(name))

    def create(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        return self._operate(Operation.CONDITIONAL, name, lambda: self._store.create(name, data, metadata=metadata))

    def replace(self, name: str, data: bytes, *, etag: str) -> str:
        return self._operate(Operation.CONDITIONAL, name, lambda: self._store.replace(name, data, etag=etag))

    def put(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        return self._operate(Operation.WRITE, name, lambda: self._store.put(name, data, metadata=metadata))

    def append(self, name: str, data: bytes) -> None:
        self._operate(Operation.WRITE, name, lambda: self._store.append(name, data))

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        return self._operate(Operation.READ, prefix, lambda: self._store.list(prefix))

    def page(self, prefix: str, *, after: str, size: int) -> Sequence[BlobInfo]:
        return self._operate(Operation.READ, prefix, lambda: self._store.page(prefix, after=after, size=size))

    def folders(self, prefix: str) -> Iterator[str]:
        return self._operate(Operation.READ, prefix, lambda: self._store.folders(prefix))

    def delete(self, name: str) -> None:
        self._operate(Operation.WRITE, name, lambda: self._store.delete(name))

    def download(self, name: str, target: Path, *, etag: str | None = None) -> None:
        self._operate(Operation.READ, name, lambda: self._store.download(name, target, etag=etag))

    def read(self, name: str, *, offset: int, length: int) -> bytes:
        return self._operate(Operation.READ, name, lambda: self._store.read(name, offset=offset, length=length))

    def upload(self, name: str, source: Path) -> None:
        self._operate(Operation.WRITE, name, lambda: self._store.upload(name, source))

    def upload_over(self, name: str, source: Path, *, etag: str, metadata: Mapping[str, str] | None = None) -> str:
        return self._operate(
            Operation.CONDITIONAL,
            name,
            lambda: self._store.upload_over(name, source, etag=etag, metadata=metadata),
        )


class GuardedQueues:
    """Queues of which every send may be the last of its step."""

    def __init__(self, queues: MemoryQueues, guard: Guard) -> None:
        self._queues = queues
        self._operate = guard.operate

    def send(self, queue: str, body: str, *, delay_s: float = 0) -> None:
        name = f"{queue} {body} in {delay_s:.0f} s"
        self._operate(Operation.SEND, name, lambda: self._queues.send(queue, body, delay_s=delay_s))

    def look(self, queue: str) -> QueueLook | None:
        return self._operate(Operation.READ, queue, lambda: self._queues.look(queue))


class GuardedReceiver:
    """A receiver of notifications that does not always answer, nor always well."""

    def __init__(self, guard: Guard) -> None:
        self._operate = guard.operate
        self.moods: Sequence[int] = (204,)  #: what it answers, by chance; 0: nothing
        self.chance = Random(0)
        self.posts: list[tuple[str, int]] = []  #: id and answer

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return self._operate(Operation.REQUEST, f"post {headers['webhook-id']}", lambda: self._answer(headers))

    def _answer(self, headers: Mapping[str, str]) -> Reply:
        status = self.chance.choice(self.moods)
        self.posts.append((headers["webhook-id"], status))
        if not status:
            raise TransientError("The receiver could not be reached")
        return Reply(status=status, headers={})


class Inline(Executor):
    """Does at once what it is given, in the thread that gives it: a step's operations have one order."""

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        future: Future[Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (whoever asks for the result gets it)
            future.set_exception(error)
        return future
