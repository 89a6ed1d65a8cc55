"""Spans of whole runs, as an exporter in memory gets them."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id
from opentelemetry.util.types import Attributes
from pydantic import SecretStr

from exporters import tracing
from exporters.errors import TransientError
from exporters.model.messages import BatchMessage, RunMessage
from exporters.model.run import Run
from exporters.providers.http import Api, KeyHeader, Window
from exporters.storage import paths
from infra.local.sandbox.server import Reply, Server
from tests.world import SimulatedProvider, World

ROOT = Path(__file__).parents[2]
KEY = "SG.not-a-real-key"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CALLERS_TRACE = "0af7651916cd43dd8448eb211c80319c"
RUN = "79738877939999999-00000000"


@dataclass
class Switch(Sampler):
    """Records while it is on. A process has one provider of spans for good, and other tests want none."""

    on: bool = False

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        *_: Any,
        **__: Any,
    ) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE if self.on else Decision.DROP, attributes)

    def get_description(self) -> str:
        return "Switch"


class Spans:
    """What was recorded."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]

    def only(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def clear(self) -> None:
        self._exporter.clear()


@pytest.fixture(scope="module")
def recorder() -> tuple[Switch, InMemorySpanExporter]:
    switch, exporter = Switch(), InMemorySpanExporter()
    provider = TracerProvider(sampler=switch, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return switch, exporter


@pytest.fixture
def spans(recorder: tuple[Switch, InMemorySpanExporter]) -> Iterator[Spans]:
    switch, exporter = recorder
    exporter.clear()
    switch.on = True
    yield Spans(exporter)
    switch.on = False


@dataclass
class Vendor:
    """Answers whatever it is asked, over HTTP."""

    status: int = 200
    headers: list[dict[str, str]] = field(default_factory=list)  #: of the requests

    def __post_init__(self) -> None:
        self.server = Server(self._handle)

    def _handle(self, request: Any) -> Reply:
        self.headers.append({name.lower(): value for name, value in dict(request.headers).items()})
        return Reply(status=self.status, body=b"{}")


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.server.close()


class HttpProvider(SimulatedProvider):
    """The simulated provider, that asks over HTTP as the real ones do before it does anything."""

    url: ClassVar[str]

    def submit(self, list_id: str, contacts: Sequence[bytes]) -> str:
        self._api().send("PUT", f"/v3/lists/{list_id}/contacts", b"".join(contacts), what="the import")
        return super().submit(list_id, contacts)

    def poll(self, job_id: str) -> Any:
        self._api().get(f"/v3/jobs/{job_id}", what="the question", params={"address": "p0@example.com"})
        return super().poll(job_id)

    def _api(self) -> Api:
        return Api(
            title="Simulated",
            base_url=self.url,
            auth=KeyHeader("Authorization", SecretStr(KEY), prefix="Bearer "),
            remedy=lambda answer: None,
            read_window=lambda headers, now: Window(remaining=None, reset_s=None),
            max_wait_s=60,
        )


@pytest.fixture
def world(vendor: Vendor) -> World:
    vendor.status = 200
    vendor.headers.clear()
    world = World()
    world.provider = type("Provider", (HttpProvider,), {"url": vendor.server.url})
    world.people(10)
    return world


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return format_trace_id(span.context.trace_id)


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def text_of(spans: Spans) -> str:
    """Everything that is told of all spans."""
    return "\n".join(span.to_json() for span in spans.all())


def run_over_http(world: World) -> str:
    """A run that a call started, whose trace the platform has told; answers its id."""
    with tracing.invoked(CALLER):
        answer = world.start()
    assert answer.status == 202
    world.pump()
    assert world.show(answer)["status"] == "successful"
    return world.run_id(answer)


def test_from_the_call_to_the_provider_s_requests_a_run_is_one_trace(world, spans):
    run = run_over_http(world)

    about = [span for span in spans.all() if (span.attributes or {}).get("run_id") == run]
    names = {span.name for span in about}
    requests = {"PUT /v3/lists/{id}/contacts", "GET /v3/jobs/{id}"}
    assert names == {"start run", "move run", "send batch", "poll batch", *requests}
    assert {trace_of(span) for span in about} == {CALLERS_TRACE}
    assert trace_of(spans.only("POST /exports/{export}/runs")) == CALLERS_TRACE


def test_the_steps_of_a_run_are_a_list_below_its_start_however_many_follow_from_each_other(world, spans):
    world.account.polls_until_done = 4
    run_over_http(world)

    call, start = spans.only("POST /exports/{export}/runs"), spans.only("start run")
    steps = [span for span in spans.all() if span.kind is SpanKind.CONSUMER]
    assert len(spans.named("poll batch")) >= 12  # three batches, four questions each
    assert parent_of(start) == id_of(call)
    assert {parent_of(step) for step in steps} == {id_of(start)}


def test_a_request_is_part_of_the_step_that_makes_it_and_says_what_the_step_is_about(world, spans):
    run = run_over_http(world)

    steps = {id_of(span): span for span in spans.named("send batch")}
    sent = spans.named("PUT /v3/lists/{id}/contacts")
    assert len(sent) == 3
    for request in sent:
        step, told = steps[parent_of(request)], dict(request.attributes or {})
        assert told["batch"] == (step.attributes or {})["batch"]
        assert (told["export"], told["run_id"], told["provider"]) == ("newsletter", run, "simulated")
        assert (told["http.request.method"], told["http.response.status_code"]) == ("PUT", 200)
        assert (told["server.address"], told["url.template"]) == ("127.0.0.1", "/v3/lists/{id}/contacts")
        assert request.kind is SpanKind.CLIENT


def test_nothing_of_a_person_and_no_key_is_in_any_span(world, spans, vendor):
    run_over_http(world)

    told = text_of(spans)
    assert not [word for word in ("@", "example.com", KEY, "Ann", "good", "list-1", "job-1") if word in told]


def test_an_error_is_told_by_its_kind_and_not_by_its_words(world, spans):
    def fail(_: object) -> None:
        raise ValueError("p0@example.com is somebody")

    world.account.on_submit = fail
    world.start()
    with pytest.raises(ValueError, match="somebody"):
        world.pump()

    failed = spans.only("send batch").status
    assert (failed.status_code, failed.description) == (StatusCode.ERROR, "ValueError")
    assert "p0@example.com" not in text_of(spans)


def test_a_refused_request_is_a_failed_one_with_its_status(world, spans, vendor):
    vendor.status = 503
    world.start()
    for _ in range(2):
        world.deliver(*world.queues.due())

    (request,) = spans.named("PUT /v3/lists/{id}/contacts")
    assert (request.attributes or {})["http.response.status_code"] == 503
    assert request.status.status_code is StatusCode.ERROR
    assert spans.only("send batch").status.status_code is StatusCode.UNSET  # the step has dealt with it


def test_no_provider_is_told_the_trace(world, spans, vendor):
    run_over_http(world)

    assert vendor.headers
    assert not [headers for headers in vendor.headers if {"traceparent", "tracestate", "baggage"} & headers.keys()]


def test_the_platform_s_call_of_a_step_is_linked_with_it(world, spans):
    world.start()
    with tracing.invoked(CALLER):
        world.deliver(*world.queues.due())

    step = spans.only("move run")
    assert [format_trace_id(link.context.trace_id) for link in step.links] == [CALLERS_TRACE]
    assert trace_of(step) == trace_of(spans.only("start run")) != CALLERS_TRACE


def test_a_run_of_the_schedule_is_part_of_its_tick(world, spans):
    world.export(schedule={"kind": "daily", "times": ["06:05"], "time_zone": "UTC"})
    world.exporter.tick()
    world.pass_time(minutes=6)
    spans.clear()
    with tracing.invoked(CALLER):
        world.exporter.tick()
    world.pump()

    tick = spans.only("tick")
    assert trace_of(tick) == CALLERS_TRACE
    assert parent_of(spans.only("start run")) == id_of(tick)
    assert {trace_of(span) for span in spans.named("send batch")} == {CALLERS_TRACE}


def test_the_watch_moves_a_run_on_in_the_run_s_trace_and_is_linked_with_it(world, spans):
    with tracing.invoked(CALLER):
        world.start()
    assert world.queues.due() is not None  # lost
    spans.clear()
    world.pass_time(hours=1)
    world.exporter.tick()
    world.pump()

    tick = spans.only("tick")
    assert trace_of(tick) != CALLERS_TRACE
    assert CALLERS_TRACE in {format_trace_id(link.context.trace_id) for link in tick.links}
    assert {trace_of(span) for span in spans.named("move run")} == {CALLERS_TRACE}


def test_a_slot_that_one_run_hands_to_another_leads_into_the_other_s_trace(world, spans):
    world.provider = type("Narrow", (world.provider,), {"jobs_in_flight": 1})
    world.export(id="other")
    for export in ("newsletter", "other"):
        world.start(export)
    world.pump()

    traces = {(span.attributes or {})["run_id"]: trace_of(span) for span in spans.named("start run")}
    assert len(set(traces.values())) == 2
    for span in [*spans.named("send batch"), *spans.named("poll batch")]:
        assert trace_of(span) == traces[(span.attributes or {})["run_id"]]


def test_a_notification_is_told_in_the_run_s_trace_without_its_receiver(world, spans):
    world.secrets.values["hook"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    world.export(notify={"url": "https://hooks.example/secret-path", "secret": "hook", "on": ["ended"]})
    run_over_http(world)

    assert len(world.receiver.posts) == 1
    post = spans.only("POST /{receiver}")
    assert (trace_of(post), (post.attributes or {})["http.response.status_code"]) == (CALLERS_TRACE, 204)
    assert "hooks.example" not in text_of(spans)
    assert not [name for name in world.receiver.posts[0].headers if name.lower() == "traceparent"]


def test_where_nothing_records_neither_message_nor_document_knows_of_a_trace(world):
    answer = world.start()
    _, body = world.queues.due()

    assert set(json.loads(body)) == {"export", "run"}
    world.deliver("plan", body)
    _, sent = world.queues.due()
    assert set(json.loads(sent)) == {"export", "run", "batch"}
    run = world.parts.documents.read(Run, paths.run("newsletter", world.run_id(answer)))
    assert run is not None
    assert run.value.trace is None


def test_a_run_that_began_unseen_is_one_trace_from_then_on(world, recorder):
    switch, exporter = recorder
    answer = world.start()
    exporter.clear()
    switch.on = True
    try:
        world.pump()
    finally:
        switch.on = False

    steps = [span for span in exporter.get_finished_spans() if span.kind is SpanKind.CONSUMER]
    assert world.show(answer)["status"] == "successful"
    assert len({trace_of(span) for span in steps}) == 1


def test_a_run_that_was_seen_goes_on_unseen_without_a_word_of_it(world, recorder):
    switch, _ = recorder
    switch.on = True
    try:
        answer = world.start()
    finally:
        switch.on = False
    world.deliver(*world.queues.due())

    queue, sent = world.queues.due()
    assert set(json.loads(sent)) == {"export", "run", "batch"}
    world.deliver(queue, sent)
    world.pump()
    assert world.show(answer)["status"] == "successful"


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "nonsense",
        7,
        None,
        CALLER + "-more",
        CALLER.upper(),
        "ff" + CALLER[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{CALLERS_TRACE}-{'0' * 16}-01",
    ],
)
def test_a_message_whose_trace_cannot_be_read_is_a_message_without_one(odd):
    body = json.dumps({"export": "newsletter", "run": RUN, "batch": 3, "traceparent": odd})

    message = BatchMessage.model_validate_json(body)

    assert message.traceparent is None
    assert json.loads(message.model_dump_json()) == {"export": "newsletter", "run": RUN, "batch": 3}


def test_a_message_carries_a_trace_as_w3c_writes_it():
    message = RunMessage(export="newsletter", run=RUN, traceparent=CALLER)

    assert RunMessage.model_validate_json(message.model_dump_json()) == message
    assert json.loads(message.model_dump_json())["traceparent"] == CALLER
    assert message.keys() == {"export": "newsletter", "run_id": RUN}


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v3/marketing/contacts", "/v3/marketing/contacts"),
        ("/v3/marketing/contacts/imports/2f4d1a60-5f0c", "/v3/marketing/contacts/imports/{id}"),
        ("/v3/contacts/lists/17/contacts/remove", "/v3/contacts/lists/{id}/contacts/remove"),
        ("/v3/marketing/field_definitions", "/v3/marketing/field_definitions"),
        ("/v3/contacts/ann@example.com", "/v3/contacts/{id}"),
        ("/v3/contacts/ann%40example.com", "/v3/contacts/{id}"),
        ("/v3/contacts/žana", "/v3/contacts/{id}"),
        ("/v3x/very", "/{id}/very"),
    ],
)
def test_a_template_keeps_the_words_of_a_path_and_nothing_else(path, template):
    assert tracing.template_of(path) == template


def test_a_request_that_gets_no_answer_is_told_without_its_words(spans):
    with pytest.raises(TransientError), tracing.request("GET", "/x", "https://api.example"):
        raise TransientError("https://api.example/x?key=secret did not answer")

    assert spans.only("GET /x").status.description == "TransientError"
    assert "secret" not in text_of(spans)


def test_of_a_url_a_request_tells_who_is_asked_and_no_more(spans):
    with tracing.request("GET", "/{signed link}", "https://user:pass@files.example/secret/ann?sig=key#part"):
        pass
    with tracing.request("POST", "/{receiver}"):
        pass

    file, post = (dict(span.attributes or {}) for span in spans.all())
    assert (file["url.full"], file["server.address"], file["server.port"]) == (
        "https://files.example/{signed link}",
        "files.example",
        443,
    )
    assert post == {"http.request.method": "POST", "url.template": "/{receiver}", "url.full": "/{receiver}"}


def test_the_app_starts_without_what_only_recording_needs():
    """A function app has thirty seconds to start, and the library takes half a second of them."""
    code = "import sys, exporters.bootstrap, function_app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = set(done.stdout.split())
    assert "opentelemetry.trace" in loaded
    assert not {name for name in loaded if name.startswith(("opentelemetry.sdk", "azure.monitor"))}
