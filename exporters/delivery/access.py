"""A provider for one step, with the key from the vault, which is read once more when the provider refuses it."""

import logging
from collections.abc import Callable
from typing import TypeVar

from pydantic import SecretStr

from exporters import log, tracing
from exporters.delivery import lanes
from exporters.errors import AccessError, ThrottledError
from exporters.model.connection import Connection
from exporters.model.run import Run
from exporters.parts import Parts
from exporters.providers.base import Provider
from exporters.storage import paths
from exporters.storage.secrets import NoSuchSecretError

Answer = TypeVar("Answer")


def with_provider(parts: Parts, run: Run, ask: Callable[[Provider], Answer]) -> Answer:
    """As `with_account`, for a run."""
    return with_account(parts, run.connection, run.lane, ask, run=run)


def with_access(parts: Parts, run: Run, check: Callable[[Provider], Answer]) -> Answer:
    """As `with_provider`, for a check whose success shows that the provider accepts the key."""
    answer = with_provider(parts, run, check)
    key_accepted(run.connection, run)
    return answer


def key_accepted(connection: Connection, run: Run | None = None) -> None:
    """Say that the provider accepts the key of a connection."""
    log.step("key", "accepted", level=logging.INFO, **_names(connection, run))


def key_refused(run: Run, error: Exception) -> None:
    """Say that a run gives up because the provider refuses its key, where that is what the error tells."""
    if isinstance(error, AccessError):
        log.step("key", "refused", level=logging.ERROR, **_names(run.connection, run))


def with_account(
    parts: Parts, connection: Connection, lane: str, ask: Callable[[Provider], Answer], *, run: Run | None = None
) -> Answer:
    """What `ask` answers. When the provider refuses the key it is asked again with the newest, if that differs: the one
    in the vault, under the name that the connection has now. So a run at work goes on when a key is rotated.

    When the provider wants a pause, everyone in the account's lane is held back. Raises what `ask` raises; AccessError
    only when the newest key is refused too.
    """
    key = None
    try:
        key = parts.secrets.get(connection.secret)
        return with_key(parts, connection, lane, key, ask, run=run)
    except (AccessError, NoSuchSecretError):
        newest = parts.secrets.get(_secret_now(parts, connection), fresh=True)
        if newest == key:
            raise
        return with_key(parts, connection, lane, newest, ask, run=run)


def _secret_now(parts: Parts, connection: Connection) -> str:
    """Where the key of a connection lies now; a run has the connection as it was when it was started.

    Another one that was made under the same id has a key that must not be used for this one's people.
    """
    found = parts.documents.read(Connection, paths.connection(connection.id))
    return found.value.secret if found is not None and found.value.is_same_as(connection) else connection.secret


def with_key(
    parts: Parts,
    connection: Connection,
    lane: str,
    key: SecretStr,
    ask: Callable[[Provider], Answer],
    *,
    run: Run | None = None,
) -> Answer:
    """As `with_account`, with just this key, which need not lie in the vault."""
    tracing.note(provider=connection.provider)
    provider = parts.connect(connection, key)
    try:
        return ask(provider)
    except ThrottledError as error:
        names = _names(connection, run)
        log.step("throttled", "waits", level=logging.WARNING, account=lane, wait_s=error.wait_s, **names)
        lanes.hold_back(parts, lane, error.wait_s, polls_only=error.polls_only)
        raise
    finally:
        if provider.not_before_s:
            lanes.hold_back(parts, lane, provider.not_before_s)
        if provider.polls_not_before_s:
            lanes.hold_back(parts, lane, provider.polls_not_before_s, polls_only=True)


def _names(connection: Connection, run: Run | None) -> dict[str, str]:
    """Whom a line is about."""
    names = {} if run is None else {"export": run.export.id, "run_id": run.id}
    return names | {"connection": connection.id, "provider": connection.provider}
