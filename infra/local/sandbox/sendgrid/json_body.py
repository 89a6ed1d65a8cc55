"""The JSON object in the body of a request."""

from typing import Any

import orjson

from infra.local.sandbox.sendgrid.errors import refused
from infra.local.sandbox.server import Request


def json_body(request: Request) -> dict[str, Any]:
    """Raises RefusedError with the words users report: https://github.com/sendgrid/sendgrid-nodejs/issues/957"""
    try:
        value = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise refused(400, "invalid JSON")
    return value
