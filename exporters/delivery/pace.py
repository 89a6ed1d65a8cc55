"""Pace: how long a run is going to take, measured by the last one of its export that can tell."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import PurePosixPath

from exporters.delivery import records
from exporters.errors import ConfigError
from exporters.model.names import RunId
from exporters.model.run import Run, Step
from exporters.parts import Parts
from exporters.storage import paths

#: Runs that are looked at, newest first.
RUNS_LOOKED_AT = 20
#: A run that sent less than this share tells nothing: waiting for one import job took most of its time.
TELLING_SHARE = 0.1
#: Nothing is measured more finely.
SHORTEST_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Contacts in a minute, all waiting included."""

    per_minute: float
    measured_by: RunId | None  #: None: it is the provider's published pace

    def minutes(self, contacts: int) -> float:
        """What so many contacts take, in tenths of a minute, rounded up."""
        return math.ceil(contacts / self.per_minute * 10) / 10


def expected(parts: Parts, export_id: str, contacts: int, *, published: float) -> Pace:
    """The pace of the last run of an export that sent a tenth of `contacts` or more; else the published one."""
    for run in _ended_runs(parts, export_id):
        sent = _sent(run)
        if run.finished is not None and sent and sent >= TELLING_SHARE * contacts:
            seconds = max(SHORTEST_S, (_ended(run, run.finished) - began_to_send(run)).total_seconds())
            return Pace(per_minute=sent * 60 / seconds, measured_by=run.id)
    return Pace(per_minute=published, measured_by=None)


def _ended_runs(parts: Parts, export_id: str) -> Iterator[Run]:
    """The newest runs of an export, as far as they have ended and can be read."""
    folder = f"{PurePosixPath(paths.run(export_id, 'any')).parent.parent}/"
    for name in islice(parts.state.folders(folder), RUNS_LOOKED_AT):
        try:
            run = records.read_run(parts, export_id, PurePosixPath(name).name)
        except ConfigError:
            continue
        if run is not None and run.status.ended:
            yield run


def _sent(run: Run) -> int:
    """Contacts that went to the provider; of a run that was stopped it is not known how many did."""
    if run.result is None or not run.result.requests or run.halted:
        return 0
    return run.result.delivered + run.result.refused + run.result.unknown


def began_to_send(run: Run) -> datetime:
    """When a run could begin to send: after its plan, or after its approval."""
    return run.began(Step.SENDING) or run.created


def _ended(run: Run, finished: datetime) -> datetime:
    """When every contact had its verdict: before it removed anybody."""
    return run.began(Step.REMOVING) or finished
