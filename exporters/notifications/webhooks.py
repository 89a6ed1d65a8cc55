"""One POST to a receiver. Nothing is repeated, no redirect is followed, and no answer is read past its headers."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import requests

from exporters.errors import TransientError
from exporters.model.loopback import is_loopback
from exporters.providers.deadline import end_at

#: From the first byte out to the last header in, of the 15 to 30 seconds that the specification recommends:
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#request-timeouts
TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a receiver answered."""

    status: int
    headers: Mapping[str, str]  #: names match in any case


class Webhooks(Protocol):
    """The way to receivers."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Post a JSON body once. Raises TransientError without an answer; its text does not hold the url."""


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: the library reads the whole body of a redirect, also of one that it is told not to follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpWebhooks:
    """Receivers over HTTP."""

    within_s: float = TIMEOUT_S  #: the whole of a post, however slowly a receiver speaks

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        with _Session() as session:
            end_at(session, time.monotonic() + self.within_s)
            session.trust_env = not is_loopback(urlsplit(url).hostname)  # no proxy stands before this machine
            try:
                response = session.post(
                    url,
                    data=body,
                    headers={"Content-Type": "application/json", "User-Agent": "segment-exporter", **headers},
                    auth=_nobody,
                    timeout=(min(CONNECT_TIMEOUT_S, self.within_s), self.within_s),
                    allow_redirects=False,
                    stream=True,
                )
            except requests.RequestException as error:
                raise TransientError(_words(error)) from None  # its text holds the url, which may be a key
            with response:
                return Reply(status=response.status_code, headers=response.headers)


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """No credentials: the library would look for some in ~/.netrc."""
    return request


def _words(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "The receiver's certificate cannot be trusted: it has to be valid for the host of its url"
    if isinstance(error, requests.ReadTimeout):
        return "The receiver did not answer in time: it has to answer first, then work"
    return "The receiver could not be reached: check the host of its url, and its firewall"
