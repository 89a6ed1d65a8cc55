"""API keys from Key Vault, through a short-lived cache."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient
from pydantic import SecretStr

from exporters.errors import ConfigError, TransientError

#: How long a key may be used without asking the vault again. A key that was rotated is noticed earlier: the provider
#: answers 401 and the step reads it afresh. Vaults take about 4,000 requests in 10 seconds, so this only saves time.
#: https://learn.microsoft.com/azure/key-vault/general/service-limits
CACHE_S = 600.0


class Secrets(Protocol):
    """Where keys lie."""

    def get(self, name: str, *, fresh: bool = False) -> SecretStr:
        """The value of a secret; `fresh` asks the source whatever is cached.

        Raises ConfigError when the secret is missing, disabled or forbidden, TransientError when the source is away.
        """


def missing(name: str) -> ConfigError:
    """What an operator reads when a secret is not there."""
    return ConfigError(f"The vault has no secret named {name}: create it, or correct its name where it is configured")


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
        value = self._read(name)
        with self._lock:
            self._cache[name] = (self._clock(), value)
        return value

    def _read(self, name: str) -> SecretStr:
        try:
            return SecretStr(self._client.get_secret(name).value or "")
        except ResourceNotFoundError as error:
            raise missing(name) from error
        except HttpResponseError as error:
            if error.status_code in {401, 403}:
                raise ConfigError(
                    f"The vault refuses to hand out the secret {name} ({error.status_code}): enable the secret, and "
                    "give the app's identity the role Key Vault Secrets User"
                ) from error
            raise TransientError(f"The vault answered {error.status_code} for the secret {name}") from error
        except AzureError as error:
            raise TransientError("The vault could not be reached: check its address and its firewall") from error
