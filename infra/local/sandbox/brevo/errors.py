"""Errors in Brevo's words: https://api.brevo.com/v3/swagger_definition_v3.yml, `errorModel`"""

from typing import Any

import orjson

from infra.local.sandbox.sandbox import RefusedError
from infra.local.sandbox.server import Reply, Request


def error(status: int, code: str, message: str) -> Reply:
    return Reply.json({"code": code, "message": message}, status)


def invalid(message: str) -> RefusedError:
    return RefusedError(error(400, "invalid_parameter", message))


def missing(message: str) -> RefusedError:
    return RefusedError(error(400, "missing_parameter", message))


def not_found(message: str) -> RefusedError:
    return RefusedError(error(404, "document_not_found", message))


def json_body(request: Request) -> dict[str, Any]:
    """The JSON object in the body of a request. Raises RefusedError with 400."""
    try:
        value = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise RefusedError(error(400, "bad_request", "Invalid JSON"))
    return value


def whole_number(text: str, name: str) -> int:
    """A number in a path. Raises RefusedError with 400."""
    if not text.isascii() or not text.isdigit():
        raise invalid(f"{name} should be an integer")
    return int(text)


def page(request: Request, *, default: int, largest: int) -> tuple[int, int]:
    """`limit` and `offset` of a query. Raises RefusedError with 400."""
    limit = whole_number(request.query.get("limit", str(default)), "limit")
    offset = whole_number(request.query.get("offset", "0"), "offset")
    if limit > largest:
        raise RefusedError(error(400, "out_of_range", f"Limit exceeds max value {largest}"))
    return limit, offset
