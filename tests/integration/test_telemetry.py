"""OpenTelemetry switched on, over real HTTP: what arrives at Application Insights' place, and what must not."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import pytest
import requests

from infra.local.cloud import LocalCloud
from infra.local.sandbox.server import Reply, Request, Server
from tests.integration.accounts import BrevoAccount, SendGridAccount
from tests.integration.conftest import FAULTS, SETTINGS
from tests.integration.desk import SIGNED_IN, LiveExport, Operator
from tests.integration.segments import PRIVATE, Person

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CALLERS_TRACE = "0af7651916cd43dd8448eb211c80319c"
OPERATION, PARENT, ROLE = "ai.operation.id", "ai.operation.parentId", "ai.cloud.role"
#: Longest wait for what has been recorded to arrive.
WITHIN_S = 60.0
PAUSE_S = 0.2

Envelope = dict[str, Any]


class Ingestion:
    """Takes in what is sent to Application Insights, and says that all of it was good.

    https://learn.microsoft.com/rest/api/application-insights/track
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._bodies: list[bytes] = []
        self._server = Server(self._take)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    @property
    def envelopes(self) -> list[Envelope]:
        with self._lock:
            return [envelope for body in self._bodies for envelope in json.loads(body)]

    def of(self, kind: str) -> list[Envelope]:
        """Data of one kind."""
        return [envelope for envelope in self.envelopes if envelope["data"]["baseType"] == kind]

    def until(self, arrived: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not arrived():
            assert time.monotonic() < deadline, sorted({name(envelope) for envelope in self.envelopes})
            time.sleep(PAUSE_S)

    def _take(self, request: Request) -> Reply:
        packed = request.headers.get("Content-Encoding") == "gzip"
        body = gzip.decompress(request.body) if packed else request.body
        with self._lock:
            self._bodies.append(body)
        count = len(json.loads(body))
        return Reply.json({"itemsReceived": count, "itemsAccepted": count, "errors": []})


@pytest.fixture(scope="module")
def ingestion() -> Iterator[Ingestion]:
    ingestion = Ingestion()
    yield ingestion
    ingestion.close()


@pytest.fixture(scope="module")
def cloud(ingestion: Ingestion, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    place = f"IngestionEndpoint={ingestion.url}/;LiveEndpoint={ingestion.url}/"
    settings = SETTINGS | {
        "PYTHON_ENABLE_OPENTELEMETRY": "true",
        "AzureFunctionsJobHost__telemetryMode": "OpenTelemetry",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey=00000000-0000-0000-0000-000000000001;{place}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_BLRP_SCHEDULE_DELAY": "200",
        "TMPDIR": str(tmp_path_factory.mktemp("unsent")),
    }
    with LocalCloud(hosts=2, logs=tmp_path_factory.mktemp("logs"), settings=settings, faults=FAULTS) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def export(cloud: LocalCloud) -> LiveExport:
    accounts = {
        "sendgrid": SendGridAccount(cloud.sendgrid_url, cloud.sendgrid_key),
        "brevo": BrevoAccount(cloud.brevo_url, cloud.brevo_key),
    }
    people: list[Person] = [{"EMail": f"{name}@traced.{PRIVATE}", "FirstName": name} for name in ("zdenka", "yves")]
    return Operator(cloud, accounts).export("sendgrid", people)


@pytest.fixture(scope="module")
def run(cloud: LocalCloud, export: LiveExport, ingestion: Ingestion) -> dict[str, Any]:
    """A run that a call with a trace of its own has started, once all of it has arrived."""
    started = requests.post(
        f"{cloud.host_urls[0]}{export.address}", headers={**SIGNED_IN, "traceparent": CALLER}, timeout=30
    )
    run = export.verdict(started)
    assert run["status"] == "successful"
    ended = f"action=finish outcome=successful export={export.id} run_id={run['id']}"
    ingestion.until(lambda: any(text(envelope).startswith(ended) for envelope in ingestion.of("MessageData")))
    return run


def name(envelope: Envelope) -> str:
    return str(envelope["data"]["baseData"].get("name"))


def text(envelope: Envelope) -> str:
    return str(envelope["data"]["baseData"].get("message"))


def keys(envelope: Envelope) -> dict[str, str]:
    return dict(envelope["data"]["baseData"].get("properties") or {})


def about(ingestion: Ingestion, run: dict[str, Any], kind: str) -> list[Envelope]:
    return [envelope for envelope in ingestion.of(kind) if keys(envelope).get("run_id") == run["id"]]


def test_a_run_is_one_operation_from_the_call_to_the_provider_s_requests(ingestion, run):
    def calls() -> list[Envelope]:
        known = ingestion.of("RemoteDependencyData")
        return [envelope for envelope in known if name(envelope) == "POST /exports/{export}/runs"]

    # Two steps of the run itself: the one that plans and the one that ends it.
    ingestion.until(lambda: bool(calls()) and len(about(ingestion, run, "RequestData")) >= 4)
    (call,) = calls()
    steps = about(ingestion, run, "RequestData")
    asked = about(ingestion, run, "RemoteDependencyData")

    assert {name(step) for step in steps} == {"move run", "send batch", "poll batch"}
    assert {"start run", "PUT /v3/marketing/contacts"} <= {name(envelope) for envelope in asked}
    assert {envelope["tags"][OPERATION] for envelope in [*steps, *asked, call]} == {CALLERS_TRACE}
    (start,) = [envelope for envelope in asked if name(envelope) == "start run"]
    assert start["tags"][PARENT] == call["data"]["baseData"]["id"]
    assert {step["tags"][PARENT] for step in steps} == {start["data"]["baseData"]["id"]}


def test_a_provider_s_request_says_which_batch_it_was_for(ingestion, run, export, cloud):
    def imports() -> list[Envelope]:
        asked = about(ingestion, run, "RemoteDependencyData")
        return [envelope for envelope in asked if name(envelope) == "PUT /v3/marketing/contacts"]

    ingestion.until(lambda: bool(imports()))
    (sent,) = imports()

    told = sent["data"]["baseData"]
    assert (keys(sent)["export"], keys(sent)["batch"], keys(sent)["provider"]) == (export.id, "0", "sendgrid")
    place = cloud.sendgrid_url.removeprefix("http://")
    assert (told["resultCode"], told["success"], told["target"]) == ("202", True, place)
    assert told["data"] == f"{cloud.sendgrid_url}/v3/marketing/contacts"


def test_lines_of_the_log_are_part_of_the_operation_with_their_keys_as_dimensions(ingestion, run, export):
    actions = {"start", "plan", "send", "batch", "finish"}  # of its steps; a tick that looks at it has its own trace
    lines = [line for line in about(ingestion, run, "MessageData") if keys(line)["action"] in actions]

    assert {keys(line)["action"] for line in lines} == actions
    assert {line["tags"][OPERATION] for line in lines} == {CALLERS_TRACE}
    (sent,) = [line for line in lines if keys(line)["action"] == "send"]
    assert (keys(sent)["outcome"], keys(sent)["export"], keys(sent)["batch"]) == ("accepted", export.id, "0")
    assert text(sent).startswith("action=send outcome=accepted ")


def test_each_host_says_that_it_is_the_app(ingestion, run):
    assert {envelope["tags"][ROLE] for envelope in ingestion.envelopes} == {"segment-exporter"}


def test_nothing_but_spans_and_lines_is_sent(ingestion, run):
    kinds = {envelope["data"]["baseType"] for envelope in ingestion.envelopes}
    names = {name(envelope).partition(" ")[0] for envelope in ingestion.of("RemoteDependencyData")}

    assert kinds == {"RequestData", "RemoteDependencyData", "MessageData"}
    assert names <= {"tick", "start", "GET", "POST", "PUT"}


def test_nothing_of_a_person_and_no_secret_is_in_what_is_sent(ingestion, run, cloud):
    sent = json.dumps(ingestion.envelopes)

    private = [PRIVATE, "zdenka", "yves", "operator@example.com", "AccountKey", cloud.sendgrid_key, cloud.function_key]
    assert not [word for word in private if word in sent]
    assert "@" not in sent
    assert "http://" not in sent.replace("http://127.0.0.1", "")
