"""Requests and answers without a web framework, and problem documents (RFC 9457:
https://www.rfc-editor.org/rfc/rfc9457).
"""

import json
import logging
import math
import re
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from azure.core.exceptions import AzureError
from pydantic import BaseModel

from exporters import log
from exporters.api.problems import PROBLEMS
from exporters.errors import (
    AccessError,
    ConfigError,
    DiskFullError,
    NotCompleteError,
    RefusedError,
    SegmentError,
    StorageConflictError,
    ThrottledError,
    TransientError,
)
from exporters.model.caller import NOBODY, Caller

#: Headers of every answer, where it does not say otherwise: what it holds is for this caller, now, and of its type.
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
#: Seconds after which to ask again for what may pass.
RETRY_AFTER_S = 10
#: Neither may stand in a header. https://www.rfc-editor.org/rfc/rfc9110#section-5.5
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a handler needs of an HTTP request. Header names are lower case."""

    method: str = "GET"
    path: str = "/"  #: below /api, percent-decoded but for slashes within its parts
    caller: Caller = NOBODY
    route: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    #: All values of those parameters of the query that stand there more than once.
    repeated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP response. Raises ValueError for a header that would not be one, or would become two."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            if _CONTROLS.search(name + value):
                raise ValueError("a header of an answer holds a control character")
        object.__setattr__(self, "headers", {**HEADERS, **self.headers})


def document(value: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A model as JSON."""
    return Answer(
        status=status,
        body=value.model_dump_json().encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def answered(handle: Callable[[], Answer]) -> Answer:
    """The handler's answer; a problem document where it raises, whatever that is."""
    try:
        return handle()
    except ThrottledError as error:
        return problem("throttled", str(error), headers=_retry_after(error.wait_s))
    except (TransientError, NotCompleteError) as error:
        return problem("not-ready", str(error), headers=_retry_after(RETRY_AFTER_S))
    except (AccessError, SegmentError, RefusedError) as error:
        return problem("export-unusable", str(error))
    except ConfigError as error:
        return problem("state-unreadable", str(error))
    except (AzureError, StorageConflictError):
        detail = "The app's storage did not answer as it should; try again"
        return problem("storage-unreachable", detail, headers=_retry_after(RETRY_AFTER_S))
    except DiskFullError as error:
        return problem("storage-unreachable", str(error), headers=_retry_after(RETRY_AFTER_S))
    except Exception as error:  # noqa: BLE001  callers get an answer whatever our bug is
        return _unexpected(error)


def _unexpected(error: Exception) -> Answer:
    """What nobody has thought of. The log names the error's type and places; its text may hold people's data."""
    reference = uuid.uuid4().hex[:12]
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    kind = type(error).__name__
    log.step("answer", "unexpected", level=logging.ERROR, reference=reference, error=kind, places=places)
    detail = f"Try again, and if it comes again give the reference {reference} to whoever runs the app"
    return problem("unexpected", detail)


def _retry_after(wait_s: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(wait_s)))}


def problem(code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: object) -> Answer:
    """A problem document of one of `PROBLEMS`, by its code. `detail` says what is wrong here, and what to do."""
    kind = PROBLEMS[code]
    body = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": detail, **members}
    return Answer(
        status=kind.status,
        # A name of the request that is quoted may hold half a character, which UTF-8 has no bytes for.
        body=json.dumps(body, ensure_ascii=False).encode(errors="replace"),
        headers={"Content-Type": "application/problem+json", **(headers or {})},
    )
