"""A glance at a snapshot: its columns, its first profiles, and how many there are, without reading all of it.

Of a CSV part the first megabyte is read, of which the first lines are looked at; of a Parquet part its footer and as
much of its first row group as is wanted.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from exporters.errors import SegmentError
from exporters.scratch import scratch_folder
from exporters.segments import gzipped, parquet
from exporters.segments.faults import PartFault
from exporters.segments.header import EMPTY, Header, read_header
from exporters.segments.lines import BrokenLine, read_records
from exporters.segments.metadata import TableFormat
from exporters.segments.pieces import Pieces, pieces_of
from exporters.segments.snapshots import Snapshot, is_parquet
from exporters.segments.text import to_utf8
from exporters.storage.blobs import BlobInfo, BlobStore

#: What is read of a CSV part, and what a compressed one may unpack to. Ours: some thousands of profiles.
WINDOW_BYTES = 1 << 20
UNPACKED_BYTES = 1 << 21
#: Lines of a CSV part that are looked at. Ours: they take half a second; usual ones fill the window before.
MAX_LINES = 100_000
#: CSV parts of one snapshot that are looked at for its first profiles, and read as a whole to count it. Ours.
CSV_PARTS = 8
#: Footers of one snapshot that are read to count it. Ours: each is a request.
FOOTERS = 32
#: What is read first of the end of a Parquet part: most footers are smaller. Ours.
TAIL_BYTES = 1 << 16
#: Largest footer. Ours: that of a file with 500 columns and 1,000 row groups takes about so much.
MAX_FOOTER_BYTES = 1 << 25
#: Length of the footer, and the mark of the format. https://parquet.apache.org/docs/file-format/
END_BYTES = 8
#: Requests for a row group are of so many bytes at most, which are in memory at a time.
PIECE_BYTES = 1 << 22
#: Some writers left the header of the dictionary page out of a chunk's size; readers add so many bytes.
#: https://issues.apache.org/jira/browse/PARQUET-816
CHUNK_MARGIN_BYTES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a segment."""

    name: str
    type: str | None  #: DuckDB's, of a Parquet file; CSV has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """The first profiles of a snapshot."""

    columns: tuple[Column, ...]  #: of the first part that has any, in order
    certain: bool  #: the names come from a schema; those of a first line may be a person's data
    rows: tuple[tuple[str | None, ...], ...]  #: in the order of the columns; None: no text, or too large to be read
    profiles: int | None  #: of the whole snapshot; None where that was not wanted, or cannot be told
    exact: bool  #: they were counted; an estimate otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What was seen of one part."""

    columns: tuple[Column, ...] = ()
    certain: bool = False
    rows: Sequence[tuple[str | None, ...]] = ()
    profiles: int = 0  #: among the bytes that were looked at
    bytes: int = 0  #: that were looked at
    whole: bool = True  #: those are all


def glance(store: BlobStore, snapshot: Snapshot, *, rows: int, budget: int, count: bool) -> Glance:
    """The columns and the first so many profiles of a snapshot, and with `count` how many it has.

    `budget`: bytes of Parquet columns that may be read; the smallest columns are, as far as that goes. Raises
    SegmentError where the parts cannot be read, in the words that a run would fail with.
    """
    try:
        if is_parquet(snapshot.parts[0].name):
            seen = _glance_parquet(store, snapshot, rows, budget, FOOTERS if count else 1)
            exact = len(seen) == len(snapshot.parts)
        else:
            small = sum(part.size for part in snapshot.parts) <= WINDOW_BYTES and len(snapshot.parts) <= CSV_PARTS
            seen = _glance_csv(store, snapshot, rows, everything=count and small)
            filled = sum(part.size > 0 for part in snapshot.parts)
            exact = small and len(seen) == filled and all(part.whole for part in seen)
    except PartFault as fault:
        raise SegmentError(f"Segment {snapshot.segment}: {fault}") from fault
    first = next((part for part in seen if part.columns), _Part())
    return Glance(
        columns=first.columns,
        certain=first.certain,
        rows=tuple(row for part in seen for row in _arranged(part, first)),
        profiles=_profiles(snapshot, seen, exact=exact) if count else None,
        exact=exact,
    )


def _glance_csv(store: BlobStore, snapshot: Snapshot, rows: int, *, everything: bool) -> list[_Part]:
    """The first parts that hold anything, as many as have the rows; with `everything` all of them, unless their lines
    are too many.
    """
    seen, enough = list[_Part](), MAX_LINES if everything else max(rows, 1)
    for part in [part for part in snapshot.parts if part.size][:CSV_PARTS]:
        seen.append(_csv_part(store, part, snapshot.table, rows - sum(len(each.rows) for each in seen)))
        if sum(each.profiles for each in seen) >= enough:
            break
    return seen


def _glance_parquet(store: BlobStore, snapshot: Snapshot, rows: int, budget: int, footers: int) -> list[_Part]:
    """The first so many parts, and as many more as have the rows."""
    seen = list[_Part]()
    for part in snapshot.parts[:FOOTERS]:
        missing = rows - sum(len(each.rows) for each in seen)
        if missing <= 0 and len(seen) >= footers:
            break
        found, read = _parquet_part(store, part, missing, budget)
        budget -= read
        seen.append(found)
    return seen


def _profiles(snapshot: Snapshot, seen: Sequence[_Part], *, exact: bool) -> int | None:
    """Profiles of the snapshot, if all of it is like what was seen. None where nothing was."""
    profiles, looked_at = sum(part.profiles for part in seen), sum(part.bytes for part in seen)
    if exact:
        return profiles
    if not profiles or not looked_at:
        return None
    return round(profiles * sum(part.size for part in snapshot.parts) / looked_at)


def _arranged(part: _Part, first: _Part) -> Sequence[tuple[str | None, ...]]:
    """The rows of a part in the order of another one's columns."""
    names = [column.name for column in part.columns]
    if names == [column.name for column in first.columns]:
        return part.rows
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    order = [places.get(column.name) for column in first.columns]
    return [tuple("" if place is None else row[place] for place in order) for row in part.rows]


def _csv_part(store: BlobStore, blob: BlobInfo, table: TableFormat | None, rows: int) -> _Part:
    with scratch_folder("glance-") as folder, pieces_of(store, blob) as pieces:
        path = folder / "part"
        start = pieces.read(0, WINDOW_BYTES)
        looked_at, whole = len(start), len(start) == blob.size
        if blob.name.lower().endswith(".gz") or start.startswith(gzipped.MAGIC):
            start, looked_at, whole = _unpacked(start, whole=whole, name=blob.name)
        path.write_bytes(start)
        text = to_utf8(path, told=None if table is None else table.encoding, name=blob.name)
        if not whole or text.lines > MAX_LINES:
            looked_at, whole = _cut_end(path, looked_at), False
        header = read_header(path, table, name=blob.name) if text.lines and path.stat().st_size else EMPTY
        records, profiles = _records(path, header, max(0, rows))
    return _Part(
        columns=tuple(Column(name=name, type=None) for name in header.names),
        certain=header.certain,
        rows=records,
        profiles=profiles,
        bytes=looked_at,
        whole=whole,
    )


def _records(path: Path, header: Header, rows: int) -> tuple[list[tuple[str, ...]], int]:
    """The first records below the header, and how many lines there are that a run would count."""
    if not header.names:
        return [], 0
    with path.open("rb") as file:
        found = read_records(file, delimiter=header.delimiter, width=len(header.names), header_lines=header.lines)
        first, profiles = list[tuple[str, ...]](), 0
        for record in found:
            profiles += 1
            if len(first) < rows and not isinstance(record, BrokenLine):
                first.append(tuple(record.values))
    return first, profiles


def _unpacked(data: bytes, *, whole: bool, name: str) -> tuple[bytes, int, bool]:
    """What the beginning of a gzip file holds; how many of its bytes that was, and whether that is all."""
    unpacked, rest, ended = b"", data, False
    try:
        while rest and len(unpacked) < UNPACKED_BYTES:
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            unpacked += member.decompress(rest, UNPACKED_BYTES - len(unpacked))
            rest, ended = member.unused_data.lstrip(b"\0") or member.unconsumed_tail, member.eof
            if not ended:
                break
    except zlib.error as error:
        raise PartFault(f"{name}: the gzip file is damaged; export the segment again.") from error
    if whole and not rest and not ended:
        raise PartFault(
            f"{name}: the gzip file ends too early; it was not written to its end; export the segment again."
        )
    return unpacked, len(data) - len(rest), whole and not rest


def _cut_end(path: Path, looked_at: int) -> int:
    """Leave out the line that a window ends in, and those behind so many; answers how many bytes of the part are left,
    about.
    """
    with path.open("rb+") as file:
        size = path.stat().st_size
        kept = sum(len(line) for line in islice(file, MAX_LINES) if line.endswith(b"\n"))
        file.truncate(kept)
    return max(1, round(looked_at * kept / size)) if size else looked_at


def _parquet_part(store: BlobStore, blob: BlobInfo, rows: int, budget: int) -> tuple[_Part, int]:
    """What is seen of a part, and the bytes of columns that were read for that."""
    with (
        scratch_folder("glance-") as folder,
        pieces_of(store, blob) as pieces,
        parquet.connect() as database,
    ):
        path = folder / "part"
        _fetch_ends(pieces, blob, path)
        outline = parquet.outline(database, path, name=blob.name)
        columns = tuple(Column(name=column.name, type=column.type) for column in outline.columns)
        wanted = min(rows, outline.first_rows)
        if wanted <= 0:
            return _Part(columns=columns, certain=True, profiles=outline.rows, bytes=blob.size), 0
        places, read = _affordable(outline, budget)
        _fetch(pieces, path, [outline.first_group[place] for place in places], size=blob.size)
        chosen = [outline.columns[place] for place in places]
        texts = parquet.first_texts(database, path, chosen, rows=wanted, name=blob.name) if chosen else []
    seen = [dict(zip(places, row, strict=True)) for row in texts]
    values = [tuple(_text(row, place) for place in range(len(columns))) for row in seen]
    return _Part(columns=columns, certain=True, rows=values, profiles=outline.rows, bytes=blob.size), read


def _text(row: dict[int, str | None], place: int) -> str | None:
    """The value at a place of a row; None where its column was not read."""
    return (row[place] or "") if place in row else None


def _affordable(outline: parquet.Outline, budget: int) -> tuple[list[int], int]:
    """Which columns can be read within so many bytes, the smallest ones first; in order, with their bytes."""
    sizes = [end - start for start, end in outline.first_group]
    chosen, spent = list[int](), 0
    for place in sorted(range(len(sizes)), key=sizes.__getitem__):
        if parquet.has_text(outline.columns[place]) and spent + sizes[place] <= budget:
            chosen.append(place)
            spent += sizes[place]
    return sorted(chosen), spent


def _fetch_ends(pieces: Pieces, blob: BlobInfo, path: Path) -> None:
    """A file as large as the blob that has nothing but its first and last bytes. It takes no more room than those."""
    tail = pieces.read(max(0, blob.size - TAIL_BYTES), TAIL_BYTES)
    footer = int.from_bytes(tail[-END_BYTES:-4], "little") + END_BYTES
    if len(tail) < footer <= min(blob.size, MAX_FOOTER_BYTES):
        tail = pieces.read(blob.size - footer, footer)
    # Only where the end is not as it should be does it matter how the file begins.
    start = tail[-4:] if tail.endswith(parquet.PLAIN) else pieces.read(0, 4)
    with path.open("wb") as file:
        file.write(start)
        file.truncate(blob.size)
        file.seek(blob.size - len(tail))
        file.write(tail)


def _fetch(pieces: Pieces, path: Path, ranges: Sequence[tuple[int, int]], *, size: int) -> None:
    """Fill ranges of the file, those that touch each other together."""
    with path.open("rb+") as file:
        for start, end in _merged(sorted(ranges)):
            last = min(end + CHUNK_MARGIN_BYTES, size)
            for at in range(start, last, PIECE_BYTES):
                file.seek(at)
                file.write(pieces.read(at, min(PIECE_BYTES, last - at)))


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged = list[tuple[int, int]]()
    for start, end in ranges:
        if merged and start <= merged[-1][1] + CHUNK_MARGIN_BYTES:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
