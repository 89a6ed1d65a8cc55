"""API keys in Key Vault: read through a short-lived cache, written under names that nobody has used before."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient
from pydantic import SecretStr

from exporters import log
from exporters.errors import ConfigError, ExporterError, TransientError

#: How long a key may be used without asking the vault again. A key that was rotated is noticed earlier: the provider
#: answers 401 and the step reads it afresh. Vaults take about 4,000 requests in 10 seconds, so this only saves time.
#: https://learn.microsoft.com/azure/key-vault/general/service-limits
CACHE_S = 600.0

#: Tag of the secrets that this app has made, and therefore may delete.
MADE_BY = {"made-by": "segment-exporter"}
CONTENT_TYPE = "API key"

#: A name that no secret is meant to have: asking for it shows whether the vault lets the app read.
PROBE = "segment-exporter-reaches-the-vault"

#: What the vault calls its reason for a 403 -> what to do.
#: https://learn.microsoft.com/azure/key-vault/general/rest-error-codes#http-403-insufficient-permissions
REMEDIES: Mapping[str, str] = {
    "ForbiddenByFirewall": "let the app through the vault's firewall, by its subnet, private endpoint or address",
    "ForbiddenByConnection": "let the app through the vault's firewall, by its subnet, private endpoint or address",
    "SecretDisabled": "enable the secret",
}
NOT_IDENTIFIED = (
    "The app's identity got no token for the vault: see that it is assigned to the app, and AZURE_CLIENT_ID is its"
    " client id"
)
#: The template's own role, or a built-in one where nobody may define roles: the page has both.
ROLE = "give the app's identity the role on the vault that docs/identity.md names"
READ_REMEDY = f"enable the secret, and {ROLE}"
WRITE_REMEDY = f"{ROLE}, or store the key in the vault yourself and name its secret here"


class Secrets(Protocol):
    """Where keys lie."""

    def get(self, name: str, *, fresh: bool = False) -> SecretStr:
        """The value of a secret; `fresh` asks the source whatever is cached.

        Raises ConfigError when the secret is missing, disabled or forbidden, TransientError when the source is away.
        """

    def reach(self) -> None:
        """See that the source can be reached and lets the app read. Raises as `get`."""

    def set(self, name: str, value: SecretStr) -> None:
        """Store a secret under a name that nobody has used before. Repeating it does no harm.

        Raises ConfigError when the source refuses, TransientError when it is not known whether it was stored.
        """

    def delete(self, name: str) -> None:
        """Delete a secret that `set` has made; one that somebody else has made stays. Raises as `set`."""


class NoSuchSecretError(ConfigError):
    """There is no secret of this name."""


def missing(name: str) -> NoSuchSecretError:
    """What an operator reads when a secret is not there."""
    return NoSuchSecretError(
        f"The vault has no secret named {name}: create it, or correct its name where it is configured"
    )


class KeyVaultSecrets:
    """Secrets of one Azure Key Vault."""

    def __init__(self, client: SecretClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, SecretStr]] = {}

    def get(self, name: str, *, fresh: bool = False) -> SecretStr:
        with self._lock:
            read_at, value = self._cache.get(name, (0.0, None))
        if value is not None and not fresh and self._clock() - read_at < CACHE_S:
            return value
        with _trouble_logged(), _told(name, "hand out", READ_REMEDY):
            value = SecretStr(self._client.get_secret(name).value or "")
        with self._lock:
            self._cache[name] = (self._clock(), value)
        return value

    def reach(self) -> None:
        # Who may not read is told 403, whether or not there is such a secret, so that 404 says that all is well.
        # https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
        with suppress(NoSuchSecretError), _told(PROBE, "hand out", READ_REMEDY):
            self._client.get_secret(PROBE)

    def set(self, name: str, value: SecretStr) -> None:
        # https://learn.microsoft.com/rest/api/keyvault/secrets/set-secret
        with _told(name, "store", WRITE_REMEDY):
            self._client.set_secret(name, value.get_secret_value(), tags=dict(MADE_BY), content_type=CONTENT_TYPE)

    def delete(self, name: str) -> None:
        with suppress(NoSuchSecretError), _told(name, "delete", WRITE_REMEDY):
            tags = self._client.get_secret(name).properties.tags or {}
            if MADE_BY.items() <= tags.items():
                # Nobody waits until it is gone: who has to can recover it, for as long as the vault keeps it.
                # https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
                self._client.begin_delete_secret(name)
        with self._lock:
            self._cache.pop(name, None)


def log_trouble(error: ConfigError | TransientError, *, duration_s: float | None = None) -> None:
    """Say in the log that the vault refuses, or cannot be reached; nothing of a secret that is not there."""
    cause = error.__cause__
    kind = _code(cause) if isinstance(cause, HttpResponseError) else type(cause or error).__name__
    if isinstance(error, NoSuchSecretError):
        return
    if isinstance(error, ConfigError):
        log.step("vault", "refused", level=logging.ERROR, error=kind, duration_s=duration_s)
    else:
        log.step("vault", "unreachable", level=logging.ERROR, error=kind, duration_s=duration_s)


def _code(error: HttpResponseError) -> str:
    """The vault's own word for why it refuses, else the status."""
    inner = error.error.innererror if error.error is not None else None
    return str((inner or {}).get("code") or error.status_code or type(error).__name__)


@contextmanager
def _trouble_logged() -> Iterator[None]:
    try:
        yield
    except (ConfigError, TransientError) as error:
        log_trouble(error)
        raise


@contextmanager
def _told(name: str, verb: str, remedy: str) -> Iterator[None]:
    """What the vault answers within, as our errors. None of them quotes a value."""
    try:
        yield
    except ResourceNotFoundError as error:
        raise missing(name) from error
    except HttpResponseError as error:
        raise _refusal(error, name, verb, remedy) from error
    except AzureError as error:
        raise TransientError("The vault could not be reached: check its address and its firewall") from error


def _refusal(error: HttpResponseError, name: str, verb: str, remedy: str) -> ExporterError:
    status = error.status_code
    if status is None:  # it was not asked: https://learn.microsoft.com/python/api/azure-core/azure.core.exceptions
        return TransientError(NOT_IDENTIFIED)
    if status in {401, 403}:
        remedy = REMEDIES.get(_code(error), remedy)
        return ConfigError(f"The vault refuses to {verb} the secret {name} ({status}): {remedy}")
    if status == 409:
        # ObjectIsDeletedButRecoverable, or it is being deleted or recovered at the moment.
        return ConfigError(
            f"The vault refuses to {verb} the secret {name} (409): it keeps a deleted secret of that name; recover or"
            " purge that one, or use another name"
        )
    return TransientError(f"The vault answered {status} for the secret {name}")
