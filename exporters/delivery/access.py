"""A provider for one step, with the key from the vault, which is read once more when the provider refuses it."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import SecretStr

from exporters.delivery import lanes
from exporters.errors import AccessError, ThrottledError
from exporters.model.connection import Connection
from exporters.parts import Parts
from exporters.providers.base import Provider

Answer = TypeVar("Answer")


def with_provider(parts: Parts, connection: Connection, ask: Callable[[Provider], Answer]) -> Answer:
    """What `ask` answers. When the provider refuses the key it is asked again with the vault's newest, if that differs.

    When the provider wants a pause, everyone on the account is held back. Raises what `ask` raises; AccessError only
    when the newest key is refused too.
    """
    key = parts.secrets.get(connection.secret)
    try:
        return _ask(parts, connection, key, ask)
    except AccessError:
        newest = parts.secrets.get(connection.secret, fresh=True)
        if newest == key:
            raise
        return _ask(parts, connection, newest, ask)


def _ask(parts: Parts, connection: Connection, key: SecretStr, ask: Callable[[Provider], Answer]) -> Answer:
    provider = parts.connect(connection, key)
    try:
        return ask(provider)
    except ThrottledError as error:
        lanes.hold_back(parts, connection.lane, error.wait_s)
        raise
    finally:
        if provider.not_before_s:
            lanes.hold_back(parts, connection.lane, provider.not_before_s)
