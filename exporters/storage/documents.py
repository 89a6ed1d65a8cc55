"""JSON documents in blobs: read with their ETag, created once, changed by a function that may have to run again."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from exporters.errors import ConfigError, StorageConflictError
from exporters.model.faults import faults_of
from exporters.storage.blobs import BlobStore

Document = TypeVar("Document", bound=BaseModel)

#: Small documents that are kept parsed, and how many bytes one may have: some megabytes in all.
REMEMBERED = 128
SMALL = 16_384
#: A change that loses this often in a row is not contention but a fault.
MAX_TRIES = 50


@dataclass(frozen=True, slots=True)
class Versioned(Generic[Document]):
    """A document as it was read."""

    value: Document
    etag: str


class Documents:
    """Typed documents of one container."""

    def __init__(self, store: BlobStore) -> None:
        self.store = store

    def read(self, kind: type[Document], path: str) -> Versioned[Document] | None:
        """The document at a path, None where there is none. Raises ConfigError when it does not fit its model."""
        blob = self.store.get(path)
        if blob is None:
            return None
        try:
            return Versioned(_parsed(kind, blob.data), blob.etag)
        except ValidationError as error:
            # Without its cause, which quotes the values: a traceback ends in a log.
            raise ConfigError(f"{path} cannot be used: {faults_of(error)}") from None

    def create(self, path: str, document: BaseModel, *, metadata: dict[str, str] | None = None) -> bool:
        """Write a new document; False when there is one already, which is then left alone."""
        try:
            self.store.create(path, _encode(document), metadata=metadata)
        except StorageConflictError:
            return False
        return True

    def change(
        self,
        kind: type[Document],
        path: str,
        change: Callable[[Document], Document],
        *,
        default: Document | None = None,
    ) -> Document:
        """Apply a pure function to a document until the write wins; answers the document as it is then.

        `default` stands for a document that is not there yet. An unchanged document is not written. Raises
        StorageConflictError when there is neither document nor default, or after many lost races.
        """
        for _ in range(MAX_TRIES):
            found = self.read(kind, path)
            before = default if found is None else found.value
            if before is None:
                raise StorageConflictError(f"{path} is gone")
            after = change(before)
            if found is not None and after == before:
                return after
            try:
                if found is None:
                    self.store.create(path, _encode(after))
                else:
                    self.store.replace(path, _encode(after), etag=found.etag)
            except StorageConflictError:
                continue
            return after
        raise StorageConflictError(f"{path} is changed all the time")


def _parsed(kind: type[Document], data: bytes) -> Document:
    """The document that bytes hold. Raises ValidationError."""
    return _remembered(kind, data) if len(data) <= SMALL else kind.model_validate_json(data)


@lru_cache(maxsize=REMEMBERED)
def _remembered(kind: type[Document], data: bytes) -> Document:
    """As `_parsed`. Steps read the same run and lane again and again, and documents are never changed in place."""
    return kind.model_validate_json(data)


def _encode(document: BaseModel) -> bytes:
    return document.model_dump_json().encode()
