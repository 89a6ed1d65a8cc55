"""Sessions whose connections end at a given time, whatever a server says and however slowly.

The timeouts of requests bound single waits only: one byte in each of them makes status line, headers, chunk sizes or a
body last without end, and so does one "100 Continue" after the other. Here each read may last until the end at most,
after which it is a timeout. Two waits are not bounded by it, but by the time to connect and by the resolver: each
address of a host may take the whole time to connect, and nothing ends the look-up of a name.
"""

import io
import socket
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def end_at(session: requests.Session, until: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Let the session read nothing after `until` on `clock`.

    What it raises then is a requests.RequestException, as for everything else that a url or a server can do wrong.
    """
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(until, clock))


class _Adapter(HTTPAdapter):
    def __init__(self, until: float, clock: Callable[[], float]) -> None:
        super().__init__()
        self._response = staticmethod(partial(_response, until=until, clock=clock))

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> urllib3.HTTPConnectionPool:
        """The pool, which the library offers to subclasses; its connections read their answers in our way."""
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        connection = type(pool).ConnectionCls
        pool.ConnectionCls = type(connection.__name__, (connection,), {"response_class": self._response})
        return cast("urllib3.HTTPConnectionPool", pool)

    def send(self, *args: Any, **options: Any) -> requests.Response:
        """Send, with every error of the library below as one of requests, which lets some through: bad hosts."""
        try:
            return super().send(*args, **options)
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError("the host cannot be connected to") from error


def _response(
    sock: socket.socket, *args: Any, until: float, clock: Callable[[], float], **options: Any
) -> HTTPResponse:
    return HTTPResponse(_Incoming(sock, until, clock), *args, **options)  # type: ignore[arg-type]  # it makes a file of it


class _Incoming(io.RawIOBase):
    """What comes in on a socket until the end, and in place of the socket where the library makes a file of it."""

    def __init__(self, sock: socket.socket, until: float, clock: Callable[[], float]) -> None:
        self._socket = sock
        self._file = sock.makefile("rb", buffering=0)
        self._until = until
        self._clock = clock

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What comes in as a file, the one time that the library asks for it."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        """Some bytes. Raises TimeoutError at the end, or after the longest silence that the socket knows."""
        left_s = self._until - self._clock()
        if left_s <= 0:
            raise TimeoutError("the answer took too long")
        silence_s = self._socket.gettimeout()
        if silence_s is None or left_s < silence_s:
            self._socket.settimeout(left_s)
        return self._file.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket, which closes with the last one that holds it."""
        self._file.close()
        super().close()
