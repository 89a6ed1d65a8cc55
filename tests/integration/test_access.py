"""What is wrong with keys, lists, fields and plans is said before anything is written, and with its remedy."""

from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.integration.desk import SIGNED_IN, Operator, run_all, sums
from tests.integration.segments import PRIVATE, Person

PROVIDERS = ("sendgrid", "brevo")


@pytest.fixture
def customers() -> list[Person]:
    return [{"EMail": f"{name}@access.{PRIVATE}", "FirstName": name} for name in ("ann", "bo", "cy")]


def error(status: int, route: str, times: int = 1) -> dict[str, Any]:
    """A trouble that answers a status."""
    return {"next": [{"kind": "error", "status": status, "route": route, "times": times}]}


def test_a_wrong_key_fails_the_run_and_a_new_one_in_the_vault_is_used_at_once(operator: Operator, customers):
    secrets = {provider: f"key-{uuid4().hex[:8]}" for provider in PROVIDERS}
    for secret in secrets.values():
        operator.cloud.write_secret(secret, "not-the-key")
    exports = [operator.export(provider, customers, secret=secrets[provider]) for provider in PROVIDERS]
    imports = [export.account.control.counts(export.account.import_route) for export in exports]

    # Each host reads the key once, and goes on with the one it knows for ten minutes.
    for host in (0, 1):
        for export in exports:
            run = export.run(host=host)
            assert (run["status"], run["sums"]) == ("failed", None)
            assert "answered 401 to the question for the list: the API key is wrong" in run["reason"]
            assert "not-the-key" not in str(run)
    assert [export.account.control.counts(export.account.import_route) for export in exports] == imports
    assert [export.contacts() for export in exports] == [[], []]

    operator.cloud.write_secret(secrets["sendgrid"], operator.cloud.sendgrid_key)
    operator.cloud.write_secret(secrets["brevo"], operator.cloud.brevo_key)
    assert [run["status"] for run in run_all(exports)] == ["successful", "successful"]


@pytest.mark.parametrize(
    ("provider", "faults", "named"),
    [
        ("sendgrid", {"scopes": ["mail.send"]}, "403 to the question for the list: the API key lacks the"),
        ("brevo", error(403, "GET /v3/contacts/lists/{list_id}"), "403 to the question for the list: the account may"),
        ("brevo", {"ip_blocked": True}, "authorise the app's outbound IP in Brevo's security settings"),
    ],
)  # fmt: skip
def test_a_key_without_rights_fails_the_run_with_its_own_remedy(operator: Operator, customers, provider, faults, named):
    export = operator.export(provider, customers)
    export.account.control.faults(**faults)

    run = export.run()

    assert (run["status"], run["sums"]) == ("failed", None)
    assert named in run["reason"]
    assert export.contacts() == []


def test_a_vault_that_refuses_is_named_with_the_role_that_is_missing(operator: Operator, customers, vault):
    secret = f"key-{uuid4().hex[:8]}"
    export = operator.export("sendgrid", customers, secret=secret)
    missing = export.run()
    operator.cloud.write_secret(secret, operator.cloud.sendgrid_key)
    vault.faults(forbidden=True)
    forbidden = export.run()

    assert f"The vault has no secret named {secret}: create it" in missing["reason"]
    assert "the role on the vault that docs/identity.md names" in forbidden["reason"]
    assert export.contacts() == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_unknown_list_fails_the_run(operator: Operator, customers, provider):
    list_id = operator.accounts[provider].unknown_list_id
    export = operator.export(provider, customers, list_id=list_id)

    run = export.run()

    assert (run["status"], run["sums"]) == ("failed", None)
    assert "answered 404 to the question for the list: the list does not exist" in run["reason"]


@pytest.mark.parametrize(
    ("provider", "noun", "near"), [("sendgrid", "custom field", "tier"), ("brevo", "attribute", "TIER")]
)
def test_an_unknown_field_is_named_beside_those_that_exist_and_nobody_is_sent(
    operator: Operator, customers, provider, noun, near
):  # fmt: skip
    mapping = {"email": "EMail", "custom": {"teir": "FirstName"}}
    export = operator.export(provider, customers, mapping=mapping)

    run = export.run()

    assert (run["status"], run["sums"]) == ("failed", None)
    assert f'there is no {noun} "' in run["reason"]
    assert f'did you mean "{near}"?' in run["reason"]
    assert export.contacts() == []


@pytest.mark.parametrize(
    ("provider", "faults", "named"),
    [
        ("sendgrid", {"contact_limit": 1}, "you have hit your contact limit"),
        ("brevo", error(402, "POST /v3/contacts/import"), "the plan or its credits do not allow it"),
    ],
)
def test_a_full_plan_refuses_everyone_and_says_so(operator: Operator, customers, provider, faults, named):
    export = operator.export(provider, customers)
    export.account.control.faults(**faults)

    full = export.run()
    export.account.control.faults()
    again = export.run()

    assert (full["status"], sums(full)) == ("failed", (3, 0, 0, 0, 3, 0, 3, 0))
    assert named in full["reason"]
    assert (again["status"], sums(again)) == ("successful", (3, 0, 0, 0, 3, 3, 0, 0))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"segments": ["no-such-segment"]}, "There is no segment no-such-segment in the segments container"),
        ({"mapping": {"email": "E-Mail"}}, "column E-Mail is missing (did you mean EMail?)"),
    ],
)
def test_a_segment_that_is_not_there_fails_the_run(operator: Operator, customers, changes, named):
    export = operator.export("sendgrid", customers, **changes)

    run = export.run()

    assert (run["status"], run["sums"]) == ("failed", None)
    assert named in run["reason"]
    assert export.contacts() == []


@pytest.mark.parametrize("text", ["", "EMail,FirstName\r\n"])
def test_an_empty_segment_is_not_exported_without_a_person(operator: Operator, customers, text):
    export = operator.export("sendgrid", customers)
    operator.cloud.segments.upload_blob(f"{export.name}.csv", text, overwrite=True)

    held = export.held(export.start())
    rejected = export.decide(held, "reject", {"reason": "the upstream was not ready"})
    again = export.start()

    assert [brake["kind"] for brake in held["brakes"]] == ["empty"]
    assert "has no profile" in held["brakes"][0]["sentence"]
    assert (rejected["status"], rejected["reason"]) == ("canceled", "rejected: the upstream was not ready")
    assert export.contacts() == []
    export.decide(export.held(again), "reject")


def test_what_starts_a_run_cannot_decide_about_it(operator: Operator, customers):
    export = operator.export("sendgrid", customers, brakes={"max_profiles": 1})
    held = export.held(export.start())
    url, key = operator.cloud.host_urls[0], {"x-functions-key": operator.cloud.function_key}
    pipeline = {"Authorization": "Bearer application:Administrator:pipeline"}

    for word in ("approve", "reject"):
        at_key_door = held[word].replace("/api/", "/api/automation/")
        answers = [
            requests.post(url + held[word], headers=key, timeout=30),
            requests.post(url + at_key_door, headers=key | SIGNED_IN, timeout=30),
            requests.post(url + held[word], headers=pipeline, timeout=30),
        ]
        assert [answer.status_code for answer in answers] == [401, 404, 403]

    assert export.show(f"/api/runs/{export.id}/{held['id']}")["status"] == "held"
    export.decide(held, "reject")
