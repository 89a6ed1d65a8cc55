"""The one way in: find the route, see whether the caller may use it, and answer. `api.routes` is the table.

First it is asked who calls, then what they send: nobody learns more from a refusal than they may know.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel

from exporters import tracing
from exporters.api.answers import Answer, Request, answered, problem
from exporters.api.permissions import may_use_connection, may_use_export, may_use_run
from exporters.api.reading import cut, repeatable
from exporters.model.caller import Caller, CallerKind, Role
from exporters.parts import Parts

Handler = Callable[[Parts, Request], Answer]

#: Longest body, where a route says nothing else. Ours: no document that people edit comes near.
MAX_BODY_BYTES = 1_000_000
#: What may stand for a parameter of an address. No id has anything else; so none can climb out of a folder.
PARAMETER = "[0-9A-Za-z][0-9A-Za-z_~.-]{0,127}"
#: Methods that change nothing. https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: Where a page may be that has a browser send a request: with us, or nowhere, as when somebody types an address.
#: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
OUR_SITES = frozenset({"same-origin", "none"})
JSON = "application/json"


class Who(StrEnum):
    """Who may call a route."""

    ANYONE = "anyone"
    VIEWER = "viewer"  #: whoever has a role
    #: Administrators; and Contributors, for connections that are shared with them, and exports that have one or none.
    CONTRIBUTOR = "contributor"
    ADMINISTRATOR = "administrator"


_LEAST = {Who.VIEWER: Role.VIEWER, Who.CONTRIBUTOR: Role.CONTRIBUTOR, Who.ADMINISTRATOR: Role.ADMINISTRATOR}


Model = type[BaseModel]


@dataclass(frozen=True, kw_only=True)
class Media:
    """A body that is not a JSON model: its media type, and what it holds."""

    type: str
    holds: str
    model: Model | None = None  #: what it is once it is read, where it is another form of JSON


#: What a body holds: the JSON of a model, or something else.
Content = type[BaseModel] | Media


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one address: who may call it, what it changes, what goes in and out."""

    method: str
    path: str  #: below /api, with parameters in braces
    handle: Handler
    who: Who
    summary: str
    changes: str = ""  #: what is different after it; nothing where it is empty
    person: bool = False  #: for people only, not for applications: what it does needs somebody's judgement
    by_key: bool = False  #: whoever holds the function key may call it too, below /api/automation
    query: type[BaseModel] | None = None  #: None: no parameter is taken
    body: Content | tuple[Content, ...] | None = None  #: several: whichever the caller likes; None: no body is taken
    body_required: bool = True
    max_body_bytes: int | None = MAX_BODY_BYTES  #: longest body; None: the handler knows
    if_match: bool = False  #: changes a document, of which the caller has to know the newest version
    answers: Mapping[int, Content | tuple[Content, ...] | None] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  #: codes of `api.problems`, beyond those that every route may answer

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What its addresses look like."""
        return re.compile(re.sub(r"\\{(\w+)\\}", rf"(?P<\1>{PARAMETER})", re.escape(self.path)))


def dispatch(parts: Parts, routes: Sequence[Route], request: Request, caller: Caller) -> Answer:
    """The answer of the route that a request is for."""
    found = [(route, match) for route in routes if (match := route.pattern.fullmatch(request.path))]
    if not found:
        return problem("no-such-address", "Nothing is served at this address")
    fitting = [(route, match) for route, match in found if route.method == request.method]
    if not fitting:
        allowed = ", ".join(sorted({route.method for route, _ in found}))
        detail = f"Use one of {allowed} at this address"
        return problem("method-not-allowed", detail, headers={"Allow": allowed})
    route, match = fitting[0]
    tracing.rename(f"{route.method} {route.path}")
    request = replace(request, route=match.groupdict(), caller=caller)
    return answered(
        lambda: _refusal(parts, route, request) or _unusable(route, request) or route.handle(parts, request)
    )


def at_key_door(answer: Answer) -> Answer:
    """An answer whose headers lead to addresses that the function key opens. Links in its body are for people."""
    opened = {
        name: re.sub("^(<?)/api/", r"\1/api/automation/", value) if name in {"Location", "Link"} else value
        for name, value in answer.headers.items()
    }
    return replace(answer, headers=opened)


def why_not(route: Route, caller: Caller) -> str | None:
    """What a caller's role lacks to call a route; None where it lacks nothing.

    Of contributors this does not say whether the connection is shared with them.
    """
    if route.who is Who.ANYONE:
        return None
    if caller.kind is CallerKind.KEY:
        return None if route.by_key else "The function key opens no such address"
    least = _LEAST[route.who]
    if caller.role is None or not caller.role.includes(least):
        return f"This needs the role {least}; ask an administrator of the app for it"
    if route.person and caller.kind is not CallerKind.PERSON:
        return "This needs somebody's judgement: it is for people who have signed in, not for applications"
    return None


def _refusal(parts: Parts, route: Route, request: Request) -> Answer | None:
    """Why the caller may not have this answer; None where they may."""
    caller = request.caller
    if caller.kind is CallerKind.NOBODY and route.who is not Who.ANYONE:
        return problem(
            "not-signed-in",
            "Sign in, or send a token of the app's Entra registration",
            headers={"WWW-Authenticate": "Bearer"},
        )
    missing = why_not(route, caller)
    if missing is None and caller.kind is not CallerKind.KEY:
        missing = _forged(request) or (_not_shared(parts, request) if route.who is Who.CONTRIBUTOR else None)
    return None if missing is None else problem("forbidden", missing)


def _forged(request: Request) -> str | None:
    """Why a change is refused that a page of another site has a browser send, with the cookie of whoever sits there.

    Browsers say where the page is, and no page can make them say otherwise. A token in Authorization is no cookie: no
    page of somebody else has it.
    """
    if request.method in SAFE_METHODS or "authorization" in request.headers:
        return None
    if request.headers.get("sec-fetch-site", "none") in OUR_SITES:
        return None
    return "A page of another site has sent this: change things on the app's own pages, or with a token"


def _not_shared(parts: Parts, request: Request) -> str | None:
    """Which connection of the address a contributor may not use."""
    connection = request.route.get("connection")
    if connection is not None and not may_use_connection(parts, request.caller, connection):
        return "The connection is not shared with contributors; ask an administrator to share it"
    if not may_use_export(parts, request.caller, request.route.get("export")):
        return "The export's connection is not shared with contributors; ask an administrator to share it"
    if not may_use_run(parts, request.caller, request.route.get("export"), request.route.get("run")):
        return "The run's connection is not shared with contributors, or is gone; ask an administrator"
    return None


def _unusable(route: Route, request: Request) -> Answer | None:
    """Why nobody can make use of this request, whoever sends it; None where the handler may look at it."""
    if route.max_body_bytes is not None and len(request.body) > route.max_body_bytes:
        detail = f"Send at most {route.max_body_bytes:,} bytes"
        return problem("too-large", detail)
    return _untaken(route, request) or _other_media(route, request)


def _untaken(route: Route, request: Request) -> Answer | None:
    """Why the query or the body holds what the route does not take: who sends it expects that it does something."""
    if route.query is None and request.query:
        detail = "; ".join(f"{name}: is no parameter of this address" for name in request.query)
        return problem("request-query", cut(detail))
    if route.query is not None and (twice := request.repeated.keys() - repeatable(route.query)):
        detail = f"{min(twice)}: stands there more than once"
        return problem("request-query", detail)
    if route.body is None and request.body.strip():
        detail = "This address takes no body: send none"
        return problem("request-body", detail)
    return None


def _other_media(route: Route, request: Request) -> Answer | None:
    """Why the body is of no type that the route takes. Where that is no JSON, the handler knows its names."""
    contents = route.body if isinstance(route.body, tuple) else (route.body,)
    taken = [content.type if isinstance(content, Media) else JSON for content in contents if content is not None]
    if JSON not in taken or not request.body.strip():
        return None
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if named in taken:
        return None
    detail = f"Send the body as {' or '.join(taken)}, and say so in Content-Type"
    return problem("media-type", detail)
