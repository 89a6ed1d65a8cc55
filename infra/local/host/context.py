"""What a function is told of its call, as far as `azure.functions.Context` is of use here: whose trace it is part of.

https://learn.microsoft.com/python/api/azure-functions/azure.functions.context
"""

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

#: Flags of a trace that is recorded. https://www.w3.org/TR/trace-context/#trace-flags
SAMPLED = "01"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """The span that the host has for a call."""

    trace_parent: str
    trace_state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One call of a function."""

    function_name: str
    invocation_id: str
    trace_context: TraceContext

    @classmethod
    def of(cls, function: str, headers: Mapping[str, str]) -> Self:
        """A call with a span of its own: of the trace that the headers of a request name, or of a new one."""
        traceparent = f"00-{_trace_of(headers) or secrets.token_hex(16)}-{secrets.token_hex(8)}-{SAMPLED}"
        return cls(
            function_name=function,
            invocation_id=str(uuid.uuid4()),
            trace_context=TraceContext(trace_parent=traceparent),
        )


def _trace_of(headers: Mapping[str, str]) -> str | None:
    known = {name.lower(): value for name, value in headers.items()}
    caller = trace.get_current_span(TraceContextTextMapPropagator().extract(known)).get_span_context()
    return trace.format_trace_id(caller.trace_id) if caller.is_valid else None
