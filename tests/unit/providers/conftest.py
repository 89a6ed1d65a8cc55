"""A vendor that answers what the test wrote down, over real HTTP."""

import json
from collections.abc import Callable, Iterator, Mapping

import pytest
from pydantic import SecretStr

from exporters.model.connection import Connection
from exporters.providers.brevo import Brevo
from exporters.providers.sendgrid import SendGrid
from infra.local.sandbox.server import Reply, Request, Server

KEY = SecretStr("SG.not-a-real-key")
#: What the clock says in these tests; Unix time.
NOW = 1_700_000_000.0


class Vendor:
    """Answers requests in the order of `answer`, and keeps them."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._replies: list[Reply | None] = []
        self._server = Server(self._handle)
        self.url = self._server.url

    def answer(self, body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """The next answer: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._replies.append(Reply(status=status, body=content, headers=dict(headers or {})))

    def cut(self) -> None:
        """The next request finds its connection reset."""
        self._replies.append(None)

    def reset(self) -> None:
        self.requests.clear()
        self._replies.clear()

    def close(self) -> None:
        self._server.close()

    def _handle(self, request: Request) -> Reply | None:
        self.requests.append(request)
        return self._replies.pop(0) if self._replies else Reply(status=599, body=b"no answer written down")


@pytest.fixture(scope="session")
def vendor_of_session() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.close()


@pytest.fixture
def vendor(vendor_of_session: Vendor) -> Vendor:
    vendor_of_session.reset()
    return vendor_of_session


def connection(provider: str, **settings: object) -> Connection:
    return Connection.model_validate({"id": "c", "provider": provider, "display_name": "C", "secret": "s", **settings})


@pytest.fixture
def sendgrid(vendor: Vendor) -> SendGrid:
    return SendGrid(connection("sendgrid"), KEY, base_url=vendor.url, now=lambda: NOW)


@pytest.fixture
def brevo(vendor: Vendor) -> Brevo:
    return Brevo(connection("brevo"), KEY, base_url=vendor.url, now=lambda: NOW)


@pytest.fixture
def brevo_with_names(vendor: Vendor) -> Callable[[dict[str, str]], Brevo]:
    def build(names: dict[str, str]) -> Brevo:
        return Brevo(connection("brevo", field_names=names), KEY, base_url=vendor.url, now=lambda: NOW)

    return build
