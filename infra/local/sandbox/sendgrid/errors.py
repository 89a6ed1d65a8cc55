"""Errors in SendGrid's words.

https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors
"""

from infra.local.sandbox.sandbox import RefusedError
from infra.local.sandbox.server import Reply


def error(status: int, message: str, field: str | None = None) -> Reply:
    return Reply.json({"errors": [{"field": field, "message": message}]}, status)


def refused(status: int, message: str, field: str | None = None) -> RefusedError:
    return RefusedError(error(status, message, field))


def refused_alone(status: int, message: str, field: str | None = None) -> RefusedError:
    """With one error that is the whole body: `ContactsError` of the contract."""
    named = {} if field is None else {"field": field}
    return RefusedError(Reply.json({**named, "message": message}, status))


def not_found() -> RefusedError:
    return refused(404, "not found")
