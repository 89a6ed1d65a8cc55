"""Connections over the API with everything real but the platform: the vault sandbox, and both providers' sandboxes."""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.keyvault.secrets import SecretClient

from exporters.api.answers import Answer
from exporters.exporter import Exporter
from exporters.model.consent import CONSENT_VERSION
from exporters.providers import registry
from exporters.storage import paths
from exporters.storage.secrets import KeyVaultSecrets
from infra.local.sandbox.brevo import BrevoSandbox
from infra.local.sandbox.key_vault import KeyVaultSandbox
from infra.local.sandbox.sendgrid import SendGridSandbox
from tests.world import World

KEYS = {"sendgrid": ("SG.sandbox", "SG.second"), "brevo": ("xkeysib-sandbox", "xkeysib-second")}


class AnyToken:
    """A credential that the vault sandbox accepts, as it accepts all."""

    def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


class Desk:
    """The app as an administrator meets it."""

    def __init__(self, vault: KeyVaultSandbox, client: SecretClient, sandboxes: dict[str, Any]) -> None:
        self.vault, self.client, self.sandboxes = vault, client, sandboxes
        self.world = World()
        urls = {name: sandbox.url for name, sandbox in sandboxes.items()}
        self.parts = replace(
            self.world.parts,
            secrets=KeyVaultSecrets(client),
            connect=lambda connection, key: registry.build(connection, key, base_urls=urls),
            facts=lambda connection: registry.provider_class(connection.provider),
        )
        self.world.exporter = Exporter(self.parts)

    def call(self, method: str, path: str, body: object = None) -> Answer:
        return self.world.call(method, path, body=b"" if body is None else json.dumps(body).encode())

    def create(self, provider: str, key: str | None, **more: object) -> Answer:
        body = {"provider": provider, "display_name": "Main two", "key": key}
        return self.call(
            "POST", "/connections", {**body, "consent": {"accepted": True, "version": CONSENT_VERSION}} | more
        )

    def secret(self, connection: str) -> str:
        """Where a connection's key lies."""
        found = self.world.state.get(paths.connection(connection))
        assert found is not None
        return str(json.loads(found.data)["secret"])

    def keys_stored(self) -> int:
        """How often a key was put into the vault."""
        routes = self.vault.traffic.summary()["routes"]
        return int(routes.get("PUT /secrets/{name}", {}).get("statuses", {}).get("200", 0))


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[KeyVaultSandbox, SecretClient, dict[str, Any]]]:
    with (
        KeyVaultSandbox() as vault,
        SendGridSandbox(other_keys=[KEYS["sendgrid"][1]]) as sendgrid,
        BrevoSandbox(other_keys=[KEYS["brevo"][1]]) as brevo,
        SecretClient(
            vault.url,
            AnyToken(),
            verify_challenge_resource=False,
            connection_verify=str(vault.certificate),
            retry_total=0,
        ) as client,
    ):
        yield vault, client, {"sendgrid": sendgrid, "brevo": brevo}


@pytest.fixture
def desk(running: tuple[KeyVaultSandbox, SecretClient, dict[str, Any]]) -> Desk:
    vault, client, sandboxes = running
    for sandbox in (vault, *sandboxes.values()):
        sandbox.reset()
    return Desk(vault, client, sandboxes)


@pytest.fixture(params=sorted(KEYS))
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def data(answer: Answer) -> dict[str, Any]:
    return dict(json.loads(answer.body))


def test_a_key_is_proved_stored_rotated_and_removed(desk: Desk, provider: str) -> None:
    first, second = KEYS[provider]
    assert desk.create(provider, first).status == 201
    old = desk.secret("main-two")
    assert desk.client.get_secret(old).value == first
    assert desk.call("POST", "/connections/main-two/connect").status == 200

    assert desk.call("PUT", "/connections/main-two/key", {"key": second}).status == 200
    new = desk.secret("main-two")
    assert desk.client.get_secret(new).value == second
    assert desk.call("POST", "/connections/main-two/remove").status == 204

    desk.parts.secrets.delete(new)
    assert desk.vault.traffic.summary()["routes"]["DELETE /secrets/{name}"]["statuses"] == {"200": 2}


def test_a_wrong_key_is_told_and_not_stored(desk: Desk, provider: str) -> None:
    answer = desk.create(provider, "wrong-key")
    assert (answer.status, desk.keys_stored()) == (422, 0)
    assert "answered 401" in data(answer)["detail"]
    assert "wrong-key" not in answer.body.decode()


def test_a_sendgrid_key_without_the_marketing_right_is_told_so(desk: Desk) -> None:
    desk.sandboxes["sendgrid"].faults.scopes = ("mail.send",)
    answer = desk.create("sendgrid", KEYS["sendgrid"][0])
    assert (answer.status, desk.keys_stored()) == (422, 0)
    assert "Marketing" in data(answer)["detail"]


def test_a_brevo_key_from_an_address_that_is_not_authorised_is_told_so(desk: Desk) -> None:
    desk.sandboxes["brevo"].faults.ip_blocked = True
    answer = desk.create("brevo", KEYS["brevo"][0])
    assert (answer.status, desk.keys_stored()) == (422, 0)
    assert "authorised_ips" in data(answer)["detail"]


def test_a_provider_is_known_by_its_old_name_too(desk: Desk) -> None:
    assert data(desk.create("Sendinblue", KEYS["brevo"][0]))["provider"] == "brevo"


def test_without_the_right_to_store_a_key_the_way_around_works(desk: Desk, provider: str) -> None:
    key, _ = KEYS[provider]
    desk.client.set_secret("theirs", key)
    desk.vault.faults.read_only = True
    refused = desk.create(provider, key)
    assert refused.status == 422
    assert "the role on the vault that docs/identity.md names" in data(refused)["detail"]

    assert desk.create(provider, None, secret="theirs").status == 201
    assert desk.call("POST", "/connections/main-two/remove").status == 204
    assert desk.client.get_secret("theirs").value == key


def test_a_key_of_another_account_is_refused(desk: Desk) -> None:
    with SendGridSandbox(user_id=2) as other:
        assert desk.create("sendgrid", KEYS["sendgrid"][0]).status == 201
        elsewhere = replace(
            desk.parts,
            connect=lambda connection, key: registry.build(connection, key, base_urls={"sendgrid": other.url}),
        )
        desk.world.exporter = Exporter(elsewhere)
        answer = desk.call("PUT", "/connections/main-two/key", {"key": KEYS["sendgrid"][0]})
    assert (answer.status, desk.keys_stored()) == (409, 1)


def test_a_vault_that_closes_is_a_notice_with_its_reason(desk: Desk, provider: str) -> None:
    desk.create(provider, KEYS[provider][0])
    desk.vault.faults.firewall_closed = True
    details = data(desk.call("GET", "/connections/main-two"))["details"]
    assert details["secret_readable"] is False
    assert "firewall" in details["trouble"]


def test_lists_are_browsed_and_made_and_fields_are_told(desk: Desk, provider: str) -> None:
    desk.create(provider, KEYS[provider][0])
    made = desk.call("POST", "/connections/main-two/lists", {"name": "VIP & friends"})
    assert made.status == 201
    again = desk.call("POST", "/connections/main-two/lists", {"name": "VIP & friends"})
    assert (again.status, data(again)["id"]) == (409, data(made)["id"])
    assert data(desk.call("GET", "/connections/main-two/lists"))["items"] == [data(made)]
    fields = data(desk.call("GET", "/connections/main-two/fields"))["items"]
    assert "first_name" in {field["standard"] for field in fields}


def test_a_pause_that_brevo_wants_is_kept_to(desk: Desk) -> None:
    desk.create("brevo", KEYS["brevo"][0])
    desk.sandboxes["brevo"].faults.contacts_per_second = 1
    statuses = [desk.call("GET", "/connections/main-two/lists").status for _ in range(3)]
    asked = desk.sandboxes["brevo"].traffic.summary()["routes"]["GET /v3/contacts/lists"]["count"]
    assert statuses[-1] == 503
    assert asked <= 3  # one of them proved the key


def test_keys_stay_out_of_every_log(desk: Desk, provider: str, caplog: pytest.LogCaptureFixture) -> None:
    first, second = KEYS[provider]
    with caplog.at_level(logging.DEBUG):
        assert desk.create(provider, first).status == 201
        assert desk.call("PUT", "/connections/main-two/key", {"key": second}).status == 200
        assert desk.call("PUT", "/connections/main-two/key", {"key": "SG.not-good"}).status == 422
    records = "".join(repr(record.__dict__) for record in caplog.records)
    assert not any(key in records for key in (first, second, "SG.not-good"))
