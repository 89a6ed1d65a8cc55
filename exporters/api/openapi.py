"""The OpenAPI document, made from the table of routes and the models that the handlers use, and GET /api/openapi.json.

What a route's form says is not said again: who may call it, its ids, its body, query and answers, and which problems
follow from all of these. https://spec.openapis.org/oas/v3.1.1
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from exporters.api.answers import Answer, Request
from exporters.api.problems import PROBLEMS, Kind, Problem
from exporters.api.routing import Content, Handler, Route, Who
from exporters.model.names import ID_PATTERN, RUN_ID_PATTERN
from exporters.parts import Parts

#: Ours: of addresses and documents, not of the app. A change that breaks callers makes it 2.
API_VERSION = "1"
#: Where the function key's door begins.
AUTOMATION_PREFIX = "/automation"

DESCRIPTION = """\
Puts customer segments on email-marketing lists, and says for every person what came of it.

People and applications send a token of the app's Entra registration; app roles say what they may do (`x-who`). A
function key opens the addresses below `/automation` only. Errors are problem documents (RFC 9457): each type has a page
in the documentation. Documents carry an ETag; a change names the version that it is about with If-Match. Parameters
that an operation does not name, and a body where it names none, are refused.
"""

#: Ids in addresses: pattern, and what they are.
IDS = {
    "connection": (ID_PATTERN, "id of a connection"),
    "export": (ID_PATTERN, "id of an export"),
    "run": (RUN_ID_PATTERN, "id of a run; newest first when sorted"),
    "erasure": ("^[0-9a-f]{32}$", "id of an erasure"),
}
#: What is not there, where an address names it.
MISSING = {name: f"no-such-{name}" for name in IDS}
#: What any address may answer.
ALWAYS = ("request-query", "unexpected", "state-unreadable", "storage-unreachable")

SECURITY_SCHEMES = {
    "entra": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the app's Entra registration with a role: Viewer, Contributor or Administrator.",
    },
    "functionKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-functions-key",
        "description": "The key of the function app, for addresses below /automation.",
    },
}
PARAMETERS = {
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "the ETag that the document was read with, or * for whichever it is",
        "schema": {"type": "string", "examples": ['"0x8DE2A6B1C7F4D10"']},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "the same key answers what the first request with it has started",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$", "examples": ["2026-11-22-morning"]},
    },
}
HEADERS = {
    "ETag": {"description": "the version of the document, for If-Match", "schema": {"type": "string"}},
    "Location": {"description": "where it is", "schema": {"type": "string", "format": "uri-reference"}},
    "Retry-After": {"description": "after so many seconds ask again", "schema": {"type": "integer", "minimum": 0}},
    "Link": {"description": "the next page, with rel=next", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "how to sign in", "schema": {"type": "string"}},
}
#: What a status says of what was asked for.
MEANINGS = {
    200: "done",
    201: "created; Location says where it is",
    202: "accepted; Location says where to look how it goes on",
    204: "done",
    304: "unchanged since the version in If-None-Match",
}
#: Headers of problems, by status.
PROBLEM_HEADERS = {401: ("WWW-Authenticate",), 409: ("Location", "Retry-After"), 503: ("Retry-After",)}

Json = dict[str, Any]
Mode = Literal["validation", "serialization"]


class OpenApi(BaseModel):
    """An OpenAPI document, as far as it matters here."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


def serve(routes: Callable[[], Sequence[Route]]) -> Handler:
    """The handler of GET /api/openapi.json. The table is asked for when the first request comes: this is part of it."""

    @cache
    def body() -> bytes:
        return json.dumps(document(routes()), ensure_ascii=False).encode()

    def show(_: Parts, request: Request) -> Answer:
        etag = f'"{hashlib.sha256(body()).hexdigest()[:32]}"'
        headers = {"Content-Type": "application/json", "Cache-Control": "no-cache", "ETag": etag}
        if etag in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
            return Answer(status=304, body=b"", headers=headers)
        return Answer(status=200, body=body(), headers=headers)

    return show


def document(routes: Sequence[Route]) -> Json:
    """The whole document, with both doors."""
    schemas = _Schemas(routes)
    problems: dict[str, Json] = {}
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, routes, schemas, problems)
    for route in (route for route in routes if route.by_key):
        operation = _operation(route, routes, schemas, problems, by_key=True)
        paths.setdefault(AUTOMATION_PREFIX + route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Segment Exporter",
            "version": API_VERSION,
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/api"}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(route) for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "parameters": PARAMETERS,
            "responses": problems,
            "headers": HEADERS,
            "examples": {code: _example(kind) for code, kind in PROBLEMS.items()},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def possible(route: Route) -> Sequence[Kind]:
    """What a route may answer when it does not do what it is for: what it declares, and what follows from its form."""
    codes = {*ALWAYS, *route.problems}
    if route.who is not Who.ANYONE:
        codes |= {"not-signed-in", "forbidden"}
    if route.pattern.groupindex:
        codes |= {"no-such-address", *(MISSING[name] for name in route.pattern.groupindex)}
    if route.method != "GET":
        codes.add("too-large")
    if route.body is not None:
        codes.add("media-type")
    if route.body is None or _models(route.body):
        codes.add("request-body")
    if route.if_match:
        codes |= {"if-match-missing", "changed-meanwhile"}
    return [kind for code, kind in PROBLEMS.items() if code in codes]


class _Schemas:
    """The JSON schemas of all models: of bodies and queries as they are read, of answers as they are written."""

    def __init__(self, routes: Sequence[Route]) -> None:
        wanted: dict[tuple[type[BaseModel], Mode], None] = {(Problem, "serialization"): None}
        for route in routes:
            read = [*_models(route.body), *_models(route.query)]
            written = [model for answer in route.answers.values() for model in _models(answer)]
            wanted |= {(model, "validation"): None for model in read}
            wanted |= {(model, "serialization"): None for model in written}
        self._refs, definitions = models_json_schema(list(wanted), ref_template="#/components/schemas/{model}")
        self.components: Json = definitions["$defs"]

    def ref(self, model: type[BaseModel], mode: Mode) -> Json:
        """A reference to the schema of a model."""
        return self._refs[model, mode]

    def of(self, model: type[BaseModel], mode: Mode) -> Json:
        """The schema of a model itself."""
        schema: Json = self.components[self.ref(model, mode)["$ref"].rpartition("/")[2]]
        return schema


def _operation(
    route: Route, routes: Sequence[Route], schemas: _Schemas, problems: dict[str, Json], *, by_key: bool = False
) -> Json:
    """One operation. What it answers in case of a problem is put into `problems`, where that is not there yet."""
    operation: Json = {
        "operationId": _operation_id(route, by_key=by_key),
        "tags": [_tag(route)],
        "summary": route.summary,
        "x-who": "function key" if by_key else route.who.value,
        "x-people-only": route.person,
        "x-changes": route.changes,
        "security": _security(route, by_key=by_key),
        "parameters": [*_ids(route), *_query(route, schemas), *_headers(route)],
        "responses": _answers(route, routes, schemas) | _problems(route, schemas, problems, by_key=by_key),
    }
    if route.body is not None:
        content = _content(route.body, schemas, "validation")
        operation["requestBody"] = {"required": route.body_required, "content": content}
    return operation


def _operation_id(route: Route, *, by_key: bool) -> str:
    return "-".join([*(["automation"] if by_key else []), route.method.lower(), *_words(route)])


def _tag(route: Route) -> str:
    return _words(route)[0]


def _words(route: Route) -> list[str]:
    words: list[str] = re.findall(r"[a-z]+", route.path)
    return words


def _security(route: Route, *, by_key: bool) -> list[Json]:
    if by_key:
        return [{"functionKey": []}]
    return [] if route.who is Who.ANYONE else [{"entra": []}]


def _ids(route: Route) -> Iterable[Json]:
    for name in route.pattern.groupindex:
        pattern, description = IDS[name]
        schema = {"type": "string", "pattern": pattern}
        yield {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _query(route: Route, schemas: _Schemas) -> Iterable[Json]:
    if route.query is None:
        return
    model = schemas.of(route.query, "validation")
    for name, property_schema in model["properties"].items():
        schema = _without_null(property_schema)
        description = schema.pop("description", None)
        parameter: Json = {
            "name": name,
            "in": "query",
            "required": name in model.get("required", ()),
            "schema": schema,
        }
        yield parameter if description is None else {**parameter, "description": description}


def _without_null(schema: Json) -> Json:
    """The schema of a value that a query either has or has not."""
    kept = {key: value for key, value in schema.items() if not (key == "default" and value is None) and key != "title"}
    choices = [choice for choice in kept.pop("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **kept}
    return {**kept, "anyOf": choices} if choices else kept


def _headers(route: Route) -> Iterable[Json]:
    if route.if_match:
        yield {**PARAMETERS["If-Match"], "required": True}
    elif _takes_version(route):
        yield {"$ref": "#/components/parameters/If-Match"}
    if "idempotency-key" in route.problems:
        yield {"$ref": "#/components/parameters/Idempotency-Key"}


def _answers(route: Route, routes: Sequence[Route], schemas: _Schemas) -> Json:
    answers: Json = {}
    for status, answer in route.answers.items():
        answers[str(status)] = {"description": MEANINGS[status]}
        if headers := {
            name: {"$ref": f"#/components/headers/{name}"} for name in _answer_headers(route, routes, status)
        }:
            answers[str(status)]["headers"] = headers
        if answer is not None:
            answers[str(status)]["content"] = _content(answer, schemas, "serialization")
    return answers


def _answer_headers(route: Route, routes: Sequence[Route], status: int) -> Iterable[str]:
    if status in {201, 202}:
        yield "Location"
    if status == 202:
        yield "Retry-After"
    if status == 201 or _is_versioned(route, routes):
        yield "ETag"
    if any("next" in model.model_fields for model in _models(route.answers[status])):
        yield "Link"


def _is_versioned(route: Route, routes: Sequence[Route]) -> bool:
    """Whether an address is that of a document that is changed under its ETag."""
    changed = (other for other in routes if other.if_match or _takes_version(other))
    return route.method in {"GET", "PUT"} and any(other.path == route.path for other in changed)


def _takes_version(route: Route) -> bool:
    """Whether a change may name the version that it is about, but need not."""
    return route.method == "PUT" and "changed-meanwhile" in route.problems


def _problems(route: Route, schemas: _Schemas, problems: dict[str, Json], *, by_key: bool) -> Json:
    """Status -> the problems that may be answered with it, each with an example."""
    kinds = [kind for kind in possible(route) if not (by_key and kind.code in {"not-signed-in", "forbidden"})]
    answers: Json = {}
    for status in sorted({kind.status for kind in kinds}):
        alike = [kind for kind in kinds if kind.status == status]
        name = ".".join(kind.code for kind in alike)
        problems[name] = _problem(status, alike, schemas)
        answers[str(status)] = {"$ref": f"#/components/responses/{name}"}
    # The platform looks at the key before the app is asked, and answers without a body.
    return answers | ({"401": {"description": "There is no function key, or a wrong one"}} if by_key else {})


def _problem(status: int, kinds: Sequence[Kind], schemas: _Schemas) -> Json:
    types = {
        "type": "object",
        "properties": {"type": {"enum": [kind.type for kind in kinds]}, "status": {"const": status}},
    }
    content = {
        "schema": {"allOf": [schemas.ref(Problem, "serialization"), types]},
        "examples": {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds},
    }
    answer: Json = {
        "description": "\n".join(f"- `{kind.code}`: {kind.when}" for kind in kinds),
        "content": {"application/problem+json": content},
    }
    if status in PROBLEM_HEADERS:
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in PROBLEM_HEADERS[status]}
    return answer


def _example(kind: Kind) -> Json:
    value = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": kind.example}
    return {"summary": kind.title, "value": value}


def _content(content: Content | tuple[Content, ...], schemas: _Schemas, mode: Mode) -> Mapping[str, Json]:
    """Media type -> schema."""
    return dict(_media(choice, schemas, mode) for choice in _contents(content))


def _media(content: Content, schemas: _Schemas, mode: Mode) -> tuple[str, Json]:
    if isinstance(content, type):
        return "application/json", {"schema": schemas.ref(content, mode)}
    if content.model is not None:
        return content.type, {"schema": schemas.ref(content.model, mode)}
    return content.type, {"schema": {"type": "string", "description": content.holds}}


def _contents(content: Content | tuple[Content, ...] | None) -> Sequence[Content]:
    if content is None:
        return ()
    return content if isinstance(content, tuple) else (content,)


def _models(content: Content | tuple[Content, ...] | None) -> Sequence[type[BaseModel]]:
    return [choice for choice in _contents(content) if isinstance(choice, type)]
