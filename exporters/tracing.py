"""Spans: what the app did, for which run, and as part of what. docs/telemetry.md has the whole picture.

This is OpenTelemetry's API alone. Where nothing records, as `exporters.telemetry` does, all of this does nothing, and
neither message nor document says a word of a trace.

All steps of a run are children of the span that started it, in one trace, that of the request or the tick. A step
hands on the context that it came with and not its own, so that a run of ten thousand steps is a list below its start,
not a chain of ten thousand spans. What moves a run on from outside (a decision, the watch, another run that frees a
slot) has a trace of its own, and a link to the run's.

No span has the text of an error, an address below `/api`, a url or a body: those may hold people's data, or a key.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import urlsplit

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from exporters.model.messages import Message

#: What may stand on a span.
Attribute = str | int | float

#: HTTP statuses from here on are errors. https://www.rfc-editor.org/rfc/rfc9110#section-15
FIRST_ERROR = 400
#: Where a url names none. https://www.rfc-editor.org/rfc/rfc9110#section-4.2
PORTS = {"http": 80, "https": 443}

_W3C = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What a step came with, and what its requests are about."""

    traceparent: str | None = None
    keys: dict[str, Attribute]


_step: ContextVar[_Step | None] = ContextVar("step", default=None)


@contextmanager
def invoked(traceparent: str | None) -> Iterator[None]:
    """The context that the platform called a function with.

    The worker (azure-functions-runtime 1.3.0) attaches it where its event loop runs, and not on the threads of
    functions that are not `async`:
    https://github.com/Azure/azure-functions-python-worker/blob/dev/runtimes/v2/azure_functions_runtime/handle_event.py
    """
    token = contexts.attach(_context_of(traceparent))
    try:
        yield
    finally:
        contexts.detach(token)


@contextmanager
def span(name: str, **attributes: Attribute) -> Iterator[None]:
    """Something that is done here, as part of what is being done."""
    with _started(name, attributes=attributes):
        yield


@contextmanager
def step(name: str, message: Message) -> Iterator[None]:
    """What a message wants done. It belongs to the trace that the message names; else to what the platform called."""
    called_by = trace.get_current_span().get_span_context()
    known = message.traceparent is not None
    token = _step.set(_Step(traceparent=message.traceparent, keys=dict(message.keys())))
    try:
        with _started(
            name,
            context=_context_of(message.traceparent) if known else None,
            kind=SpanKind.CONSUMER,
            links=[Link(called_by)] if known and called_by.is_valid else [],
            attributes=dict(message.keys()),
        ):
            yield
    finally:
        _step.reset(token)


@contextmanager
def request(method: str, template: str, url: str = "") -> Iterator[Span]:
    """A request to somebody else, with the keys of the step that makes it.

    `template` stands for the path, see `template_of`. Of `url` nothing is told but scheme, host and port; it is empty
    where the host may be a secret.
    """
    now = _step.get()
    keys = {} if now is None else now.keys
    attributes = {**keys, "http.request.method": method, "url.template": template, **_server(url, template)}
    with _started(f"{method} {template}", kind=SpanKind.CLIENT, attributes=attributes) as made:
        yield made


def answered(made: Span, status: int) -> None:
    """Note the status of a request's answer; from 400 on it has failed.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status
    """
    made.set_attribute("http.response.status_code", status)
    if status >= FIRST_ERROR:
        made.set_status(Status(StatusCode.ERROR))


def note(**attributes: Attribute) -> None:
    """Say more of what a step is about, once it is known: its requests from now on say it too. No-op outside of one."""
    if (now := _step.get()) is not None:
        now.keys.update(attributes)
        trace.get_current_span().set_attributes(attributes)


def rename(name: str) -> None:
    """Name what is being done, once that is known."""
    trace.get_current_span().update_name(name)


def here() -> str | None:
    """What to remember where something begins that others go on with; None where nothing records."""
    current = trace.get_current_span()
    if not current.is_recording():
        return None
    where = current.get_span_context()
    return f"00-{format_trace_id(where.trace_id)}-{format_span_id(where.span_id)}-{where.trace_flags:02x}"


def carried(begun: str | None) -> str | None:
    """What a message carries about something that began there; None where nothing records.

    Of what began unseen (None) the message goes on with the trace of now. Where it is another trace's, both are linked.
    """
    current = trace.get_current_span()
    if not current.is_recording():
        return None
    now = _step.get()
    if begun is None:
        return here() if now is None or now.traceparent is None else now.traceparent
    there = trace.get_current_span(_context_of(begun)).get_span_context()
    if there.trace_id != current.get_span_context().trace_id:
        current.add_link(there)
    return begun


def _server(url: str, template: str) -> dict[str, Attribute]:
    """Who is asked. Application Insights names requests by the path of `url.full`, so that has the template in it.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
    """
    parts = urlsplit(url)
    if parts.hostname is None:
        return {"url.full": template}
    named = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    return {
        "url.full": f"{parts.scheme}://{named}{template}",
        "url.scheme": parts.scheme,
        "server.address": parts.hostname,
        "server.port": parts.port or PORTS[parts.scheme],
    }


def template_of(path: str) -> str:
    """A path of a provider's API with `{id}` for every part that is not a word: ids of lists and jobs, above all."""
    parts = (part if part.isascii() and part.replace("_", "").isalpha() else _id(part) for part in path.split("/"))
    return "/".join(parts)


def _id(part: str) -> str:
    is_version = part[:1] == "v" and part[1:].isdecimal()
    return part if is_version or not part else "{id}"


@contextmanager
def _started(
    name: str,
    *,
    attributes: dict[str, Attribute],
    context: contexts.Context | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    links: list[Link] | None = None,
) -> Iterator[Span]:
    with trace.get_tracer("exporters").start_as_current_span(
        name,
        context=context,
        kind=kind,
        attributes=attributes,
        links=links,
        record_exception=False,  # its text may hold people's data
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except Exception as error:
            made.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def _context_of(traceparent: str | None) -> contexts.Context:
    """What others wrote is read by the library; what cannot be read is an empty context."""
    return _W3C.extract({} if traceparent is None else {"traceparent": traceparent}, context=contexts.Context())
