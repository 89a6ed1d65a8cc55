"""Files behind storage links: fetched without a key, unpacked and read as CSV, piece by piece and within limits.

No vendor documents host, compression or columns of the files that its jobs write, so they are read loosely. What cannot
be read is an error, never an empty file.
"""

import csv
import io
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from exporters import tracing
from exporters.model.loopback import is_loopback
from exporters.providers.hosts import open_session
from exporters.providers.http import CONNECT_TIMEOUT_S
from exporters.providers.transfer import TooLongError, pieces

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Longest wait between two pieces of a file, and for the whole of it.
READ_TIMEOUT_S = 30.0
TOTAL_TIMEOUT_S = 120.0
#: Ours: longest line of a file. A contact with 500 fields of 1,000 characters is half of it.
MAX_LINE_CHARS = 1_000_000

#: What a trace says in place of a link, which is a key.
SIGNED_LINK = "/{signed link}"

ADDRESS = re.compile(r"[^@\s<>\"]+@[^@\s<>\"]+")
#: Header words, letters only, best first. An exact word wins over a word that is only part of the name.
ADDRESS_NAMES = ("email", "emailaddress", "address")

_GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 65_536


class UnreadableError(Exception):
    """A file cannot be fetched or read."""


class TooLargeError(UnreadableError):
    """A file is longer than what is read; to ask for it again does not make it smaller."""


def content(
    url: str, *, max_bytes: int, within_s: float = TOTAL_TIMEOUT_S, clock: Callable[[], float] = time.monotonic
) -> Iterator[bytes]:
    """The content of a file in pieces, unpacked where it is gzip. Its link is signed and leads to another host.

    https only, but for this machine. Raises TooLargeError beyond `max_bytes`, before or after it is unpacked, and
    UnreadableError when it cannot be fetched, redirects, or takes longer than `within_s`. No error holds the link.
    """
    fetched = _fetched(url, max_bytes=max_bytes, within_s=within_s, clock=clock)
    # Twice: a gzip file may travel as gzip.
    return _unpacked(_unpacked(fetched, max_bytes), max_bytes)


def rows(file: io.BufferedReader | io.BytesIO) -> Iterator[list[str]]:
    """The rows of a CSV file that hold anything, each cell without blanks around it; commas, semicolons or tabs.

    Raises UnreadableError for what is no CSV, and whatever reading the file raises.
    """
    lines = _lines(io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline=""))
    first = next(lines, "")
    separator = max(",;\t", key=first.count)
    try:
        for row in csv.reader(chain([first], lines), delimiter=separator):
            if any(cell.strip() for cell in row):
                yield [cell.strip() for cell in row]
    except csv.Error as error:
        raise UnreadableError("it is no CSV file") from error


class Pieces(io.RawIOBase):
    """Pieces of bytes as a file that can be read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill the buffer with what comes next; 0 at the end."""
        if not self._rest:
            self._rest = memoryview(next((piece for piece in self._pieces if piece), b""))
        room = memoryview(buffer)
        size = min(len(room), len(self._rest))
        room[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def named(header: Sequence[str], words: Sequence[str]) -> int | None:
    """Index of the column that one of the words names, if any. An alternate address is nobody's address."""
    names = ["".join(filter(str.isalpha, cell.lower())) for cell in header]
    exact = (names.index(word) for word in words if word in names)
    # A long cell is a sentence, or a page that is no report at all.
    partly = (
        index
        for word in words
        for index, name in enumerate(names)
        if word in name and len(name) <= 40 and not name.startswith("alternate")
    )
    return next(exact, next(partly, None))


def looking_like_address(rows: Sequence[Sequence[str]]) -> int | None:
    """Index of the first column that holds an address."""
    return next((index for row in rows for index, cell in enumerate(row) if ADDRESS.fullmatch(cell)), None)


def cell(row: Sequence[str], index: int | None) -> str:
    """A cell of a row; empty where the row is shorter, or there is no such column."""
    return row[index] if index is not None and index < len(row) else ""


def _allowed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def _fetched(url: str, *, max_bytes: int, within_s: float, clock: Callable[[], float]) -> Iterator[bytes]:
    if not _allowed(url) or within_s <= 0:
        raise UnreadableError("its link may not be followed")
    until = clock() + within_s
    try:
        with (
            open_session(url, until=until, clock=clock) as session,
            _asked_for(url, session, within_s) as response,
        ):
            if response.status_code != 200:
                raise UnreadableError("its link is not answered with a file")
            # Not unpacked on the way: the library would keep silent of a later member that is damaged.
            yield from pieces(response, max_bytes=max_bytes, until=until, clock=clock, decode=False)
    except TooLongError:
        raise TooLargeError("it is too long") from None
    except requests.RequestException:
        raise UnreadableError("it could not be fetched") from None  # its text holds the link, which is a key


def _asked_for(url: str, session: requests.Session, within_s: float) -> requests.Response:
    """The file's answer, of which no more than the headers are read."""
    with tracing.request("GET", SIGNED_LINK, url) as made:
        response = session.get(
            url,
            headers={"Accept-Encoding": "gzip"},
            stream=True,
            allow_redirects=False,
            timeout=(min(CONNECT_TIMEOUT_S, within_s), READ_TIMEOUT_S),
        )
        tracing.answered(made, response.status_code)
        return response


def _unpacked(packed: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    head = b""
    while len(head) < len(_GZIP_MAGIC) and (piece := next(packed, b"")):
        head += piece
    packed = chain([head], packed)
    yield from _unzipped(packed, max_bytes) if head.startswith(_GZIP_MAGIC) else packed


def _unzipped(packed: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """The content of all members of a gzip file. https://www.rfc-editor.org/rfc/rfc1952#page-5"""
    unpacker = _unpacker()
    size = 0
    try:
        for piece in packed:
            data = piece
            while data := data.lstrip(b"\0") if unpacker.eof else data:  # zeros may fill up what follows a member
                if unpacker.eof:
                    unpacker = _unpacker()
                unpacked = unpacker.decompress(data, _PIECE)
                data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
                size += len(unpacked)
                if size > max_bytes:
                    raise TooLargeError("it unpacks to too much")
                yield unpacked
    except zlib.error as error:
        raise UnreadableError("its compression is broken") from error
    if not unpacker.eof:
        raise UnreadableError("it breaks off")


def _unpacker() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Lines with their ends; no memory is filled with one that does not end."""
    while line := text.readline(MAX_LINE_CHARS):
        if len(line) >= MAX_LINE_CHARS:
            raise UnreadableError("it has a line without end")
        if "\0" in line:
            raise UnreadableError("it is not UTF-8, nor anything alike")
        yield line
