"""Which function answers which path. Templates are written as in the vendors' documents: `/v3/lists/{id}`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from infra.local.sandbox.server import Reply


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path template. The handler gets the request and the parts of the path by name."""

    method: str
    template: str
    handler: Callable[..., Reply]

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        rules = [
            Rule(route.template.replace("{", "<").replace("}", ">"), methods=[route.method], endpoint=route)
            for route in self.routes
        ]
        self._paths = Map(rules, strict_slashes=False, merge_slashes=False).bind("127.0.0.1")

    def match(self, method: str, path: str) -> tuple[Route, dict[str, Any]] | int:
        """The route and the parts of the path, or the status to refuse with: 404, or 405 for another method."""
        try:
            route, parts = self._paths.match(path, method)
        except NotFound:
            return 404
        except MethodNotAllowed:
            return 405
        return route, dict(parts)
