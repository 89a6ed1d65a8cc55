"""Bodies on their way, both ones within limits of time and size: no server can keep a step or fill its memory for ever.

With requests, the time to connect also bounds the sending of a body that is given in one piece, however long that is.
How long an answer may take to come in, headers and all, is said to the session: see `deadline.py`.
"""

import io
import time
from collections.abc import Callable, Iterator

import requests
import urllib3

_PIECE = 65_536


class TooLongError(requests.RequestException):
    """A body is longer than anybody wants to read."""


class Upload(io.BytesIO):
    """A body that is sent in pieces, the last one before `until` on `clock`.

    Given to requests instead of bytes, so that each piece may take the time to connect, and the whole more than that.
    """

    def __init__(self, body: bytes, *, until: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(body)
        self._until = until
        self._clock = clock

    def read(self, size: int | None = -1, /) -> bytes:
        """The next piece. Raises TimeoutError when it is too late for one."""
        if self._clock() >= self._until:
            raise TimeoutError("the body took too long to send")
        return super().read(size)


def download(
    response: requests.Response, *, max_bytes: int, until: float, clock: Callable[[], float] = time.monotonic
) -> bytes:
    """The body of a streamed response in one. Raises as `pieces`."""
    data = bytearray()
    for piece in pieces(response, max_bytes=max_bytes, until=until, clock=clock):
        data += piece
    return bytes(data)


def pieces(
    response: requests.Response,
    *,
    max_bytes: int,
    until: float,
    clock: Callable[[], float] = time.monotonic,
    decode: bool = True,
) -> Iterator[bytes]:
    """The body of a streamed response piece by piece; with `decode` decompressed if a header says how.

    Raises TooLongError beyond `max_bytes`, requests.Timeout at `until` on `clock`, and requests.RequestException when
    the connection or the compression breaks. While nothing comes in, the session has to end it: see `deadline.py`.
    """
    size = 0
    try:
        # Whatever has come in, however little: a read of a whole piece would wait for the rest of it.
        while piece := response.raw.read1(_PIECE, decode_content=decode):
            size += len(piece)
            if size > max_bytes:
                raise TooLongError(f"more than {max_bytes:,} bytes")
            if clock() >= until:
                raise requests.Timeout("the body took too long to come in")
            yield piece
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError("the connection was lost within the body") from error
