"""Start what is due: occurrences that have come, and snapshots that have landed.

Whoever looks sees the same, so it does not matter how often, or from how many places at once: an occurrence is claimed
once by the write that starts its run, or is entered once as skipped before the export's state forgets it.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime

from exporters import log
from exporters.configuration import overview
from exporters.configuration.overview import Row
from exporters.errors import ConfigError
from exporters.model.export import Export, ExportSettings
from exporters.model.schedule import EveryRefresh, Off
from exporters.parts import Parts
from exporters.scheduling.due import DueOccurrences, due_occurrences, handled, news, seen, unexported
from exporters.scheduling.landed import Landed, look_at
from exporters.scheduling.skipped import enter, enter_missed, entered, extended, remember
from exporters.scheduling.start import RunActiveError, read_named, refreshed, scheduled, start_run
from exporters.storage import paths

MADE_UP_FOR = (
    "The app did not run at the time, could not read the export, or was holding the list against the ledger. A later"
    " occurrence stands for it"
)

CHANGED = "It could not start at once, and then somebody was changing the schedule or the segments"


def start_due(parts: Parts) -> None:
    """Start every export whose schedule has come. Repeating it starts nothing twice.

    What nobody expected of one export is raised once the others were looked at.
    """
    now = parts.now()  # before the look: what comes while it lasts is left to the next one
    _start_all(parts, overview.look(parts).rows.values(), now)


def start_what_is_due(parts: Parts, export_id: str, after: ExportSettings) -> datetime:
    """The same for an export whose schedule or segments are going to be changed to these; answers the time of it.

    The new ones are in force from then on. What is due and cannot start yet would be nobody's after the change, so it
    is entered as skipped: before the change, as nobody would know of it afterwards.
    """
    now = parts.now()
    _start_all(parts, overview.rows_of(parts, [export_id]).values(), now)
    row = overview.rows_of(parts, [export_id]).get(export_id)
    if row is not None and not row.fault:
        _enter_what_waits(parts, row, after, now)
    return now


def _start_all(parts: Parts, rows: Iterable[Row], now: datetime) -> None:
    usable = [row for row in rows if not row.fault]  # the overview has told of the others
    by_refresh = [row for row in usable if isinstance(row.schedule, EveryRefresh)]
    trouble = _start_each(parts, (row for row in usable if not isinstance(row.schedule, EveryRefresh)), {}, now)
    # The clock does not wait for a look at storage.
    landed = look_at(parts, (segment for row in by_refresh if row.active is None for segment in row.segments))
    trouble = _start_each(parts, by_refresh, landed, now) or trouble
    if trouble is not None:
        raise trouble


def _start_each(parts: Parts, rows: Iterable[Row], landed: Mapping[str, Landed], now: datetime) -> Exception | None:
    """Answers the first thing that nobody expected, once all were looked at."""
    trouble: Exception | None = None
    for row in rows:
        try:
            _start(parts, row, landed, now)
        except ConfigError as error:
            log.step("schedule", "unreadable", level=logging.ERROR, export=row.id, reason=str(error))
        except Exception as error:  # noqa: BLE001 (it is raised by the caller)
            log.step("schedule", "failed", level=logging.ERROR, export=row.id, error=type(error).__name__)
            trouble = trouble or error
    return trouble


def _start(parts: Parts, row: Row, landed: Mapping[str, Landed], now: datetime) -> None:
    schedule = row.schedule
    if isinstance(schedule, Off):
        return
    if isinstance(schedule, EveryRefresh):
        # With a run at work it stays due: that one may have read the snapshot already.
        if row.active is None and news(row, landed, now):
            _start_for(parts, row, seen(row, landed))
        return
    due = due_occurrences(schedule, after=handled(row), now=now)
    if due is not None:
        _make_up(parts, row, due)


def _make_up(parts: Parts, row: Row, due: DueOccurrences) -> None:
    """Start the newest of the occurrences that are due, and enter the others."""
    export = _read(parts, row)
    if export is None:
        return
    if export.connection is None and (entry := extended(parts, row.id, due)) is not None:
        remember(parts, row.id, [entry])
        return
    if next(due.missed(due.after), None) is not None:
        remember(parts, row.id, enter_missed(parts, export, due, MADE_UP_FOR))
    cause = scheduled(due.newest)
    entry = entered(parts, row.id, cause, due.newest)  # by a look that died before the state went on
    if entry is None:
        try:
            start_run(parts, row.id, cause)
        except RunActiveError as error:
            if error.reconciles:
                return  # it stays due until the list is read: that needs no turn in the schedule
            at_work = "held for approval" if error.held else "still at work"
            entry = enter(parts, export, cause, due.newest, f"the run {error.run} was {at_work}")
        except ConfigError as error:
            entry = enter(parts, export, cause, due.newest, str(error))
        else:
            return
    remember(parts, row.id, [entry])


def _start_for(parts: Parts, row: Row, snapshots: Mapping[str, datetime]) -> None:
    """Start a run for snapshots that have landed; one that cannot be started will not be for these."""
    cause = refreshed(snapshots)
    try:
        start_run(parts, row.id, cause)
    except RunActiveError:
        return  # as above
    except ConfigError as error:
        export = _read(parts, row)
        if export is not None:
            entry = enter(parts, export, cause, max(snapshots.values()), str(error))
            remember(parts, row.id, [entry], refreshed=snapshots)


def _enter_what_waits(parts: Parts, row: Row, after: ExportSettings, now: datetime) -> None:
    """Enter what is due, has not started, and is not waited for any more after a change."""
    export, schedule = _read(parts, row), row.schedule
    if export is None or isinstance(schedule, Off):
        return
    if isinstance(schedule, EveryRefresh):
        waiting = unexported(row, look_at(parts, row.segments))
        stay = after.segments if after.schedule == schedule else ()
        gone = {segment: written for segment, written in waiting.items() if segment not in stay}
        if gone:
            entry = enter(parts, export, refreshed(gone), max(gone.values()), CHANGED)
            remember(parts, row.id, [entry], refreshed=gone)
        return
    due = due_occurrences(schedule, after=handled(row), now=now)
    if due is not None and after.schedule != schedule:
        remember(parts, row.id, [enter(parts, export, scheduled(due.newest), due.newest, CHANGED)])


def _read(parts: Parts, row: Row) -> Export | None:
    return read_named(parts, Export, paths.export(row.id), row.id)
