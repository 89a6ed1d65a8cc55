"""What a run would do, asked over HTTP: the same numbers as the run, and nobody's name but for those who may see it."""

from typing import Any

import pytest
import requests

from tests.integration.desk import SIGNED_IN, LiveExport, Operator, run_all
from tests.integration.segments import PRIVATE, Person

PROVIDERS = ("sendgrid", "brevo")
VIEWER = {"Authorization": "Bearer person:Viewer:ann@example.com"}


@pytest.fixture
def customers() -> list[Person]:
    people = [{"EMail": f"{name}@preview.{PRIVATE}", "FirstName": name} for name in ("anna", "bo", "cy")]
    return [*people, {"EMail": "no address", "FirstName": "nobody"}]


def preview(export: LiveExport, *, by: dict[str, str] = VIEWER, path: str = "preview", body: Any = None) -> Any:
    url = f"{export.cloud.host_urls[1]}/api/exports/{export.id}/{path}"
    return requests.post(url, headers=by, json=body, timeout=60)


def test_the_preview_of_each_provider_is_what_the_run_then_does(operator: Operator, customers):
    exports = [operator.export(provider, customers) for provider in PROVIDERS]
    traffic = [len(export.account.control.traffic()["imports"]) for export in exports]

    told = [preview(export).json() for export in exports]
    states = [export.runs() for export in exports]
    after = [len(export.account.control.traffic()["imports"]) for export in exports]
    runs = run_all(exports)

    assert states == [[], []]
    assert after == traffic
    for one, run in zip(told, runs, strict=True):
        assert {word: one["sums"][word] for word in ("read", "invalid", "planned", "added")} == {
            "read": 4,
            "invalid": 1,
            "planned": 3,
            "added": 3,
        }
        assert (one["requests"], one["bytes"], one["brakes"]) == (run["requests"], run["bytes"], [])
        assert one["duration"]["minutes"] > 0
        assert [reject["reason"] for reject in one["rejects"]] == ["email_malformed"]
    for export, run in zip(exports, runs, strict=True):
        again = preview(export, body={"full": True}).json()
        assert (again["sums"]["planned"], again["duration"]["measured_by"]) == (
            3,
            f"/api/runs/{export.id}/{run['id']}",
        )


def test_room_in_the_plan_and_the_brake_that_lacks_it_are_told_beforehand(operator: Operator, customers):
    export = operator.export("sendgrid", customers)
    connection = operator.read_state(f"config/connections/{export.id}.json")
    operator.cloud.write_connection(connection | {"plan_contacts": 1})

    told = preview(export).json()
    held = export.held(export.start())
    export.decide(held, "reject")

    assert (told["room"]["plan_contacts"], told["room"]["left"]) == (1, max(0, 1 - told["room"]["account_contacts"]))
    assert [brake["kind"] for brake in told["brakes"]] == ["plan_room"]
    assert held["brakes"] == told["brakes"]
    assert export.contacts() == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_names_are_masked_and_a_viewer_does_not_see_them(operator: Operator, customers, provider):
    export = operator.export(provider, customers)

    masked = preview(export)
    refused = preview(export, path="preview/unmasked")
    shown = preview(export, path="preview/unmasked", by=SIGNED_IN)

    assert masked.json()["contacts"][0] == {"email": "a***@p***.example", "first_name": "a***"}
    assert PRIVATE not in masked.text
    assert refused.status_code == 403
    assert shown.json()["contacts"][0] == {"email": f"anna@preview.{PRIVATE}", "first_name": "anna"}


def test_what_would_fail_the_run_is_a_problem_with_its_words(operator: Operator, customers):
    export = operator.export("sendgrid", customers, mapping={"email": "E-Mail"})

    answer = preview(export)

    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert "column E-Mail is missing (did you mean EMail?)" in answer.json()["detail"]
