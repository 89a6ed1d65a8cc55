"""Messages and documents that nobody can read end with a reason, and everything else goes on."""

import base64
import json

import pytest
from azure.storage.queue import QueueClient

from tests.integration.accounts import eventually
from tests.integration.desk import Operator
from tests.integration.segments import HOSTILE, PRIVATE, Person

QUEUES = ("plan-runs", "send-batches", "poll-jobs", "notify")
STRANGE = json.dumps({"export": f"../{HOSTILE}", "run": f"mallory@{HOSTILE}", "batch": -1})


@pytest.fixture
def customers() -> list[Person]:
    return [{"EMail": f"{name}@poison.{PRIVATE}", "FirstName": name} for name in ("ann", "bo")]


def put(operator: Operator, queue: str, body: str) -> None:
    """Put a message on a queue as the app would."""
    client: QueueClient = operator.cloud.queues.get_queue_client(queue)
    client.send_message(base64.b64encode(body.encode()).decode())


def test_a_hostile_message_is_dropped_after_its_tries_and_the_app_goes_on(operator: Operator, customers):
    export = operator.export("sendgrid", customers)
    for queue in QUEUES:
        put(operator, queue, STRANGE)

    assert export.run()["status"] == "successful"
    names = [name for queue in QUEUES for name in (queue, f"{queue}-poison")]
    eventually(lambda: [operator.messages(name) for name in names] == [0] * len(names))
    assert export.run()["status"] == "successful"


def test_a_run_whose_document_is_broken_frees_its_export(operator: Operator, customers):
    export = operator.export("sendgrid", customers)
    document = operator.read_state(f"config/exports/{export.id}.json")
    run = "79738877939999999-00000000"
    operator.write_state(f"runs/{export.id}/{run}/run.json", json.dumps(document))
    state = {"export": export.id, "active": {"run": run, "trigger": "on demand", "since": "2026-11-22T06:00:00Z"}}
    operator.write_state(f"state/exports/{export.id}.json", json.dumps(state))
    refused = export.start()
    put(operator, "plan-runs", json.dumps({"export": export.id, "run": run}))

    assert refused.status_code == 422
    assert f"runs/{export.id}/{run}/run.json cannot be used" in refused.json()["detail"]
    eventually(lambda: operator.read_state(f"state/exports/{export.id}.json")["active"] is None)
    assert export.run()["status"] == "successful"
