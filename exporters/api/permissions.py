"""What a contributor may do: use connections that are shared with them, and manage every export that uses one."""

import re

from exporters.model.caller import Caller, Role
from exporters.model.connection import Connection, UsedBy
from exporters.model.export import Export
from exporters.model.names import ID_PATTERN, RUN_ID_PATTERN
from exporters.model.run import Run
from exporters.parts import Parts
from exporters.storage import paths


def may_use_connection(parts: Parts, caller: Caller, connection_id: str) -> bool:
    """Whether a caller may use a connection for exports; contributors none that there is not."""
    if caller.role is Role.ADMINISTRATOR:
        return True
    if caller.role is not Role.CONTRIBUTOR:
        return False
    found = parts.documents.read(Connection, paths.connection(connection_id))
    return found is not None and found.value.used_by is UsedBy.CONTRIBUTORS


def may_use_export(parts: Parts, caller: Caller, export_id: str | None) -> bool:
    """Whether a caller may manage an export; where there is none, whether they may manage exports at all.

    A detached one uses nothing that is not theirs to use.
    """
    if caller.role is not Role.CONTRIBUTOR or export_id is None:
        return caller.role is not None and caller.role.includes(Role.CONTRIBUTOR)
    if not re.fullmatch(ID_PATTERN, export_id):
        return True  # there is none, and the answer says so
    found = parts.documents.read(Export, paths.export(export_id))
    if found is None or found.value.connection is None:
        return True
    return may_use_connection(parts, caller, found.value.connection)


def may_use_run(parts: Parts, caller: Caller, export_id: str | None, run_id: str | None) -> bool:
    """Whether a caller may use the connection of a run, if an address names one; contributors none that is gone.

    A run goes on with its connection whatever its export uses by now, and its people are those of that one.
    """
    if caller.role is not Role.CONTRIBUTOR or export_id is None or run_id is None:
        return True
    if not re.fullmatch(ID_PATTERN, export_id) or not re.fullmatch(RUN_ID_PATTERN, run_id):
        return True  # there is none, and the answer says so
    run = parts.documents.read(Run, paths.run(export_id, run_id))
    if run is None:
        return True
    used = run.value.connection
    found = parts.documents.read(Connection, paths.connection(used.id))
    return found is not None and found.value.is_same_as(used) and found.value.used_by is UsedBy.CONTRIBUTORS
