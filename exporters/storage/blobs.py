"""Blobs under ETags: the protocol, and Azure Blob Storage behind it.

Conditional requests: https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from exporters.errors import StorageConflictError

#: Blocks that are on their way at once when a file is sent or fetched; each is 4 MiB in memory.
TRANSFERS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Blob:
    """Content and the ETag that belongs to just this content."""

    data: bytes
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """One entry of a listing."""

    name: str
    etag: str
    size: int
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


class BlobStore(Protocol):
    """One container. Names are paths with forward slashes."""

    def get(self, name: str) -> Blob | None:
        """Content of a small blob; None where there is none."""

    def create(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Write a blob that must not exist yet; answers its ETag. Raises StorageConflictError where it exists."""

    def replace(self, name: str, data: bytes, *, etag: str) -> str:
        """Write a blob that must still have this ETag; answers the new one. Raises StorageConflictError otherwise."""

    def put(self, name: str, data: bytes) -> str:
        """Write a blob, whatever was there; answers its ETag."""

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """All blobs whose names begin with the prefix, sorted by name, with metadata."""

    def folders(self, prefix: str) -> Iterator[str]:
        """Names of the folders right below a prefix that ends in a slash or is empty, each with a slash at its end."""

    def delete(self, name: str) -> None:
        """Remove a blob; nothing happens where there is none."""

    def download(self, name: str, target: Path, *, etag: str | None = None) -> None:
        """Copy a blob into a file without holding it in memory.

        With `etag` the content is that version's. Raises StorageConflictError when the blob changed or is gone.
        """

    def upload(self, name: str, source: Path) -> None:
        """Copy a file into a blob, whatever was there, without holding it in memory."""


class AzureBlobStore:
    """A container of Azure Blob Storage, or of Azurite."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def get(self, name: str) -> Blob | None:
        try:
            stream = self._container.download_blob(name)
            return Blob(stream.readall(), stream.properties.etag)
        except ResourceNotFoundError:
            return None

    def create(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        try:
            answer = self._container.get_blob_client(name).upload_blob(
                data, overwrite=False, metadata=dict(metadata or {}) or None
            )
        except ResourceExistsError as error:
            raise StorageConflictError(f"{name} exists already") from error
        return str(answer["etag"])

    def replace(self, name: str, data: bytes, *, etag: str) -> str:
        try:
            answer = self._container.get_blob_client(name).upload_blob(
                data, overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified
            )
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            raise StorageConflictError(f"{name} was changed by another step") from error
        return str(answer["etag"])

    def put(self, name: str, data: bytes) -> str:
        return str(self._container.get_blob_client(name).upload_blob(data, overwrite=True)["etag"])

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        for blob in self._container.list_blobs(name_starts_with=prefix, include=["metadata"]):
            yield BlobInfo(
                name=blob.name,
                etag=blob.etag,
                size=blob.size,
                modified=blob.last_modified,
                metadata=blob.metadata or {},
            )

    def folders(self, prefix: str) -> Iterator[str]:
        for item in self._container.walk_blobs(name_starts_with=prefix, delimiter="/"):
            if item.name.endswith("/"):
                yield item.name

    def delete(self, name: str) -> None:
        try:
            self._container.delete_blob(name)
        except ResourceNotFoundError:
            return

    def download(self, name: str, target: Path, *, etag: str | None = None) -> None:
        condition: dict[str, Any] = {}
        if etag is not None:
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        try:
            stream = self._container.download_blob(name, max_concurrency=TRANSFERS_AT_ONCE, **condition)
            with target.open("wb") as file:
                stream.readinto(file)
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            raise StorageConflictError(f"{name} changed or went while it was read") from error

    def upload(self, name: str, source: Path) -> None:
        with source.open("rb") as file:
            self._container.get_blob_client(name).upload_blob(file, overwrite=True, max_concurrency=TRANSFERS_AT_ONCE)
