"""Exports as callers see them: one of them, what was found when it was saved, and a row among others."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from exporters.api.runs import address_of
from exporters.configuration import exports
from exporters.configuration.checks import Checked, Finding, Profiles
from exporters.configuration.overview import KnownConnection, Row, row_of
from exporters.delivery import records
from exporters.delivery.ledgers import read_state
from exporters.delivery.waiting import fails
from exporters.errors import ConfigError
from exporters.model.caller import Caller, Role, Stamp
from exporters.model.connection import Connection, UsedBy
from exporters.model.export import EXAMPLE, Export, ExportSettings, Mode
from exporters.model.names import Id
from exporters.model.run import ExportState, Run
from exporters.model.schedule import Schedule
from exporters.model.status_word import StatusWord, word_of_export
from exporters.parts import Parts
from exporters.scheduling.next_run import NextRun, next_run, next_run_of
from exporters.scheduling.start import read_named
from exporters.storage import paths

#: What stands in place of the name of a connection.
NO_CONNECTION = "No connection"


class Permission(StrEnum):
    """What the caller may do with an export."""

    EDIT = "edit"
    VIEW = "view"


class ExportView(BaseModel):
    """An export. `settings` is what PUT takes."""

    id: Id
    settings: ExportSettings
    connection_name: str = Field(description=f"{NO_CONNECTION}, where it is detached")
    provider: str | None = Field(description="null without a connection that can be used")
    permission: Permission = Field(description="what the caller may do with it")
    status: StatusWord
    active: str | None = Field(description="address of the run at work")
    last_run: str | None = Field(description="address of the run that ended last")
    last_finished: datetime | None
    next_run: NextRun
    created: Stamp | None = Field(description="null where the document was written by hand")
    updated: Stamp | None


class SavedView(ExportView):
    """An export that was saved, or would be, and what is worth a look."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "newsletter",
                    "settings": EXAMPLE,
                    "connection_name": "SendGrid, marketing",
                    "provider": "sendgrid",
                    "permission": "edit",
                    "status": "Not started",
                    "active": None,
                    "last_run": None,
                    "last_finished": None,
                    "next_run": {"kind": "time", "at": "2026-11-24T05:00:00Z", "text": "On 2026-11-24 at 06:00"},
                    "created": {"at": "2026-11-23T08:00:00Z", "by": "ann@example.com"},
                    "updated": {"at": "2026-11-23T08:00:00Z", "by": "ann@example.com"},
                    "warnings": [{"field": "list_id", "message": "The export win-back fills the same list"}],
                    "profiles": [
                        {
                            "segment": "CustomerInsights_abcd1234/BlobExport/HighValueSegment",
                            "profiles": 81_500,
                            "exact": True,
                        }
                    ],
                }
            ]
        }
    )

    warnings: tuple[Finding, ...] = Field(description="what may be meant so, or may pass; the export is saved")
    profiles: tuple[Profiles, ...] = Field(description="how large each segment is")


class ExportRow(BaseModel):
    """An export among others."""

    id: str
    name: str
    connection: Id | None
    connection_name: str = Field(description=f"{NO_CONNECTION}, where it is detached")
    provider: str | None
    list_id: str
    segments: tuple[str, ...]
    mode: Mode
    schedule: Schedule
    next_run: NextRun = Field(description="without a look at the segments")
    permission: Permission = Field(description="what the caller may do with it")
    status: StatusWord
    active: str | None = Field(description="address of the run at work")
    last_run: str | None = Field(description="address of the run that ended last")
    refreshed: datetime | None = Field(description="when that ended")
    updated: datetime
    updated_by: str = Field(description="empty where the document was written by hand")
    fault: str = Field(description="why its document cannot be used; the other members may say nothing then")


def view(parts: Parts, caller: Caller, export: Export) -> ExportView:
    """An export as it is stored."""
    row = row_of(export, read_state(parts, export.id), written=_written(parts, export))
    return _view(parts, caller, export, row, next_run_of(parts, row))


def saved_view(parts: Parts, caller: Caller, export: Export, checked: Checked, *, is_stored: bool) -> SavedView:
    """An export that was saved, or that would be."""
    if is_stored:
        shown = view(parts, caller, export)
    else:
        row = row_of(export, ExportState(export=export.id), written=parts.now())
        shown = _view(parts, caller, export, row, next_run(row, parts.now()))
    members = {name: getattr(shown, name) for name in ExportView.model_fields}
    return SavedView(**members, warnings=checked.warnings, profiles=checked.profiles)


def row_view(
    parts: Parts, caller: Caller, row: Row, connection: KnownConnection | None, active: Run | None
) -> ExportRow:
    """An export among others; `active` is its run at work, as far as that can be read."""
    return ExportRow(
        **row.model_dump(include=_SAME),
        schedule=row.schedule,
        connection_name=_connection_name(row.connection, None if connection is None else connection.display_name),
        next_run=next_run(row, parts.now(), active=active, unusable=unusable(row)),
        permission=permission(caller, row, None if connection is None else connection.used_by),
        status=_status(parts, row, active),
        active=_address(row, row.active),
        last_run=_address(row, row.last_run),
        refreshed=row.last_finished,
    )


def unusable(row: Row) -> str:
    """Why no run of an export can start, as far as the overview tells; empty where it tells nothing of it."""
    if row.connection is None or row.provider is not None:
        return ""
    return f"The connection {row.connection} does not exist, or its document cannot be used"


#: What a row shows as the overview has it.
_SAME = {"id", "name", "connection", "provider", "list_id", "segments", "mode", "updated", "updated_by", "fault"}


def permission(caller: Caller, row: Row, used_by: UsedBy | None) -> Permission:
    """What a caller may do with an export, as `api.permissions` says; `used_by`: its connection's, if it has one."""
    if caller.role is Role.ADMINISTRATOR:
        return Permission.EDIT
    is_free = row.connection is None and not row.fault
    may_edit = caller.role is Role.CONTRIBUTOR and (is_free or used_by is UsedBy.CONTRIBUTORS)
    return Permission.EDIT if may_edit else Permission.VIEW


def active_run(parts: Parts, row: Row) -> Run | None:
    """The run of an export that is at work; None also where it is only just starting, or cannot be read."""
    if row.active is None:
        return None
    try:
        return records.read_run(parts, row.id, row.active)
    except ConfigError:
        return None


def _view(parts: Parts, caller: Caller, export: Export, row: Row, following: NextRun) -> ExportView:
    connection = _connection(parts, export)
    return ExportView(
        id=export.id,
        settings=exports.settings_of(export),
        connection_name=_connection_name(export.connection, None if connection is None else connection.display_name),
        provider=None if connection is None else connection.provider,
        permission=permission(caller, row, None if connection is None else connection.used_by),
        status=_status(parts, row, active_run(parts, row)),
        active=_address(row, row.active),
        last_run=_address(row, row.last_run),
        last_finished=row.last_finished,
        next_run=following,
        created=export.created,
        updated=export.updated,
    )


def _connection(parts: Parts, export: Export) -> Connection | None:
    """The export's connection, if it has one that can be read."""
    if export.connection is None:
        return None
    try:
        return read_named(parts, Connection, paths.connection(export.connection), export.connection)
    except ConfigError:
        return None


def _connection_name(connection_id: str | None, display_name: str | None) -> str:
    return NO_CONNECTION if connection_id is None else display_name or connection_id


def _status(parts: Parts, row: Row, active: Run | None) -> StatusWord:
    return word_of_export(row, active, fails=active is not None and fails(parts, active))


def _address(row: Row, run: str | None) -> str | None:
    return None if run is None else address_of(row.id, run)


def _written(parts: Parts, export: Export) -> datetime:
    """When the document was stored, for one that was written by hand."""
    if export.updated is not None:
        return export.updated.at
    return exports.stored_at(parts, export.id) or parts.now()
