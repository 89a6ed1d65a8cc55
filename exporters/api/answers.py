"""Requests and answers without a web framework, and problem documents (RFC 9457:
https://www.rfc-editor.org/rfc/rfc9457).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from azure.core.exceptions import AzureError
from pydantic import BaseModel

from exporters.errors import ConfigError, StorageConflictError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a handler needs of an HTTP request. Header names are lower case."""

    route: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP response."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def document(value: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A model as JSON."""
    return Answer(
        status=status,
        body=value.model_dump_json().encode(),
        headers={"Content-Type": "application/json", "Cache-Control": "no-store", **(headers or {})},
    )


def answered(handle: Callable[[], Answer]) -> Answer:
    """The handler's answer; a problem document also where the app's own state is at fault."""
    try:
        return handle()
    except ConfigError as error:
        return problem(500, "state-unreadable", "The app's state cannot be read", str(error))
    except (AzureError, StorageConflictError):
        return problem(
            503,
            "storage-unreachable",
            "Not now",
            "The app's storage did not answer as it should; try again",
            headers={"Retry-After": "10"},
        )


def problem(
    status: int,
    name: str,
    title: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: str,
) -> Answer:
    """A problem document. `name` is the stable last part of its type, `detail` says what to do."""
    body = {
        "type": f"urn:segment-exporter:problem:{name}",
        "title": title,
        "status": status,
        "detail": detail,
        **members,
    }
    return Answer(
        status=status,
        body=json.dumps(body, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/problem+json", "Cache-Control": "no-store", **(headers or {})},
    )
