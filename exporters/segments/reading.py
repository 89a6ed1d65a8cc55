"""Bring the parts of a snapshot to local disk and find in each the columns that are mapped."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import duckdb

from exporters.errors import SegmentError, StorageConflictError
from exporters.model.run import PartRead
from exporters.segments import gzipped, parquet
from exporters.segments.columns import positions
from exporters.segments.faults import PartFault
from exporters.segments.header import EMPTY, read_header
from exporters.segments.metadata import TableFormat
from exporters.segments.snapshots import Snapshot, is_parquet
from exporters.segments.text import to_utf8
from exporters.storage.blobs import BlobInfo, BlobStore

#: Faults of one segment that are reported together.
MAX_FAULTS = 20


class PartFormat(StrEnum):
    """How a part on local disk is to be read."""

    CSV = "csv"  #: UTF-8 without byte order mark
    PARQUET = "parquet"  #: as it came


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPart:
    """A part on local disk. Lines of a CSV part are lines of the file, lines of a Parquet part are its rows."""

    read: PartRead
    path: Path
    format: PartFormat
    width: int  #: columns of the file; 0 where the file is empty
    columns: Mapping[str, int]  #: mapped column -> its position in the file, from 0
    lines: int  #: all lines, header included
    clean: bool  #: UTF-8 throughout and without NUL bytes; of a Parquet part the mapped columns
    delimiter: str = ","  #: CSV only
    header_lines: int = 0
    texts: Mapping[str, str] = field(default_factory=dict)  #: Parquet only: as `parquet.ParquetFacts.texts`
    numbers: frozenset[str] = frozenset()  #: Parquet only: mapped columns that hold numbers by their type

    @property
    def has_profiles(self) -> bool:
        """Whether anything stands below the header."""
        return self.lines > self.header_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSegment:
    """A snapshot on local disk, parts in reading order."""

    segment: str
    snapshot: str
    parts: tuple[LocalPart, ...]
    written: datetime | None = None  #: as of its snapshot
    refreshed: datetime | None = None


def fetch_segment(store: BlobStore, snapshot: Snapshot, *, columns: Sequence[str], folder: Path) -> LocalSegment:
    """Copy all parts into a local folder, CSV as plain UTF-8, and find the mapped columns in them.

    Raises SegmentError with the faults of all parts together, or when a part changed since it was listed.
    """
    parts, faults = [], []
    with ExitStack() as stack:
        database: duckdb.DuckDBPyConnection | None = None
        for blob in snapshot.parts:
            path = folder / hashlib.sha256(blob.name.encode()).hexdigest()[:32]
            _download(store, blob, path)
            read = PartRead(name=blob.name, etag=blob.etag, bytes=blob.size)
            try:
                if is_parquet(blob.name):
                    database = database or stack.enter_context(parquet.connect())
                    parts.append(_open_parquet(database, read, path, columns))
                else:
                    parts.append(_open_csv(read, path, snapshot.table, columns))
            except PartFault as fault:
                faults.append(str(fault))
    if faults:
        rest = f" And {len(faults) - MAX_FAULTS} more files have faults." if len(faults) > MAX_FAULTS else ""
        raise SegmentError(f"Segment {snapshot.segment}: {' '.join(faults[:MAX_FAULTS])}{rest}")
    return LocalSegment(
        segment=snapshot.segment,
        snapshot=snapshot.name,
        parts=tuple(parts),
        written=snapshot.written,
        refreshed=snapshot.refreshed,
    )


def _download(store: BlobStore, blob: BlobInfo, path: Path) -> None:
    try:
        store.download(blob.name, path, etag=blob.etag)
    except StorageConflictError as error:
        raise SegmentError(f"{blob.name} was changed while it was read; start the export again.") from error


def _open_parquet(database: duckdb.DuckDBPyConnection, read: PartRead, path: Path, columns: Sequence[str]) -> LocalPart:
    found = parquet.look_at(database, path, columns, name=read.name)
    return LocalPart(
        read=read,
        path=path,
        format=PartFormat.PARQUET,
        width=found.width,
        columns=found.columns,
        lines=found.rows,
        clean=found.clean,
        texts=found.texts,
        numbers=found.numbers,
    )


def _open_csv(read: PartRead, path: Path, table: TableFormat | None, columns: Sequence[str]) -> LocalPart:
    if read.name.lower().endswith(".gz") or gzipped.is_gzip(path):
        gzipped.unpack(path, name=read.name)
    text = to_utf8(path, told=None if table is None else table.encoding, name=read.name)
    header = read_header(path, table, name=read.name) if text.lines else EMPTY
    return LocalPart(
        read=read,
        path=path,
        format=PartFormat.CSV,
        width=len(header.names),
        columns=positions(header.names, columns, part=read.name, certain=header.certain) if header.names else {},
        lines=text.lines,
        clean=text.clean,
        delimiter=header.delimiter,
        header_lines=header.lines,
    )
