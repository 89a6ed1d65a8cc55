"""A provider for one step, with the key from the vault, which is read once more when the provider refuses it."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import SecretStr

from exporters.delivery import lanes
from exporters.errors import AccessError, ThrottledError
from exporters.model.run import Run
from exporters.parts import Parts
from exporters.providers.base import Provider

Answer = TypeVar("Answer")


def with_provider(parts: Parts, run: Run, ask: Callable[[Provider], Answer]) -> Answer:
    """What `ask` answers. When the provider refuses the key it is asked again with the vault's newest, if that differs.

    When the provider wants a pause, everyone on the account is held back. Raises what `ask` raises; AccessError only
    when the newest key is refused too.
    """
    connection = run.connection
    key = parts.secrets.get(connection.secret)
    try:
        return _ask(parts, run, key, ask)
    except AccessError:
        newest = parts.secrets.get(connection.secret, fresh=True)
        if newest == key:
            raise
        return _ask(parts, run, newest, ask)


def _ask(parts: Parts, run: Run, key: SecretStr, ask: Callable[[Provider], Answer]) -> Answer:
    provider = parts.connect(run.connection, key)
    try:
        return ask(provider)
    except ThrottledError as error:
        lanes.hold_back(parts, run.lane, error.wait_s, polls_only=error.polls_only)
        raise
    finally:
        if provider.not_before_s:
            lanes.hold_back(parts, run.lane, provider.not_before_s)
        if provider.polls_not_before_s:
            lanes.hold_back(parts, run.lane, provider.polls_not_before_s, polls_only=True)
