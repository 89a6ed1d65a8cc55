"""HTTP triggers: routes, methods, keys, and what becomes of an answer.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger
"""

import hmac
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import azure.functions as func
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.wrappers import Request, Response

from infra.local.host.front import arrived
from infra.local.host.functions import AuthLevel, HttpFunction, LoadError
from infra.local.host.runner import Runner

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger("host.http")

#: ASP.NET's route constraints that we translate -> werkzeug's converter.
#: https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-constraints
CONVERTERS = {"": "string", "int": "int", "guid": "uuid"}
PARAMETER = re.compile(r"\{(\*?)(\w+)(?::(\w+))?\}")
#: A last part that takes whatever follows, and nothing too.
REST = re.compile(r"/\{\*\w+\}$")
#: What may stand in a path unescaped. https://www.rfc-editor.org/rfc/rfc3986#section-3.3
PATH_CHARACTERS = "/%:@!$&'()*+,;=-._~"


class _Rest(BaseConverter):
    """The rest of a path: with slashes, also at its beginning, which werkzeug's own does not take."""

    regex = "(?s:.*?)"
    part_isolating = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The two keys that this host knows. An empty one opens nothing."""

    function: str
    master: str

    def open(self, level: AuthLevel, given: str) -> bool:
        """Whether a key opens a function of this level. Takes the same time whatever the key."""
        if level is AuthLevel.ANONYMOUS:
            return True
        accepted = [self.master] if level is AuthLevel.ADMIN else [self.master, self.function]
        matches = [hmac.compare_digest(key.encode(), given.encode()) for key in accepted if key]
        return any(matches)


class HttpFunctions:
    """WSGI application that calls HTTP functions.

    Like the real host it answers 404 where no route takes path and method, 401 without a fitting key, and 500 with an
    empty body for a function that fails. https://github.com/Azure/azure-functions-host/issues/10098
    With `signs_in` it plays App Service authentication too: see `front`.
    """

    def __init__(
        self, functions: Sequence[HttpFunction], prefix: str, keys: Keys, runner: Runner, *, signs_in: bool = False
    ) -> None:
        rules = [rule for function in functions for rule in _rules(function, prefix)]
        self._routes = Map(rules, strict_slashes=False, merge_slashes=False, converters={"rest": _Rest})
        self._keys = keys
        self._runner = runner
        self._signs_in = signs_in

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        path = _path(request)
        if "\0" in path:  # Kestrel takes no such request
            return Response(status=400)
        try:
            function, parameters = self._routes.bind("", "/").match(path, method=request.method)
        except (NotFound, MethodNotAllowed):
            return Response(status=404)
        if function.methods and request.method not in function.methods:  # werkzeug answers HEAD where GET is allowed
            return Response(status=404)
        given = request.headers.get("x-functions-key") or request.args.get("code", "")
        if not self._keys.open(function.auth_level, given):
            return Response(status=401)
        try:
            call = self._runner.submit(function, self._trigger_value(request, path, parameters))
        except RuntimeError:  # stopping
            return Response(status=503)
        wait([call])
        if call.cancelled():
            return Response(status=503)
        return Response(status=500) if call.exception() else _response(function, call.result())

    def _trigger_value(self, request: Request, path: str, parameters: Mapping[str, Any]) -> func.HttpRequest:
        query = request.query_string.decode("latin-1")
        return func.HttpRequest(
            method=request.method,
            url=request.host_url.rstrip("/") + _escaped(path) + (f"?{query}" if query else ""),
            headers=arrived(dict(request.headers), request.remote_addr, signs_in=self._signs_in),
            params=request.args.to_dict(),
            route_params={name: str(value) for name, value in parameters.items()},
            body=request.get_data(),
        )


def _path(request: Request) -> str:
    """The path as Kestrel reads it: percent-decoded but for slashes within a part, and then without dot segments.

    https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel and, for the order, RFC 3986, section 5.2.4.
    """
    raw = re.sub(r"^\w+://[^/]*", "", str(request.environ["REQUEST_URI"])).partition("?")[0]
    decoded = "%2F".join(unquote(piece) for piece in re.split("%2[fF]", raw))
    kept: list[str] = []
    for part in decoded.split("/"):
        if part == ".." and len(kept) > 1:
            kept.pop()
        elif part not in {".", ".."}:
            kept.append(part)
    return "/".join(kept)


def _escaped(path: str) -> str:
    """A path as the host writes it into the URL that functions see: what was escaped by its sender stays so."""
    return re.sub("%(?![0-9A-Fa-f]{2})", "%25", quote(path, safe=PATH_CHARACTERS))


def _rules(function: HttpFunction, prefix: str) -> list[Rule]:
    """The addresses of a function: two where its route ends in one that takes the rest, which may be nothing."""
    path = "/" + "/".join(part for part in (prefix.strip("/"), function.route.strip("/")) if part)
    paths = [path, REST.sub("", path)] if REST.search(path) else [path]
    return [_rule(function, path or "/") for path in paths]


def _rule(function: HttpFunction, path: str) -> Rule:
    template = PARAMETER.sub(lambda match: _converter(function, match), path)
    if "{" in template:
        raise LoadError(f"{function.name}: the local host cannot read the route {function.route!r}")
    return Rule(template, endpoint=function, methods=function.methods or None)


def _converter(function: HttpFunction, match: re.Match[str]) -> str:
    rest, name, constraint = match[1], match[2], match[3] or ""
    if constraint not in CONVERTERS:
        raise LoadError(f"{function.name}: the local host does not know the route constraint {constraint!r}")
    return f"<{'rest' if rest else CONVERTERS[constraint]}:{name}>"


def _response(function: HttpFunction, result: object) -> Response:
    if isinstance(result, str):
        return Response(result, mimetype="text/plain")
    if not isinstance(result, func.HttpResponse):
        log.error("%s answered %s instead of an HttpResponse", function.name, type(result).__name__)
        return Response(status=500)
    charset = f"; charset={result.charset}" if result.mimetype.startswith("text/") else ""
    content_type = result.headers.get("content-type", result.mimetype + charset)
    headers = [(name, value) for name, value in result.headers if name.lower() != "content-type"]
    return Response(result.get_body(), status=result.status_code, headers=headers, content_type=content_type)
