"""Where a trace goes on: what a message or a document remembers of it."""

import re
from typing import Annotated

from pydantic import BeforeValidator

#: Version 00, the trace, the span, the flags; neither id is nothing but zeros.
#: https://www.w3.org/TR/trace-context/#traceparent-header-field-values
_PATTERN = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def _readable(value: object) -> object:
    return value if isinstance(value, str) and _PATTERN.fullmatch(value) else None


#: A `traceparent` as W3C writes it. Whatever else stands there reads as none: a trace is no reason to stop a run.
TraceParent = Annotated[str | None, BeforeValidator(_readable)]
