"""Account: which lane a run goes through. Connections with keys of one account share it, as they share its limits."""

import hashlib
from datetime import timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from exporters.delivery import lanes
from exporters.delivery.access import with_provider
from exporters.delivery.records import change_run
from exporters.errors import ConfigError, ThrottledError
from exporters.model.connection import Connection, SecretName
from exporters.model.names import Id
from exporters.model.run import Run
from exporters.parts import Parts
from exporters.storage import paths

#: Providers count the question among few others (Brevo: 100 an hour), and keys seldom move to another account.
ASK_EVERY = timedelta(days=1)


class KnownAccount(BaseModel):
    """Where the key of a connection led when it was asked last. Stored as `state/accounts/<connection>.json`."""

    model_config = ConfigDict(frozen=True)

    lane: Id
    secret: SecretName  #: that the key was in
    asked: AwareDatetime


def identify(parts: Parts, run: Run) -> Run:
    """The run with its account; asks the provider once a day, unless the connection names the account itself.

    Where the provider does not tell, the connection is taken for an account of its own. Harmless when repeated: the
    first answer stands. Raises ThrottledError or TransientError.
    """
    lane = run.account or run.connection.account or _lane_lately(parts, run.connection) or _learn(parts, run)
    return change_run(parts, run, lambda run: run if run.account else run.model_copy(update={"account": lane}))


def known_lane(parts: Parts, connection: Connection) -> str:
    """The lane of a connection, as far as it is known without a question to the provider."""
    if connection.account is not None:
        return connection.account
    known = _known(parts, connection)
    return connection.id if known is None else known.lane


def lane_of(provider: str, account: str) -> str:
    """A lane's id made of what a provider calls the account, which may be an address."""
    return f"{provider}-{hashlib.sha256(account.encode()).hexdigest()[:16]}"


def last_known(parts: Parts, connection_id: str) -> KnownAccount | None:
    """Where the connection led when it was asked last, whichever secret it had then."""
    found = parts.documents.read(KnownAccount, paths.known_account(connection_id))
    return None if found is None else found.value


def remember(parts: Parts, connection: Connection, lane: str) -> None:
    """Keep where the connection's key leads. The last one who asked is right."""
    known = KnownAccount(lane=lane, secret=connection.secret, asked=parts.now())
    parts.documents.change(KnownAccount, paths.known_account(connection.id), lambda _: known, default=known)


def _known(parts: Parts, connection: Connection) -> KnownAccount | None:
    """What was learnt of the secret that the connection names."""
    known = last_known(parts, connection.id)
    return known if known is not None and known.secret == connection.secret else None


def _lane_lately(parts: Parts, connection: Connection) -> str | None:
    """The lane, where it was asked for not long ago."""
    known = _known(parts, connection)
    return known.lane if known is not None and parts.now() - known.asked < ASK_EVERY else None


def _learn(parts: Parts, run: Run) -> str:
    """Ask, and remember the answer. After a refusal nothing is learnt; the check of access says what is wrong."""
    connection = run.connection
    try:
        lane = _ask(parts, run) or connection.id
    except ConfigError:
        return known_lane(parts, connection)
    except ThrottledError:
        known = _known(parts, connection)
        if known is None:  # two lanes of one account would have two imports at work where there may be one
            raise
        return known.lane
    remember(parts, connection, lane)
    return lane


def _ask(parts: Parts, run: Run) -> str | None:
    """The lane of the account that the provider names; None where it says nothing."""
    probably = run.model_copy(update={"account": known_lane(parts, run.connection)})  # whose pauses count until then
    wait_s = lanes.wait_s(parts, probably.lane, to_poll=True)
    if wait_s > 0:
        raise ThrottledError("The provider has wanted a pause on this account", wait_s=wait_s)
    account = with_provider(parts, probably, lambda provider: provider.account())
    if account is None:
        return None
    return lane_of(parts.facts(run.connection).name, account)
