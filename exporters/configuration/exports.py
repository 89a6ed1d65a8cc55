"""Exports as people set them up: create, edit, copy, attach, detach, remove, and start all that have a schedule.

Each change is one conditional write of the export's document, so of two people who change it at once one is told that
somebody was faster. A run at work has a copy of its own, which no change reaches.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from exporters.audit.trail import Action, audited
from exporters.configuration import overview
from exporters.configuration.ids import free_id
from exporters.configuration.overview import Row
from exporters.errors import ConfigError, ExporterError, StorageConflictError
from exporters.model.caller import Caller, Stamp
from exporters.model.export import Export, ExportSettings, Mapping, Mode
from exporters.model.names import Id
from exporters.model.run import ExportState, Run, Trigger
from exporters.model.schedule import Off, is_active
from exporters.parts import Parts
from exporters.scheduling.start import Cause, NoSuchExportError, RunActiveError, release_if_ended, start_run
from exporters.scheduling.tick import start_what_is_due
from exporters.storage import paths
from exporters.storage.documents import Versioned

#: Longest name, see `model.names`.
MAX_NAME = 200
#: What the name of a copy ends with.
COPY = " (copy)"
#: Tries to find an id that nobody has taken meanwhile. Ours: two at once is rare already.
MAX_TRIES = 20
#: Exports that are started at once when all are. Ours: as many as the app runs functions at once.
STARTS_AT_ONCE = 8


class ExportExistsError(ExporterError):
    """There is an export of this id already."""


def read(parts: Parts, export_id: str) -> Versioned[Export]:
    """An export as it is now. Raises NoSuchExportError, and ConfigError where its document cannot be used."""
    found = parts.documents.read(Export, paths.export(export_id))
    if found is None:
        raise NoSuchExportError(f"There is no export {export_id}")
    if found.value.id != export_id:
        path = paths.export(export_id)
        raise ConfigError(f"{path} says that its id is {found.value.id}: make id and file name the same")
    return found


def settings_of(export: ExportSettings) -> ExportSettings:
    """What people have set about an export."""
    return ExportSettings.model_validate({name: getattr(export, name) for name in ExportSettings.model_fields})


def planned(parts: Parts, caller: Caller, settings: ExportSettings, *, export_id: str | None = None) -> Export:
    """The export that `create` would make. Raises ExportExistsError where the id is taken."""
    if export_id is not None and parts.state.get(paths.export(export_id)) is not None:
        raise ExportExistsError(f"There is an export {export_id} already")
    return _new(parts, caller, settings, export_id or free_id(settings.name, overview.current(parts).rows))


def create(
    parts: Parts, caller: Caller, settings: ExportSettings, *, export_id: str | None = None
) -> Versioned[Export]:
    """Store a new export; without an id it gets one that is made of its name.

    It inherits nothing from an export that had its id before: what is left of one goes before it can run. Repeating it
    with an id changes nothing, without one it makes another export. Raises ExportExistsError where the id is taken,
    RunActiveError where a run of the export that had it is still at work.
    """
    taken = set(overview.current(parts).rows) if export_id is None else set()
    for _ in range(MAX_TRIES):
        name = export_id or free_id(settings.name, taken)
        if parts.state.get(paths.export(name)) is None:
            try:
                return _created(parts, caller, _new(parts, caller, settings, name))
            except StorageConflictError:
                pass  # somebody else has it now
            except RunActiveError:
                if export_id is not None:
                    raise
        if export_id is not None:
            break
        taken.add(name)
    raise ExportExistsError(f"There is an export {export_id or 'of this name'} already")


def edit(
    parts: Parts,
    caller: Caller,
    found: Versioned[Export],
    settings: ExportSettings,
    *,
    action: Action = Action.EXPORT_EDITED,
) -> Versioned[Export]:
    """Change an export that is still as it was found. Settings that are as they were change nothing.

    What is due by now starts as the export was before, and a new schedule is in force from then on. Raises
    StorageConflictError where somebody has changed the export since, and RunActiveError where it forgets what is known
    and a run is still at work.
    """
    before, settings = found.value, settings_of(settings)
    if settings_of(before) == settings:
        return found
    since, added = before.scheduled_since or stored_at(parts, before.id), before.added
    if settings.schedule != before.schedule or settings.segments != before.segments:
        handled = start_what_is_due(parts, before.id, settings)
        added = _added(before, settings, handled)
        if settings.schedule != before.schedule:
            since, added = handled, {}
    stamp = _stamp(parts, caller)
    after = _export(before.id, settings, scheduled_since=since, added=added, created=before.created, updated=stamp)
    with audited(parts, caller, action, subject(before.id), before=before, after=after):
        etag = _forgotten(parts, before, found.etag) if before.forgets else found.etag
        etag = parts.state.replace(paths.export(before.id), _encoded(after), etag=etag)
    overview.refresh(parts, before.id)
    return Versioned(after, etag)


def duplicate(parts: Parts, caller: Caller, export_id: str) -> Versioned[Export]:
    """Store a copy under a new id, with its schedule off, so that it never runs by surprise; it has no ledger.

    The copy of a mirror export is detached too: two that fill one list would keep each other from running. Repeating it
    makes another copy. Raises as `read`.
    """
    settings = settings_of(read(parts, export_id).value)
    changes: dict[str, object] = {"name": settings.name[: MAX_NAME - len(COPY)] + COPY, "schedule": Off()}
    if settings.mode is Mode.MIRROR:
        changes["connection"] = None
    return create(parts, caller, settings.model_copy(update=changes))


def detach(parts: Parts, caller: Caller, export_id: str) -> Versioned[Export]:
    """Take an export's connection away: it keeps its settings and does not run until it is attached to another one.

    Harmless when repeated. Raises as `read`; StorageConflictError where others change it all the time.
    """
    for _ in range(MAX_TRIES):
        found = read(parts, export_id)
        settings = settings_of(found.value).model_copy(update={"connection": None})
        with suppress(StorageConflictError):
            return edit(parts, caller, found, settings, action=Action.EXPORT_DETACHED)
    raise StorageConflictError(f"The export {export_id} is changed all the time")


def attached(export: Export, connection: Id, *, list_id: str | None, mapping: Mapping | None) -> ExportSettings:
    """An export's settings with another connection, and with the list and the mapping that it has there."""
    changes = {"connection": connection, "list_id": list_id, "mapping": mapping}
    return settings_of(export).model_copy(update={name: value for name, value in changes.items() if value is not None})


def remove(parts: Parts, caller: Caller, export_id: str, *, found: Versioned[Export] | None = None) -> None:
    """Remove an export with what is known about it: its state, its ledgers and the people withheld.

    Its runs stay as history for as long as runs are kept. At first the export is made so that nothing starts it; it
    goes itself last, so that a removal which has died half-way can be repeated, and nothing stays that nobody sees.
    Raises as `read`, RunActiveError where a run is at work or held, StorageConflictError where somebody has changed the
    export since it was found.
    """
    before = found or read(parts, export_id)
    check_idle(parts, export_id)
    with audited(parts, caller, Action.EXPORT_REMOVED, subject(export_id), before=before.value):
        _disarm(parts, before)
        _clear(parts, export_id)
        parts.state.delete(paths.export(export_id))
    overview.refresh(parts, export_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What came of the start of one export among many. One of the last two is there."""

    row: Row
    run: Run | None = None
    error: ExporterError | None = None


def start_all(parts: Parts, caller: Caller, rows: Iterable[Row], *, key: str, until: datetime) -> list[Started | Row]:
    """Start all of these exports that have an active schedule; a bare row is one that the time was too short for.

    The same key starts each of them once, so whoever repeats it goes on with those that are left.
    """

    def start(row: Row) -> Started | Row:
        return _started(parts, caller, row, key) if parts.now() < until else row

    active = [row for row in rows if is_active(row.schedule)]
    with parts.uploaders(STARTS_AT_ONCE) as pool:
        return list(pool.map(start, active))


def subject(export_id: str) -> str:
    """How the audit trail names an export."""
    return f"/exports/{export_id}"


def _started(parts: Parts, caller: Caller, row: Row, key: str) -> Started:
    cause = Cause(trigger=Trigger.DEMAND, text=key, by=caller.label)
    try:
        with audited(parts, caller, Action.RUN_STARTED, subject(row.id)) as course:
            run = start_run(parts, row.id, cause)
            course.reason = f"the run {run.id}: {run.timeline[0].text}"
            return Started(row=row, run=run)
    except ConfigError as error:
        return Started(row=row, error=error)


def _new(parts: Parts, caller: Caller, settings: ExportSettings, export_id: str) -> Export:
    stamp = _stamp(parts, caller)
    return _export(export_id, settings, scheduled_since=stamp.at, created=stamp, updated=stamp)


def _created(parts: Parts, caller: Caller, export: Export) -> Versioned[Export]:
    """Raises StorageConflictError where somebody else has created it meanwhile."""
    path = paths.export(export.id)
    with audited(parts, caller, Action.EXPORT_CREATED, subject(export.id), after=export):
        if next(_left(parts, export.id), None) is None:
            etag = parts.state.create(path, _encoded(export))
        else:
            etag = _in_place_of_another(parts, export)
    overview.refresh(parts, export.id)
    return Versioned(export, etag)


def _in_place_of_another(parts: Parts, export: Export) -> str:
    """Create an export where something is left of one that had its id. Answers its ETag."""
    check_idle(parts, export.id)
    etag = parts.state.create(paths.export(export.id), _encoded(_unable(export)))
    etag = _forgotten(parts, export, etag)
    return parts.state.replace(paths.export(export.id), _encoded(export), etag=etag)


def _forgotten(parts: Parts, export: Export, etag: str) -> str:
    """Delete what is known under the id of an export that cannot start, for whoever is the only one to change it.

    Answers the ETag that says so. Raises RunActiveError where a run was started before it could not be any more.
    """
    check_idle(parts, export.id)
    etag = parts.state.replace(paths.export(export.id), _encoded(_unable(export)), etag=etag)
    _clear(parts, export.id)
    return etag


def _disarm(parts: Parts, found: Versioned[Export]) -> None:
    """Have nothing start an export any more. Raises RunActiveError where something just has."""
    path = paths.export(found.value.id)
    etag = parts.state.replace(path, _encoded(_unable(found.value)), etag=found.etag)
    try:
        check_idle(parts, found.value.id)
    except RunActiveError:
        parts.state.replace(path, _encoded(found.value), etag=etag)
        raise


def _unable(export: Export) -> Export:
    """An export that neither its schedule nor anybody can start, and that forgets what is known under its id."""
    return export.model_copy(update={"connection": None, "schedule": Off(), "forgets": True})


def check_idle(parts: Parts, export_id: str) -> None:
    """Raises RunActiveError where a run is at work or held."""
    held = release_if_ended(parts, export_id)
    found = parts.documents.read(ExportState, paths.export_state(export_id))
    if found is not None and found.value.active is not None:
        run = found.value.active.run
        raise RunActiveError(export_id, run, held=run == held)


def _left(parts: Parts, export_id: str) -> Iterator[str]:
    """What is stored about an export beside its settings and its runs, the state first."""
    alone = (paths.export_state(export_id), paths.withheld(export_id))
    for prefix in (*alone, f"ledgers/{export_id}/"):
        yield from (blob.name for blob in parts.state.list(prefix) if prefix not in alone or blob.name == prefix)


def _clear(parts: Parts, export_id: str) -> None:
    """Delete what is known about an export. The state names the ledger, so it goes first."""
    for name in list(_left(parts, export_id)):
        parts.state.delete(name)


def _added(before: Export, settings: ExportSettings, now: datetime) -> dict[str, datetime]:
    """Which segments came later than the schedule, and when, after a change of segments now."""
    new = {segment: now for segment in settings.segments if segment not in before.segments}
    return {segment: at for segment, at in before.added.items() if segment in settings.segments} | new


def _export(export_id: str, settings: ExportSettings, **notes: object) -> Export:
    values = {name: getattr(settings, name) for name in ExportSettings.model_fields}
    return Export.model_validate({"id": export_id, **values, **notes})


def stored_at(parts: Parts, export_id: str) -> datetime | None:
    """When the document was written."""
    path = paths.export(export_id)
    return next((blob.modified for blob in parts.state.list(path) if blob.name == path), None)


def _stamp(parts: Parts, caller: Caller) -> Stamp:
    return Stamp(at=parts.now(), by=caller.label)


def _encoded(export: Export) -> bytes:
    return export.model_dump_json().encode()
