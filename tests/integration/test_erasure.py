"""A person is looked up and erased over HTTP, in blobs and queues of Azurite, and the audit trail tells of it."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from tests.integration.accounts import eventually
from tests.integration.desk import SIGNED_IN, LiveExport, Operator

#: Of a domain that no other test has: they look for theirs where an address must not be.
DOMAIN = f"{uuid4().hex}.example.com"
ANN, BO, CY = (f"{name}@{DOMAIN}" for name in ("ann", "bo", "cy"))
AS_APPLICATION = {"Authorization": "Bearer application:Administrator:pipeline"}


def call(export: LiveExport, method: str, path: str, **request: object) -> requests.Response:
    return requests.request(method, export.cloud.host_urls[0] + path, headers=SIGNED_IN, timeout=60, **request)


@pytest.fixture
def export(operator: Operator) -> LiveExport:
    """An export that has delivered two people, and has somebody among its rejects."""
    people = [{"EMail": email, "FirstName": "F"} for email in (ANN, BO, ANN)]
    export = operator.export("sendgrid", people, mode="mirror", brakes={"max_share_removed": 1})
    assert export.run()["sums"]["delivered"] == 2
    return export


def test_a_person_is_looked_up_and_erased_from_files_in_azurite(export: LiveExport, logs: Path):
    found = call(export, "POST", "/api/people/data", json={"email": ANN.upper(), "reason": "request 1"})
    assert found.status_code == 200, found.text
    assert sorted(one["kind"] for one in found.json()["found"]) == ["ledger", "rejects"]
    assert found.json()["next"] is None

    begun = call(export, "POST", "/api/people/erasures", json={"email": ANN, "reason": "request 2"})
    assert begun.status_code == 202, begun.text
    address = begun.headers["Location"]
    try:
        eventually(lambda: erased(export, address) == {"ledger": 1, "rejects": 1})
    finally:  # it waits for a quarter of an hour after the last run, and these tests do not
        export.cloud.state.delete_blob(f"erasures/people/{begun.json()['id']}.json")

    assert call(export, "POST", "/api/people/data", json={"email": ANN}).json()["found"] == []
    assert len(call(export, "POST", "/api/people/data", json={"email": BO}).json()["found"]) == 1
    export.deliver([{"EMail": email, "FirstName": "F"} for email in (BO, CY)])
    after = export.run()
    assert (after["status"], after["sums"]["added"], after["sums"]["unchanged"]) == ("successful", 1, 1)
    assert after["removal"] is None
    words = [text for log in logs.rglob("*") if log.is_file() and DOMAIN in (text := log.read_text(errors="replace"))]
    assert words == []


def erased(export: LiveExport, address: str) -> dict[str, int]:
    exports = {one["export"]: one for one in call(export, "GET", address).json()["exports"]}
    return dict(exports[export.id]["erased"]) if export.id in exports else {}


def test_the_trail_tells_of_it_and_names_nobody(export: LiveExport):
    call(export, "POST", "/api/people/data", json={"email": CY, "reason": f"for {CY}"})

    page = call(export, "GET", "/api/audit", params={"action": "person looked up", "caller": "operator@example.com"})

    assert page.status_code == 200, page.text
    item = page.json()["items"][0]
    assert (item["subject"], item["result"], item["reason"]) == ("/people/data", "done", "for [hidden]")
    lines = call(export, "GET", "/api/audit", params={"format": "csv"})
    assert lines.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert DOMAIN not in lines.text
    assert DOMAIN not in json.dumps(page.json())


def test_an_application_may_read_the_trail_and_ask_for_nobody(export: LiveExport):
    url = export.cloud.host_urls[0]

    assert requests.get(f"{url}/api/audit", headers=AS_APPLICATION, timeout=30).status_code == 200
    for path in ("/api/people/data", "/api/people/erasures"):
        answer = requests.post(url + path, headers=AS_APPLICATION, json={"email": CY}, timeout=30)
        assert answer.status_code == 403, answer.text
