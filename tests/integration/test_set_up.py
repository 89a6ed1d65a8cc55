"""From nothing to people on a list over HTTP alone: a connection, a list, an export, a run; then all goes again."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import requests

from infra.local.cloud import LocalCloud
from tests.integration.accounts import Account
from tests.integration.desk import SIGNED_IN, LiveExport, Operator
from tests.integration.segments import PRIVATE, Layout, Person, upload

PROVIDERS = ("sendgrid", "brevo")
CONTRIBUTOR = {"Authorization": "Bearer person:Contributor:cara@example.com"}

Call = Callable[..., requests.Response]


@pytest.fixture
def customers() -> list[Person]:
    return [{"EMail": f"{name}@setup.{PRIVATE}", "FirstName": name} for name in ("anna", "bo", "cy")]


@pytest.fixture
def call(running: LocalCloud) -> Call:
    """A request to either host in turns: what one has saved the other one knows."""
    urls = running.host_urls
    made: list[str] = []

    def send(method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        made.append(path)
        url = urls[len(made) % len(urls)] + path
        named = SIGNED_IN | {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, url, json=body, headers=named, timeout=60)

    return send


def connect(call: Call, cloud: LocalCloud, provider: str, *, name: str) -> None:
    """A connection of its own to the provider's account."""
    consent = call("GET", "/api/providers").json()["consent"]["version"]
    key = {"sendgrid": cloud.sendgrid_key, "brevo": cloud.brevo_key}[provider]
    body = {
        "id": name,
        "provider": provider,
        "display_name": f"{provider}, marketing",
        "key": key,
        "account": name,
        "consent": {"accepted": True, "version": consent},
    }
    answer = call("POST", "/api/connections", body)
    assert answer.status_code == 201, answer.text
    assert key not in answer.text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_export_is_set_up_run_and_removed_over_http(
    running: LocalCloud, operator: Operator, call: Call, customers: list[Person], provider: str
):
    name = f"s{uuid4().hex[:10]}"
    segment = upload(running.segments, name, customers, layout=Layout.MODEL_AND_HEADERS)
    account: Account = operator.accounts[provider]

    connect(call, running, provider, name=name)
    list_id = call("POST", f"/api/connections/{name}/lists", {"name": f"List {name}"}).json()["id"]
    settings = {"name": f"Export {name}", "connection": name, "segments": [segment], "list_id": list_id}
    wrong = call(
        "POST", "/api/exports", settings | {"id": name, "mapping": {"email": "E-Mails", "custom": {"Tear": "EMail"}}}
    )
    assert wrong.status_code == 422, wrong.text
    faults = {fault["field"]: fault["message"] for fault in wrong.json()["faults"]}
    assert set(faults) == {"mapping.email", "mapping.custom.Tear"}
    assert "did you mean EMail?" in faults["mapping.email"]

    mapping = {"email": "EMail", "first_name": "FirstName"}
    made = call("POST", "/api/exports", settings | {"id": name, "mapping": mapping, "schedule": {"kind": "off"}})
    assert made.status_code == 201, made.text
    assert made.json()["profiles"] == [{"segment": segment, "profiles": 3, "exact": True}]

    export = LiveExport(
        cloud=running, account=account, id=name, name=name, list_id=list_id, layout=Layout.MODEL_AND_HEADERS
    )
    assert export.run()["sums"]["delivered"] == 3
    assert sorted(export.emails()) == sorted(person["EMail"] for person in customers)
    [row] = call("GET", f"/api/exports?search={name}").json()["items"]
    assert (row["status"], row["connection_name"]) == ("Successful", f"{provider}, marketing")

    check_changes(call, name, made.headers["ETag"])
    check_end(call, running, name)


def check_changes(call: Call, name: str, etag: str) -> None:
    """Two people change it at once; it is copied; a contributor sees it and cannot change it."""
    settings = call("GET", f"/api/exports/{name}").json()["settings"]
    first = call("PUT", f"/api/exports/{name}", settings | {"name": "Renamed"}, If_Match=etag)
    second = call("PUT", f"/api/exports/{name}", settings | {"name": "Lost"}, If_Match=etag)
    assert (first.status_code, second.status_code) == (200, 412), second.text
    assert call("GET", f"/api/exports/{name}").json()["settings"]["name"] == "Renamed"
    assert call("GET", f"/api/exports/{name}", **CONTRIBUTOR).json()["permission"] == "view"
    assert call("PUT", f"/api/exports/{name}", settings, If_Match="*", **CONTRIBUTOR).status_code == 403
    copy = call("POST", f"/api/exports/{name}/duplicate")
    assert (copy.status_code, copy.json()["settings"]["schedule"]) == (201, {"kind": "off"})
    gone = call("DELETE", copy.headers["Location"], If_Match=copy.headers["ETag"])
    assert gone.status_code == 204, gone.text


def check_end(call: Call, cloud: LocalCloud, name: str) -> None:
    """It is detached, attached again and removed; only its history stays."""
    assert call("POST", f"/api/exports/{name}/detach").json()["connection_name"] == "No connection"
    assert call("POST", f"/api/exports/{name}/runs").status_code == 422
    attached = call("POST", f"/api/exports/{name}/attach", {"connection": name}, If_Match="*")
    assert attached.status_code == 200, attached.text
    removed = call("DELETE", f"/api/exports/{name}", If_Match=attached.headers["ETag"])
    assert removed.status_code == 204, removed.text
    assert call("GET", f"/api/exports/{name}").status_code == 404
    left = {blob.split("/")[0] for blob in cloud.state.list_blob_names() if f"{name}/" in blob or f"/{name}." in blob}
    assert "ledgers" not in left
    assert "runs" in left
