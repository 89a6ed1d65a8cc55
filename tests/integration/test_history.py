"""Runs over real HTTP and on Azurite: listed, looked at batch by batch, and proved by a receipt."""

import json
from typing import Any

import jwt
import pytest
import requests

from tests.integration.desk import SIGNED_IN, LiveExport, Operator
from tests.integration.segments import PRIVATE, Person


@pytest.fixture
def customers() -> list[Person]:
    return [{"EMail": f"{name}@history.{PRIVATE}", "FirstName": name} for name in ("ann", "bo", "cy")]


def get(at: LiveExport, path: str, *, host: int = 0, **query: object) -> requests.Response:
    address = f"{at.cloud.host_urls[host]}{path}"
    return requests.get(address, headers=SIGNED_IN, params={**query}, timeout=30)


def pages(at: LiveExport, path: str, **query: object) -> list[dict[str, Any]]:
    """Everything that a list holds, page by page, from both hosts by turns."""
    found: list[dict[str, Any]] = []
    answer, host = get(at, path, **query), 0
    while True:
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next"] is None:
            return found
        host = 1 - host
        answer = get(at, answer.json()["next"], host=host)


@pytest.mark.parametrize("provider", ["sendgrid", "brevo"])
def test_runs_of_an_export_are_listed_newest_first_and_page_by_page(operator: Operator, customers, provider):
    export = operator.export(provider, customers)
    runs = [export.run(host=number % 2) for number in range(3)][::-1]

    found = pages(export, "/api/runs", export=export.id, limit=1)

    assert [row["id"] for row in found] == [run["id"] for run in runs]
    assert [row["sums"]["delivered"] for row in found] == [0, 0, 3]
    assert [row["started_by"] for row in found] == ["operator@example.com"] * 3
    assert pages(export, "/api/runs", export=export.id, status="failed") == []
    everything = pages(export, "/api/runs", limit=200, to=runs[0]["created"])
    assert {run["id"] for run in runs} <= {row["id"] for row in everything}
    since = pages(export, "/api/runs", export=export.id, **{"from": runs[1]["created"]})
    assert [row["id"] for row in since] == [run["id"] for run in runs[:2]]


@pytest.mark.parametrize("provider", ["sendgrid", "brevo"])
def test_a_run_has_its_batches_and_a_receipt_that_both_hosts_sign_with_one_key(operator: Operator, customers, provider):
    exports = [operator.export(provider, customers) for _ in range(2)]
    started = [export.start(host=number) for number, export in enumerate(exports)]
    runs = [export.verdict(answer) for export, answer in zip(exports, started, strict=True)]
    keys = requests.get(f"{operator.cloud.host_urls[0]}/api/receipts/keys", timeout=30).json()

    for export, run in zip(exports, runs, strict=True):
        (batch,) = pages(export, run["batch_list"])
        answers = [get(export, run["receipt"], host=host) for host in (0, 1)]
        assert answers[0].content == answers[1].content
        signed = answers[0].json()["signed"]
        key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(signed)["kid"]]
        receipt = json.loads(jwt.PyJWS().decode(signed, key, algorithms=["EdDSA"]))
        assert (batch["state"], batch["people"], batch["delivered"]) == ("ended", 3, 3)
        assert receipt["batches"][0]["jobs"] == batch["jobs"]
        assert receipt["sums"] == run["sums"]
        assert PRIVATE not in answers[0].text
        assert PRIVATE not in json.dumps(receipt)
    assert len({key["kid"] for key in keys["keys"]}) == len(keys["keys"]) == 1
