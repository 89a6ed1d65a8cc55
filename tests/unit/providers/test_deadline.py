"""Whatever a server trickles, the time of a request ends: raw bytes over real sockets."""

import socket
import ssl
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr

from exporters.errors import TransientError
from exporters.providers import files, people
from exporters.providers.deadline import end_at
from exporters.providers.hosts import open_session
from exporters.providers.http import Answer, Api, KeyHeader, Patience, Window
from infra.local.sandbox.key_vault import make_certificate
from tests.dripping import dripping

#: Each can be read without end: every single wait is short.
TRICKLES = {
    "status line": (b"", b"H"),
    "header": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunk size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
}
trickles = pytest.mark.parametrize(("head", "drop"), TRICKLES.values(), ids=TRICKLES)


def elapsed_s(call: Callable[[], object], error: type[Exception]) -> float:
    started = time.monotonic()
    with pytest.raises(error):
        call()
    return time.monotonic() - started


def api_of(url: str) -> Api:
    return Api(
        title="Vendor",
        base_url=url,
        auth=KeyHeader("X-Key", SecretStr("secret-key")),
        remedy=lambda answer: None,
        read_window=lambda headers, now: Window(remaining=None, reset_s=None),
        max_wait_s=300.0,
        patience=Patience(step_s=0.5),
    )


@trickles
def test_an_answer_of_a_provider_ends_with_the_time_of_the_step(head: bytes, drop: bytes) -> None:
    with dripping(head, drop) as url:
        api = api_of(url)
        assert 0.3 < elapsed_s(lambda: api.get("/list", what="the list"), TransientError) < 10
        assert elapsed_s(lambda: api.get("/list", what="the list"), TransientError) < 0.3  # no time is left


def test_a_status_counts_although_the_body_does_not_end() -> None:
    head, drop = TRICKLES["body"]
    with dripping(head.replace(b"200", b"404"), drop) as url:
        assert api_of(url).get("/list", what="the list", accept={404}) == Answer(status=404, data=None)


@trickles
def test_a_file_ends_with_the_time_it_is_given(head: bytes, drop: bytes) -> None:
    with dripping(head, drop) as url:
        content = files.content(url, max_bytes=10**7, within_s=0.5)
        assert 0.3 < elapsed_s(lambda: list(content), files.UnreadableError) < 10


def test_a_connection_over_tls_ends_too(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with dripping(*TRICKLES["headers"], tls=tls) as url, requests.Session() as session:
        session.trust_env, session.verify = False, str(certificate)
        end_at(session, time.monotonic() + 1)
        assert elapsed_s(lambda: session.get(url, timeout=30), requests.Timeout) < 10


def test_a_connection_that_is_kept_ends_with_the_same_time() -> None:
    answered = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    now = [0.0]
    with dripping(answered, answered) as url, open_session(url, until=10.0, clock=lambda: now[0]) as session:
        assert session.get(url, timeout=5).json() == {}
        now[0] = 10.0
        with pytest.raises(requests.Timeout):
            session.get(url, timeout=5)


@pytest.mark.parametrize("host", ["hooks..example.com", "a" * 64 + ".example.com"])
def test_a_host_that_cannot_exist_is_an_error_of_requests(host: str) -> None:
    with open_session("https://example.com", until=time.monotonic() + 5) as session:
        session.trust_env = False
        with pytest.raises(requests.RequestException):
            session.get(f"https://{host}/a", timeout=1)
    with pytest.raises(files.UnreadableError):
        b"".join(files.content(f"https://{host}/a", max_bytes=10))


def test_neither_an_error_nor_one_behind_it_holds_the_link_of_a_file() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        link = f"http://127.0.0.1:{taken.getsockname()[1]}/file.csv?sig=secret-word"
    with pytest.raises(TransientError) as caught:
        people.read(link, first=0, what="The file", remedy="mend it")
    assert "secret-word" not in "".join(traceback.format_exception(caught.value))


def test_nor_does_the_failure_of_a_provider_to_answer_tell_its_url() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    path = "/list/secret-word"
    with pytest.raises(TransientError) as caught:
        api_of(url).get(path, what="the list")
    text = "".join(traceback.format_exception(caught.value))
    assert "secret-word" not in text
    assert "ConnectionError" in text
