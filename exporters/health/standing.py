"""Standing: exports that have failed, or wait for a person. Each end and each hold is told once; this is told again.

An export has failed until a run of it ends well, or it is removed. Nothing else makes it well, as the list is still
without its people: neither a run that was canceled, nor an edit, nor that it is detached or its schedule was switched
off. A reconciliation, a correction or an undo says nothing of it either way.
"""

from collections.abc import Iterable

from exporters.configuration.overview import READS_AT_ONCE, Row
from exporters.errors import ConfigError
from exporters.model.names import RunId
from exporters.model.run import Run, RunStatus
from exporters.parts import Parts
from exporters.storage import paths


def failed_run(row: Row) -> RunId | None:
    """The last run of an export that has failed; the first one, where runs after it were canceled. None: it is well."""
    return row.last_run if row.last_status is RunStatus.FAILED else row.failing_since


def held_runs(parts: Parts, rows: Iterable[Row]) -> list[Run]:
    """The runs of exports that a brake holds: reads those that are at work, as only they know."""
    at_work = [paths.run(row.id, row.active) for row in rows if row.active is not None]
    with parts.uploaders(READS_AT_ONCE) as pool:
        return [run for run in pool.map(lambda path: _read(parts, path), at_work) if run is not None and run.held]


def _read(parts: Parts, path: str) -> Run | None:
    try:
        found = parts.documents.read(Run, path)
    except ConfigError:  # the watch has told of it, and hides no other
        return None
    return None if found is None else found.value
