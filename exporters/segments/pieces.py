"""Pieces of a blob: its first bytes, its last ones, or some in between, all of the version that was listed."""

from collections.abc import Iterator
from contextlib import contextmanager

from exporters.errors import SegmentError
from exporters.storage.blobs import BlobInfo, BlobStore


class Pieces:
    """A blob that is read in pieces."""

    def __init__(self, store: BlobStore, blob: BlobInfo) -> None:
        self._store = store
        self._blob = blob
        self.requests = 0

    def read(self, start: int, length: int) -> bytes:
        """So many bytes from a place on, each request of its own; fewer where the blob ends before."""
        if start >= self._blob.size or length <= 0:
            return b""
        self.requests += 1
        return self._store.read(self._blob.name, offset=start, length=length)

    def check(self) -> None:
        """Raises SegmentError where the blob is another one than was listed."""
        now = next((blob for blob in self._store.page(self._blob.name, after="", size=1)), None)
        if now is None or (now.name, now.etag) != (self._blob.name, self._blob.etag):
            raise SegmentError(f"{self._blob.name} was changed while it was read; look again.")


@contextmanager
def pieces_of(store: BlobStore, blob: BlobInfo) -> Iterator[Pieces]:
    """A blob to read pieces of. Raises SegmentError at the end where they may be of several versions.

    That goes before any other error: pieces that do not fit each other look like damage.
    """
    pieces = Pieces(store, blob)
    try:
        yield pieces
    finally:
        if pieces.requests > 1:
            pieces.check()
