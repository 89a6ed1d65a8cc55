"""What the schedule has left out: no occurrence that has started no run goes without an entry that says why.

An entry is a run document with the id that the occurrence's run would have had. Whatever is written there first
stands, be it the entry or the run, so an occurrence never has both.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice

from exporters import log
from exporters.audit import trail
from exporters.errors import ConfigError
from exporters.history import journal
from exporters.model.caller import BY_SCHEDULE
from exporters.model.connection import Connection
from exporters.model.export import Export
from exporters.model.run import Event, ExportState, Run, RunStatus, Skipped, Step
from exporters.parts import Parts
from exporters.scheduling.due import DueOccurrences
from exporters.scheduling.start import Cause, read_named, scheduled
from exporters.storage import paths

#: Entries of one gap: the last one stands for all that come after it. Ours: more than anybody reads.
MOST_ENTRIES = 100
#: Entries that the export's state names. Ours: as many as a page about the schedule shows.
KEPT = 5
#: Occurrences that are counted; where there are more of them the number is left out. Ours: a week of minutes.
MOST_COUNTED = 10_080
#: Stands in an entry for a connection that the export does not have, or that cannot be read.
NO_CONNECTION = Connection(id="none", provider="none", display_name="No connection", secret="none")  # noqa: S106


def entered(parts: Parts, export_id: str, cause: Cause, at: datetime) -> Run | None:
    """The entry of an occurrence that was skipped; None where there is none, or where it has started a run."""
    found = parts.documents.read(Run, paths.run(export_id, cause.run_of(export_id, at)))
    return None if found is None or found.value.status is not RunStatus.SKIPPED else _told(parts, found.value)


def enter(
    parts: Parts, export: Export, cause: Cause, at: datetime, reason: str, *, until: datetime | None = None
) -> Run:
    """Enter that a cause has started no run, though it should have at this time; answers the document that stands.

    A run may have been faster, so journal and trail say that it was skipped once that is decided. Until then there is a
    mark as of a run at work, so that there is no entry without one. Harmless when repeated.
    """
    path = paths.run(export.id, cause.run_of(export.id, at))
    found = parts.documents.read(Run, path)
    if found is not None:
        return _told(parts, found.value)
    now = parts.now()
    run = Run(
        id=cause.run_of(export.id, at),
        export=export,
        connection=connection_of(parts, export),
        trigger=cause.trigger,
        occurrence=cause.occurrence,
        skipped_until=until,
        status=RunStatus.SKIPPED,
        step=Step.ENDED,
        created=now,
        updated=now,
        finished=now,
        reason=reason,
        timeline=(Event(at=now, text=f"skipped: {reason}"),),
    )
    journal.note(parts, run.model_copy(update={"status": RunStatus.QUEUED}))
    if parts.documents.create(path, run):
        log.step("schedule", "skipped", level=logging.WARNING, export=export.id, run_id=run.id, reason=reason)
    found = parts.documents.read(Run, path)
    return _told(parts, run if found is None else found.value)


def _told(parts: Parts, run: Run) -> Run:
    """A document that stands; if it is an entry, journal and trail say so. Harmless when repeated."""
    if run.status is RunStatus.SKIPPED:
        subject, reason = f"/runs/{run.export.id}/{run.id}", run.reason
        id, at = f"{run.id}-skipped", run.created  # noqa: A001 (as the trail calls it)
        trail.note(parts, BY_SCHEDULE, trail.Action.OCCURRENCE_SKIPPED, subject, id=id, at=at, reason=reason)
        journal.note(parts, run)
    return run


def extended(parts: Parts, export_id: str, due: DueOccurrences) -> Run | None:
    """The entry that a detached export has for the occurrence before these, which stands for them too from now on.

    None where there is none: it is not detached since then, or its schedule is another one. So it has one entry for as
    long as it is detached, not one for each time that nobody waits for. Harmless when repeated.
    """
    state = parts.documents.read(ExportState, paths.export_state(export_id))
    if state is None or not state.value.skipped:
        return None
    newest = state.value.skipped[0]
    path = paths.run(export_id, newest.run)
    found = parts.documents.read(Run, path)
    if found is None or not _stands_until(found.value, due.after):
        return None

    def extend(run: Run) -> Run:
        until = max(due.newest, run.skipped_until or due.newest)
        reason = (
            f"{newest.reason}. All occurrences after it until {until:%Y-%m-%d %H:%M} UTC have started no run either"
        )
        return run.model_copy(update={"skipped_until": until, "reason": reason})

    return parts.documents.change(Run, path, extend)


def _stands_until(run: Run, after: datetime) -> bool:
    """Whether a document is the entry of a detached export for the last occurrence that was dealt with."""
    if run.status is not RunStatus.SKIPPED or run.export.connection is not None or run.occurrence is None:
        return False
    return (run.skipped_until or run.occurrence) >= after


def enter_missed(parts: Parts, export: Export, due: DueOccurrences, reason: str) -> list[Run]:
    """Enter the occurrences that a later one makes up for; answers what stands, oldest first. Harmless when repeated.

    Those that are too many for an entry each share one. It says up to when, so that a repetition, for which the gap has
    become longer, goes on from there.
    """
    runs: list[Run] = []
    after = due.after
    while missed := [*islice(due.missed(after), MOST_ENTRIES)]:
        runs += [enter(parts, export, scheduled(occurrence), occurrence, reason) for occurrence in missed[:-1]]
        last, until = missed[-1], due.last_missed() if len(missed) == MOST_ENTRIES else missed[-1]
        words = f"{reason}. {_more(due, last, until)}" if last < until else reason
        runs.append(enter(parts, export, scheduled(last), last, words, until=until if last < until else None))
        after = runs[-1].skipped_until or last
    return runs


def remember(
    parts: Parts, export_id: str, runs: Sequence[Run], *, refreshed: Mapping[str, datetime] | None = None
) -> None:
    """Let the export's state go on from what was entered, oldest first. Harmless when repeated.

    To be called once they are there: from then on nobody looks for these occurrences any more.
    """
    entries = [
        Skipped(run=run.id, at=run.occurrence or run.created, reason=run.reason)
        for run in reversed(runs)
        if run.status is RunStatus.SKIPPED
    ]
    dealt_with = max((run.skipped_until or run.occurrence for run in runs if run.occurrence is not None), default=None)

    def change(state: ExportState) -> ExportState:
        known = {entry.run for entry in state.skipped}
        skipped = (*(entry for entry in entries if entry.run not in known), *state.skipped)[:KEPT]
        changes: dict[str, object] = {"skipped": skipped, "refreshed": {**state.refreshed, **(refreshed or {})}}
        if dealt_with is not None and (state.occurrence is None or dealt_with > state.occurrence):
            changes |= {"occurrence": dealt_with, "occurrence_skipped": runs[-1].reason}
        return state.model_copy(update=changes)

    parts.documents.change(ExportState, paths.export_state(export_id), change, default=ExportState(export=export_id))


def _more(due: DueOccurrences, after: datetime, until: datetime) -> str:
    count = sum(1 for _ in islice(due.missed(after), MOST_COUNTED))
    number = f"The {count:,}" if count < MOST_COUNTED else "All"
    return f"{number} occurrences after it until {until:%Y-%m-%d %H:%M} UTC have started no run either"


def connection_of(parts: Parts, export: Export) -> Connection:
    """The connection of an export that cannot run; `NO_CONNECTION` where it has none that can be read."""
    if export.connection is None:
        return NO_CONNECTION
    try:
        found = read_named(parts, Connection, paths.connection(export.connection), export.connection)
    except ConfigError:
        found = None
    return found or NO_CONNECTION.model_copy(update={"id": export.connection})
