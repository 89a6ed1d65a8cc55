"""Undo: bring the people on the list back to those of an earlier run's ledger.

Who is in the ledger now and was not then leaves the list as a leaver of mirror mode does; who was and is not now is put
back with the address alone, so that nothing else that the provider still holds of them is touched. Everyone else stays
as they are: former values cannot be brought back, for a ledger holds digests.

Nothing is kept of it on the way: both ledgers stay, so a plan that is made again comes to the same.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from exporters.delivery import ledgers
from exporters.errors import ConfigError, StorageConflictError
from exporters.model.fields import EMAIL_FIELD
from exporters.model.names import RunId
from exporters.model.run import PartRead, Run
from exporters.parts import Parts
from exporters.planning.plan import Planned
from exporters.planning.way_back import WayBack
from exporters.segments.reading import LocalPart, LocalSegment, PartFormat
from exporters.storage import paths

NO_LEDGER = f"{ledgers.NO_LEDGER}, so there is nothing to go back from"
LEDGER_GONE = "The ledger of the run {run} is gone from the state container: go back to another run"
#: What a person who wants an undo should know of it.
NOTES = (
    "People leave the list and come back to it; values that were changed since stay as they are at the provider",
    "The next run follows the segments again, and so brings back what was undone",
    "Take the schedule out of the export, or correct the segments, before that run starts",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What there is to do, in local files."""

    segment: LocalSegment  #: who is to be put back
    leavers: Path  #: Parquet: email; who is to be taken off
    found: WayBack

    def of(self, planned: Planned) -> Planned:
        """The plan of the people to put back, and of those to take off."""
        counts = planned.counts.model_copy(update={"leavers": self.found.leavers})
        return replace(planned, counts=counts, known=self.found.known, leavers=self.leavers)


def find(parts: Parts, run: Run, then: RunId, now: Path | None, work: Path) -> Return:
    """Hold the ledger in force (`now`) against that of an earlier run. Raises ConfigError when one is not there."""
    if now is None:
        raise ConfigError(NO_LEDGER)
    name, file = paths.ledger(run.export.id, then), work / "ledger-then.parquet"
    blob = next((blob for blob in parts.state.list(name) if blob.name == name), None)
    try:
        parts.state.download(name, file)
    except StorageConflictError:
        blob = None
    if blob is None:
        raise ConfigError(LEDGER_GONE.format(run=then))
    put_back, leavers, folder = work / "put-back.csv", work / "leavers.parquet", work / "way-back"
    folder.mkdir()
    found = parts.planning.find_way_back(now, file, put_back=put_back, leavers=leavers, work=folder)
    part = LocalPart(
        read=PartRead(name=name, etag=blob.etag, bytes=blob.size),
        path=put_back,
        format=PartFormat.CSV,
        width=1,
        columns={EMAIL_FIELD: 0},
        lines=1 + found.put_back,
        clean=True,
        header_lines=1,
    )
    segment = LocalSegment(segment=f"the list after the run {then}", snapshot=name, parts=(part,))
    return Return(segment=segment, leavers=leavers, found=found)
