"""Notifications from real hosts to a real receiver."""

import base64
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from infra.local.sandbox.server import Reply
from tests.integration.accounts import eventually
from tests.integration.desk import LiveExport, Operator
from tests.integration.receiver import Receiver
from tests.integration.segments import PRIVATE, Person
from tests.world_receiver import is_signed

OK = Reply(status=204)
KEY = secrets.token_bytes(32)
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
def customers() -> list[Person]:
    return [{"EMail": f"{name}@notify.{PRIVATE}", "FirstName": name} for name in ("ann", "bo")]


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[int], Reply]], Receiver]]:
    """Starts a receiver that answers as it is told."""
    started: list[Receiver] = []

    def start(answer: Callable[[int], Reply]) -> Receiver:
        started.append(Receiver(answer))
        return started[-1]

    yield start
    for receiver in started:
        receiver.close()


@pytest.fixture
def signing(operator: Operator) -> str:
    """Name of a secret in the vault that the receivers of these tests know."""
    name = f"signing-{uuid4().hex[:8]}"
    operator.cloud.write_secret(name, SECRET)
    return name


def outbox(operator: Operator, export: LiveExport) -> list[dict]:
    names = operator.cloud.state.list_blob_names(name_starts_with=f"notifications/{export.id}/")
    return [operator.read_state(name) for name in names]


def fates(operator: Operator, export: LiveExport) -> list[str]:
    return [document["fate"] for document in outbox(operator, export)]


def test_an_end_is_told_again_until_the_receiver_takes_it(operator: Operator, customers, signing, listen):
    receiver = listen(lambda number: Reply(status=500, body=b"away") if number == 0 else OK)
    export = operator.export("sendgrid", customers, notify={"url": receiver.url, "secret": signing})

    run = export.run()
    first, second = receiver.wait_for(2)
    eventually(lambda: fates(operator, export) == ["delivered"])

    assert all(is_signed(post.headers, post.body, KEY) for post in (first, second))
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert first.headers["webhook-timestamp"] < second.headers["webhook-timestamp"]
    assert 4.5 <= second.at - first.at <= 20
    told = second.json
    assert (told["type"], told["timestamp"]) == ("run.ended", run["finished"])
    assert {name: told["data"][name] for name in ("run", "status", "sums")} == {
        "run": run["id"],
        "status": "successful",
        "sums": run["sums"],
    }
    assert export.show(told["data"]["address"]) == run
    assert PRIVATE not in second.body.decode()
    (document,) = outbox(operator, export)
    assert [made["status"] for made in document["tries"]] == [500, 204]


def test_a_held_run_is_told_and_its_end_after_the_approval_too(operator: Operator, customers, signing, listen):
    receiver = listen(lambda number: OK)
    export = operator.export(
        "sendgrid", customers, brakes={"max_profiles": 1}, notify={"url": receiver.url, "secret": signing}
    )

    run = export.held(export.start())
    (held,) = receiver.wait_for(1)
    export.verdict_of(export.decide(run, "approve"))
    _, ended = receiver.wait_for(2)

    assert (held.json["type"], ended.json["type"]) == ("run.held", "run.ended")
    (brake,) = held.json["data"]["brakes"]
    assert (brake["kind"], brake["value"], brake["limit"]) == ("provider_limit", 2, 1)
    assert held.headers["webhook-id"] != ended.headers["webhook-id"]
    assert ended.json["data"]["status"] == "successful"


def test_a_failure_and_the_recovery_from_it_are_told(operator: Operator, customers, signing, listen):
    receiver = listen(lambda number: OK)
    key = f"key-{uuid4().hex[:8]}"
    operator.cloud.write_secret(key, "not-the-key")
    export = operator.export(
        "sendgrid", customers, secret=key, notify={"url": receiver.url, "secret": signing, "on": ["recovered", "ended"]}
    )

    failed = export.run()
    operator.cloud.write_secret(key, operator.cloud.sendgrid_key)
    export.run()
    first, second = receiver.wait_for(2)

    assert (failed["status"], first.json["type"], second.json["type"]) == ("failed", "run.ended", "run.recovered")
    assert first.json["data"]["reason"] == failed["reason"]
    assert second.json["data"]["previous_status"] == "failed"
    assert second.json["data"]["failing_since"] == f"/api/runs/{export.id}/{failed['id']}"


def test_a_secret_that_comes_late_signs_the_next_try(operator: Operator, customers, listen, logs: Path):
    receiver = listen(lambda number: OK)
    name = f"late-{uuid4().hex[:8]}"
    export = operator.export("sendgrid", customers, notify={"url": receiver.url, "secret": name})

    export.run()
    eventually(lambda: any(document["tries"] for document in outbox(operator, export)))
    assert receiver.posts == []
    operator.cloud.write_secret(name, SECRET)
    (post,) = receiver.wait_for(1)

    assert is_signed(post.headers, post.body, KEY)
    assert f"The vault has no secret named {name}" in outbox(operator, export)[0]["tries"][0]["words"]
    text = "".join(path.read_text(errors="replace") for path in logs.rglob("*") if path.is_file())
    assert f"run_id={post.json['data']['run']}" in text
    assert SECRET.removeprefix("whsec_") not in text


def test_a_redirect_is_not_followed(operator: Operator, customers, signing, listen):
    redirect = Reply(status=307, headers={"Location": "/hooks/2"})
    receiver = listen(lambda number: redirect if number == 0 else OK)
    export = operator.export("sendgrid", customers, notify={"url": receiver.url, "secret": signing})

    export.run()
    posts = receiver.wait_for(2)
    eventually(lambda: fates(operator, export) == ["delivered"])

    assert [post.path for post in posts] == ["/hooks/1", "/hooks/1"]
    assert "redirects are not followed" in outbox(operator, export)[0]["tries"][0]["words"]


def test_a_receiver_that_hangs_holds_up_nothing_else_and_is_tried_again(operator: Operator, customers, signing, listen):
    receiver: Receiver

    def hang_once(number: int) -> Reply:
        if number == 0:
            receiver.closing.wait(60)
        return OK

    receiver = listen(hang_once)
    export = operator.export("sendgrid", customers, notify={"url": receiver.url, "secret": signing})

    export.run()
    receiver.wait_for(1)
    assert export.run()["status"] == "successful"
    eventually(lambda: sorted(fates(operator, export)) == ["delivered", "delivered"], within_s=60)

    tries = [document["tries"] for document in outbox(operator, export) if len(document["tries"]) == 2]
    assert [[made["status"] for made in both] for both in tries] == [[None, 204]]
    assert tries[0][0]["words"].startswith("The receiver did not answer in time")


@pytest.mark.parametrize("url", ["http://receiver.example/hooks", "https://ann:word@receiver.example/"])
def test_an_address_that_cannot_be_used_is_said_before_anything_starts(operator: Operator, customers, signing, url):
    export = operator.export("sendgrid", customers, notify={"url": url, "secret": signing})

    refused = export.start()

    assert refused.status_code == 422
    assert "notify.url" in refused.json()["detail"]
    assert "word" not in refused.text.replace("password", "")
    assert export.runs() == []
