"""One POST over real HTTP: what goes out, what counts as an answer, and what it may cost."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.errors import TransientError
from exporters.notifications.webhooks import HttpWebhooks
from infra.local.sandbox.key_vault import make_certificate
from infra.local.sandbox.server import Reply, Request, Server
from tests.dripping import dripping

BODY = '{"type":"run.ended","name":"Žuja"}'.encode()


class Receiver:
    """Answers what a test says, and keeps what came in."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.reply: Reply | None = Reply(status=204)
        self._server = Server(self._answer)
        self.url = f"{self._server.url}/hooks/1"

    def close(self) -> None:
        self._server.close()

    def _answer(self, request: Request) -> Reply | None:
        self.requests.append(request)
        return self.reply


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def webhooks() -> HttpWebhooks:
    return HttpWebhooks(within_s=0.5)


def test_the_body_and_the_headers_arrive_as_they_are(webhooks, receiver):
    reply = webhooks.post(receiver.url, BODY, {"webhook-id": "a"})

    (request,) = receiver.requests
    assert (reply.status, request.method, request.target, request.body) == (204, "POST", "/hooks/1", BODY)
    assert (request.headers["webhook-id"], request.headers["content-type"]) == ("a", "application/json")


def test_no_credentials_of_this_machine_travel_along(webhooks, receiver, monkeypatch, tmp_path: Path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login ann password secret-word\n")
    monkeypatch.setenv("NETRC", str(netrc))

    webhooks.post(receiver.url, BODY, {})

    assert "authorization" not in receiver.requests[0].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/hooks/2", "http://\xff", "https://user:pass@[", ""])
def test_a_redirect_is_an_answer_and_is_not_followed(webhooks, receiver, status, location):
    receiver.reply = Reply(status=status, headers={"Location": location})

    assert webhooks.post(receiver.url, BODY, {}).status == status
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [200, 302, 500])
def test_an_answer_that_never_ends_is_not_read(webhooks, receiver, status):
    sent = []

    def forever() -> Iterator[bytes]:
        while len(sent) < 100_000:
            sent.append(1)
            yield b"x" * 65_536

    receiver.reply = Reply(status=status, body=forever(), headers={"Location": "/elsewhere"})
    started = time.monotonic()

    assert webhooks.post(receiver.url, BODY, {}).status == status
    assert time.monotonic() - started < 5
    assert len(sent) < 1_000


def test_the_wait_that_is_asked_for_is_handed_on(webhooks, receiver):
    receiver.reply = Reply(status=503, headers={"retry-after": "7"})

    assert webhooks.post(receiver.url, BODY, {}).headers["Retry-After"] == "7"


def test_a_connection_that_is_cut_is_no_answer(webhooks, receiver):
    receiver.reply = None

    with pytest.raises(TransientError, match="could not be reached"):
        webhooks.post(receiver.url, BODY, {})
    assert len(receiver.requests) == 1


def test_an_error_does_not_quote_the_url(webhooks):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransientError) as caught:
        webhooks.post(f"http://127.0.0.1:{port}/secret-word?sig=secret-word", BODY, {})

    assert "secret-word" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_receiver_that_hangs_is_left_after_the_time_it_has(webhooks):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts for it
        started = time.monotonic()
        with pytest.raises(TransientError, match="did not answer in time"):
            webhooks.post(f"http://127.0.0.1:{silent.getsockname()[1]}/", BODY, {})

    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["header", "headers", "100 Continue"],
)
def test_a_receiver_whose_headers_trickle_is_left_after_the_time_it_has(webhooks, head, drop):
    started = time.monotonic()
    with dripping(head, drop) as url, pytest.raises(TransientError, match="did not answer in time"):
        webhooks.post(url, BODY, {})

    assert 0.3 < time.monotonic() - started < 10


@pytest.mark.parametrize("host", ["hooks..example.com", "a" * 64 + ".example.com"])
def test_a_host_that_cannot_exist_is_no_answer(webhooks, monkeypatch, host):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(TransientError, match="check the host of its url") as caught:
        webhooks.post(f"https://{host}/secret-word", BODY, {})

    assert "secret-word" not in str(caught.value)


def test_what_is_no_http_is_no_answer(webhooks):
    with socket.create_server(("127.0.0.1", 0)) as strange:

        def answer() -> None:
            connection, _ = strange.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        taken = threading.Thread(target=answer)
        taken.start()
        with pytest.raises(TransientError, match="could not be reached"):
            webhooks.post(f"http://127.0.0.1:{strange.getsockname()[1]}/", BODY, {})
        taken.join()


def test_a_certificate_that_nobody_vouches_for_is_said(webhooks, tmp_path: Path):
    certificate, key = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = Server(lambda request: Reply(status=204), tls=tls)
    try:
        with pytest.raises(TransientError, match="certificate cannot be trusted"):
            webhooks.post(f"{server.url}/hooks", BODY, {})
    finally:
        server.close()
