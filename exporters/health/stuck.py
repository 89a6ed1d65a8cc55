"""Stuck: a lane in which nothing has moved for so long that the watch has not helped."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporters.delivery import records
from exporters.delivery.watch import SILENCE, due
from exporters.errors import ConfigError
from exporters.model.lane import Lane, Slot
from exporters.parts import Parts
from exporters.storage import paths

#: How often the watch would have sent a message again by then. Ours: once is routine, after a step that died; four
#: times, an hour where steps live for ten minutes, are trouble.
TIMES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckLane:
    """A lane and the slot that has stood still for longest."""

    account: str
    slot: Slot
    provider: str  #: empty where the document of the run cannot be read
    waits: timedelta  #: since its next step was due


def lanes(parts: Parts) -> Iterator[Lane]:
    """All lanes with a run in them."""
    for blob in parts.state.list(paths.LANES):
        found = parts.documents.read(Lane, blob.name)
        if found is not None and (found.value.slots or found.value.waiting):
            yield found.value


def stuck(parts: Parts, lane: Lane) -> StuckLane | None:
    """Whether a lane stands still: a step was due long ago, and the provider wants no pause."""
    now, patience = parts.now(), TIMES * SILENCE * parts.step_limit
    paused_until = lane.not_before or datetime.min.replace(tzinfo=now.tzinfo)
    old = [slot for slot in lane.slots if now - max(slot.since, paused_until) > patience]
    waits = [(now - max(due(parts, slot), paused_until), slot) for slot in old]
    longest = max(waits, key=lambda wait: wait[0], default=None)
    if longest is None or longest[0] <= patience:
        return None
    return StuckLane(account=lane.account, slot=longest[1], provider=_provider(parts, longest[1]), waits=longest[0])


def _provider(parts: Parts, slot: Slot) -> str:
    try:
        run = records.read_run(parts, slot.export, slot.run)
    except ConfigError:
        return ""
    return "" if run is None else run.connection.provider
