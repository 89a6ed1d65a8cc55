"""Requests to a provider's API: one way to make them, to read their answers and to name their failures.

Called by the provider files, not inherited. Nothing is repeated here and no redirect is followed: the caller decides
what a failure means, and the key goes to the host it was given for and to no other. Error texts hold what was asked,
the status and a remedy; never the key, an address or a body.
"""

import json
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar

import requests
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from requests.auth import AuthBase

from exporters import tracing
from exporters.errors import (
    AccessError,
    ConfigError,
    ExporterError,
    ForbiddenError,
    RefusedError,
    ThrottledError,
    TransientError,
)
from exporters.providers.hosts import open_session
from exporters.providers.transfer import Upload, download

CONNECT_TIMEOUT_S = 10.0
#: Ours: the vendors name none. Long, because an import that is cut off leaves it unknown whether a job was started.
READ_TIMEOUT_S = 120.0
#: All requests of one step together. Twice, for a key that was changed meanwhile, they stay below the ten minutes that
#: `functionTimeout` in host.json lets a step live.
STEP_TIMEOUT_S = 150.0
#: Longest answer we read, above 500 contacts with 30 KB each. Eight steps at once read theirs in one process.
MAX_ANSWER_BYTES = 16_000_000
#: When an answer says "too many requests" and not until when.
DEFAULT_WAIT_S = 60.0
MIN_WAIT_S = 1.0

#: Status -> family, for requests that carry contacts. Other 4xx: ConfigError, since sending less would not help;
#: anything else that is not 2xx: TransientError.
WRITE_FAMILIES: Mapping[int, type[ExporterError]] = {
    400: RefusedError,
    401: AccessError,
    402: ConfigError,
    403: ForbiddenError,
    404: ConfigError,
    408: TransientError,
    413: RefusedError,
    422: RefusedError,
    425: TransientError,
    429: ThrottledError,
}
#: The same for requests without contacts to narrow when one is refused: questions, and what is not an import.
QUESTION_FAMILIES: Mapping[int, type[ExporterError]] = {
    **WRITE_FAMILIES,
    400: ConfigError,
    413: ConfigError,
    422: ConfigError,
}

#: What follows, where the provider file has nothing better to say about a status; then by family.
REMEDIES: Mapping[int, str] = {
    408: "it took too long; a later try may succeed",
    413: "the request is too large; it is sent in smaller parts",
    425: "it is still busy with an earlier request; a later try may succeed",
}
FAMILY_REMEDIES: Mapping[type[ExporterError], str] = {
    RefusedError: "it does not take the contacts as they are",
    ThrottledError: "too many requests; everything on this account waits",
    TransientError: "the fault is on their side; a later try may succeed",
}
UNEXPECTED_REMEDY = "this version does not know that answer; look at the provider's status page and at newer versions"

_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a provider is waited for, in seconds."""

    connect_s: float = CONNECT_TIMEOUT_S  #: also for each piece of a body to go out
    silence_s: float = READ_TIMEOUT_S  #: before and within an answer
    step_s: float = STEP_TIMEOUT_S  #: from the first request of a step to the end of the last one


PATIENCE = Patience()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What an answer says of the rate limit."""

    remaining: int | None  #: requests left
    reset_s: float | None  #: seconds until there are more


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, read."""

    status: int
    data: object  #: the parsed JSON; None where the body is not JSON


class AnswerModel(BaseModel):
    """Base of the answers we read: unknown keys are ignored, and a failed validation does not quote the body."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


Model = TypeVar("Model", bound=BaseModel)


class KeyHeader(AuthBase):
    """Puts the key on a request, in the one header that the provider reads it from.

    It is `auth` and not a header of the session because requests lets an entry of ~/.netrc replace the latter.
    Raises AccessError for a key that no header can carry (the library's own error would quote it).
    """

    def __init__(self, header: str, key: SecretStr, *, prefix: str = "") -> None:
        text = key.get_secret_value().strip()
        if not _KEY.fullmatch(text):
            raise AccessError("The API key is empty or holds blanks or characters that no key has: store it anew.")
        self._header = header
        self._value = SecretStr(prefix + text)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._header] = self._value.get_secret_value()
        return request


class Api:
    """The API of one account: base address, key, and what its answers said of the rate limit."""

    def __init__(
        self,
        *,
        title: str,
        base_url: str,
        auth: KeyHeader,
        remedy: Callable[[Answer], str | None],
        read_window: Callable[[Mapping[str, str], float], Window],
        max_wait_s: float,
        now: Callable[[], float] = time.time,
        patience: Patience = PATIENCE,
    ) -> None:
        """`remedy` answers what an operator can do about an answer; `read_window` gets headers and Unix time."""
        self._title = title
        self._base_url = base_url.rstrip("/")
        self._auth = auth
        self._remedy = remedy
        self._read_window = read_window
        self._max_wait_s = max_wait_s
        self._now = now
        self._patience = patience
        self._session: requests.Session | None = None
        self._until = 0.0  # set with the session, by the first request
        #: Seconds that the account wants no request for, as the answers so far said; None: go on.
        self.not_before_s: float | None = None
        #: The same for the requests that count against the limit of questions for jobs, where that is one of its own.
        self.polls_not_before_s: float | None = None

    def get(
        self,
        path: str,
        *,
        what: str,
        params: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
        reserve: int = 0,
        polls_only: bool = False,
    ) -> Answer:
        """Ask. See `_call`."""
        return self._call(
            "GET",
            path,
            what=what,
            params=params,
            accept=accept,
            reserve=reserve,
            polls_only=polls_only,
            families=QUESTION_FAMILIES,
        )

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        what: str,
        params: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
        families: Mapping[int, type[ExporterError]] = WRITE_FAMILIES,
    ) -> Answer:
        """Send a JSON body, or none; `families` name the failures by status. See `_call`."""
        return self._call(method, path, what=what, params=params, body=body, accept=accept, families=families)

    def _call(
        self,
        method: str,
        path: str,
        *,
        what: str,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        accept: Collection[int] = (),
        reserve: int = 0,
        polls_only: bool = False,
        families: Mapping[int, type[ExporterError]],
    ) -> Answer:
        """Make one request; answers what is 2xx and JSON or has a status in `accept`, and raises the rest by family.

        `what` names the request in error texts ("the import"). With `reserve` requests left or fewer, `not_before_s`
        spreads them over the time until the limit resets. `polls_only`: the limit that it counts against holds for
        questions for jobs alone, and so does what is said of it.
        """
        try:
            answer, headers = self._exchange(method, path, params, body)
        except requests.RequestException as error:
            failure = TransientError(f"{self._title} could not be reached for {what}: a later try may succeed.")
            failure.add_note(type(error).__name__)  # its text holds the url, and that may hold the ids of contacts
            raise failure from None
        window = self._read_window(headers, self._now())
        asked_wait_s = retry_after_s(headers, self._now())
        self._note(_wait_s(asked_wait_s, window, reserve), polls_only=polls_only)
        if answer.status in accept:
            return answer
        if not 200 <= answer.status < 300:
            raise self._failure(answer, what, asked_wait_s or window.reset_s, families, polls_only=polls_only)
        if answer.data is None:
            raise self.unreadable(what)
        return answer

    def _exchange(
        self, method: str, path: str, params: Mapping[str, str] | None, body: bytes | None
    ) -> tuple[Answer, Mapping[str, str]]:
        """Make one request within the time of the step; answers with the headers.

        Raises requests.RequestException where there is no answer. Of one that breaks off, is too long or does not end,
        status and headers count.
        """
        if self._session is None:
            self._until = time.monotonic() + self._patience.step_s
            self._session = open_session(self._base_url, until=self._until)
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise requests.Timeout("the time of the step is over")
        with (
            tracing.request(method, tracing.template_of(path), self._base_url) as made,
            self._session.request(
                method,
                self._base_url + path,
                params=params,
                data=None if body is None else Upload(body, until=self._until),
                headers={"Accept": "application/json", "Content-Type": "application/json"},
                auth=self._auth,
                timeout=(min(self._patience.connect_s, left_s), min(self._patience.silence_s, left_s)),
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            tracing.answered(made, response.status_code)
            try:
                content = download(response, max_bytes=MAX_ANSWER_BYTES, until=self._until)
            except requests.RequestException:
                content = b""
        return Answer(status=response.status_code, data=_json(content)), response.headers

    def read(self, answer: Answer, model: type[Model], *, what: str) -> Model:
        """An answer as its model. Raises TransientError when it does not fit."""
        try:
            return model.model_validate(answer.data)
        except ValidationError as error:
            raise self.unreadable(what) from error

    def unreadable(self, what: str) -> TransientError:
        """The error for an answer that does not tell what was done."""
        return TransientError(f"{self._title} answered {what} with something unreadable: a later try may succeed.")

    def _failure(
        self,
        answer: Answer,
        what: str,
        wait_s: float | None,
        families: Mapping[int, type[ExporterError]],
        *,
        polls_only: bool,
    ) -> ExporterError:
        status = answer.status
        family = families.get(status, ConfigError if 400 <= status < 500 else TransientError)
        remedy = self._remedy(answer) or REMEDIES.get(status) or FAMILY_REMEDIES.get(family, UNEXPECTED_REMEDY)
        text = f"{self._title} answered {status} to {what}: {remedy}."
        if family is ThrottledError:
            wait = self._clamped(DEFAULT_WAIT_S if wait_s is None else wait_s)
            self._note(wait, polls_only=polls_only)
            return ThrottledError(text, wait_s=wait, polls_only=polls_only)
        if family is RefusedError:
            return RefusedError(text)
        return family(text)

    def _note(self, wait_s: float | None, *, polls_only: bool) -> None:
        """Remember the longest wait that was asked for: an account's requests may count against several limits."""
        if wait_s is None:
            return
        if polls_only:
            self.polls_not_before_s = max(self.polls_not_before_s or 0.0, self._clamped(wait_s))
        else:
            self.not_before_s = max(self.not_before_s or 0.0, self._clamped(wait_s))

    def _clamped(self, wait_s: float) -> float:
        return min(max(wait_s, MIN_WAIT_S), self._max_wait_s)


def _wait_s(asked_s: float | None, window: Window, reserve: int) -> float | None:
    if asked_s is not None:
        return asked_s
    if window.remaining is None or window.remaining > reserve:
        return None
    reset_s = DEFAULT_WAIT_S if window.reset_s is None else window.reset_s
    return reset_s / (max(window.remaining, 0) + 1)


def _json(content: bytes) -> object:
    try:
        data: object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return data


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a Retry-After header asks for, given as a number or as a date; None without a readable one.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date that ends in "-0000" is read as naive; HTTP dates are always UTC.
    return max((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now, 0.0)


def header_number(headers: Mapping[str, str], name: str) -> float | None:
    """A header as a number that is not negative, or None."""
    value = headers.get(name, "").strip()
    return float(value) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", value) else None


def header_count(headers: Mapping[str, str], name: str) -> int | None:
    """A header as a whole number that is not negative, or None."""
    number = header_number(headers, name)
    return None if number is None else int(number)
