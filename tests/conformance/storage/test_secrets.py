"""What the use cases can count on of secrets, in memory and from the vault sandbox through Microsoft's client."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.keyvault.secrets import SecretClient
from pydantic import SecretStr

from exporters.errors import ConfigError, TransientError
from exporters.storage.memory import MemorySecrets
from exporters.storage.secrets import CACHE_S, KeyVaultSecrets, Secrets, log_trouble
from infra.local.sandbox.faults import Trouble, TroubleKind
from infra.local.sandbox.key_vault import KeyVaultSandbox

AT_THE_START = {"theirs": "SG.theirs"}
NEW = SecretStr("SG.new")


class AnyToken:
    """A credential that the sandbox accepts, as it accepts all."""

    def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[KeyVaultSandbox, SecretClient]]:
    with (
        KeyVaultSandbox(secrets=AT_THE_START) as sandbox,
        SecretClient(
            sandbox.url,
            AnyToken(),
            verify_challenge_resource=False,
            connection_verify=str(sandbox.certificate),
            retry_total=0,
        ) as client,
    ):
        yield sandbox, client


@pytest.fixture
def vault(running: tuple[KeyVaultSandbox, SecretClient]) -> KeyVaultSandbox:
    running[0].reset()
    return running[0]


@pytest.fixture
def key_vault(vault: KeyVaultSandbox, running: tuple[KeyVaultSandbox, SecretClient]) -> KeyVaultSecrets:
    return KeyVaultSecrets(running[1])


@pytest.fixture(params=["memory", "vault"])
def secrets(request: pytest.FixtureRequest) -> Secrets:
    if request.param == "memory":
        return MemorySecrets(dict(AT_THE_START))
    found: Secrets = request.getfixturevalue("key_vault")
    return found


def test_a_secret_that_is_stored_is_handed_out(secrets: Secrets) -> None:
    secrets.set("ours", NEW)
    assert secrets.get("ours").get_secret_value() == "SG.new"
    assert secrets.get("theirs").get_secret_value() == "SG.theirs"


def test_storing_it_again_does_no_harm(secrets: Secrets) -> None:
    secrets.set("ours", NEW)
    secrets.set("ours", NEW)
    assert secrets.get("ours").get_secret_value() == "SG.new"


def test_a_secret_that_is_not_there_is_a_setting_to_change(secrets: Secrets) -> None:
    with pytest.raises(ConfigError, match="no secret named nothing"):
        secrets.get("nothing")


def test_a_secret_that_was_deleted_is_not_there_any_more(secrets: Secrets) -> None:
    secrets.set("ours", NEW)
    secrets.get("ours")
    secrets.delete("ours")
    with pytest.raises(ConfigError, match="no secret named ours"):
        secrets.get("ours")


def test_deleting_what_is_not_there_is_no_error(secrets: Secrets) -> None:
    secrets.set("ours", NEW)
    secrets.delete("ours")
    secrets.delete("ours")
    secrets.delete("nothing")


def test_what_others_have_stored_is_never_deleted(secrets: Secrets) -> None:
    secrets.delete("theirs")
    assert secrets.get("theirs", fresh=True).get_secret_value() == "SG.theirs"


def test_reaching_for_secrets_needs_none(secrets: Secrets) -> None:
    secrets.reach()


class TestKeyVault:
    def test_a_stored_secret_says_whose_it_is(
        self, key_vault: KeyVaultSecrets, running: tuple[KeyVaultSandbox, SecretClient]
    ) -> None:
        key_vault.set("ours", NEW)
        properties = running[1].get_secret("ours").properties
        assert (properties.tags, properties.content_type) == ({"made-by": "segment-exporter"}, "API key")

    def test_a_value_is_asked_for_again_after_a_while(self, running: tuple[KeyVaultSandbox, SecretClient]) -> None:
        vault, client = running
        vault.reset()
        clock = [0.0]
        secrets = KeyVaultSecrets(client, clock=lambda: clock[0])
        secrets.get("theirs")
        client.set_secret("theirs", "SG.rotated")
        assert secrets.get("theirs").get_secret_value() == "SG.theirs"
        clock[0] = CACHE_S
        assert secrets.get("theirs").get_secret_value() == "SG.rotated"

    def test_without_the_right_to_write_the_remedy_names_role_and_way_around(
        self, vault: KeyVaultSandbox, key_vault: KeyVaultSecrets
    ) -> None:
        vault.faults.read_only = True
        with pytest.raises(ConfigError, match=r"store the secret ours \(403\).*docs/identity\.md.*store the key"):
            key_vault.set("ours", NEW)
        assert key_vault.get("theirs").get_secret_value() == "SG.theirs"

    def test_without_the_right_to_delete_the_secret_stays(
        self, vault: KeyVaultSandbox, key_vault: KeyVaultSecrets
    ) -> None:
        key_vault.set("ours", NEW)
        vault.faults.read_only = True
        with pytest.raises(ConfigError, match=r"delete the secret ours \(403\)"):
            key_vault.delete("ours")
        assert key_vault.get("ours").get_secret_value() == "SG.new"

    def test_a_name_that_a_deleted_secret_holds_is_refused(self, key_vault: KeyVaultSecrets) -> None:
        key_vault.set("ours", NEW)
        key_vault.delete("ours")
        with pytest.raises(ConfigError, match="keeps a deleted secret of that name"):
            key_vault.set("ours", NEW)

    @pytest.mark.parametrize(
        ("faults", "remedy"),
        [
            ({"firewall_closed": True}, "through the vault's firewall"),
            ({"forbidden": True}, "docs/identity.md"),
            ({"disabled": frozenset({"theirs"})}, r"\(403\): enable the secret$"),
            ({"unauthorized": True}, "docs/identity.md"),
        ],
    )
    def test_each_refusal_has_its_remedy(
        self, vault: KeyVaultSandbox, key_vault: KeyVaultSecrets, faults: dict[str, object], remedy: str
    ) -> None:
        for name, value in faults.items():
            setattr(vault.faults, name, value)
        with pytest.raises(ConfigError, match=remedy):
            key_vault.get("theirs")

    @pytest.mark.parametrize("kind", [TroubleKind.ERROR, TroubleKind.CUT_BEFORE, TroubleKind.THROTTLE])
    def test_trouble_on_the_way_may_pass(
        self, vault: KeyVaultSandbox, key_vault: KeyVaultSecrets, kind: TroubleKind
    ) -> None:
        vault.faults.next.append(Trouble(kind=kind))
        with pytest.raises(TransientError):
            key_vault.set("ours", NEW)
        key_vault.set("ours", NEW)
        assert key_vault.get("ours").get_secret_value() == "SG.new"

    @pytest.mark.parametrize(
        ("faults", "error", "line"),
        [
            ({"firewall_closed": True}, ConfigError, ("refused", "ForbiddenByFirewall")),
            ({"forbidden": True}, ConfigError, ("refused", "ForbiddenByRbac")),
            ({"unauthorized": True}, ConfigError, ("refused", "401")),
            ({"next": [Trouble(kind=TroubleKind.ERROR)]}, TransientError, ("unreachable", "503")),
            ({"next": [Trouble(kind=TroubleKind.CUT_BEFORE)]}, TransientError, ("unreachable", "ServiceResponseError")),
        ],
        ids=lambda value: value[1] if isinstance(value, tuple) else "",
    )
    def test_who_cannot_read_is_told_so_without_a_secret_to_ask_for(
        self,
        vault: KeyVaultSandbox,
        key_vault: KeyVaultSecrets,
        caplog: pytest.LogCaptureFixture,
        faults: dict[str, Any],
        error: type[Exception],
        line: tuple[str, str],
    ) -> None:
        for name, value in faults.items():
            setattr(vault.faults, name, list(value) if isinstance(value, list) else value)
        with pytest.raises(error) as caught:
            key_vault.reach()
        assert isinstance(caught.value, ConfigError | TransientError)
        log_trouble(caught.value, duration_s=1.5)

        [record] = caplog.records
        assert (record.outcome, record.error, record.duration_s) == (*line, 1.5)

    def test_a_secret_that_cannot_be_read_is_trouble_with_the_vault_and_one_that_is_not_there_is_none(
        self, vault: KeyVaultSandbox, key_vault: KeyVaultSecrets, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(ConfigError):
            key_vault.get("nothing")
        assert caplog.records == []

        vault.faults.forbidden = True
        with pytest.raises(ConfigError):
            key_vault.get("theirs", fresh=True)
        [record] = caplog.records
        assert (record.action, record.outcome, record.levelname) == ("vault", "refused", "ERROR")

    def test_without_an_identity_it_is_said_what_is_missing(self, vault: KeyVaultSandbox) -> None:
        class Nobody(AnyToken):
            def get_token(self, *_: str, **__: object) -> AccessToken:
                raise ClientAuthenticationError("no managed identity")

        with (
            SecretClient(
                vault.url,
                Nobody(),
                verify_challenge_resource=False,
                connection_verify=str(vault.certificate),
                retry_total=0,
            ) as client,
            pytest.raises(TransientError, match="AZURE_CLIENT_ID"),
        ):
            KeyVaultSecrets(client).reach()

    def test_errors_never_quote_a_value(self, vault: KeyVaultSandbox, key_vault: KeyVaultSecrets) -> None:
        for fault in ("read_only", "firewall_closed", "unauthorized"):
            setattr(vault.faults, fault, True)
            with pytest.raises(ConfigError) as caught:
                key_vault.set("ours", NEW)
            assert "SG.new" not in f"{caught.value} {caught.value.__cause__}"
