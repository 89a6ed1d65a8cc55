"""Starting runs over HTTP: one run for one cause, however often and wherever it is asked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import requests

from infra.local.host.front import claims_of, principal_header
from tests.integration.desk import SIGNED_IN, LiveExport, Operator, sums
from tests.integration.segments import PRIVATE, Person

THREADS = 10


@pytest.fixture
def customers() -> list[Person]:
    return [{"EMail": f"{name}@start.{PRIVATE}", "FirstName": name} for name in ("ann", "bo")]


def together(export: LiveExport, keys: list[str | None]) -> list[requests.Response]:
    """Start runs from as many threads, at the same moment, at both hosts by turns."""
    gate = threading.Barrier(len(keys))

    def start(number: int) -> requests.Response:
        gate.wait()
        return export.start(key=keys[number], host=number % 2)

    with ThreadPoolExecutor(len(keys)) as threads:
        return list(threads.map(start, range(len(keys))))


def problem(answer: requests.Response) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = dict(answer.json())
    assert body["status"] == answer.status_code
    return body


def test_a_start_answers_at_once_where_the_run_is_and_when_to_look(operator: Operator, customers):
    export = operator.export("sendgrid", customers)

    answer = export.start()

    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "5")
    assert answer.headers["Location"] == f"/api/runs/{export.id}/{answer.json()['id']}"
    assert (answer.json()["status"], answer.json()["sums"]) == ("queued", None)
    assert export.verdict(answer)["trigger"] == "on demand"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/exports/any/runs"),
        ("POST", "/api/exports/any/preview"),
        ("POST", "/api/exports/any/preview/unmasked"),
        ("GET", "/api/runs/any/79738877939999999-00000000"),
        ("POST", "/api/runs/any/79738877939999999-00000000/approve"),
        ("POST", "/api/runs/any/79738877939999999-00000000/reject"),
    ],
)
def test_nothing_answers_whom_the_platform_has_not_signed_in(operator: Operator, method, path):
    principal = principal_header(claims_of("person", ["Administrator"], "Eve"))
    comers = [
        {},
        {"Authorization": "Bearer stolen"},
        {"X-MS-CLIENT-PRINCIPAL": principal, "X-MS-CLIENT-PRINCIPAL-IDP": "aad"},
        {"x-functions-key": operator.cloud.function_key},
    ]

    answers = [
        requests.request(method, operator.cloud.host_urls[1] + path, headers=headers, timeout=10) for headers in comers
    ]

    assert [answer.status_code for answer in answers] == [401] * 4


def test_the_key_opens_its_own_door_and_what_that_answers(operator: Operator, customers):
    export = operator.export("sendgrid", customers)
    url, key = operator.cloud.host_urls[0], {"x-functions-key": operator.cloud.function_key}
    address = f"{url}/api/automation/exports/{export.id}/runs"

    started = requests.post(address, headers=key, timeout=30)
    shown = requests.get(url + started.headers["Location"], headers=key, timeout=30)

    assert [requests.post(address, headers=headers, timeout=30).status_code for headers in ({}, SIGNED_IN)] == [
        401,
        401,
    ]
    assert (started.status_code, shown.status_code) == (202, 200)
    assert started.headers["Location"] == f"/api/automation/runs/{export.id}/{shown.json()['id']}"
    export.verdict_of(shown.json())


def test_health_needs_no_key(operator: Operator):
    assert [requests.get(f"{url}/api/health", timeout=10).status_code for url in operator.cloud.host_urls] == [200, 200]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/api/exports/none/runs", "no-such-export"),
        ("POST", "/api/exports/Not_an_id/runs", "no-such-export"),
        ("GET", "/api/runs/none/79738877939999999-00000000", "no-such-run"),
        ("GET", "/api/runs/none/latest", "no-such-run"),
    ],
)
def test_what_is_not_there_is_a_problem_of_its_own(operator: Operator, method, path, name):
    answer = requests.request(method, operator.cloud.host_urls[0] + path, headers=SIGNED_IN, timeout=10)

    assert answer.status_code == 404
    assert problem(answer)["type"] == f"urn:segment-exporter:problem:{name}"


@pytest.mark.parametrize(
    ("key", "body", "status", "named"),
    [
        (None, {"full": "yes"}, 400, "full: must be true or false"),
        (None, {"fast": True}, 400, "fast: is unknown"),
        (None, [], 400, "must be an object"),
        ("with blanks in it", None, 422, "visible ASCII"),
        ("k" * 256, None, 422, "1 to 255"),
    ],
)
def test_a_request_that_cannot_be_used_starts_nothing_and_says_why(
    operator: Operator, customers, key, body, status, named
):
    export = operator.export("sendgrid", customers)

    answer = export.start(key=key, body=body)

    assert answer.status_code == status
    assert named in problem(answer)["detail"]
    assert export.runs() == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"connection": "none"}, "uses the connection none, which does not exist"),
        ({"mapping": {"first_name": "FirstName"}}, "mapping.email: is missing"),
        ({"schedule": {"cron": "0 6 * * *", "time_zone": "Zagreb"}}, "'Zagreb' is not an IANA time zone"),
    ],
)
def test_an_export_that_cannot_run_says_what_to_change(operator: Operator, customers, changes, named):
    export = operator.export("sendgrid", customers, **changes)

    answer = export.start()

    assert answer.status_code == 422
    assert named in problem(answer)["detail"]
    assert export.runs() == []


def test_ten_callers_at_once_start_one_run_and_the_others_learn_its_address(operator: Operator, customers):
    export = operator.export("sendgrid", customers)

    answers = together(export, [None] * THREADS)

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * (THREADS - 1)
    started = next(answer for answer in answers if answer.status_code == 202)
    refused = [answer for answer in answers if answer.status_code == 409]
    assert {answer.headers["Location"] for answer in refused} == {started.headers["Location"]}
    assert {problem(answer)["run"] for answer in refused} == {started.headers["Location"]}
    run = export.verdict(started)
    assert export.runs() == [run["id"]]
    assert sums(run) == (2, 0, 0, 0, 2, 2, 0, 0)


def test_one_idempotency_key_is_one_run_whoever_repeats_it_and_whenever(operator: Operator, customers):
    export, key = operator.export("sendgrid", customers), uuid4().hex

    answers = together(export, [key] * THREADS)
    run = export.verdict(answers[0])
    late = export.start(key=key)

    assert {answer.status_code for answer in answers} == {202}
    assert {answer.headers["Location"] for answer in [*answers, late]} == {f"/api/runs/{export.id}/{run['id']}"}
    assert late.json()["status"] == "successful"
    assert export.runs() == [run["id"]]
    assert run["requests"] == 1

    other = export.start(key=key, body={"full": True})
    assert (other.status_code, problem(other)["type"]) == (422, "urn:segment-exporter:problem:idempotency-key")
