"""Blobs under ETags: the protocol, and Azure Blob Storage behind it.

Conditional requests: https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobProperties, ContainerClient

from exporters.errors import StorageConflictError

#: Blocks that are on their way at once when a file is sent or fetched; each is 4 MiB in memory.
TRANSFERS_AT_ONCE = 4
#: Most blobs that one answer of the service names: https://learn.microsoft.com/rest/api/storageservices/list-blobs
MAX_PAGE = 5_000
#: Answer to a range that begins at or after the end: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.17
RANGE_NOT_SATISFIABLE = 416
#: Answers to making a blob that somebody else has made in the same moment: 403 where one may make blobs but not write
#: over them. https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-blob-service-operations
MADE_MEANWHILE = {403, 409, 412}


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

    def put(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Write a blob, whatever was there, metadata too; answers its ETag."""

    def append(self, name: str, data: bytes) -> None:
        """Add to the end of a blob that is only ever added to, and is made by the first addition.

        Additions at the same time follow each other, each in one piece. Raises StorageConflictError for a blob that was
        written in another way, or that takes no more.
        """

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """All blobs whose names begin with the prefix, sorted by name, with metadata."""

    def page(self, prefix: str, *, after: str, size: int) -> Sequence[BlobInfo]:
        """The first so many of those blobs whose names come after a name, which need not be there; all without it.

        Fewer than `size` only where there are no more.
        """

    def folders(self, prefix: str) -> Iterator[str]:
        """Names of the folders right below a prefix that ends in a slash or is empty, each with a slash at its end."""

    def delete(self, name: str) -> None:
        """Remove a blob; nothing happens where there is none."""

    def download(self, name: str, target: Path, *, etag: str | None = None) -> None:
        """Copy a blob into a file without holding it in memory.

        With `etag` the content is that version's. Raises StorageConflictError when the blob changed or is gone.
        """

    def read(self, name: str, *, offset: int, length: int) -> bytes:
        """Some bytes of a blob, which may be added to meanwhile: fewer at its end, none after it or without a blob."""

    def upload(self, name: str, source: Path) -> None:
        """Copy a file into a blob, whatever was there, without holding it in memory."""

    def upload_over(self, name: str, source: Path, *, etag: str, metadata: Mapping[str, str] | None = None) -> str:
        """The same for a blob that must still have this ETag; answers the new one.

        Raises StorageConflictError when it changed or is gone; then the blob stays as it is.
        """


def _info(blob: BlobProperties) -> BlobInfo:
    # An empty value is None in a listing.
    said = {name: value or "" for name, value in (blob.metadata or {}).items()}
    return BlobInfo(name=blob.name, etag=blob.etag, size=blob.size, modified=blob.last_modified, metadata=said)


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

    def put(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        blob = self._container.get_blob_client(name)
        return str(blob.upload_blob(data, overwrite=True, metadata=dict(metadata or {}) or None)["etag"])

    def append(self, name: str, data: bytes) -> None:
        blob = self._container.get_blob_client(name)
        try:
            blob.append_block(data)
        except ResourceNotFoundError:
            try:
                blob.create_append_blob(match_condition=MatchConditions.IfMissing)
            except HttpResponseError as error:
                if error.status_code not in MADE_MEANWHILE:
                    raise
            blob.append_block(data)
        except ResourceExistsError as error:  # 409: another type of blob, or 50,000 additions
            raise StorageConflictError(f"{name} takes no more additions") from error

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        for blob in self._container.list_blobs(name_starts_with=prefix, include=["metadata"]):
            yield _info(blob)

    def page(self, prefix: str, *, after: str, size: int) -> Sequence[BlobInfo]:
        # A listing can begin at a name, that one included. What it does with one outside the prefix is not documented.
        start = after if after.startswith(prefix) else None
        found = self._container.list_blobs(
            name_starts_with=prefix, include=["metadata"], start_from=start, results_per_page=min(size + 1, MAX_PAGE)
        )
        later = (_info(blob) for blob in found if blob.name > after)
        return list(islice(later, size))

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

    def read(self, name: str, *, offset: int, length: int) -> bytes:
        try:
            return self._container.download_blob(name, offset=offset, length=length).readall()
        except ResourceNotFoundError:
            return b""
        except HttpResponseError as error:
            if error.status_code == RANGE_NOT_SATISFIABLE:
                return b""
            raise

    def upload(self, name: str, source: Path) -> None:
        with source.open("rb") as file:
            self._container.get_blob_client(name).upload_blob(file, overwrite=True, max_concurrency=TRANSFERS_AT_ONCE)

    def upload_over(self, name: str, source: Path, *, etag: str, metadata: Mapping[str, str] | None = None) -> str:
        try:
            with source.open("rb") as file:
                answer = self._container.get_blob_client(name).upload_blob(
                    file,
                    overwrite=True,
                    metadata=dict(metadata or {}) or None,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                    max_concurrency=TRANSFERS_AT_ONCE,
                )
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            raise StorageConflictError(f"{name} was changed by another step") from error
        return str(answer["etag"])
