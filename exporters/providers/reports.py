"""Error reports that a provider's jobs leave behind, with whatever columns they have.

A report that cannot be read is said to be missing, never taken to mean that there were no errors.
"""

import io
import time
from collections.abc import Callable
from itertools import chain, islice

from exporters.providers.base import Refusal
from exporters.providers.files import (
    ADDRESS,
    ADDRESS_NAMES,
    TOTAL_TIMEOUT_S,
    UnreadableError,
    cell,
    content,
    looking_like_address,
    named,
    rows,
)

#: Longest report we read, before and after decompression: far above 200,000 rows of address and reason.
MAX_BYTES = 50_000_000

_REASON_NAMES = ("reason", "error", "errormessage", "message")


def load(
    url: str, *, default_words: str = "", max_bytes: int = MAX_BYTES, within_s: float = TOTAL_TIMEOUT_S
) -> list[Refusal] | None:
    """The contacts that a report names; None when it cannot be fetched or read."""
    data = fetch(url, max_bytes=max_bytes, within_s=within_s)
    return None if data is None else read(data, default_words=default_words)


def fetch(
    url: str,
    *,
    max_bytes: int = MAX_BYTES,
    within_s: float = TOTAL_TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
) -> bytes | None:
    """Download a report; None where `files.content` raises."""
    try:
        return b"".join(content(url, max_bytes=max_bytes, within_s=within_s, clock=clock))
    except UnreadableError:
        return None


def read(data: bytes, *, default_words: str = "") -> list[Refusal] | None:
    """The contacts that a CSV report names, with the reason beside each or `default_words`; None when it is no report.

    Columns are found by their names, or the address by its looks where there is no header.
    """
    found = rows(io.BytesIO(data))
    try:
        first = list(islice(found, 2))
        if not first:
            return None
        header = first[0]
        address = named(header, ADDRESS_NAMES)
        reason = named(header, _REASON_NAMES)
        if address is None:
            address = looking_like_address(first)
            if address is None:
                return None
        body = chain(first if ADDRESS.fullmatch(cell(header, address)) else first[1:], found)
        return [
            Refusal(email=cell(row, address), words=cell(row, reason) or default_words)
            for row in body
            if cell(row, address)
        ]
    except UnreadableError:
        return None
