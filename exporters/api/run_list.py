"""GET /api/runs: all runs, newest first; GET /api/runs/{export}/{run}/batches: the batches of one."""

import logging
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, StringConstraints

from exporters import log
from exporters.api.answers import Answer, Request
from exporters.api.paging import DEFAULT_LIMIT, Limit, Offset, Page, next_page, paged
from exporters.api.reading import read_query
from exporters.api.runs import address_of, find, no_run
from exporters.delivery import records
from exporters.delivery.waiting import fails
from exporters.errors import ConfigError
from exporters.history import journal
from exporters.history.batches import BatchView, batches
from exporters.history.journal import Mark, RunKind
from exporters.model.names import Id
from exporters.model.run import DeliveryCounts, Run, RunStatus, Trigger
from exporters.model.status_word import StatusWord, word_of
from exporters.parts import Parts

ADDRESS = "/api/runs"
#: Marks of the journal that one answer looks at, and documents that it reads: with a filter that few runs pass, the
#: next page goes on where it stopped. Ours, so that it is there within a second or two.
MOST_MARKS = 5_000
MOST_DOCUMENTS = 400
#: Documents that are read at the same time.
READERS = 16
#: A run and its export.
PLACE_PATTERN = r"^[0-9]{17}-[0-9a-f]{8}_[a-z0-9][a-z0-9-]{0,62}$"
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")


def _written_out(value: object) -> object:
    """pydantic takes numbers for seconds since 1970."""
    if isinstance(value, str) and not _MOMENT.match(value):
        raise ValueError("write a time with its zone, such as 2026-11-20T06:00:00Z")
    return value


#: A time with its zone.
Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


class RunsQuery(BaseModel):
    """Which runs are wanted."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=False,
        json_schema_extra={"examples": [{"status": "failed", "from": "2026-11-20T00:00:00Z"}]},
    )

    export: Id | None = Field(default=None, description="runs of this export")
    status: RunStatus | None = Field(default=None, description="runs with this status now")
    trigger: Trigger | None = Field(default=None, description="runs that were started so")
    since: Moment | None = Field(
        default=None, alias="from", description="runs started at this time or later, or due then by their schedule"
    )
    until: Moment | None = Field(
        default=None, alias="to", description="runs started at this time or earlier, or due then by their schedule"
    )
    limit: Limit = DEFAULT_LIMIT
    after: Annotated[str, StringConstraints(pattern=PLACE_PATTERN)] | None = Field(
        default=None, description="where the page before ended; stands in its `next`"
    )

    @property
    def place(self) -> tuple[str, str] | None:
        """The run, and its export, that the page before ended with."""
        run, _, export = (self.after or "").partition("_")
        return (run, export) if run else None


class ShortSums(BaseModel):
    """The sums of a run in short; while it is at work only what the plan says."""

    read: NonNegativeInt
    planned: NonNegativeInt
    delivered: NonNegativeInt
    refused: NonNegativeInt
    unknown: NonNegativeInt
    removed: NonNegativeInt


class RunRow(BaseModel):
    """A run among others."""

    id: str
    export: str
    name: str = Field(description="of the export, as it was when the run started")
    provider: str
    connection: str
    status: RunStatus
    status_word: StatusWord
    trigger: Trigger
    kind: RunKind
    started_by: str
    created: datetime
    finished: datetime | None
    duration_s: float | None = Field(description="from its creation to its end; None while it is at work")
    sums: ShortSums | None = Field(description="None until the plan is made")
    reason: str
    address: str = Field(description="where it can be read")


class RunsView(Page[RunRow]):
    """A page of runs, newest first. It may hold fewer than were asked for, and still have a next one."""

    total: int | None = Field(default=None, description="always None: runs are not counted")


class BatchesQuery(BaseModel):
    """Which batches are wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    offset: Offset = 0
    limit: Limit = DEFAULT_LIMIT


class BatchesView(Page[BatchView]):
    """A page of batches, by number; none until the run has its plan."""

    run: str = Field(description="its address")
    total: int = Field(description="batches so far: those of the plan, and of the removals once they have begun")


def list_runs(parts: Parts, request: Request) -> Answer:
    """GET /api/runs: runs that fit the query; those whose documents are gone are left out."""
    query = read_query(RunsQuery, request)
    if isinstance(query, Answer):
        return query
    found, last = _find(parts, query)
    following = None if last is None else next_page(ADDRESS, query, after=f"{last.run}_{last.export}")
    return paged(RunsView(items=tuple(_row(parts, run) for run in found), next=following))


def list_batches(parts: Parts, request: Request) -> Answer:
    """GET /api/runs/{export}/{run}/batches: each batch, where it is and what came of it."""
    run = find(parts, request)
    if run is None:
        return no_run()
    query = read_query(BatchesQuery, request)
    if isinstance(query, Answer):
        return query
    items, total = tuple(batches(parts, run, offset=query.offset, limit=query.limit)), len(run.batches)
    address, end = address_of(run.export.id, run.id), query.offset + len(items)
    following = next_page(f"{address}/batches", query, offset=end) if items and end < total else None
    return paged(BatchesView(run=address, items=items, next=following, total=total))


def _find(parts: Parts, query: RunsQuery) -> tuple[Sequence[Run], Mark | None]:
    """The runs of a page, and the mark that it ends with where there are more."""
    marks = journal.newest(
        parts,
        export=query.export,
        since=query.since,
        until=query.until,
        after=query.place,
        fetch=journal.FETCHED if query.status or query.trigger else query.limit + 1,
    )
    found: list[Run] = []
    last, looked_at, documents = None, 0, 0
    while len(found) < query.limit and looked_at < MOST_MARKS and documents < MOST_DOCUMENTS:
        some = list(_some(marks, query, fitting=query.limit - len(found), most=MOST_MARKS - looked_at))
        if not some:
            return found, None
        fitting = [mark for mark in some if _may_fit(mark, query)]
        found += [run for run in _read(parts, fitting) if _fits(run, query)]
        last, looked_at, documents = some[-1], looked_at + len(some), documents + len(fitting)
    return found, last if next(marks, None) is not None else None


def _some(marks: Iterator[Mark], query: RunsQuery, *, fitting: int, most: int) -> Iterator[Mark]:
    """The next marks, up to the one with which so many of them may fit the query."""
    for mark in islice(marks, most):
        yield mark
        fitting -= _may_fit(mark, query)
        if not fitting:
            return


def _may_fit(mark: Mark, query: RunsQuery) -> bool:
    """Whether the run of a mark can be one of those that are wanted, as far as a mark can be believed.

    The status of a run at work is in its document only. So is whether an occurrence was skipped: a start that came at
    the same moment may have been faster.
    """
    is_status = query.status is None or mark.status in {None, RunStatus.SKIPPED, query.status}
    return is_status and query.trigger in {None, mark.trigger}


def _fits(run: Run, query: RunsQuery) -> bool:
    return query.status in {None, run.status} and query.trigger in {None, run.trigger}


def _read(parts: Parts, marks: Sequence[Mark]) -> Sequence[Run]:
    """The documents of runs, without those that are gone or cannot be read."""
    if not marks:
        return ()
    with parts.uploaders(min(READERS, len(marks))) as pool:
        under_way = [pool.submit(_document, parts, mark) for mark in marks]
        return [run for run in (found.result() for found in under_way) if run is not None]


def _document(parts: Parts, mark: Mark) -> Run | None:
    try:
        return records.read_run(parts, mark.export, mark.run)
    except ConfigError as error:
        log.step("list", "unreadable", level=logging.WARNING, run_id=mark.run, export=mark.export, reason=str(error))
        return None


def _row(parts: Parts, run: Run) -> RunRow:
    took_s = None if run.finished is None else (run.finished - run.created).total_seconds()
    return RunRow(
        id=run.id,
        export=run.export.id,
        name=run.export.name,
        provider=run.connection.provider,
        connection=run.connection.id,
        status=run.status,
        status_word=word_of(run, fails=fails(parts, run)),
        trigger=run.trigger,
        kind=journal.kind_of(run),
        started_by=run.started_by,
        created=run.created,
        finished=run.finished,
        duration_s=took_s,
        sums=_sums(run),
        reason=run.reason,
        address=address_of(run.export.id, run.id),
    )


def _sums(run: Run) -> ShortSums | None:
    if run.plan is None:
        return None
    result = run.result or DeliveryCounts()
    return ShortSums(
        read=run.plan.counts.read,
        planned=run.plan.counts.planned,
        delivered=result.delivered,
        refused=result.refused,
        unknown=result.unknown,
        removed=0 if run.removal is None else run.removal.removed,
    )
