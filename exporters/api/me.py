"""GET /api/me: who the app takes the caller for, and what their role opens."""

from collections.abc import Callable, Sequence

from pydantic import BaseModel, Field

from exporters.api.answers import Answer, Request, document
from exporters.api.routing import Handler, Route, why_not
from exporters.model.caller import Caller, CallerKind, Role
from exporters.parts import Parts


class RouteView(BaseModel):
    """One address, and whether the caller's role may use it."""

    method: str
    path: str = Field(description="below /api, with parameters in braces")
    allowed: bool = Field(
        description="for contributors also where the export's connection has to be shared with them besides"
    )
    why_not: str | None = Field(description="for people: what is missing; null where it is allowed")


class MeView(BaseModel):
    """The caller."""

    id: str = Field(description="object id in Entra")
    name: str
    kind: CallerKind
    role: Role | None
    routes: tuple[RouteView, ...]


def show(routes: Callable[[], Sequence[Route]]) -> Handler:
    """The handler. The table is asked for when a request comes: this is part of it."""

    def answer(_: Parts, request: Request) -> Answer:
        caller = request.caller
        return document(
            MeView(
                id=caller.id,
                name=caller.name,
                kind=caller.kind,
                role=caller.role,
                routes=tuple(_view(route, caller) for route in routes()),
            )
        )

    return answer


def _view(route: Route, caller: Caller) -> RouteView:
    missing = why_not(route, caller)
    return RouteView(method=route.method, path=route.path, allowed=missing is None, why_not=missing)
