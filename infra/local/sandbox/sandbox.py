"""What all sandboxes have in common: the way of a request through faults and refusals, and the control routes."""

import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

import orjson
from pydantic import ValidationError

from infra.local.sandbox.faults import Faults, Trouble, TroubleKind, truncated, words
from infra.local.sandbox.routes import Route, Router
from infra.local.sandbox.server import Reply, Request, Server
from infra.local.sandbox.traffic import Traffic

F = TypeVar("F", bound=Faults)

CONTROL = "/_sandbox"


class RefusedError(Exception):
    """Raised by a route to answer with `reply`."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"refused with {reply.status}")
        self.reply = reply


class Sandbox(ABC, Generic[F]):
    """One fake service, serving from construction until `close`, or to the end of a `with` block.

    A request meets, in this order: the next trouble, the key check and the rate limit, its route.
    Control routes lie below `/_sandbox/`; they need no key, count nowhere and meet no faults.
    """

    name: ClassVar[str]

    def __init__(self, *, faults: F, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.faults = faults
        self.traffic = Traffic()
        self._faults_at_start = faults.model_copy(deep=True)
        self._faults_lock = threading.Lock()
        self._begin()
        self._server = Server(self._answer, port=port, tls=tls)
        self.url = self._server.url

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """Routes of the service itself."""

    def control_routes(self) -> Sequence[Route]:
        """Control routes that only this sandbox has, with their whole path."""
        return ()

    @abstractmethod
    def refuse(self, request: Request, route: str) -> Reply | None:
        """The answer to a request that may not reach its route: wrong key, too many requests."""

    @abstractmethod
    def error(self, status: int, message: str) -> Reply:
        """An error in the vendor's words."""

    @abstractmethod
    def throttled(self, reset_s: int) -> Reply:
        """429 with the vendor's headers."""

    def finish(self, route: str, reply: Reply) -> Reply:  # noqa: ARG002 - for those that override it
        """Last touch to an answer; for headers that stand on all of them."""
        return reply

    @abstractmethod
    def clear(self) -> None:
        """Make the state of the service anew, empty. Called before anything else, and by every reset."""

    def reset(self) -> None:
        """Back to the state at the start: empty, and with the faults of the start."""
        self.faults = self._faults_at_start.model_copy(deep=True)
        self.traffic = Traffic()
        self._begin()

    def _begin(self) -> None:
        self.clear()
        self._router = Router(self.routes())
        self._control = Router([*self._common_control_routes(), *self.control_routes()])

    def close(self) -> None:
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, request: Request) -> Reply | None:
        if request.path.startswith(f"{CONTROL}/"):
            return self._dispatch(self._control, request)
        match = self._router.match(request.method, request.path)
        route = "unknown" if isinstance(match, int) else str(match[0])
        reply = self._meet(request, route)
        self.traffic.record(route, size=len(request.body), outcome="cut" if reply is None else str(reply.status))
        return reply

    def _meet(self, request: Request, route: str) -> Reply | None:
        """Take a request through the troubles to its answer; None cuts the connection."""
        with self._faults_lock:
            trouble = self.faults.take(route)
        if trouble is not None and trouble.kind == TroubleKind.CUT_BEFORE:
            return None
        reply = self._hindered(trouble) or self.refuse(request, route) or self._dispatch(self._router, request)
        if trouble is not None and trouble.kind == TroubleKind.CUT_AFTER:
            return None
        if trouble is not None and trouble.kind == TroubleKind.TRUNCATED:
            reply = truncated(reply)
        return self.finish(route, reply)

    def _hindered(self, trouble: Trouble | None) -> Reply | None:
        """The answer instead of carrying out the request."""
        match trouble:
            case Trouble(kind=TroubleKind.ERROR):
                return self.error(trouble.status, "internal server error")
            case Trouble(kind=TroubleKind.HTML_ERROR):
                return Reply.html(trouble.status)
            case Trouble(kind=TroubleKind.THROTTLE):
                return self.throttled(trouble.reset_s)
        return None

    def _dispatch(self, router: Router, request: Request) -> Reply:
        match = router.match(request.method, request.path)
        if isinstance(match, int):
            return self.error(match, "not found" if match == 404 else "method not allowed")
        found, parts = match
        try:
            return found.handler(request, **parts)
        except RefusedError as refused:
            return refused.reply

    def _common_control_routes(self) -> Sequence[Route]:
        return (
            Route("GET", f"{CONTROL}/faults", self._get_faults),
            Route("PUT", f"{CONTROL}/faults", self._put_faults),
            Route("POST", f"{CONTROL}/reset", self._post_reset),
            Route("GET", f"{CONTROL}/requests", self._get_requests),
        )

    def _get_faults(self, _: Request) -> Reply:
        return Reply.json(self.faults.model_dump(mode="json"))

    def _put_faults(self, request: Request) -> Reply:
        """Set what the body names; everything else is as at the start."""
        try:
            faults = type(self.faults).model_validate(self._faults_at_start.model_dump() | json_object(request.body))
        except ValidationError as error:
            return control_error(words(error))
        known = {str(route) for route in self._router.routes}
        if unknown := sorted({trouble.route for trouble in faults.next if trouble.route} - known):
            return control_error(f"next: no such route: {', '.join(unknown)}")
        self.faults = faults
        return self._get_faults(request)

    def _post_reset(self, _: Request) -> Reply:
        self.reset()
        return Reply(status=204)

    def _get_requests(self, _: Request) -> Reply:
        return Reply.json(self.traffic.summary() | self.more_traffic())

    def more_traffic(self) -> dict[str, Any]:
        """What `GET /_sandbox/requests` tells besides."""
        return {}


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in the body of a control request. Raises RefusedError with 400."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise RefusedError(control_error("a JSON object is expected"))
    return value


def control_error(message: str) -> Reply:
    return Reply.json({"error": message}, 400)
