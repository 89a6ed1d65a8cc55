"""In-memory twins of blobs and queues, held to the same tests as Azure's (`tests/conformance/storage`)."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from pydantic import SecretStr

from exporters.errors import ExporterError, StorageConflictError
from exporters.storage.blobs import Blob, BlobInfo
from exporters.storage.queues import QueueLook
from exporters.storage.secrets import missing


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryBlobStore:
    """A container in memory."""

    def __init__(self, *, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._blobs: dict[str, tuple[bytes, BlobInfo]] = {}
        self._appended: set[str] = set()
        self._etags = itertools.count(1)
        self._lock = threading.Lock()

    def get(self, name: str) -> Blob | None:
        with self._lock:
            found = self._blobs.get(name)
        return None if found is None else Blob(found[0], found[1].etag)

    def create(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        with self._lock:
            if name in self._blobs:
                raise StorageConflictError(f"{name} exists already")
            return self._write(name, data, metadata)

    def replace(self, name: str, data: bytes, *, etag: str) -> str:
        with self._lock:
            found = self._blobs.get(name)
            if found is None or found[1].etag != etag:
                raise StorageConflictError(f"{name} was changed by another step")
            return self._write(name, data)

    def put(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        with self._lock:
            return self._write(name, data, metadata)

    def append(self, name: str, data: bytes) -> None:
        with self._lock:
            found = self._blobs.get(name)
            if found is not None and name not in self._appended:
                raise StorageConflictError(f"{name} takes no more additions")
            self._appended.add(name)
            self._write(name, (b"" if found is None else found[0]) + data)

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        with self._lock:
            names = sorted(name for name in self._blobs if name.startswith(prefix))
            found = [self._blobs[name][1] for name in names]
        return iter(found)

    def page(self, prefix: str, *, after: str, size: int) -> Sequence[BlobInfo]:
        return list(islice((info for info in self.list(prefix) if info.name > after), size))

    def folders(self, prefix: str) -> Iterator[str]:
        below = (info.name[len(prefix) :] for info in self.list(prefix))
        names = (prefix + rest.split("/", 1)[0] + "/" for rest in below if "/" in rest)
        return iter(dict.fromkeys(names))

    def delete(self, name: str) -> None:
        with self._lock:
            self._blobs.pop(name, None)

    def download(self, name: str, target: Path, *, etag: str | None = None) -> None:
        found = self.get(name)
        if found is None or etag not in {None, found.etag}:
            raise StorageConflictError(f"{name} changed or went while it was read")
        target.write_bytes(found.data)

    def read(self, name: str, *, offset: int, length: int) -> bytes:
        found = self.get(name)
        return b"" if found is None else found.data[offset : offset + length]

    def upload(self, name: str, source: Path) -> None:
        self.put(name, source.read_bytes())

    def upload_over(self, name: str, source: Path, *, etag: str, metadata: Mapping[str, str] | None = None) -> str:
        with self._lock:
            found = self._blobs.get(name)
            if found is None or found[1].etag != etag:
                raise StorageConflictError(f"{name} was changed by another step")
            return self._write(name, source.read_bytes(), metadata)

    def _write(self, name: str, data: bytes, metadata: Mapping[str, str] | None = None) -> str:
        etag = f'"{next(self._etags):#x}"'
        info = BlobInfo(name=name, etag=etag, size=len(data), modified=self._now(), metadata=dict(metadata or {}))
        self._blobs[name] = (bytes(data), info)
        return etag


class MemoryQueues:
    """All queues in memory. `due` hands out what shows itself by now, oldest first."""

    def __init__(self, *, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._order = itertools.count()
        self._messages: list[tuple[datetime, int, str, str]] = []
        self.missing: set[str] = set()  #: names of queues that are not there

    def send(self, queue: str, body: str, *, delay_s: float = 0) -> None:
        shown = self._now() + timedelta(seconds=round(delay_s))
        heapq.heappush(self._messages, (shown, next(self._order), queue, body))

    def look(self, queue: str) -> QueueLook | None:
        if queue in self.missing:
            return None
        there = sorted((shown, order) for shown, order, name, _ in self._messages if name == queue)
        heads = [str(order) for shown, order in there if shown <= self._now()]
        return QueueLook(messages=len(there), head=heads[0] if heads else None)

    def due(self) -> tuple[str, str] | None:
        """Take the next visible message: its queue and its body."""
        if not self._messages or self._messages[0][0] > self._now():
            return None
        _, _, queue, body = heapq.heappop(self._messages)
        return queue, body

    def next_due(self) -> datetime | None:
        """When the next message shows itself; None when all queues are empty."""
        return self._messages[0][0] if self._messages else None


class MemorySecrets:
    """Secrets in memory. `values` may be changed while it is in use, as a vault's can."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self.made: set[str] = set()  #: names of those that `set` has stored
        self.trouble: ExporterError | None = None  #: what reaching for them raises
        self._seen: dict[str, str] = {}

    def get(self, name: str, *, fresh: bool = False) -> SecretStr:
        if fresh or name not in self._seen:
            if name not in self.values:
                raise missing(name)
            self._seen[name] = self.values[name]
        return SecretStr(self._seen[name])

    def reach(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def set(self, name: str, value: SecretStr) -> None:
        self.values[name] = value.get_secret_value()
        self.made.add(name)

    def delete(self, name: str) -> None:
        if name in self.made:
            self.values.pop(name, None)
            self.made.discard(name)
        self._seen.pop(name, None)
