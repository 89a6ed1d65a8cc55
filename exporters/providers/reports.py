"""Files that a provider's jobs leave behind: fetched from a storage link, read as CSV with whatever columns they have.

No vendor documents host, compression or columns of these files, so they are read loosely and within limits; what cannot
be read is said to be missing, never taken to mean that there were no errors.
"""

import csv
import io
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from urllib.parse import urlsplit

import requests

from exporters.errors import ConfigError
from exporters.providers.base import Refusal
from exporters.providers.hosts import is_loopback, open_session
from exporters.providers.http import CONNECT_TIMEOUT_S

#: Longest report we read, before and after decompression: far above 200,000 rows of address and reason.
MAX_BYTES = 50_000_000
#: Longest wait between two pieces of a report, and for the whole of it.
READ_TIMEOUT_S = 30.0
TOTAL_TIMEOUT_S = 120.0

_CHUNK = 65_536
_GZIP_MAGIC = b"\x1f\x8b"
_ADDRESS = re.compile(r"[^@\s<>\"]+@[^@\s<>\"]+")
#: Header words, letters only, best first. An exact word wins over a word that is only part of the name.
_ADDRESS_NAMES = ("email", "emailaddress", "address")
_REASON_NAMES = ("reason", "error", "errormessage", "message")


def load(
    url: str, *, default_words: str = "", max_bytes: int = MAX_BYTES, too_large: ConfigError | None = None
) -> list[Refusal] | None:
    """The contacts that a report names; None when it cannot be fetched or read. Raises as `fetch`."""
    data = fetch(url, max_bytes=max_bytes, too_large=too_large)
    return None if data is None else read(data, default_words=default_words)


def fetch(
    url: str,
    *,
    max_bytes: int = MAX_BYTES,
    too_large: ConfigError | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> bytes | None:
    """Download a report without any key: its link is signed and leads to another host.

    https only, but for this machine. None when it fails, redirects, is larger than `max_bytes` or takes too long.
    `too_large` is raised in place of that None: to ask for a file again does not make it smaller.
    """
    if not _allowed(url):
        return None
    deadline = clock() + TOTAL_TIMEOUT_S
    data = bytearray()
    try:
        with (
            open_session(url) as session,
            session.get(
                url, stream=True, allow_redirects=False, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
            ) as response,
        ):
            if response.status_code != 200:
                return None
            for chunk in response.iter_content(_CHUNK):
                data += chunk
                if len(data) > max_bytes:
                    _raise(too_large)
                if len(data) > max_bytes or clock() > deadline:
                    return None
    except requests.RequestException:
        return None
    return _unpacked(bytes(data), max_bytes, too_large)


def read(data: bytes, *, default_words: str = "") -> list[Refusal] | None:
    """The contacts that a CSV report names, with the reason beside each or `default_words`; None when it is no report.

    Commas, semicolons or tabs. Columns are found by their names, or the address by its looks where there is no header.
    """
    rows = _rows(data)
    try:
        first = list(islice(rows, 2))
        if not first:
            return None
        header = first[0]
        address = _named(header, _ADDRESS_NAMES)
        reason = _named(header, _REASON_NAMES)
        if address is None:
            address = _looking_like_address(first)
            if address is None:
                return None
        body = chain(first if _ADDRESS.fullmatch(_cell(header, address)) else first[1:], rows)
        return [
            Refusal(
                email=_cell(row, address), words=(_cell(row, reason) if reason is not None else "") or default_words
            )
            for row in body
            if _cell(row, address)
        ]
    except csv.Error:
        return None


def _allowed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def _raise(error: ConfigError | None) -> None:
    if error is not None:
        raise error


def _unpacked(data: bytes, max_bytes: int, too_large: ConfigError | None) -> bytes | None:
    """The content of a gzip file, or what is not one as it is. None for a broken or too large one."""
    if not data.startswith(_GZIP_MAGIC):
        return data
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(data, max_bytes)
    except zlib.error:
        return None
    if unpacker.unconsumed_tail:
        _raise(too_large)
    return content if unpacker.eof else None


def _rows(data: bytes) -> Iterator[list[str]]:
    """Rows that hold anything, each cell without blanks around it."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="replace", newline="")
    first = text.readline()
    text.seek(0)
    separator = max(",;\t", key=first.count)
    for row in csv.reader(text, delimiter=separator):
        if any(cell.strip() for cell in row):
            yield [cell.strip() for cell in row]


def _named(header: Sequence[str], words: Sequence[str]) -> int | None:
    """Index of the column that one of the words names, if any."""
    names = ["".join(filter(str.isalpha, cell.lower())) for cell in header]
    exact = (names.index(word) for word in words if word in names)
    # A long cell is a sentence, or a page that is no report at all.
    partly = (index for word in words for index, name in enumerate(names) if word in name and len(name) <= 40)
    return next(exact, next(partly, None))


def _looking_like_address(rows: Sequence[Sequence[str]]) -> int | None:
    return next((index for row in rows for index, cell in enumerate(row) if _ADDRESS.fullmatch(cell)), None)


def _cell(row: Sequence[str], index: int) -> str:
    return row[index] if index < len(row) else ""
