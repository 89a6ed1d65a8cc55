"""An operator ends a run and has the rest sent later; connections of one account wait for each other."""

import time
from typing import Any

import pytest
import requests

from tests.integration.accounts import eventually
from tests.integration.desk import SIGNED_IN, LiveExport, Operator, sums
from tests.integration.segments import PRIVATE, Person

PROVIDERS = ("sendgrid", "brevo")
NAMES = ("ann", "bo", "cy", "di")
#: Longer than a canceled run may take to end.
PAUSE_S = 20
#: Longer than two runs need to be planned.
JOB_S = 4


@pytest.fixture
def customers() -> list[Person]:
    return [{"EMail": f"{name}@ended.{PRIVATE}", "FirstName": name} for name in NAMES]


def post(export: LiveExport, address: str, body: object = None) -> requests.Response:
    return requests.post(export.cloud.host_urls[1] + address, headers=SIGNED_IN, json=body, timeout=30)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_run_that_waits_for_its_provider_is_canceled_at_once_and_retried(operator: Operator, customers, provider):
    export = operator.export(provider, customers)
    pause = {"kind": "throttle", "reset_s": PAUSE_S, "route": export.account.import_route}
    export.account.control.faults(next=[pause])
    started = export.start()
    eventually(lambda: export.show(started.headers["Location"])["waiting_until"])
    waits = export.show(started.headers["Location"])
    began = time.monotonic()

    canceled = post(export, waits["cancel"], {"reason": "wrong list"})
    run = export.verdict(started)

    assert canceled.status_code == 200, canceled.text
    assert time.monotonic() - began < PAUSE_S / 2
    assert waits["waiting"]["text"].startswith("waiting for the provider until ")
    assert (run["status"], run["reason"]) == ("canceled", "Canceled: wrong list")
    assert sums(run) == (4, 0, 0, 0, 4, 0, 4, 0)
    assert export.emails() == []
    assert post(export, f"{started.headers['Location']}/cancel").status_code == 200  # as it is

    again = export.verdict(post(export, run["retry"]))

    assert (again["status"], sums(again)) == ("successful", (4, 0, 0, 0, 4, 4, 0, 0))
    assert again["retries"] == started.headers["Location"]
    assert export.emails() == [person["EMail"] for person in customers]
    assert list(export.cloud.state.list_blob_names(name_starts_with=f"staging/{run['id']}")) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_the_provider_has_accepted_is_followed_to_its_end_after_a_cancel(operator: Operator, customers, provider):
    export = operator.export(provider, customers)
    export.account.control.faults(job_delay_s=JOB_S)
    imports = len(export.account.control.traffic()["imports"])
    started = export.start()
    eventually(lambda: len(export.account.control.traffic()["imports"]) > imports)

    assert post(export, f"{started.headers['Location']}/cancel").status_code == 200
    run = export.verdict(started)

    assert (run["status"], sums(run)) == ("canceled", (4, 0, 0, 0, 4, 4, 0, 0))
    assert export.emails() == [person["EMail"] for person in customers]
    assert export.run()["sums"]["unchanged"] == 4


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_retry_sends_whom_the_provider_refused_and_nobody_else(operator: Operator, customers, provider):
    export = operator.export(provider, customers)
    export.account.control.faults(refuse_emails=[customers[2]["EMail"]])
    first = export.run()
    export.account.control.faults()

    second = export.verdict(post(export, first["retry"]))

    assert (first["status"], sums(first)) == ("completed_with_warnings", (4, 0, 0, 0, 4, 3, 1, 0))
    assert (second["status"], sums(second)) == ("successful", (4, 0, 0, 3, 1, 1, 0, 0))
    refused = post(export, f"/api/runs/{export.id}/{second['id']}/retry")
    assert (refused.status_code, refused.json()["title"]) == (409, "The run cannot be retried")


def without_account(operator: Operator, export: LiveExport) -> None:
    """Let the connection of an export say nothing of the account that its key leads to."""
    path = f"config/connections/{export.id}.json"
    document: dict[str, Any] = operator.read_state(path)
    del document["account"]
    operator.cloud.write_connection(document)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_connections_of_one_account_share_a_lane_that_nobody_has_named(operator: Operator, customers, provider):
    exports = [operator.export(provider, customers) for _ in range(2)]
    for export in exports:
        without_account(operator, export)
    exports[0].account.control.faults(job_delay_s=JOB_S)

    started = [export.start() for export in exports]
    if provider == "brevo":  # one import at a time
        eventually(
            lambda: (
                "turn"
                in [
                    (export.show(answer.headers["Location"])["waiting"] or {}).get("reason")
                    for export, answer in zip(exports, started, strict=True)
                ]
            )
        )
    runs = [export.verdict(answer) for export, answer in zip(exports, started, strict=True)]

    assert {run["status"] for run in runs} == {"successful"}
    lanes = [operator.read_state(f"state/accounts/{export.id}.json")["lane"] for export in exports]
    assert lanes[0] == lanes[1]
    assert lanes[0].startswith(f"{provider}-")
