"""How long earlier runs of an export took, beside one of them."""

from itertools import islice
from statistics import median

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt

from exporters.history import journal
from exporters.model.names import RunId
from exporters.model.run import Run
from exporters.parts import Parts

#: Runs that one is compared with, and marks of the journal that are looked at to find them. Ours.
COMPARED = 20
LOOKED_AT = 100


class Earlier(BaseModel):
    """Earlier runs of the same export and sort that ended well, newest first; durations from creation to end."""

    model_config = ConfigDict(frozen=True)

    runs: PositiveInt  #: how many there are, at most `COMPARED`
    last: RunId  #: the newest of them
    last_s: NonNegativeFloat
    last_planned: NonNegativeInt
    last_delivered: NonNegativeInt
    median_s: NonNegativeFloat
    median_planned: NonNegativeInt


def earlier(parts: Parts, run: Run) -> Earlier | None:
    """What a run can be compared with; None where it is the first of its sort. One listing."""
    before = journal.newest(parts, export=run.export.id, after=(run.id, run.export.id), fetch=LOOKED_AT)
    kind = journal.kind_of(run)
    alike = (mark for mark in islice(before, LOOKED_AT) if mark.kind == kind and mark.ended_well)
    found = [(mark, (mark.duration_ms or 0) / 1000) for mark in islice(alike, COMPARED)]
    if not found:
        return None
    newest, last_s = found[0]
    return Earlier(
        runs=len(found),
        last=newest.run,
        last_s=last_s,
        last_planned=newest.planned,
        last_delivered=newest.delivered,
        median_s=round(median(seconds for _, seconds in found), 3),
        median_planned=round(median(mark.planned for mark, _ in found)),
    )
