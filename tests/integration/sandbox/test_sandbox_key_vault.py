"""The Key Vault sandbox, through Microsoft's own client."""

import time
from collections.abc import Iterator

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from infra.local.sandbox.key_vault import KeyVaultSandbox


class AnyToken:
    """A credential that the sandbox accepts, as it accepts all."""

    def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


@pytest.fixture
def vault() -> Iterator[KeyVaultSandbox]:
    with KeyVaultSandbox(secrets={"brevo-key": "xkeysib-1"}) as sandbox:
        yield sandbox


@pytest.fixture
def secrets(vault: KeyVaultSandbox) -> Iterator[SecretClient]:
    with SecretClient(
        vault.url,
        AnyToken(),
        verify_challenge_resource=False,
        connection_verify=str(vault.certificate),
        retry_total=0,
    ) as client:
        yield client


def test_the_real_client_reads_secrets_given_at_the_start(secrets):
    assert secrets.get_secret("brevo-key").value == "xkeysib-1"


def test_a_secret_that_is_set_gets_a_version_and_replaces_the_value(secrets):
    first = secrets.set_secret("brevo-key", "xkeysib-2")
    secrets.set_secret("brevo-key", "xkeysib-3")
    assert secrets.get_secret("brevo-key").value == "xkeysib-3"
    assert secrets.get_secret("brevo-key", first.properties.version).value == "xkeysib-2"
    assert secrets.get_secret("brevo-key").properties.enabled


def test_an_unknown_secret_is_not_found(secrets):
    with pytest.raises(ResourceNotFoundError):
        secrets.get_secret("nothing")


def test_without_a_token_there_is_a_challenge(vault):
    answer = requests.get(f"{vault.url}/secrets/brevo-key", verify=str(vault.certificate), timeout=5)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization=")
    assert answer.json()["error"]["code"] == "Unauthorized"


def test_the_vault_can_refuse_its_caller(vault, secrets):
    vault.faults.forbidden = True
    with pytest.raises(HttpResponseError, match="not authorized") as caught:
        secrets.get_secret("brevo-key")
    assert caught.value.status_code == 403


def test_the_vault_can_refuse_every_token(vault, secrets):
    vault.faults.unauthorized = True
    with pytest.raises(ClientAuthenticationError):
        secrets.get_secret("brevo-key")


def test_a_disabled_secret_is_not_given(vault, secrets):
    vault.faults.disabled = {"brevo-key"}
    with pytest.raises(HttpResponseError, match="disabled"):
        secrets.get_secret("brevo-key")


@pytest.mark.parametrize("trouble", [{"kind": "throttle"}, {"kind": "error", "status": 503}])
def test_the_vault_can_be_throttled_or_down(vault, secrets, trouble):
    requests.put(
        f"{vault.url}/_sandbox/faults", json={"next": [trouble]}, verify=str(vault.certificate), timeout=5
    ).raise_for_status()
    with pytest.raises(HttpResponseError):
        secrets.get_secret("brevo-key")
    assert secrets.get_secret("brevo-key").value == "xkeysib-1"


def test_a_reset_brings_back_the_secrets_of_the_start(vault, secrets):
    secrets.set_secret("other", "x")
    vault.reset()
    with pytest.raises(ResourceNotFoundError):
        secrets.get_secret("other")
    assert secrets.get_secret("brevo-key").value == "xkeysib-1"
