"""A start that died after it had claimed the export's place, and that nobody can complete any more.

The run has ended before it began, so it is written as one that has failed, and the place is free again. Repeating it
is harmless: the document is written once, and what follows from an end is.
"""

import logging

from exporters import log
from exporters.errors import ConfigError
from exporters.model.export import Export
from exporters.model.run import Active
from exporters.parts import Parts
from exporters.scheduling.skipped import connection_of
from exporters.scheduling.start import drop_state, fail, read_named
from exporters.storage import paths


def fail_start(parts: Parts, active: Active, export_id: str, error: ConfigError) -> None:
    """End the run of such a start, as the export cannot run. Raises ConfigError where the export cannot be read.

    Where the export is gone nobody could look at its run, so its place goes with the state that has it.
    """
    export = read_named(parts, Export, paths.export(export_id), export_id)
    if export is None:
        log.step("start", "dropped", level=logging.WARNING, export=export_id, run_id=active.run, reason=str(error))
        drop_state(parts, export_id)
        return
    reason = f"Its start was cut short, and then it could not run any more. {error}"
    fail(parts, active, export, connection_of(parts, export), reason)
