"""Pages of people: as CSV for spreadsheets, with a byte order mark and with guarded cells, or as JSON for programs.

CSV is RFC 4180, and `segments.spreadsheet` keeps cells from being run as formulas.
https://www.rfc-editor.org/rfc/rfc4180
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel

from exporters.api.answers import Answer, Request
from exporters.segments.spreadsheet import guarded

#: People in one answer: it is held in memory as a whole.
DEFAULT_LIMIT = 10_000
MAX_LIMIT = 50_000
#: An answer ends early at so many bytes. `api.corrections` takes more, so that rejects can be posted back.
MAX_ANSWER_BYTES = 8 * 1024 * 1024
#: Tells spreadsheets that the file is UTF-8.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Word = TypeVar("Word", bound=StrEnum)


class Format(StrEnum):
    """How people are written."""

    CSV = "csv"
    JSON = "json"


MEDIA_TYPES = {"text/csv": Format.CSV, "application/json": Format.JSON}


class UnusableQueryError(Exception):
    """The query of a request cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What page a request asks for."""

    format: Format
    limit: int
    offset: int


def read_wanted(request: Request) -> Wanted:
    """`limit`, `offset`, and `format`, which goes before the Accept header. Raises UnusableQueryError."""
    limit = _number(request, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise UnusableQueryError(f"limit: use a number from 1 to {MAX_LIMIT}")
    named = read_word(request, "format", Format)
    return Wanted(format=named or _accepted(request), limit=limit, offset=_number(request, "offset", 0))


def read_word(request: Request, name: str, words: type[Word], *, hidden: frozenset[str] = frozenset()) -> Word | None:
    """A parameter of the query that is one of a few words; None where it is not given. Raises UnusableQueryError.

    `hidden` are words that the message is not to offer.
    """
    given = request.query.get(name)
    if given is None:
        return None
    try:
        return words(given)
    except ValueError:
        usable = ", ".join(word for word in words if word not in hidden)
        raise UnusableQueryError(f"{name}: use one of {usable}") from None


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


def _headers(wanted: Wanted, name: str, following: str | None) -> Mapping[str, str]:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
    if following is not None:
        headers["Link"] = f'<{following}>; rel="next"'  # https://www.rfc-editor.org/rfc/rfc8288
    if wanted.format is Format.JSON:
        return {"Content-Type": "application/json", **headers}
    first = f"-from-{wanted.offset + 1}" if wanted.offset else ""
    # The host adds the character set.
    return {"Content-Type": "text/csv", "Content-Disposition": f'attachment; filename="{name}{first}.csv"', **headers}


def _number(request: Request, name: str, default: int) -> int:
    given = request.query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", given):
        raise UnusableQueryError(f"{name}: use a whole number, such as {default}")
    return int(given)


def _accepted(request: Request) -> Format:
    """The first format that the Accept header names; JSON where it names none."""
    ranges = request.headers.get("accept", "").lower().split(",")
    named = (MEDIA_TYPES.get(media_range.partition(";")[0].strip()) for media_range in ranges)
    return next((found for found in named if found is not None), Format.JSON)
