"""What has landed: the newest complete snapshot of each segment that a schedule with every refresh waits for."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from azure.core.exceptions import AzureError

from exporters import log
from exporters.errors import SegmentError
from exporters.parts import Parts
from exporters.segments.snapshots import candidates, check_kinds, table_format

#: Segments that are looked at at once. Ours: fewer than the ten connections that the storage client keeps open.
LOOKS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What lies at the path of a segment."""

    snapshot: str = ""  #: the newest complete one; empty where there is none
    written: datetime | None = None  #: when its newest part was
    complete: datetime | None = None  #: since when it counts for complete; None where there is none
    unfinished: str = ""  #: why a newer one is not complete yet; empty where there is no newer one
    changed: datetime | None = None  #: when the newest part of that one was written; None where it has none yet
    trouble: str = ""  #: why there is none that can be exported, nor one that is being written


def look_at(parts: Parts, segments: Iterable[str]) -> dict[str, Landed]:
    """What has landed of each segment. One that cannot be used, or looked at, has no snapshot, and says why."""
    wanted = sorted(set(segments))
    if not wanted:
        return {}
    with parts.uploaders(LOOKS_AT_ONCE) as pool:
        return dict(zip(wanted, pool.map(lambda segment: _look(parts, segment), wanted), strict=True))


def _look(parts: Parts, segment: str) -> Landed:
    unfinished, changed = "", None
    try:
        table = table_format(parts.segments, segment)
        for found in candidates(parts.segments, segment, table, now=parts.now(), settle=parts.settle):
            if not found.unfinished:
                check_kinds(segment, found.parts)
                newest = max(part.modified for part in found.parts)
                complete = newest + parts.settle
                return Landed(snapshot=found.name, written=newest, complete=complete, unfinished=unfinished)
            if not unfinished:
                unfinished, changed = found.unfinished, found.written
    except SegmentError as error:
        log.step("schedule", "no snapshot", level=logging.WARNING, segment=segment, reason=str(error))
        return Landed(trouble=str(error))
    except AzureError as error:  # it holds up neither other segments nor what runs by the clock
        log.step("schedule", "no look", level=logging.ERROR, segment=segment, error=type(error).__name__)
        return Landed(
            trouble=f"{segment} cannot be looked at now ({type(error).__name__}): check the segments container"
        )
    trouble = "" if unfinished else f"There is no snapshot of {segment} yet"
    return Landed(unfinished=unfinished, changed=changed, trouble=trouble)
