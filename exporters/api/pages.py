"""Pages of people: as CSV for spreadsheets, with a byte order mark and with guarded cells, or as JSON for programs.

CSV is RFC 4180, and `segments.spreadsheet` keeps cells from being run as formulas.
https://www.rfc-editor.org/rfc/rfc4180
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from exporters.api.answers import Answer, Request
from exporters.api.paging import link
from exporters.audit.trail import Action, audited
from exporters.parts import Parts
from exporters.segments.spreadsheet import guarded

#: People in one answer: it is held in memory as a whole.
DEFAULT_LIMIT = 10_000
MAX_LIMIT = 50_000
#: More people than any run has.
MAX_OFFSET = 999_999_999
#: An answer ends early at so many bytes. `api.corrections` takes more, so that rejects can be posted back.
MAX_ANSWER_BYTES = 8 * 1024 * 1024
#: Tells spreadsheets that the file is UTF-8.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class PageFormat(StrEnum):
    """How people are written."""

    CSV = "csv"
    JSON = "json"


MEDIA_TYPES = {"text/csv": PageFormat.CSV, "application/json": PageFormat.JSON}


class PageQuery(BaseModel):
    """Which page of people is wanted, and how they are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: PageFormat | None = Field(default=None, description="goes before the Accept header; default: json")
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="people on a page, at most")
    offset: int = Field(default=0, ge=0, le=MAX_OFFSET, description="people on the pages before")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What page a request asks for."""

    format: PageFormat
    limit: int
    offset: int


def wanted_page(request: Request, query: PageQuery) -> Wanted:
    """The page that a request asks for with its query and its Accept header."""
    return Wanted(format=query.format or accepted(request), limit=query.limit, offset=query.offset)


def accepted(request: Request) -> PageFormat:
    """The first format that the Accept header names; JSON where it names none."""
    ranges = request.headers.get("accept", "").lower().split(",")
    named = (MEDIA_TYPES.get(media_range.partition(";")[0].strip()) for media_range in ranges)
    return next((found for found in named if found is not None), PageFormat.JSON)


def cut(written: Iterator[bytes]) -> list[bytes]:
    """As many rows as an answer may hold, but at least one where there is any."""
    rows: list[bytes] = []
    size = 0
    for row in written:
        size += len(row)
        if rows and size > MAX_ANSWER_BYTES:
            break
        rows.append(row)
    return rows


def csv_row(cells: Sequence[str]) -> bytes:
    """One line of the CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([guarded(cell) for cell in cells])
    return text.getvalue().encode()


def csv_body(header: Sequence[str], rows: Sequence[bytes]) -> bytes:
    """The whole CSV."""
    return BYTE_ORDER_MARK + csv_row(header) + b"".join(rows)


def json_body(head: BaseModel, name: str, rows: Sequence[bytes]) -> bytes:
    """The members of `head`, and after them the rows, which are JSON already, as the list of this name."""
    return head.model_dump_json().encode()[:-1] + b',"' + name.encode() + b'":[' + b",".join(rows) + b"]}"


def next_address(address: str, wanted: Wanted, *, shown: int, total: int, **filters: str | None) -> str | None:
    """Where the page after this one is; None after the last one."""
    end = wanted.offset + shown
    if not shown or end >= total:
        return None
    query = {"format": wanted.format, **filters, "limit": wanted.limit, "offset": end}
    return f"{address}?{urlencode({name: value for name, value in query.items() if value is not None})}"


def page(wanted: Wanted, body: bytes, *, name: str, following: str | None) -> Answer:
    """The answer; `name` is that of the file, without its ending."""
    return Answer(status=200, body=body, headers=_headers(wanted, name, following))


def people_shown(parts: Parts, request: Request, show: Callable[[], Answer]) -> Answer:
    """An answer that shows people's data, which goes into the audit trail before."""
    with audited(parts, request.caller, Action.PEOPLE_SHOWN, request.path) as course:
        answer = show()
        if answer.status != 200:
            course.not_done("Nobody was shown")
    return answer


def _headers(wanted: Wanted, name: str, following: str | None) -> Mapping[str, str]:
    headers = {"Vary": "Accept", **link(following)}
    if wanted.format is PageFormat.JSON:
        return {"Content-Type": "application/json", **headers}
    first = f"-from-{wanted.offset + 1}" if wanted.offset else ""
    # The host adds the character set.
    return {"Content-Type": "text/csv", "Content-Disposition": f'attachment; filename="{name}{first}.csv"', **headers}
