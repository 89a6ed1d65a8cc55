"""One slim row for each export, kept in `state/overview.json`: ten thousand exports without ten thousand reads.

The rows only repeat what the documents of exports and their state say. They are told apart by ETag, so one that is
stale is mended by whoever looks next, and a lost or unreadable file is made anew.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from weakref import WeakKeyDictionary

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from exporters import log
from exporters.errors import ConfigError, StorageConflictError
from exporters.model.connection import Connection, UsedBy
from exporters.model.export import Export, Mode
from exporters.model.names import Id, RunId
from exporters.model.run import ExportState, LastWell, RunStatus
from exporters.model.schedule import Off, Schedule
from exporters.parts import Parts
from exporters.storage import paths
from exporters.storage.blobs import BlobInfo, BlobStore

PATH = "state/overview.json"
#: Documents that are read at once. Ours: fewer than the ten connections that the storage client keeps open.
READS_AT_ONCE = 8
#: Tries to put one row in place while others write too. Ours: whoever looks next mends what is given up here.
MAX_TRIES = 5
#: Exports that are listed anew for each page. Ours: takes a third of a second with Azurite, 10,000 take eight.
LOOKED_AT_ANEW = 500


class KnownConnection(BaseModel):
    """What exports show of their connection."""

    model_config = ConfigDict(frozen=True)

    etag: str
    provider: str | None = None  #: None where the document cannot be read
    display_name: str = ""
    used_by: UsedBy = UsedBy.ADMINISTRATORS


class Row(BaseModel):
    """What lists, schedules and the tick need to know of one export."""

    model_config = ConfigDict(frozen=True)

    id: str  #: what its file is called
    name: str
    connection: Id | None = None
    provider: str | None = None  #: None where the export has no connection that can be read
    list_id: str = ""
    segments: tuple[str, ...] = ()
    mode: Mode = Mode.UPDATE
    schedule: Schedule = Off()
    scheduled_since: AwareDatetime  #: occurrences before are none of its schedule
    added: dict[str, AwareDatetime] = Field(default_factory=dict)  #: as `Export.added`
    updated: AwareDatetime
    updated_by: str = ""  #: empty where the document was written by hand
    config_etag: str  #: of the listing, without quotes; what was read is at least as new
    state_etag: str = ""  #: as `config_etag`; empty where there is no state yet
    occurrence: AwareDatetime | None = None
    occurrence_skipped: str = ""
    refreshed: dict[str, AwareDatetime] = Field(default_factory=dict)  #: as `ExportState.refreshed`
    read: dict[str, AwareDatetime] = Field(default_factory=dict)  #: by segment: when what the last run read was written
    active: RunId | None = None
    last_run: RunId | None = None
    last_status: RunStatus | None = None
    last_finished: AwareDatetime | None = None
    failing_since: RunId | None = None  #: as `ExportState.failing_since`
    last_well: LastWell | None = None  #: as `ExportState.last_well`
    fault: str = ""  #: why a document of it cannot be used; the row may say nothing else then


class Overview(BaseModel):
    """All exports, by id, and the connections that they can use."""

    model_config = ConfigDict(frozen=True)

    rows: dict[str, Row] = Field(default_factory=dict)
    connections: dict[str, KnownConnection] = Field(default_factory=dict)


#: Store -> ETag and content of the overview that was read or written there last.
_remembered: WeakKeyDictionary[BlobStore, tuple[str, Overview]] = WeakKeyDictionary()


def look(parts: Parts) -> Overview:
    """All exports as they are now: lists them, reads what has changed since the last look, and keeps that.

    Repeating it, or looking from two places at once, gives the same rows, so it does not matter whose are stored.
    """
    etag, before = _kept(parts)
    configs, states = _listed(parts, paths.EXPORTS), _listed(parts, paths.EXPORT_STATES)
    stale = [name for name in configs if not _is_fresh(before.rows.get(name), configs[name], states.get(name))]
    with parts.uploaders(READS_AT_ONCE) as pool:
        connections = _connections(parts, before, pool)
        read = pool.map(lambda name: _row(parts, name, configs[name], states.get(name), connections), stale)
        kept = {name: _with_provider(before.rows[name], connections) for name in configs if name in before.rows}
        rows = _by_id((kept | dict(zip(stale, read, strict=True))).values())
    after = Overview(rows=rows, connections=connections)
    if etag is None or after != before:
        _keep(parts, after, etag=etag)
    return after


def current(parts: Parts) -> Overview:
    """All exports for somebody who waits: as they are now where they are few, else as the tick has seen them.

    Of many, those that somebody changed over the API are as they are now all the same, see `refresh`.
    """
    etag, before = _kept(parts)
    if etag is None or len(before.rows) <= LOOKED_AT_ANEW:
        return look(parts)
    with parts.uploaders(READS_AT_ONCE) as pool:
        connections = _connections(parts, before, pool)
    if connections == before.connections:
        return before
    rows = (_with_provider(row, connections) for row in before.rows.values())
    return Overview(rows=_by_id(rows), connections=connections)


def rows_of(parts: Parts, names: Iterable[str]) -> dict[str, Row]:
    """Some exports as they are now, by reading just those; without those that are not there."""
    with parts.uploaders(READS_AT_ONCE) as pool:
        connections = _connections(parts, Overview(), pool)
    return _found_among(parts, names, connections)


def row_of(export: Export, state: ExportState, *, written: datetime) -> Row:
    """The row of one export, stored or not. `written`: when its document was."""
    row = Row(id=export.id, name=export.name, scheduled_since=written, updated=written, config_etag="")
    return row.model_copy(update=_of_export(export, row) | _of_state(state))


def reread(parts: Parts, rows: Iterable[Row]) -> list[Row]:
    """Some rows, with what their runs have come to by now."""
    with parts.uploaders(READS_AT_ONCE) as pool:
        return list(pool.map(lambda row: _with_state(parts, row), rows))


def page(parts: Parts, seen: Overview, rows: Sequence[Row]) -> Sequence[Row]:
    """Some rows of what `current` has answered, as they are now as far as runs are concerned."""
    return rows if len(seen.rows) <= LOOKED_AT_ANEW else reread(parts, rows)


def refresh(parts: Parts, export_id: str) -> None:
    """Put one export into what is stored as it is now, or take it out where it is gone: for whoever has changed it.

    What does not succeed here the next look does. Within `refreshed_together` it is left to the end of that.
    """
    put_off = _put_off.get()
    if put_off is None:
        _refresh(parts, {export_id})
    else:
        put_off.add(export_id)


@contextmanager
def refreshed_together(parts: Parts) -> Iterator[None]:
    """For whoever changes several exports: what is stored is written once, after all of them, as each write is of all
    rows there are.
    """
    changed: set[str] = set()
    token = _put_off.set(changed)
    try:
        yield
    finally:
        _put_off.reset(token)
        if changed:
            _refresh(parts, changed)


#: Exports that were changed, and whose rows are to be written later; None: each is written at once.
_put_off: ContextVar[set[str] | None] = ContextVar("put_off", default=None)


def _refresh(parts: Parts, changed: Collection[str]) -> None:
    for _ in range(MAX_TRIES):
        etag, before = _kept(parts)
        if etag is None:
            look(parts)
            return
        rows = {name: row for name, row in before.rows.items() if name not in changed}
        rows |= _found_among(parts, changed, before.connections)
        if _keep(parts, before.model_copy(update={"rows": rows}), etag=etag):
            return


def _kept(parts: Parts) -> tuple[str | None, Overview]:
    """What is stored and its ETag, which is None where nothing is. What cannot be read counts for empty."""
    listed = _info(parts, PATH)
    if listed is None:
        return None, Overview()
    etag, overview = _remembered.get(parts.state, ("", Overview()))
    if _bare(etag) == _bare(listed.etag):
        return etag, overview
    blob = parts.state.get(PATH)
    if blob is None:
        return None, Overview()
    try:
        overview = Overview.model_validate_json(blob.data)
    except ValidationError:
        overview = Overview()
    _remembered[parts.state] = (blob.etag, overview)
    return blob.etag, overview


def _keep(parts: Parts, overview: Overview, *, etag: str | None) -> bool:
    """Store what was made from the version with this ETag; False where somebody else was faster."""
    data = overview.model_dump_json(exclude_none=True).encode()
    try:
        new = parts.state.create(PATH, data) if etag is None else parts.state.replace(PATH, data, etag=etag)
    except StorageConflictError:
        return False
    _remembered[parts.state] = (new, overview)
    return True


def _info(parts: Parts, path: str) -> BlobInfo | None:
    """What a listing says of one document; None where there is none."""
    return next((blob for blob in parts.state.list(path) if blob.name == path), None)


def _listed(parts: Parts, prefix: str) -> dict[str, BlobInfo]:
    """The documents below a prefix, by the names of their files."""
    found = (blob for blob in parts.state.list(prefix) if blob.name.endswith(".json"))
    return {blob.name.removeprefix(prefix).removesuffix(".json"): blob for blob in found}


def _is_fresh(row: Row | None, config: BlobInfo, state: BlobInfo | None) -> bool:
    """Whether a row was made of just these documents."""
    return row is not None and row.config_etag == _bare(config.etag) and row.state_etag == _etag_of(state)


def _etag_of(blob: BlobInfo | None) -> str:
    return "" if blob is None else _bare(blob.etag)


def _bare(etag: str) -> str:
    """An ETag without the quotes that it has in a header, and not in a listing.

    https://learn.microsoft.com/rest/api/storageservices/list-blobs#response-body
    """
    return etag.strip('"')


def _by_id(rows: Iterable[Row | None]) -> dict[str, Row]:
    return {row.id: row for row in rows if row is not None}


def _connections(parts: Parts, before: Overview, pool: Executor) -> dict[str, KnownConnection]:
    """All connections, of which those are read that have changed."""

    def known(entry: tuple[str, BlobInfo]) -> KnownConnection:
        name, blob = entry
        kept = before.connections.get(name)
        return kept if kept is not None and kept.etag == _bare(blob.etag) else _connection(parts, name, blob)

    listed = _listed(parts, paths.CONNECTIONS)
    return dict(zip(listed, pool.map(known, listed.items()), strict=True))


def _connection(parts: Parts, name: str, blob: BlobInfo) -> KnownConnection:
    try:
        found = parts.documents.read(Connection, paths.connection(name))
    except ConfigError:
        found = None
    if found is None or found.value.id != name:
        return KnownConnection(etag=_bare(blob.etag))
    shown = found.value.model_dump(include={"provider", "display_name", "used_by"})
    return KnownConnection(etag=_bare(blob.etag), **shown)


def _found_among(parts: Parts, names: Iterable[str], connections: Mapping[str, KnownConnection]) -> dict[str, Row]:
    """As `_found`, of several; without those that are not there."""
    with parts.uploaders(READS_AT_ONCE) as pool:
        return _by_id(pool.map(lambda name: _found(parts, name, connections), names))


def _found(parts: Parts, name: str, connections: Mapping[str, KnownConnection]) -> Row | None:
    """The row of one export of which nothing is known yet; None where there is none."""
    config = _info(parts, paths.export(name))
    return None if config is None else _row(parts, name, config, _info(parts, paths.export_state(name)), connections)


def _row(
    parts: Parts, name: str, config: BlobInfo, state: BlobInfo | None, connections: Mapping[str, KnownConnection]
) -> Row | None:
    """The row of an export as its documents are now; None where it is gone since it was listed."""
    row = Row(
        id=name,
        name=name,
        scheduled_since=config.modified,
        updated=config.modified,
        config_etag=_bare(config.etag),
        state_etag=_etag_of(state),
    )
    try:
        export = _export(parts, name)
    except ConfigError as error:
        return _unusable(row, error)
    if export is None:
        return None
    row = _with_provider(row.model_copy(update=_of_export(export, row)), connections)
    return row if state is None else _with_state(parts, row)


def _with_state(parts: Parts, row: Row) -> Row:
    """The row with what is known about its export now."""
    if row.fault:
        return row
    try:
        state = parts.documents.read(ExportState, paths.export_state(row.id))
    except ConfigError as error:
        return _unusable(row, error)
    return row if state is None else row.model_copy(update=_of_state(state.value))


def _unusable(row: Row, error: ConfigError) -> Row:
    log.step("overview", "unreadable", level=logging.WARNING, export=row.id, reason=str(error))
    return row.model_copy(update={"fault": str(error)})


def _export(parts: Parts, name: str) -> Export | None:
    """Raises ConfigError where the document cannot be used."""
    path = paths.export(name)
    found = parts.documents.read(Export, path)
    if found is not None and found.value.id != name:
        raise ConfigError(f"{path} says that its id is {found.value.id}: make id and file name the same")
    return None if found is None else found.value


def _of_export(export: Export, row: Row) -> dict[str, object]:
    """What a row shows of its export."""
    return {
        "name": export.name,
        "connection": export.connection,
        "list_id": export.list_id,
        "segments": export.segments,
        "mode": export.mode,
        "schedule": export.schedule,
        "scheduled_since": export.scheduled_since or row.scheduled_since,
        "added": export.added,
        "updated": row.updated if export.updated is None else export.updated.at,
        "updated_by": "" if export.updated is None else export.updated.by,
    }


def _of_state(state: ExportState) -> dict[str, object]:
    """What a row shows of its export's state."""
    return {
        "occurrence": state.occurrence,
        "occurrence_skipped": state.occurrence_skipped,
        "refreshed": state.refreshed,
        "read": {segment: last.written for segment, last in state.last_read.items() if last.written is not None},
        "active": None if state.active is None else state.active.run,
        "last_run": state.last_run,
        "last_status": state.last_status,
        "last_finished": state.last_finished,
        "failing_since": state.failing_since,
        "last_well": state.last_well,
    }


def _with_provider(row: Row, connections: Mapping[str, KnownConnection]) -> Row:
    """The row with the provider that its connection leads to now."""
    known = None if row.connection is None else connections.get(row.connection)
    provider = None if known is None else known.provider
    return row if row.provider == provider else row.model_copy(update={"provider": provider})
