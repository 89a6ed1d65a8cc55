"""GET /api/exports: all exports in pages, searched, filtered and sorted."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from exporters.api.answers import Answer, Request
from exporters.api.export_views import NO_CONNECTION, ExportRow, active_run, row_view, unusable
from exporters.api.paging import DEFAULT_LIMIT, Limit, Offset, Page, next_page, paged
from exporters.api.reading import read_query
from exporters.configuration import overview
from exporters.configuration.overview import READS_AT_ONCE, Overview, Row
from exporters.model.export import SegmentPath
from exporters.model.names import Id, Search
from exporters.model.status_word import word_of_export
from exporters.parts import Parts
from exporters.scheduling.next_run import next_run

ADDRESS = "/api/exports"

Column = Literal["name", "connection", "provider", "status", "refreshed", "schedule", "next_run", "updated"]
_FromTheEnd = Literal[
    "-name", "-connection", "-provider", "-status", "-refreshed", "-schedule", "-next_run", "-updated"
]


class ExportsQuery(BaseModel):
    """Which exports."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0
    search: Search = Field(
        default="",
        description="in id, name, connection, list and segments, without regard to case",
    )
    segment: SegmentPath | None = Field(default=None, description="exports of this segment")
    connection: Id | None = Field(default=None, description="exports that use this connection")
    sort: Column | _FromTheEnd = Field(default="name", description="a column; with - before it from the other end")


class ExportsPage(Page[ExportRow]):
    """A page of exports."""

    total: int = Field(description="exports on all pages")


def list_exports(parts: Parts, request: Request) -> Answer:
    """GET /api/exports"""
    wanted = read_query(ExportsQuery, request)
    if isinstance(wanted, Answer):
        return wanted
    seen = overview.current(parts)
    found = _sorted(parts, seen, list(_fitting(seen, wanted)), wanted.sort)
    end = wanted.offset + wanted.limit
    rows = overview.page(parts, seen, found[wanted.offset : end])
    following = next_page(ADDRESS, wanted, offset=end) if end < len(found) else None
    return paged(ExportsPage(items=_shown(parts, request, seen, rows), next=following, total=len(found)))


def _fitting(seen: Overview, wanted: ExportsQuery) -> Iterator[Row]:
    text = wanted.search.strip().casefold()
    for row in seen.rows.values():
        if wanted.segment is not None and wanted.segment not in row.segments:
            continue
        if wanted.connection is not None and wanted.connection != row.connection:
            continue
        if not text or any(text in each.casefold() for each in _texts(seen, row)):
            yield row


def _texts(seen: Overview, row: Row) -> Sequence[str]:
    """What a search looks at."""
    return (row.id, row.name, row.connection or "", _connection_name(seen, row), row.list_id, *row.segments)


def _connection_name(seen: Overview, row: Row) -> str:
    if row.connection is None:
        return NO_CONNECTION
    known = seen.connections.get(row.connection)
    return row.connection if known is None else known.display_name or row.connection


def _sorted(parts: Parts, seen: Overview, rows: Sequence[Row], sort: str) -> list[Row]:
    """Rows by a column and then by id; those without a value come last, from whichever end."""
    value = _VALUES[sort.removeprefix("-")]
    now = parts.now()
    values = {row.id: value(seen, row, now) for row in rows}
    by_id = sorted(rows, key=lambda row: row.id)
    known = [row for row in by_id if values[row.id] is not None]
    known.sort(key=lambda row: values[row.id], reverse=sort.startswith("-"))
    return [*known, *(row for row in by_id if values[row.id] is None)]


#: Column -> what it is sorted by. The status is taken without a look at the run at work, and the next run by its time.
_VALUES: dict[str, Callable[[Overview, Row, datetime], Any]] = {
    "name": lambda _seen, row, _now: row.name.casefold(),
    "connection": lambda seen, row, _now: None if row.connection is None else _connection_name(seen, row).casefold(),
    "provider": lambda _seen, row, _now: row.provider,
    "status": lambda _seen, row, _now: word_of_export(row, None),
    "refreshed": lambda _seen, row, _now: row.last_finished,
    "schedule": lambda _seen, row, _now: (row.schedule.kind, row.schedule.model_dump_json()),
    "next_run": lambda _seen, row, now: next_run(row, now, unusable=unusable(row)).at,
    "updated": lambda _seen, row, _now: row.updated,
}


def _shown(parts: Parts, request: Request, seen: Overview, rows: Sequence[Row]) -> tuple[ExportRow, ...]:
    with parts.uploaders(READS_AT_ONCE) as pool:
        active = list(pool.map(lambda row: active_run(parts, row), rows))
    return tuple(
        row_view(parts, request.caller, row, seen.connections.get(row.connection or ""), run)
        for row, run in zip(rows, active, strict=True)
    )
