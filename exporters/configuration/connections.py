"""Connections as people set them up: create, connect, edit, rotate the key, remove.

A key is proved at the provider before anything is saved, and lies in the vault before a document names it. Whatever
dies in between leaves a secret that nobody names, which does no harm: no name is used twice.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum

from azure.core.exceptions import AzureError
from pydantic import SecretStr

from exporters import log
from exporters.audit.trail import Action, audited
from exporters.configuration import exports, old_keys, overview
from exporters.configuration.ids import free_id
from exporters.configuration.overview import Row
from exporters.configuration.proof import prove
from exporters.delivery.access import key_accepted
from exporters.delivery.account import last_known, remember
from exporters.delivery.records import read_run
from exporters.errors import ConfigError, ExporterError, StorageConflictError
from exporters.model.caller import Caller, Stamp
from exporters.model.connection import Connection, ConnectionSettings, Consent, NewConnection, NewKey
from exporters.model.consent import CONSENT_VERSION, AcceptedConsent
from exporters.model.names import ID_PATTERN, Id
from exporters.model.run import ExportState
from exporters.parts import Parts
from exporters.scheduling.start import NoSuchExportError, RunActiveError
from exporters.storage import paths
from exporters.storage.documents import Versioned

#: Characters of what is unique about the name of a secret: it has to differ from those of the same connection only.
UNIQUE = 12
#: What the trail says of a connection whose document could not be read.
KEY_LEFT = "its document could not be read: if the app has stored its key, that is still in the vault"


class Decision(StrEnum):
    """What becomes of an export whose connection is removed."""

    REMOVE = "remove"
    DETACH = "detach"  #: it keeps its settings, and does not run until it is attached to another connection


class NoSuchConnectionError(ConfigError):
    """There is no connection of this id."""


class ConnectionExistsError(ExporterError):
    """There is a connection of this id already."""


class UnusableConnectionError(ConfigError):
    """A connection cannot be as it is wanted: its provider, its key or its secret is at fault."""


class ConsentOutdatedError(ConfigError):
    """Another version of the data privacy text was accepted than the one that is in force."""


class OtherAccountError(ConfigError):
    """A new key leads to another account than the connection's."""


class ConnectionInUseError(ConfigError):
    """Exports use the connection, and it was not said of all of them what becomes of them."""

    def __init__(self, undecided: list[Row]) -> None:
        super().__init__(
            f"{len(undecided)} export(s) use the connection: say of each whether it is to be removed, or detached"
        )
        self.undecided = undecided


class ConnectionBusyError(ConfigError):
    """A run that uses the connection is at work or held: it needs the key to its end."""

    def __init__(self, error: RunActiveError) -> None:
        super().__init__(str(error))
        self.export = error.export
        self.run = error.run


def read(parts: Parts, connection_id: str) -> Versioned[Connection]:
    """A connection as it is now. Raises NoSuchConnectionError, and ConfigError where its document cannot be used."""
    path = paths.connection(connection_id)
    found = parts.documents.read(Connection, path) if re.fullmatch(ID_PATTERN, connection_id) else None
    if found is None:
        raise NoSuchConnectionError(f"There is no connection {connection_id}; ids are case-sensitive")
    if found.value.id != connection_id:
        raise ConfigError(f"{path} says that its id is {found.value.id}: make id and file name the same")
    return found


def ids(parts: Parts) -> list[str]:
    """The ids of all connections, sorted."""
    found = (blob.name for blob in parts.state.list(paths.CONNECTIONS) if blob.name.endswith(".json"))
    return [name.removeprefix(paths.CONNECTIONS).removesuffix(".json") for name in found]


def create(parts: Parts, caller: Caller, wanted: NewConnection) -> Versioned[Connection]:
    """Store a new connection, whose key was proved and lies in the vault.

    Repeating it with an id changes nothing, without one it makes another connection. Raises ConsentOutdatedError,
    ConnectionExistsError, UnusableConnectionError, ThrottledError or TransientError.
    """
    _check_consent(wanted.consent)
    taken = ids(parts)
    if wanted.id is not None and wanted.id in taken:
        raise ConnectionExistsError(f"There is a connection {wanted.id} already")
    connection = _new(parts, caller, wanted, wanted.id or free_id(wanted.display_name, taken))
    with audited(parts, caller, Action.CONNECTION_CREATED, subject(connection.id), after=connection):
        lane = _secured(parts, connection, wanted)
        if not parts.documents.create(paths.connection(connection.id), connection):
            if wanted.key is not None:
                _drop_secret(parts, connection.secret)
            raise ConnectionExistsError(f"There is a connection {connection.id} already")
        _remember(parts, connection, lane)
    return read(parts, connection.id)


def edit(
    parts: Parts, caller: Caller, found: Versioned[Connection], settings: ConnectionSettings
) -> Versioned[Connection]:
    """Change what people have set about a connection that is still as it was found. Its provider never changes.

    Exports that use it go on, whoever may use it from now on. Settings that are as they were change nothing. Raises
    UnusableConnectionError, and StorageConflictError where somebody has changed the connection since.
    """
    before = found.value
    values = {name: getattr(settings, name) for name in ConnectionSettings.model_fields}
    after = before.model_copy(update=values)
    if _provider(parts, after) != _provider(parts, before):
        raise UnusableConnectionError("The provider of a connection never changes: make another connection instead")
    after = after.model_copy(update={"provider": before.provider})
    if after == before:
        return found
    after = after.model_copy(update={"updated": _stamp(parts, caller)})
    with audited(parts, caller, Action.CONNECTION_EDITED, subject(before.id), before=before, after=after):
        path = paths.connection(before.id)
        return Versioned(after, parts.state.replace(path, after.model_dump_json().encode(), etag=found.etag))


def connect(
    parts: Parts, caller: Caller, connection_id: str, accepted: AcceptedConsent | None = None
) -> Versioned[Connection]:
    """Prove the key that lies in the vault now, and note who did, and who has accepted the text on data privacy.

    Repeating it does no harm. Raises as `read`, ConsentOutdatedError, UnusableConnectionError, ThrottledError,
    TransientError, OtherAccountError, and StorageConflictError where the key was rotated meanwhile.
    """
    if accepted is not None:
        _check_consent(accepted)
    proved = read(parts, connection_id).value
    consent = proved.consent if accepted is None else _consent(accepted, _stamp(parts, caller))
    wanted = proved.model_copy(update={"consent": consent})
    with audited(parts, caller, Action.CONNECTION_CONNECTED, subject(connection_id), before=proved, after=wanted):
        lane = _proved(parts, proved, _key_in_vault(parts, proved.secret))
        _check_account(parts, proved, lane)
        stamp = _stamp(parts, caller)

        def change(now: Connection) -> Connection:
            changes = {"connected": stamp} | ({} if accepted is None else {"consent": consent})
            return now.model_copy(update=changes) if _is_same(now.secret, proved.secret) else now

        after = parts.documents.change(Connection, paths.connection(connection_id), change)
        if not _is_same(after.secret, proved.secret):
            raise StorageConflictError("The key was rotated while the old one was proved")
        _remember(parts, after, lane)
    return read(parts, connection_id)


def rotate(parts: Parts, caller: Caller, connection_id: str, new: NewKey) -> Versioned[Connection]:
    """Give a connection another key of the same account, as far as the provider tells which account a key leads to.

    Runs at work go on with it. The old secret goes once nothing names it, if this app has made it, later where that
    cannot be done now. Of two at once the later one wins. Raises as `connect`.
    """
    before = read(parts, connection_id).value
    secret = _secret_name(parts, connection_id) if new.secret is None else new.secret
    wanted = before.model_copy(update={"secret": secret})
    with audited(
        parts, caller, Action.CONNECTION_KEY_ROTATED, subject(connection_id), before=before, after=wanted
    ) as course:
        lane = _secured(parts, wanted, new, same_account=True)
        stamp = _stamp(parts, caller)
        replaced: set[str] = set()

        def change(now: Connection) -> Connection:
            replaced.add(now.secret)
            return now.model_copy(update={"secret": secret, "connected": stamp, "updated": stamp})

        old_keys.note(parts, before.secret)
        after = parts.documents.change(Connection, paths.connection(connection_id), change)
        _remember(parts, after, lane)
        course.reason = "; ".join(filter(None, (_drop_secret(parts, old) for old in {before.secret, *replaced})))
    return read(parts, connection_id)


def remove(parts: Parts, caller: Caller, connection_id: str, decisions: Mapping[Id, Decision]) -> None:
    """Remove a connection, after the exports that use it, of each of which somebody has decided.

    Who dies half-way can repeat it: an export that was removed or detached does not use the connection any more, and
    the document goes before its secret. A run goes on with its connection whatever its export uses by then, so that it
    is looked for among all that are at work, and again once none can be started. Raises NoSuchConnectionError,
    ConnectionInUseError, and ConnectionBusyError.

    A document that cannot be read goes too: nobody could mend it otherwise. What its secret was is not known then.
    """
    before = _readable(parts, connection_id)
    rows = _rows(parts)
    users = [row for row in rows if row.connection == connection_id]
    if undecided := [row for row in users if row.id not in decisions]:
        raise ConnectionInUseError(undecided)
    _check_idle(parts, connection_id, before, rows)
    with audited(parts, caller, Action.CONNECTION_REMOVED, subject(connection_id), before=before) as course:
        with overview.refreshed_together(parts):
            for row in users:
                _decided(parts, caller, row.id, decisions[row.id])
        rows = _rows(parts)
        if left := [row for row in rows if row.connection == connection_id]:  # attached meanwhile
            raise ConnectionInUseError(left)
        _check_idle(parts, connection_id, before, rows)
        parts.state.delete(paths.known_account(connection_id))
        if before is not None:
            old_keys.note(parts, before.secret)
        parts.state.delete(paths.connection(connection_id))
        course.reason = KEY_LEFT if before is None else _drop_secret(parts, before.secret)


def why_unreadable(parts: Parts, connection: Connection) -> str | None:
    """Why the key cannot be had from the vault now; None where it can. Raises TransientError where nobody can say."""
    try:
        parts.secrets.get(connection.secret, fresh=True)
    except ConfigError as error:
        return str(error)
    return None


def subject(connection_id: str) -> str:
    """How the audit trail names a connection."""
    return f"/connections/{connection_id}"


def _new(parts: Parts, caller: Caller, wanted: NewConnection, connection_id: str) -> Connection:
    """The document of a connection. Raises UnusableConnectionError for a provider that there is not."""
    stamp = _stamp(parts, caller)
    connection = Connection(
        **{name: getattr(wanted, name) for name in ConnectionSettings.model_fields},
        id=connection_id,
        secret=_secret_name(parts, connection_id) if wanted.secret is None else wanted.secret,
        consent=_consent(wanted.consent, stamp),
        connected=stamp,
        created=stamp,
        updated=stamp,
    )
    return connection.model_copy(update={"provider": _provider(parts, connection)})


def _provider(parts: Parts, connection: Connection) -> str:
    """The provider by the name that it has here, whatever it was called."""
    with _faults_named():
        return parts.facts(connection).name


def _secret_name(parts: Parts, connection_id: str) -> str:
    return f"connection-{connection_id}-{parts.new_id()[:UNIQUE]}"


def _secured(parts: Parts, connection: Connection, new: NewKey, *, same_account: bool = False) -> str | None:
    """Prove a key and see that it lies in the vault under the connection's secret; answers as `prove`."""
    key = _key_in_vault(parts, connection.secret) if new.key is None else _stripped(new.key)
    lane = _proved(parts, connection, key)
    if same_account:
        _check_account(parts, connection, lane)
    if new.key is not None:
        with _faults_named():
            parts.secrets.set(connection.secret, key)
    return lane


def _stripped(key: SecretStr) -> SecretStr:
    """A key without the blanks that come along when it is copied."""
    return SecretStr(key.get_secret_value().strip())


def _key_in_vault(parts: Parts, secret: str) -> SecretStr:
    with _faults_named():
        return parts.secrets.get(secret, fresh=True)


def _proved(parts: Parts, connection: Connection, key: SecretStr) -> str | None:
    with _faults_named():
        return prove(parts, connection, key)


def _check_account(parts: Parts, connection: Connection, lane: str | None) -> None:
    """Raises OtherAccountError where both accounts are known and differ: its ledgers would tell of other lists."""
    known = last_known(parts, connection.id)
    if lane is not None and known is not None and known.lane not in {lane, connection.id}:
        raise OtherAccountError(
            "The key leads to another account than the connection's, whose lists are others: take a key of the same"
            " account, or make a connection for the other one and attach the exports to it"
        )


def _remember(parts: Parts, connection: Connection, lane: str | None) -> None:
    """Say that a key is good, and keep where it leads. Where storage is away then, the next run asks for that."""
    key_accepted(connection)
    if lane is None:
        return
    try:
        remember(parts, connection, lane)
    except (AzureError, StorageConflictError) as error:
        step = {"connection": connection.id, "error": type(error).__name__}
        log.step("connection", "account not noted", level=logging.WARNING, **step)


def _decided(parts: Parts, caller: Caller, export_id: str, decision: Decision) -> None:
    """What was decided of an export, which may be gone by now."""
    try:
        if decision is Decision.REMOVE:
            exports.remove(parts, caller, export_id)
        else:
            exports.detach(parts, caller, export_id)
    except NoSuchExportError:
        return
    except RunActiveError as error:  # started meanwhile
        raise ConnectionBusyError(error) from error


def _rows(parts: Parts) -> list[Row]:
    """All exports, by id."""
    rows = overview.look(parts).rows
    return [rows[name] for name in sorted(rows)]


def _readable(parts: Parts, connection_id: str) -> Connection | None:
    """A connection; None where its document cannot be used. Raises NoSuchConnectionError."""
    try:
        return read(parts, connection_id).value
    except NoSuchConnectionError:
        raise
    except ConfigError:
        return None


def _check_idle(parts: Parts, connection_id: str, connection: Connection | None, rows: Iterable[Row]) -> None:
    """Raises ConnectionBusyError where a run that uses a connection is at work or held."""
    for row in rows:
        if _has_run_with(parts, connection_id, connection, row):
            try:
                exports.check_idle(parts, row.id)
            except RunActiveError as error:
                raise ConnectionBusyError(error) from error


def _has_run_with(parts: Parts, connection_id: str, connection: Connection | None, row: Row) -> bool:
    """Whether the run of an export that is at work uses a connection. One that is only just starting, or cannot be
    read, uses what its export does.
    """
    if row.active is None and not row.fault:  # the row of an export that cannot be read tells of no run
        return False
    try:
        state = parts.documents.read(ExportState, paths.export_state(row.id))
        active = None if state is None else state.value.active
        run = None if active is None else read_run(parts, row.id, active.run)
    except ConfigError:
        run = None
    if run is None:
        return row.connection == connection_id
    return run.connection.id == connection_id if connection is None else run.connection.is_same_as(connection)


def _drop_secret(parts: Parts, secret: str) -> str:
    """As `old_keys.drop`, also where it was not noted yet."""
    with suppress(AzureError):  # what was done is done: it does not fail for this
        old_keys.note(parts, secret)
    return old_keys.drop(parts, secret)


def _is_same(secret: str, other: str) -> bool:
    """Whether two names are of one secret: Key Vault does not tell upper from lower case, see `SecretName`."""
    return secret.lower() == other.lower()


def _check_consent(accepted: AcceptedConsent) -> None:
    if accepted.version != CONSENT_VERSION:
        raise ConsentOutdatedError(f"The data privacy text has a newer version, {CONSENT_VERSION}: read and accept it")


def _consent(accepted: AcceptedConsent, stamp: Stamp) -> Consent:
    return Consent(version=accepted.version, at=stamp.at, by=stamp.by)


def _stamp(parts: Parts, caller: Caller) -> Stamp:
    return Stamp(at=parts.now(), by=caller.label)


@contextmanager
def _faults_named() -> Iterator[None]:
    """What the vault and the provider find wrong with a connection, as such."""
    try:
        yield
    except ConfigError as error:
        raise UnusableConnectionError(str(error)) from error
