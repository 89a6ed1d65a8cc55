"""A threaded HTTP/1.1 server that keeps connections alive, and can cut them as a failing network would."""

import os
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

#: Close with a reset instead of a proper end: linger on, for no time at all.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

#: How soon a server notices that it is to close.
POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, its body already read."""

    method: str
    target: str  #: path and query as they were sent
    headers: Mapping[str, str]  #: names match in any case
    body: bytes
    client: str  #: address it came from

    @cached_property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @cached_property
    def query(self) -> dict[str, str]:
        """Parameters of the query; of repeated ones the last."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer. A body that is not `bytes` is sent piece by piece as it is made."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200) -> "Reply":
        return cls(status=status, body=orjson.dumps(value), headers={"Content-Type": "application/json"})

    @classmethod
    def html(cls, status: int, server: str = "nginx") -> "Reply":
        """An error page as proxies write them."""
        title = f"{status} {HTTPStatus(status).phrase}"
        page = (
            f"<html>\r\n<head><title>{title}</title></head>\r\n"
            f"<body>\r\n<center><h1>{title}</h1></center>\r\n<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n"
        )
        return cls(status=status, body=page.encode(), headers={"Content-Type": "text/html"})


#: Answers a request; None cuts the connection instead.
Handler = Callable[[Request], Reply | None]


class Server:
    """Serves one handler on 127.0.0.1, over TLS where a context is given, until it is closed."""

    def __init__(self, handler: Handler, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._server = _HttpServer(handler, port, tls)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.close_connections()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, handler: Handler, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", port), _HttpConnection)
        self.handler = handler
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        if tls:
            # The handshake happens with the first read, on the thread of the connection, so a slow one blocks nobody.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)

    def close_connections(self) -> None:
        """End connections that clients keep alive, so that no thread outlives the server."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it has ended meanwhile

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up, or do not trust the certificate, are no errors here; anything else is our bug."""
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class _HttpConnection(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer leave together

    def _answer(self) -> None:
        request = Request(
            method=self.command,
            target=self.path,
            headers=cast("Mapping[str, str]", self.headers),  # a Message, which typeshed keeps from being a Mapping
            body=self._read_body(),
            client=self.client_address[0],
        )
        reply = self.server.handler(request)
        if reply is None:
            self._cut()
        else:
            self._send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - names that the standard library looks for

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(iter(self._read_chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _read_chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if isinstance(reply.body, bytes):
            if reply.status != HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in reply.body:
                if chunk:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        # Closing the descriptor itself: the streams above still hold the socket, and would end it politely.
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of the standard library
        """Say nothing: addresses stand in some paths."""
