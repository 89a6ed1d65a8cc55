"""The providers by name. A new one is a file, a line here, a sandbox and a page: see docs/adding-a-provider.md."""

from collections.abc import Mapping

from pydantic import SecretStr

from exporters.errors import ConfigError
from exporters.model.connection import Connection
from exporters.providers.base import Provider
from exporters.providers.brevo import Brevo
from exporters.providers.sendgrid import SendGrid

PROVIDERS: Mapping[str, type[SendGrid] | type[Brevo]] = {
    SendGrid.name: SendGrid,
    Brevo.name: Brevo,
}
#: Names that providers had before.
ALIASES: Mapping[str, str] = {"sendinblue": Brevo.name}


def provider_class(name: str) -> type[SendGrid] | type[Brevo]:
    """The provider that a connection names. Raises ConfigError for one that there is not."""
    word = name.strip().lower()
    try:
        return PROVIDERS[ALIASES.get(word, word)]
    except KeyError as error:
        raise ConfigError(f'There is no provider "{name}": choose {" or ".join(sorted(PROVIDERS))}.') from error


def build(connection: Connection, key: SecretStr, *, base_urls: Mapping[str, str] | None = None) -> Provider:
    """The connection's account at its provider. `base_urls` by provider name replace the vendors' own addresses.

    Raises ConfigError for an unknown provider or an address that a key may not travel to, AccessError for what cannot
    be a key.
    """
    provider = provider_class(connection.provider)
    base_url = (base_urls or {}).get(provider.name)
    return provider(connection, key) if base_url is None else provider(connection, key, base_url=base_url)
