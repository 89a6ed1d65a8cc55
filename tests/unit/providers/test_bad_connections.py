"""Connections that break, stall or do not end, over real sockets: a step ends all the same, within bounded memory."""

import gzip
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from pydantic import SecretStr

from exporters.errors import ExporterError, RefusedError, ThrottledError, TransientError
from exporters.providers import reports
from exporters.providers.http import MAX_ANSWER_BYTES, Api, KeyHeader, Patience, Window

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PIECE = b" " * 65_536
#: What a test may wait for at most; each would take minutes or for ever if nothing bounded it.
SOON_S = 30.0


class Wire:
    """A server that does with each connection what the test says, byte by byte."""

    def __init__(self) -> None:
        self.connections = 0
        self.sent = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # or the system takes in all at once
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def serve(self, behave: Callable[[socket.socket], None]) -> None:
        """Behave so with every connection."""
        self._start(self._accept, behave)

    def close(self) -> None:
        for one in (self._socket, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)

    def read_request(self, connection: socket.socket, *, pause_s: float = 0) -> bytes:
        """The body of a whole request, read with a pause after each piece."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.read_some(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields.get(b"content-length", b"0"))
        while len(body) < length:
            body += self.read_some(connection)
            time.sleep(pause_s)
        return body

    def read_some(self, connection: socket.socket) -> bytes:
        some = connection.recv(65_536)
        if not some:
            raise ConnectionError("the other side has hung up")
        return some

    def send_for_ever(self, connection: socket.socket, piece: bytes, *, pause_s: float = 0) -> None:
        """Until the other side hangs up."""
        with suppress(OSError):
            while True:
                connection.sendall(piece)
                self.sent += len(piece)
                time.sleep(pause_s)

    def _accept(self, behave: Callable[[socket.socket], None]) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                self._open.append(connection)
                self._start(self._serve, connection, behave)

    def _serve(self, connection: socket.socket, behave: Callable[[socket.socket], None]) -> None:
        with connection, suppress(OSError):
            behave(connection)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


@pytest.fixture
def ends_soon() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SOON_S


def api_of(wire: Wire, *, connect_s: float = 1.0, silence_s: float = 1.0, step_s: float = 30.0) -> Api:
    return Api(
        title="Vendor",
        base_url=wire.url,
        auth=KeyHeader("X-Key", SecretStr("secret-key")),
        remedy=lambda _: None,
        read_window=lambda *_: Window(remaining=None, reset_s=None),
        max_wait_s=300.0,
        patience=Patience(connect_s=connect_s, silence_s=silence_s, step_s=step_s),
    )


def submit(api: Api, body: bytes = b"{}") -> None:
    api.send("PUT", "/contacts", body, what="the import")


def reset(connection: socket.socket) -> None:
    """Close with a reset, as a proxy that dies does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class TestAnswersWithoutEnd:
    @pytest.mark.parametrize("length", [b"", b"Content-Length: 9000000000\r\n"])
    def test_an_endless_answer_is_cut_off_within_little_memory(
        self, wire: Wire, length: bytes, ends_soon: None
    ) -> None:
        def behave(connection: socket.socket) -> None:
            wire.read_request(connection)
            connection.sendall(HEAD + length + b"\r\n")
            wire.send_for_ever(connection, PIECE)

        wire.serve(behave)
        tracemalloc.start()
        with pytest.raises(TransientError, match="answered the import with something unreadable"):
            submit(api_of(wire))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert peak < 3 * MAX_ANSWER_BYTES
        wire.close()
        assert wire.sent < 2 * MAX_ANSWER_BYTES  # what the network holds on top

    def test_an_answer_that_unpacks_to_no_end_is_cut_off_too(self, wire: Wire, ends_soon: None) -> None:
        bomb = gzip.compress(b" " * (10 * MAX_ANSWER_BYTES), compresslevel=1)

        def behave(connection: socket.socket) -> None:
            wire.read_request(connection)
            connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)

        wire.serve(behave)
        tracemalloc.start()
        with pytest.raises(TransientError):
            submit(api_of(wire))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert peak < 3 * MAX_ANSWER_BYTES

    def test_a_body_without_end_does_not_hide_what_the_status_says(self, wire: Wire, ends_soon: None) -> None:
        def behave(connection: socket.socket) -> None:
            wire.read_request(connection)
            connection.sendall(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 40\r\n\r\n")
            wire.send_for_ever(connection, PIECE)

        wire.serve(behave)
        with pytest.raises(ThrottledError) as caught:
            submit(api_of(wire))
        assert caught.value.wait_s == 40.0

    @pytest.mark.parametrize("length", [b"", b"Content-Length: 1000000\r\n"])
    def test_an_answer_that_drips_ends_with_the_time_of_the_step(
        self, wire: Wire, length: bytes, ends_soon: None
    ) -> None:
        def behave(connection: socket.socket) -> None:
            wire.read_request(connection)
            connection.sendall(HEAD + length + b"\r\n")
            wire.send_for_ever(connection, b" ", pause_s=0.05)

        wire.serve(behave)
        with pytest.raises(TransientError):
            submit(api_of(wire, silence_s=60.0, step_s=0.5))

    def test_a_server_that_says_nothing_is_left_after_a_while(self, wire: Wire, ends_soon: None) -> None:
        def behave(connection: socket.socket) -> None:
            wire.read_request(connection)
            connection.recv(1)

        wire.serve(behave)
        with pytest.raises(TransientError, match="could not be reached for the import"):
            submit(api_of(wire, silence_s=0.3))
        assert wire.connections == 1

    def test_the_requests_of_a_step_share_its_time(self, wire: Wire, ends_soon: None) -> None:
        def behave(connection: socket.socket) -> None:
            while True:
                wire.read_request(connection)
                time.sleep(1.5)
                connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")

        wire.serve(behave)
        api = api_of(wire, silence_s=60.0, step_s=2.5)
        submit(api)
        with pytest.raises(TransientError):
            submit(api)
        time.sleep(0.1)
        with pytest.raises(TransientError):
            submit(api)


class TestBodiesOnTheirWay:
    BODY = b"x" * 8_000_000

    def test_a_slow_reader_gets_an_import_that_takes_longer_than_it_took_to_connect(self, wire: Wire) -> None:
        arrived = []

        def behave(connection: socket.socket) -> None:
            arrived.append(wire.read_request(connection, pause_s=0.02))
            connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")

        wire.serve(behave)
        started = time.monotonic()
        submit(api_of(wire, connect_s=1.0, silence_s=30.0), self.BODY)

        assert time.monotonic() - started > 1.0
        assert arrived == [self.BODY]

    def test_a_reader_that_stops_in_the_middle_is_left(self, wire: Wire, ends_soon: None) -> None:
        gone = threading.Event()

        def behave(connection: socket.socket) -> None:
            connection.recv(1_000)
            gone.wait(10)

        wire.serve(behave)
        with pytest.raises(TransientError):
            submit(api_of(wire, connect_s=0.3), self.BODY)
        gone.set()

    def test_a_reader_that_sips_is_left_when_the_time_of_the_step_is_over(self, wire: Wire, ends_soon: None) -> None:
        def behave(connection: socket.socket) -> None:
            while connection.recv(20_000):
                time.sleep(0.05)

        wire.serve(behave)
        with pytest.raises(TransientError):
            submit(api_of(wire, connect_s=5.0, silence_s=0.3, step_s=0.5), self.BODY)

    def test_a_refusal_that_comes_before_the_body_was_read_is_heard(self, wire: Wire, ends_soon: None) -> None:
        def behave(connection: socket.socket) -> None:
            connection.recv(1_000)
            page = b"<html>413 Request Entity Too Large</html>"
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n" % len(page) + page)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass

        wire.serve(behave)
        with pytest.raises(RefusedError):
            submit(api_of(wire), self.BODY)


class TestBrokenConnections:
    @pytest.mark.parametrize(
        "until",
        [
            b"",
            b"HTTP/1.1 20",
            b"HTTP/1.1 202 Accepted\r\nContent-Le",
            HEAD + b"Content-Length: 20\r\n\r\n",
            HEAD + b'Content-Length: 20\r\n\r\n{"job_id": "1',
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
            HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk",
            b"SSH-2.0-OpenSSH_9.6\r\n",
        ],
    )
    @pytest.mark.parametrize("end", [reset, socket.socket.close])
    def test_whatever_came_of_an_answer_before_it_broke_off_is_no_verdict_and_is_asked_once(
        self, wire: Wire, until: bytes, end: Callable[[socket.socket], None], ends_soon: None
    ) -> None:
        def behave(connection: socket.socket) -> None:
            wire.read_request(connection)
            connection.sendall(until)
            time.sleep(0.05)
            end(connection)

        wire.serve(behave)
        with pytest.raises(TransientError):
            submit(api_of(wire))
        assert wire.connections == 1

    def test_a_connection_that_is_lost_within_the_body_of_an_import_is_no_verdict(
        self, wire: Wire, ends_soon: None
    ) -> None:
        def behave(connection: socket.socket) -> None:
            connection.recv(100_000)
            reset(connection)

        wire.serve(behave)
        with pytest.raises(TransientError):
            submit(api_of(wire), b"x" * 3_000_000)
        assert wire.connections == 1

    @pytest.mark.parametrize(
        ("status", "family"), [(414, "ConfigError"), (400, "RefusedError"), (502, "TransientError")]
    )
    def test_a_broken_page_counts_by_its_status(self, wire: Wire, status: int, family: str, ends_soon: None) -> None:
        def behave(connection: socket.socket) -> None:
            wire.read_request(connection)
            connection.sendall(
                b"HTTP/1.1 %d Oh\r\nContent-Type: text/html\r\nContent-Length: 900\r\n\r\n<html>" % status
            )

        wire.serve(behave)
        with pytest.raises(ExporterError) as caught:
            submit(api_of(wire))
        assert type(caught.value).__name__ == family


class TestReports:
    CSV = b"email,reason\nann@example.com,no\nbo@example.com,no\n"

    def test_a_report_that_drips_behind_a_length_ends_in_time(self, wire: Wire, ends_soon: None) -> None:
        def behave(connection: socket.socket) -> None:
            wire.read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            wire.send_for_ever(connection, b"x", pause_s=0.05)

        wire.serve(behave)
        assert reports.fetch(wire.url, within_s=0.5) is None

    def test_an_endless_report_is_cut_off(self, wire: Wire, ends_soon: None) -> None:
        def behave(connection: socket.socket) -> None:
            wire.read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            wire.send_for_ever(connection, PIECE)

        wire.serve(behave)
        assert reports.fetch(wire.url, max_bytes=5_000_000) is None
        wire.close()
        assert wire.sent < 20_000_000

    def test_a_report_that_breaks_off_is_missing_and_not_half_of_the_truth(self, wire: Wire, ends_soon: None) -> None:
        def behave(connection: socket.socket) -> None:
            wire.read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.CSV) + self.CSV[:-20])

        wire.serve(behave)
        assert reports.load(wire.url) is None

    @pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig"])
    def test_addresses_are_read_whatever_became_of_the_words(self, encoding: str) -> None:
        refusals = reports.read("email,reason\nann@example.com,ungültig\n".encode(encoding)) or []
        assert [refusal.email for refusal in refusals] == ["ann@example.com"]

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
    def test_a_report_in_an_encoding_that_hides_addresses_is_missing(self, encoding: str) -> None:
        assert reports.read("email,reason\nann@example.com,no\n".encode(encoding)) is None
