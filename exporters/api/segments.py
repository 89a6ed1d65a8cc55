"""Segments over HTTP: what is there, and what one of them holds."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import wraps
from itertools import islice
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from exporters.api import pages
from exporters.api.answers import Answer, Request, document, problem
from exporters.api.masking import masked_example
from exporters.api.pages import PageFormat, Wanted
from exporters.api.paging import DEFAULT_LIMIT, Limit, Page, next_page, paged
from exporters.api.reading import read_query
from exporters.api.runs import address_of
from exporters.audit.trail import Action, audited
from exporters.configuration import overview
from exporters.model.export import SegmentPath
from exporters.model.names import PLAIN_TEXT_PATTERN
from exporters.parts import Parts
from exporters.segments import catalogue, counts
from exporters.segments.catalogue import Counted, Detail, Row
from exporters.segments.counts import Point
from exporters.segments.glance import Glance
from exporters.segments.snapshots import Candidate, NoSuchSegmentError, refreshed_of
from exporters.segments.walk import Layout, Mark

ADDRESS = "/api/segments"
#: Profiles that are shown of a segment, at most.
MAX_MEMBERS = 100
#: Letters of a value that are shown. Ours: longer ones are no field of a contact.
MAX_VALUE_CHARS = 1_000
#: Values of a column that are shown masked, and their letters.
EXAMPLES = 3
MAX_EXAMPLE_CHARS = 60
#: Longest mark of a page. Ours: the name of a blob has 1,024 characters at most, and an address takes 8 kB.
#: https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
MAX_MARK_CHARS = 8_000
#: Columns that are shown. Ours: a first line of 256 kB may hold many more.
MAX_COLUMNS = 2_000
#: Characters that cannot stand in XML, as listings are. https://www.w3.org/TR/xml/#charsets
_NO_XML = re.compile("[\ufffe\uffff]")

_SEGMENT_PATH: TypeAdapter[str] = TypeAdapter(SegmentPath)
#: What a mark holds: the name of a blob, and the segments that were found before.
_MARK: TypeAdapter[tuple[str, ...]] = TypeAdapter(Annotated[tuple[str, ...], Field(min_length=1)])

#: Wider than `SegmentPath`: at a path that no segment can have there is no segment.
Path = Annotated[str, StringConstraints(min_length=1, max_length=900, pattern=PLAIN_TEXT_PATTERN)]
EXAMPLE_PATH = "CustomerInsights_abcd1234/BlobExport/HighValueSegment"

Handler = Callable[[Parts, Request], Answer]


class SegmentsQuery(BaseModel):
    """Which segments are wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"search": "value"}]})

    search: Annotated[str, StringConstraints(max_length=200, pattern=PLAIN_TEXT_PATTERN)] = Field(
        default="", description="letters that the path contains, in any case"
    )
    limit: Limit = DEFAULT_LIMIT
    after: str | None = Field(default=None, max_length=MAX_MARK_CHARS, description="as `next` of the page before says")


class SegmentQuery(BaseModel):
    """Which segment is wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"path": EXAMPLE_PATH}]})

    path: Path = Field(description="path below the segments container: a folder, or a file without its ending")


class MembersQuery(SegmentQuery):
    """Which segment is wanted, and how its people are written."""

    limit: int = Field(default=MAX_MEMBERS, ge=1, le=MAX_MEMBERS, description="people, at most")
    format: PageFormat | None = Field(default=None, description="goes before the Accept header; default: json")


class SegmentRow(BaseModel):
    """A segment among others, with its newest snapshot, be that complete or not."""

    path: str = Field(description="what an export names it by")
    layout: Layout
    snapshot: str = Field(description="folder below the segments container, or file")
    written: datetime | None = Field(description="when its newest part was; null where there are too many for a list")
    refreshed: datetime | None = Field(description="what a dated folder says, in UTC; null where there is none")
    parts: int | None = Field(description="files; null where there are too many for a list")
    bytes: int | None = Field(description="of all files; null where there are too many for a list")
    exports: tuple[str, ...] = Field(description="ids of the exports that use it")


class SegmentsView(Page[SegmentRow]):
    """A page of segments. It may hold fewer than were asked for, or none, and still have a next one."""

    total: int | None = Field(default=None, description="always null: segments are not counted")


class SnapshotView(BaseModel):
    """A snapshot of a segment."""

    snapshot: str
    written: datetime | None
    refreshed: datetime | None
    parts: int
    bytes: int
    complete: bool
    waiting: str = Field(description="why it is not complete yet; empty where it is")


class ColumnView(BaseModel):
    """A column of a segment."""

    name: str
    type: str | None = Field(description="of a Parquet file, in DuckDB's words; null for CSV")
    examples: tuple[str, ...] = Field(description="some of its first values, masked")


class SegmentView(BaseModel):
    """What the files of a segment say."""

    path: str
    fault: str = Field(description="what a run would fail with, or wait for; empty where it would read the segment")
    snapshot: str | None = Field(description="what a run would read now; null where it cannot")
    written: datetime | None
    refreshed: datetime | None
    parts: int | None
    bytes: int | None
    profiles: int | None
    counted: Counted = Field(description="how the number of profiles is known")
    columns: tuple[ColumnView, ...] = Field(description=f"in order, {MAX_COLUMNS:,} at most")
    more_columns: bool = Field(description="there are others")
    columns_masked: bool = Field(
        description="the first line may be a person rather than a header, so its words are masked"
    )
    snapshots: tuple[SnapshotView, ...] = Field(description="newest first")
    more_snapshots: bool = Field(description="there are older ones")
    exports: tuple[str, ...] = Field(description="ids of the exports that use it")


class MembersHead(BaseModel):
    """What stands before the people of a segment."""

    path: str
    snapshot: str
    columns: tuple[str, ...]
    not_shown: tuple[str, ...] = Field(description="columns whose values are no text, or too large to be shown")


class MembersView(MembersHead):
    """The first people of a segment, as they are."""

    members: tuple[tuple[str, ...], ...] = Field(
        description=f"values in the order of the columns, each cut after {MAX_VALUE_CHARS} characters"
    )


class PointView(BaseModel):
    """How many profiles a snapshot had."""

    at: datetime = Field(description="when it was refreshed, or else written")
    snapshot: str
    profiles: int
    bytes: int
    run: str = Field(description="address of the run that was the first to read it")


class HistoryView(BaseModel):
    """The count of a segment over time, as runs have read it; oldest first."""

    path: str
    points: tuple[PointView, ...]


def _with_problems(handle: Handler) -> Handler:
    @wraps(handle)
    def answer(parts: Parts, request: Request) -> Answer:
        try:
            return handle(parts, request)
        except NoSuchSegmentError as error:
            return problem("no-such-segment", str(error))

    return answer


def show_all(parts: Parts, request: Request) -> Answer:
    """GET /api/segments: 200 with a page of them."""
    query = read_query(SegmentsQuery, request)
    if isinstance(query, Answer):
        return query
    try:
        start = Mark() if query.after is None else _mark(query.after)
    except ValueError:
        detail = "after: take the address in `next` as it is"
        return problem("request-query", detail)
    users = _users(parts)
    found = catalogue.listed(parts, start=start, search=query.search, limit=query.limit, named=users.keys())
    rows = (_row(row, users) for row in found.rows)
    following = None if found.mark is None else _next(query, found.mark)
    return paged(SegmentsView(items=tuple(rows), next=following))


@_with_problems
def show(parts: Parts, request: Request) -> Answer:
    """GET /api/segments/detail: 200 with its snapshots, count, columns and faults; 404 with names that look like it."""
    query = read_query(SegmentQuery, request)
    if isinstance(query, Answer):
        return query
    path = _usable(query.path)
    return document(_view(path, catalogue.detail(parts, path), _users(parts).get(path, ())))


@_with_problems
def show_members(parts: Parts, request: Request) -> Answer:
    """GET /api/segments/members: 200 with its first people as they are, as CSV or JSON; 404, or what a run would say.

    It goes into the audit trail.
    """
    query = read_query(MembersQuery, request)
    if isinstance(query, Answer):
        return query
    path = _usable(query.path)
    subject = f"/segments/members?path={quote(path)}"
    with audited(parts, request.caller, Action.PEOPLE_SHOWN, subject):
        snapshot, seen = catalogue.members(parts, path, limit=query.limit)
        return _members(request, query, snapshot.name, seen)


@_with_problems
def show_history(parts: Parts, request: Request) -> Answer:
    """GET /api/segments/history: 200 with the count of each snapshot that a run has read; 404."""
    query = read_query(SegmentQuery, request)
    if isinstance(query, Answer):
        return query
    path = _usable(query.path)
    known = counts.read(parts, path)
    if not known.points:
        catalogue.require(parts, path)
    return document(HistoryView(path=path, points=tuple(_point(point) for point in known.points)))


def _usable(path: str) -> str:
    """The path, if a segment can have it. Raises NoSuchSegmentError for others, which may lead out of the container."""
    try:
        fits = _SEGMENT_PATH.validate_python(path)
    except ValidationError:
        fits = ""
    if not fits or _NO_XML.search(path) or {".", ".."} & set(path.split("/")):
        raise NoSuchSegmentError(
            "No segment has such a path. It is that of a folder below the segments container, or of a file without its"
            " ending, with no slash at its beginning or end, and with no . or .. in it."
        )
    return path


def _users(parts: Parts) -> Mapping[str, tuple[str, ...]]:
    """Path of a segment -> ids of the exports that use it."""
    users = dict[str, list[str]]()
    for row in overview.current(parts).rows.values():
        for segment in row.segments:
            users.setdefault(segment, []).append(row.id)
    return {segment: tuple(sorted(ids)) for segment, ids in users.items()}


def _row(row: Row, users: Mapping[str, tuple[str, ...]]) -> SegmentRow:
    return SegmentRow(
        path=row.path,
        layout=row.layout,
        snapshot=row.snapshot,
        written=row.written,
        refreshed=row.refreshed,
        parts=row.parts,
        bytes=row.bytes,
        exports=users.get(row.path, ()),
    )


def _next(query: SegmentsQuery, mark: Mark) -> str:
    # Encoded, since the name of a blob may hold what no query does.
    after = base64.urlsafe_b64encode(_MARK.dump_json((mark.after, *mark.found))).decode()
    return next_page(ADDRESS, query, after=after)


def _mark(text: str) -> Mark:
    """The mark that `_next` has written. Raises ValueError."""
    name, *found = _MARK.validate_json(base64.urlsafe_b64decode(text.encode()))
    return Mark(after=_NO_XML.split(name)[0], found=tuple(found))


def _view(path: str, found: Detail, exports: tuple[str, ...]) -> SegmentView:
    known = found.summary
    columns, masked = _columns(found.glance)
    return SegmentView(
        path=path,
        fault=found.fault,
        snapshot=None if known is None else known.snapshot,
        written=None if known is None else known.written,
        refreshed=None if known is None else known.refreshed,
        parts=None if known is None else known.parts,
        bytes=None if known is None else known.bytes,
        profiles=None if known is None else known.profiles,
        counted=Counted.UNKNOWN if known is None else known.counted,
        columns=columns,
        more_columns=found.glance is not None and len(found.glance.columns) > MAX_COLUMNS,
        columns_masked=masked,
        snapshots=tuple(_snapshot(path, candidate) for candidate in found.snapshots),
        more_snapshots=found.more,
        exports=exports,
    )


def _columns(seen: Glance | None) -> tuple[tuple[ColumnView, ...], bool]:
    """The columns with examples, and whether their names are masked."""
    if seen is None:
        return (), False
    masked = not seen.certain and _may_be_a_person(seen)
    views = (
        ColumnView(
            name=_example(column.name) if masked else column.name[:MAX_VALUE_CHARS],
            type=None if column.type is None else _cut(column.type),
            examples=_examples(row[place] for row in seen.rows),
        )
        for place, column in enumerate(seen.columns[:MAX_COLUMNS])
    )
    return tuple(views), masked


def _may_be_a_person(seen: Glance) -> bool:
    """Whether the words of a first line may be a person's values: there is an address among them, or none below them,
    as if it were not a header of people.
    """
    if any("@" in column.name for column in seen.columns):
        return True
    return bool(seen.rows) and not any("@" in value for row in seen.rows for value in row if value)


def _examples(values: Iterable[str | None]) -> tuple[str, ...]:
    """The first different values of a column, masked."""
    shown = dict.fromkeys(_example(value) for value in values if value and value.strip())
    return tuple(islice(shown, EXAMPLES))


def _example(value: str) -> str:
    masked = masked_example(value)
    return masked if len(masked) <= MAX_EXAMPLE_CHARS else f"{masked[:MAX_EXAMPLE_CHARS]}…"


def _snapshot(path: str, candidate: Candidate) -> SnapshotView:
    return SnapshotView(
        snapshot=candidate.name,
        written=candidate.written,
        refreshed=refreshed_of(path, candidate.name),
        parts=len(candidate.parts),
        bytes=sum(part.size for part in candidate.parts),
        complete=not candidate.unfinished,
        waiting=candidate.unfinished,
    )


def _members(request: Request, query: MembersQuery, snapshot: str, seen: Glance) -> Answer:
    wanted = Wanted(format=query.format or pages.accepted(request), limit=query.limit, offset=0)
    names = [column.name for column in seen.columns]
    rows = [[_cut(value or "") for value in row] for row in seen.rows]
    if wanted.format is PageFormat.CSV:
        body = pages.csv_body(names, pages.cut(pages.csv_row(row) for row in rows))
    else:
        hidden = [any(row[place] is None for row in seen.rows) for place in range(len(names))]
        head = MembersHead(
            path=query.path,
            snapshot=snapshot,
            columns=tuple(names),
            not_shown=tuple(name for name, is_hidden in zip(names, hidden, strict=True) if is_hidden),
        )
        body = pages.json_body(head, "members", pages.cut(json.dumps(row, ensure_ascii=False).encode() for row in rows))
    return pages.page(wanted, body, name=f"members-{_file_name(query.path)}", following=None)


def _cut(value: str) -> str:
    return value if len(value) <= MAX_VALUE_CHARS else f"{value[:MAX_VALUE_CHARS]}…"


def _file_name(path: str) -> str:
    """What of a path can stand in a header."""
    return re.sub("[^A-Za-z0-9_.-]+", "-", path.rpartition("/")[2]).strip("-.") or "segment"


def _point(point: Point) -> PointView:
    return PointView(
        at=point.at,
        snapshot=point.snapshot,
        profiles=point.profiles,
        bytes=point.bytes,
        run=address_of(point.export, point.run),
    )
