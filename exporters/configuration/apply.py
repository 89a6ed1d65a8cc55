"""Make a file the configuration: look at everything first, then change one thing after the other.

Each change is the one that somebody could have made by hand, in the trail like any other and under the ETag that its
document had when the plan was made. Who dies half-way, or is told that something could not be done, applies the file
again: what is as it should be is left alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from pydantic import BaseModel

from exporters.audit.trail import Action, audited
from exporters.configuration import connections, exports, overview
from exporters.configuration.as_code import (
    ConfigurationFile,
    ConnectionInFile,
    ExportInFile,
    Fault,
    FileRead,
    UnusableFileError,
)
from exporters.configuration.checks import Checked, check
from exporters.configuration.overview import Overview, Row, row_of
from exporters.configuration.plan import Change, ChangeOutcome, Of, PlannedChange, Stored, plan, stored
from exporters.configuration.proof import prove
from exporters.errors import ConfigError, ExporterError, StorageConflictError, ThrottledError, TransientError
from exporters.model.caller import Caller
from exporters.model.connection import Connection, NewConnection, NewKey
from exporters.model.consent import CONSENT_VERSION
from exporters.model.export import Export, Mode
from exporters.model.run import ExportState
from exporters.parts import Parts
from exporters.storage.documents import Versioned

#: Keys and exports that are looked at at once: each asks the provider, and an export reads the first megabytes of its
#: segments. Ours.
LOOKS_AT_ONCE = 4
#: Time since the file was read within which a look is begun, a change that asks the provider, and any change at all.
#: The platform cuts a request off after 230 seconds, of which reading takes up to 15, and a provider may take 150:
#: https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook#limits
LOOK_WITHIN = timedelta(seconds=45)
ASK_WITHIN = timedelta(seconds=60)
APPLY_WITHIN = timedelta(seconds=180)

NO_CONSENT = (
    "a new connection needs consent: read the data privacy text that GET /api/providers answers, and add consent with"
    f' accepted: true and version: "{CONSENT_VERSION}"'
)
OLD_CONSENT = f'the data privacy text has another version, "{CONSENT_VERSION}": read it, and accept that one'
OTHER_PROVIDER = "the provider of a connection never changes: make another connection, and attach the exports to it"
NO_CONNECTION = "there is no connection {name}, neither in the file nor beside it"
GOES = "the connection {name} is not in the file, and what is not there is to be removed"
NOT_PROVED = "The key could not be proved now: {why}"
NOT_LOOKED_AT = "Was not held against provider and segments: there was no time for so many at once"
SAME_LIST = (
    "the export {name} is to fill the same list, and one of the two is in mirror mode, so people whom the other wants"
    " there would be removed: put all segments into one export, or use another list"
)
NO_TIME = "there was no time for so many at once"
LATER = "Is held against provider and segments once its connection is there"
CHANGED = "Somebody has changed it meanwhile: apply the file again"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A file beside what is stored, and whether it is to be all there is."""

    read: FileRead
    before: Stored
    prune: bool
    began: datetime  #: when the file was read
    file: ConfigurationFile  #: with providers under the names that they have here

    @cached_property
    def connections(self) -> Mapping[str, ConnectionInFile]:
        """Those of the file, by id."""
        return {each.id: each for each in self.file.connections}

    @cached_property
    def exports(self) -> Mapping[str, ExportInFile]:
        """Those of the file, by id."""
        return {each.id: each for each in self.file.exports}

    def connection(self, connection_id: str | None) -> Connection | None:
        """One that there is going to be; None where there is none of this id."""
        if connection_id is None:
            return None
        if (wanted := self.connections.get(connection_id)) is not None:
            return _connection(wanted)
        there = self.before.connections.get(connection_id)
        return None if there is None else there.value

    @cached_property
    def overview(self) -> Overview:
        """All exports that there are going to be, as they are going to be."""
        found = {} if self.prune else {name: each.value for name, each in self.before.exports.items()}
        found |= {each.id: Export.model_validate(dict(each)) for each in self.file.exports}
        nothing_known = datetime.min.replace(tzinfo=UTC)  # a check asks for settings only
        rows = (row_of(each, ExportState(export=each.id), written=nothing_known) for each in found.values())
        return Overview(rows={row.id: row for row in rows})


def wanted_by(parts: Parts, read: FileRead, *, prune: bool) -> Wanted:
    """A file beside what is stored now. Raises ConfigError where a stored document cannot be used."""
    began = parts.now()
    named = tuple(_named_as_here(parts, each) for each in read.file.connections)
    file = read.file.model_copy(update={"connections": named})
    return Wanted(read=read, before=stored(parts), prune=prune, began=began, file=file)


def _named_as_here(parts: Parts, each: ConnectionInFile) -> ConnectionInFile:
    try:
        return each.model_copy(update={"provider": parts.facts(_connection(each)).name})
    except ConfigError:  # told with everything else that is wrong
        return each


class Summary(BaseModel):
    """What the trail tells of a file: how often each change was to be made."""

    prune: bool
    changes: dict[Change, int]


class HaltedError(ExporterError):
    """Not everything could be done: one change could not be made, or time was up (`in_time` is false)."""

    def __init__(self, changes: Sequence[PlannedChange], *, in_time: bool) -> None:
        super().__init__("not everything was done")
        self.changes = tuple(changes)
        self.in_time = in_time


def planned(parts: Parts, wanted: Wanted) -> Sequence[PlannedChange]:
    """What would change, with warnings. Changes nothing.

    Raises UnusableFileError with everything that is wrong, TransientError where the vault cannot be reached.
    """
    changes = {change.of: change for change in plan(wanted.before, wanted.file, prune=wanted.prune)}
    found = [*_connections(parts, wanted), *_exports(parts, wanted, changes)]
    if faults := [fault for each in found for fault in each.faults]:
        raise UnusableFileError(faults)
    for each in found:
        changes[each.of] = changes[each.of].model_copy(update={"warnings": each.warnings})
    return list(changes.values())


def applied(parts: Parts, caller: Caller, wanted: Wanted, changes: Sequence[PlannedChange]) -> Sequence[PlannedChange]:
    """Make the changes of a plan, and answer them with what came of them.

    The first one that cannot be made ends it: those after it may need it. Raises HaltedError then, or when time is up;
    AzureError where storage is away.
    """
    counts = {kind: sum(change.change is kind for change in changes) for kind in Change}
    summary = Summary(prune=wanted.prune, changes={kind: count for kind, count in counts.items() if count})
    done = list(changes)
    trail = audited(parts, caller, Action.CONFIGURATION_APPLIED, "/configuration", after=summary)
    with trail, overview.refreshed_together(parts):
        for number, change in enumerate(changes):
            if change.is_none:
                continue
            if parts.now() - wanted.began > (ASK_WITHIN if _asks(wanted, change) else APPLY_WITHIN):
                raise HaltedError(done, in_time=False)
            try:
                _make(parts, caller, wanted, change)
            except ExporterError as error:
                reason = CHANGED if isinstance(error, StorageConflictError) else str(error)
                done[number] = change.model_copy(update={"outcome": ChangeOutcome.NOT_DONE, "reason": reason})
                raise HaltedError(done, in_time=True) from error
            done[number] = change.model_copy(update={"outcome": ChangeOutcome.DONE})
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is wrong with a connection or export of the file, or may be."""

    of: Of
    faults: Sequence[Fault] = ()
    warnings: tuple[str, ...] = ()


_Changes = Mapping[Of, PlannedChange]


def _connections(parts: Parts, wanted: Wanted) -> Iterator[_Seen]:
    """Of each connection: consent, provider, and the key, where there is a new one."""
    entries = list(enumerate(wanted.connections.values()))
    with parts.uploaders(LOOKS_AT_ONCE) as pool:
        yield from pool.map(lambda entry: _seen(parts, wanted, *entry), entries)


def _seen(parts: Parts, wanted: Wanted, number: int, each: ConnectionInFile) -> _Seen:
    of: Of = ("connection", each.id)
    place = ("connections", number)
    there = wanted.before.connections.get(each.id)
    faults = [wanted.read.fault((*place, field), message) for field, message in _faults(parts, each, there)]
    if faults or not _has_new_key(wanted, each):
        return _Seen(of=of, faults=faults)
    if parts.now() - wanted.began > LOOK_WITHIN:
        return _Seen(of=of, warnings=(NOT_PROVED.format(why=NO_TIME),))
    try:
        prove(parts, _connection(each), parts.secrets.get(each.secret, fresh=True))
    except ConfigError as error:
        return _Seen(of=of, faults=[wanted.read.fault((*place, "secret"), str(error))])
    except (ThrottledError, TransientError) as error:
        return _Seen(of=of, warnings=(NOT_PROVED.format(why=error),))
    return _Seen(of=of)


def _has_new_key(wanted: Wanted, each: ConnectionInFile) -> bool:
    there = wanted.before.connections.get(each.id)
    return there is None or there.value.secret != each.secret


def _asks(wanted: Wanted, change: PlannedChange) -> bool:
    """Whether a change waits for the provider: it proves a key, or holds an export against it."""
    if change.change is Change.REMOVE:
        return False
    if change.kind == "connection":
        return _has_new_key(wanted, wanted.connections[change.id])
    return _is_later(wanted, wanted.exports[change.id])


def _is_later(wanted: Wanted, each: ExportInFile) -> bool:
    """Whether an export's connection is still to be made."""
    return each.connection is not None and each.connection not in wanted.before.connections


def _faults(parts: Parts, each: ConnectionInFile, there: Versioned[Connection] | None) -> Iterator[tuple[str, str]]:
    """What is wrong with a connection as it stands in the file, by field."""
    if there is None and each.consent is None:
        yield "consent", NO_CONSENT
    elif there is None and each.consent is not None and each.consent.version != CONSENT_VERSION:
        yield "consent", OLD_CONSENT
    try:
        provider = parts.facts(_connection(each))
    except ConfigError as error:
        yield "provider", str(error)
    else:
        if there is not None and parts.facts(there.value) is not provider:
            yield "provider", OTHER_PROVIDER


def _connection(each: ConnectionInFile) -> Connection:
    return Connection.model_validate(each.model_dump(exclude={"consent"}))


def _exports(parts: Parts, wanted: Wanted, changes: _Changes) -> Sequence[_Seen]:
    """Of each export that changes: its connection, and what saving it by hand would find."""
    fillers = _fillers(parts, wanted)
    entries = list(enumerate(wanted.exports.values()))
    with parts.uploaders(LOOKS_AT_ONCE) as pool:
        return list(pool.map(lambda entry: _export(parts, wanted, changes, fillers, *entry), entries))


#: Key and list -> the exports that are going to fill it.
_Fillers = Mapping[tuple[str, str], Sequence[Row]]


def _fillers(parts: Parts, wanted: Wanted) -> _Fillers:
    """All exports that there are going to be, by what they fill, as far as that can be told without the provider."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in wanted.overview.rows.values():
        if (filled := _filled(parts, wanted, row.connection, row.list_id)) is not None:
            found.setdefault(filled, []).append(row)
    return found


def _filled(parts: Parts, wanted: Wanted, connection_id: str | None, list_id: str) -> tuple[str, str] | None:
    """The secret in lower case, as Key Vault does not tell it from upper case, and the list as the provider has it."""
    connection = wanted.connection(connection_id)
    if connection is None:
        return None
    try:
        return connection.secret.lower(), parts.facts(connection).canonical_list_id(list_id)
    except ConfigError:
        return None


def _same_list(parts: Parts, wanted: Wanted, fillers: _Fillers, each: ExportInFile) -> str | None:
    """Why an export cannot fill its list beside another one, without a question to its provider."""
    filled = _filled(parts, wanted, each.connection, each.list_id)
    others = [] if filled is None else [row for row in fillers[filled] if row.id != each.id]
    clashing = next((row for row in others if Mode.MIRROR in {row.mode, each.mode}), None)
    return None if clashing is None else SAME_LIST.format(name=clashing.id)


def _export(
    parts: Parts, wanted: Wanted, changes: _Changes, fillers: _Fillers, number: int, each: ExportInFile
) -> _Seen:
    of: Of = ("export", each.id)
    if (missing := _missing(wanted, each)) is not None:
        return _Seen(of=of, faults=[wanted.read.fault(("exports", number, "connection"), missing)])
    if changes[of].is_none:
        return _Seen(of=of)
    is_later = _is_later(wanted, each)
    if is_later or parts.now() - wanted.began > LOOK_WITHIN:
        clash = _same_list(parts, wanted, fillers, each)
        faults = [] if clash is None else [wanted.read.fault(("exports", number, "list_id"), clash)]
        return _Seen(of=of, faults=faults, warnings=(LATER if is_later else NOT_LOOKED_AT,))
    checked = check(parts, each.settings, wanted.overview, export_id=each.id)
    return _Seen(
        of=of,
        faults=[
            wanted.read.fault(("exports", number, *path_of(found.field)), found.message) for found in checked.faults
        ],
        warnings=tuple(f"{found.field}: {found.message}" for found in checked.warnings),
    )


def _missing(wanted: Wanted, each: ExportInFile) -> str | None:
    """Why an export's connection is not there when the file is the configuration; None where it is, or needs none."""
    if each.connection is None or each.connection in wanted.connections:
        return None
    if each.connection not in wanted.before.connections:
        return NO_CONNECTION.format(name=each.connection)
    return GOES.format(name=each.connection) if wanted.prune else None


def path_of(field: str) -> Sequence[str | int]:
    """The parts of a field's name: segments[0] are two, mapping.custom.a.b three, as a custom field may have dots."""
    name, _, number = field.removesuffix("]").partition("[")
    return [name, int(number)] if name == "segments" and number else field.split(".", 2)


def _make(parts: Parts, caller: Caller, wanted: Wanted, change: PlannedChange) -> None:
    """Make one change. Raises what the change raises when it is made by hand."""
    if change.kind == "connection":
        _make_connection(parts, caller, wanted, change)
    else:
        _make_export(parts, caller, wanted, change)


def _make_connection(parts: Parts, caller: Caller, wanted: Wanted, change: PlannedChange) -> None:
    if change.change is Change.REMOVE:
        return connections.remove(parts, caller, change.id, {})
    each = wanted.connections[change.id]
    if change.change is Change.CREATE:
        connections.create(parts, caller, NewConnection.model_validate(each.model_dump()))
        return None
    found = wanted.before.connections[change.id]
    connections.edit(parts, caller, found, each.settings)
    if found.value.secret != each.secret:
        connections.rotate(parts, caller, change.id, NewKey(secret=each.secret))
    return None


def _make_export(parts: Parts, caller: Caller, wanted: Wanted, change: PlannedChange) -> None:
    found = wanted.before.exports.get(change.id)
    if change.change is Change.REMOVE:
        return exports.remove(parts, caller, change.id, found=found)
    each = wanted.exports[change.id]
    if _is_later(wanted, each):
        _raise_faults(check(parts, each.settings, wanted.overview, export_id=each.id))
    if found is None:
        exports.create(parts, caller, each.settings, export_id=each.id)
    else:
        exports.edit(parts, caller, found, each.settings)
    return None


def _raise_faults(checked: Checked) -> None:
    if checked.faults:
        raise ConfigError("; ".join(f"{found.field}: {found.message}" for found in checked.faults))
