"""A list is changed behind the app's back, reconciled, repaired and taken back, over HTTP against both sandboxes."""

import csv
import io
from collections.abc import Callable, Mapping

import pytest
import requests

from infra.local.cloud import LocalCloud
from tests.integration.accounts import eventually
from tests.integration.desk import SIGNED_IN, LiveExport, Operator
from tests.integration.segments import PRIVATE, Person


def person(name: str) -> Person:
    return {"EMail": address(name), "FirstName": name.title()}


def address(name: str) -> str:
    return f"{name}@reconcile.{PRIVATE}"


def call(
    export: LiveExport, method: str, path: str, headers: Mapping[str, str] | None = None, **request: object
) -> requests.Response:
    sent = {**SIGNED_IN, **(headers or {})}
    return requests.request(method, export.cloud.host_urls[1] + path, headers=sent, timeout=30, **request)


def take_off_sendgrid(cloud: LocalCloud, list_id: str, email: str) -> None:
    headers, contacts = {"Authorization": f"Bearer {cloud.sendgrid_key}"}, f"{cloud.sendgrid_url}/v3/marketing"
    found = requests.post(
        f"{contacts}/contacts/search/emails", json={"emails": [email]}, headers=headers, timeout=10
    ).json()
    contact_id = found["result"][email]["contact"]["id"]
    taken = requests.delete(
        f"{contacts}/lists/{list_id}/contacts", params={"contact_ids": contact_id}, headers=headers, timeout=10
    )
    assert taken.status_code == 202, taken.text


def take_off_brevo(cloud: LocalCloud, list_id: str, email: str) -> None:
    url = f"{cloud.brevo_url}/v3/contacts/lists/{list_id}/contacts/remove"
    taken = requests.post(url, json={"emails": [email]}, headers={"api-key": cloud.brevo_key}, timeout=10)
    assert taken.status_code == 201, taken.text


TAKE_OFF: dict[str, Callable[[LocalCloud, str, str], None]] = {"sendgrid": take_off_sendgrid, "brevo": take_off_brevo}


@pytest.mark.parametrize("provider", ["sendgrid", "brevo"])
def test_drift_is_found_and_repaired_and_a_wrong_segment_is_undone(operator: Operator, provider):
    names = ("ann", "bo", "cy")
    export = operator.export(provider, [person(name) for name in names], brakes={"max_share_removed": 1})
    good = export.run()
    assert good["status"] == "successful"
    TAKE_OFF[provider](export.cloud, export.list_id, address("bo"))
    eventually(lambda: address("bo") not in export.emails())
    other = operator.export(provider, [person("zoe")], list_id=export.list_id)
    assert other.run()["status"] == "successful"

    found = export.verdict(call(export, "POST", f"/api/exports/{export.id}/reconciliations"))

    assert found["status"] == "completed_with_warnings"
    assert {word: found["drift"][word] for word in ("known", "listed", "both", "missing", "strangers", "unsure")} == {
        "known": 3,
        "listed": 3,
        "both": 2,
        "missing": 1,
        "strangers": 1,
        "unsure": 0,
    }
    downloaded = call(export, "GET", found["drift"]["people"], headers={"Accept": "text/csv"})
    assert downloaded.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = csv.DictReader(io.StringIO(downloaded.content.decode("utf-8-sig"), newline=""))
    assert {row["email"]: row["kind"] for row in rows} == {address("bo"): "missing", address("zoe"): "stranger"}

    repaired = export.verdict(call(export, "POST", found["drift"]["repair"]))

    assert (repaired["status"], repaired["sums"]["planned"]) == ("successful", 1)
    assert sorted(export.emails()) == sorted(map(address, ("ann", "bo", "cy", "zoe")))
    assert call(export, "POST", found["drift"]["repair"]).json()["id"] == repaired["id"]

    export.cloud.state.delete_blob(f"config/exports/{other.id}.json")
    export.deliver([person("ann"), person("dan")])
    assert export.run()["sums"]["added"] == 1
    undone = export.verdict(call(export, "POST", f"/api/exports/{export.id}/undo", json={"run": repaired["id"]}))

    assert undone["status"] == "successful"
    assert undone["removal"]["removed"] == 1
    eventually(lambda: sorted(export.emails()) == sorted(map(address, ("ann", "bo", "cy", "zoe"))))
