"""GET /api/audit: who has done what, when and from where; newest first, as JSON or as CSV."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from exporters.api import pages, paging
from exporters.api.answers import Answer, Request, problem
from exporters.api.pages import PageFormat
from exporters.api.paging import DEFAULT_LIMIT, MAX_LIMIT, next_page, paged
from exporters.api.reading import read_query
from exporters.audit.reading import EntryOutcome, Page, Place, Told, Wanted, read_page
from exporters.audit.trail import Action
from exporters.model.caller import Caller
from exporters.parts import Parts

ADDRESS = "/api/audit"
#: Where no time is given.
DEFAULT_DAYS = 7
#: Lines of a CSV, which is for whoever wants them all.
MAX_CSV_LIMIT = 10_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
#: With other years a time can leave the range that there are dates for, when its zone is changed.
YEARS = range(2000, 9000)
COLUMNS = (
    "at",
    "ended",
    "caller",
    "caller_id",
    "caller_kind",
    "role",
    "address",
    "action",
    "subject",
    "result",
    "reason",
    "why_not_done",
    "changes",
    "id",
)


def _from(value: object) -> object:
    """A day means its first moment in UTC."""
    return f"{value}T00:00:00Z" if isinstance(value, str) and _DAY.fullmatch(value) else value


def _to(value: object) -> object:
    """A day is meant with all of its hours."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return value
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ValueError("there is no such day") from None


def _sensible(value: datetime) -> datetime:
    if value.year not in YEARS:
        raise ValueError(f"use a year from {YEARS[0]} to {YEARS[-1]}")
    return value.astimezone(UTC)


#: A time in UTC.
_Time = Annotated[AwareDatetime, AfterValidator(_sensible)]


class AuditQuery(BaseModel):
    """Which entries of the audit trail are wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    since: Annotated[_Time, BeforeValidator(_from)] | None = Field(
        default=None,
        alias="from",
        description=f"time with its zone, or a day in UTC; without it {DEFAULT_DAYS} days before `to`",
        examples=["2026-11-01"],
    )
    until: Annotated[_Time, BeforeValidator(_to)] | None = Field(
        default=None,
        alias="to",
        description="time that is not included any more, or a day in UTC that is; without it until now",
        examples=["2026-11-30T12:00:00Z"],
    )
    action: Action | None = None
    subject: str = Field(
        default="", max_length=1_000, description="what addresses begin with", examples=["/exports/newsletter"]
    )
    caller: str = Field(default="", max_length=320, description="object id of the caller, or a part of the name")
    result: EntryOutcome | None = None
    format: PageFormat | None = Field(default=None, description="goes before the Accept header")
    limit: int | None = Field(
        default=None,
        ge=1,
        le=MAX_CSV_LIMIT,
        description=f"entries of one page: {DEFAULT_LIMIT}, at most {MAX_LIMIT}; of a CSV {MAX_CSV_LIMIT:,}",
    )
    after: str | None = Field(default=None, max_length=200, description="as `next` of the page before says")


class ChangeView(BaseModel):
    """A member of a document that is different afterwards."""

    field: str = Field(description="its name; a dot stands before that of a member within", examples=["mapping.email"])
    before: Any = Field(description="null: there was none")
    after: Any = Field(description="null: there is none any more")


class AuditEntryView(BaseModel):
    """Something that somebody did, or wanted to do."""

    id: str
    at: AwareDatetime
    ended: AwareDatetime | None = Field(description="when it was done, or was not; null: not known")
    caller: Caller
    action: Action
    subject: str = Field(description="address below /api of what it was done to")
    result: EntryOutcome
    reason: str = Field(description="what the caller gave as one")
    why_not_done: str
    changes: tuple[ChangeView, ...] = Field(description="what is different afterwards; keys and people left out")
    changes_cut: bool = Field(description="the changes were too long to keep")


class AuditPageView(paging.Page[AuditEntryView]):
    """A page of the audit trail, newest first."""

    next: str | None = Field(
        description="address of the next page; a page that read many days may have few items, and a next one all the"
        " same"
    )
    total: int | None = Field(default=None, description="always null: it would take reading every day")
    unreadable: int = Field(description="lines of the days read that are no entries: torn, or written by others")


def show(parts: Parts, request: Request) -> Answer:
    """The entries of some days, newest first."""
    query = read_query(AuditQuery, request)
    if isinstance(query, Answer):
        return query
    as_csv = (query.format or pages.accepted(request)) is PageFormat.CSV
    limit, most = (MAX_CSV_LIMIT, MAX_CSV_LIMIT) if as_csv else (DEFAULT_LIMIT, MAX_LIMIT)
    until = query.until or parts.now() + timedelta(seconds=1)
    since = query.since or until - timedelta(days=DEFAULT_DAYS)
    try:
        after = None if query.after is None else _place(query.after)
    except ValueError:
        detail = "after: take the address in `next` as it is"
        return problem("request-query", detail)
    wanted = Wanted(
        since=since,
        until=until,
        action=query.action,
        subject=query.subject,
        caller=query.caller,
        outcome=query.result,
    )
    page = read_page(parts, wanted, after=after, limit=min(query.limit or limit, most))
    # The bounds go along: the next page is one of the same days, however late it is asked for.
    following = _next(query, page, since=since.isoformat(), until=until.isoformat())
    return _csv(page, following) if as_csv else _json(page, following)


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Iterator[ChangeView]:
    """The members that differ, one by one; those of a document that is new or gone as a whole too."""
    was, now = before or {}, after or {}
    for name in [*was, *(name for name in now if name not in was)]:
        old, new = was.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            for inner in changes(old, new):
                yield inner.model_copy(update={"field": f"{name}.{inner.field}"})
        elif old != new:
            yield ChangeView(field=name, before=old, after=new)


def _json(page: Page, following: str | None) -> Answer:
    items = tuple(_view(told) for told in page.entries)
    return paged(AuditPageView(items=items, next=following, unreadable=page.unreadable))


def _csv(page: Page, following: str | None) -> Answer:
    rows = [pages.csv_row(_cells(_view(told))) for told in page.entries]
    wanted = pages.Wanted(format=PageFormat.CSV, limit=len(rows), offset=0)
    return pages.page(wanted, pages.csv_body(COLUMNS, rows), name="audit", following=following)


def _view(told: Told) -> AuditEntryView:
    entry = told.entry
    return AuditEntryView(
        id=entry.id,
        at=entry.at,
        ended=told.ended,
        caller=entry.caller,
        action=entry.action,
        subject=entry.subject,
        result=told.outcome,
        reason=entry.reason,
        why_not_done=told.why,
        changes=tuple(changes(entry.before, entry.after)),
        changes_cut=entry.cut,
    )


def _cells(view: AuditEntryView) -> Sequence[str]:
    caller = view.caller
    return (
        _time(view.at),
        "" if view.ended is None else _time(view.ended),
        caller.label,
        caller.id,
        caller.kind.value,
        "" if caller.role is None else caller.role.value,
        caller.address,
        view.action.value,
        view.subject,
        view.result.value,
        view.reason,
        view.why_not_done,
        "; ".join(_change(change) for change in view.changes) or ("(too long)" if view.changes_cut else ""),
        view.id,
    )


def _change(change: ChangeView) -> str:
    before, after = (json.dumps(value, ensure_ascii=False) for value in (change.before, change.after))
    return f"{change.field}: {before} -> {after}"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _next(query: AuditQuery, page: Page, *, since: str, until: str) -> str | None:
    if page.after is None:
        return None
    place = base64.urlsafe_b64encode(f"{page.after.at.isoformat()} {page.after.id}".encode()).decode()
    return next_page(ADDRESS, query, **{"from": since, "to": until, "after": place})


def _place(text: str) -> Place:
    """The place that `_next` has written. Raises ValueError."""
    try:
        at, _, entry_id = base64.urlsafe_b64decode(text.encode()).decode().partition(" ")
    except binascii.Error as error:
        raise ValueError("not base64") from error
    place = datetime.fromisoformat(at)
    if place.tzinfo is None:
        raise ValueError("without a zone")
    return Place(_sensible(place), entry_id)
