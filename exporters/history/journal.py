"""The journal: a mark for each run, so that runs are listed newest first without their documents being listed.

A mark is an empty blob whose name sorts as the run's id does and whose metadata says enough to leave the run out of a
list without reading its document. The document is what counts: a mark without one is nothing, and what a mark says of
a run that is at work is not said at all.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from exporters.errors import StorageConflictError
from exporters.model.names import Id, RunId, run_stamp
from exporters.model.run import Run, RunStatus, Trigger
from exporters.parts import Parts
from exporters.storage import paths

#: Times that a run's id can name; earlier and later ones are taken for the first and the last of them.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
#: Marks that are fetched at once, where most of them may be left out. Ours: some hundred kilobytes.
FETCHED = 500
#: Characters of what an id begins with.
STAMP = len(run_stamp(EARLIEST))


class RunKind(StrEnum):
    """What sort of run it is. Only runs of one sort are compared with each other."""

    CHANGES = "changes"  #: sends what is new and changed
    FULL = "full"  #: sends everyone
    CORRECTION = "correction"
    REPAIR = "repair"
    UNDO = "undo"
    RECONCILIATION = "reconciliation"


class Mark(BaseModel):
    """What the journal says of a run."""

    model_config = ConfigDict(frozen=True)

    export: Id
    run: RunId
    kind: RunKind
    trigger: Trigger
    status: RunStatus | None = None  #: None while it is at work, and so are the others
    duration_ms: NonNegativeInt | None = None  #: from its creation to its end
    planned: NonNegativeInt = 0  #: contacts
    delivered: NonNegativeInt = 0

    @property
    def ended_well(self) -> bool:
        """As `RunStatus.well`."""
        return self.status is not None and self.status.well


def note(parts: Parts, run: Run) -> None:
    """Enter a run, or what has become of it. Harmless when repeated.

    To be called before the run's document is written, so that there is no run without a mark; and once it has ended,
    before its place is freed: until then the end comes again after a crash. A start that comes late never takes back
    what is marked of the end.
    """
    for name in paths.journal_marks(run.export.id, run.id):
        if run.status.ended:
            parts.state.put(name, b"", metadata=_metadata(run))
        else:
            with suppress(StorageConflictError):
                parts.state.create(name, b"", metadata=_metadata(run))


def kind_of(run: Run) -> RunKind:
    """What sort of run it is."""
    if run.correction:
        return RunKind.CORRECTION
    if run.reconciles:
        return RunKind.RECONCILIATION
    if run.goes_back_to is not None:
        return RunKind.UNDO
    if run.repairs is not None:
        return RunKind.REPAIR
    return RunKind.FULL if run.full else RunKind.CHANGES


def newest(
    parts: Parts,
    *,
    export: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: tuple[RunId, str] | None = None,
    fetch: int = FETCHED,
) -> Iterator[Mark]:
    """The marks of all runs, or of one export's, newest first, fetched as they are asked for.

    `since` and `until`: only runs whose ids name these times or one between them. `after`: only what comes after this
    run of this export.
    """
    folder = paths.journal(export)
    last = folder if until is None else folder + stamp_of(until)
    if after is not None:
        run, of = after
        among_all, among_own = paths.journal_marks(of, run)
        last = max(last, among_all if export is None else among_own)
    while page := parts.state.page(folder, after=last, size=fetch):
        for blob in page:
            mark = _mark(blob.name.removeprefix(folder), blob.metadata, export)
            if mark is not None and since is not None and mark.run[:STAMP] > stamp_of(since):
                return
            if mark is not None:
                yield mark
        last = page[-1].name


def stamp_of(moment: datetime) -> str:
    """What the ids of runs of a time begin with; those of a later time sort before it."""
    return run_stamp(min(max(moment, EARLIEST), LATEST).astimezone(UTC))


def _metadata(run: Run) -> Mapping[str, str]:
    said = {"kind": str(kind_of(run)), "trigger": str(run.trigger)}
    if run.finished is None or not run.status.ended:
        return said
    return said | {
        "status": str(run.status),
        "duration_ms": str(max(0, round((run.finished - run.created) / timedelta(milliseconds=1)))),
        "planned": str(0 if run.plan is None else run.plan.counts.planned),
        "delivered": str(0 if run.result is None else run.result.delivered),
    }


def _mark(name: str, metadata: Mapping[str, str], export: str | None) -> Mark | None:
    """The mark of a blob; None for one that is none of ours, or of a later version."""
    run, _, of = name.partition("/")
    try:
        return Mark.model_validate({**metadata, "run": run, "export": of if export is None else export})
    except ValidationError:
        return None
