"""Whether a key opens its account, and which account that is. Nothing is changed at the provider."""

from pydantic import SecretStr

from exporters.delivery import lanes
from exporters.delivery.access import with_key
from exporters.delivery.account import known_lane, lane_of
from exporters.errors import ThrottledError
from exporters.model.connection import Connection
from exporters.parts import Parts


def prove(parts: Parts, connection: Connection, key: SecretStr) -> str | None:
    """The lane of the account that a key leads to; None where the provider does not tell it, or not now.

    The key has to be good for reading lists, which takes the right that exports need too. Raises AccessError when the
    provider refuses it, ConfigError, ThrottledError (before any request, where the account waits) or TransientError.
    """
    lane = known_lane(parts, connection)
    check_pause(parts, lane)
    with_key(parts, connection, lane, key, lambda provider: provider.lists(None))
    if lanes.wait_s(parts, lane, to_poll=True) > 0:
        return None
    try:
        account = with_key(parts, connection, lane, key, lambda provider: provider.account())
    except ThrottledError:  # a limit of its own, at Brevo for an hour; the key is proved without it
        return None
    return None if account is None else lane_of(parts.facts(connection).name, account)


def check_pause(parts: Parts, lane: str) -> None:
    """Raises ThrottledError while the provider wants no request on an account."""
    wait_s = lanes.wait_s(parts, lane)
    if wait_s > 0:
        raise ThrottledError(f"The provider wants no request on this account for {wait_s:.0f} seconds", wait_s=wait_s)
