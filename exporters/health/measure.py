"""Measure: what the tick writes into the log every five minutes, for alerts to ask.

How full queues are, which exports are overdue, have failed or are held, which lanes stand still, whether the vault lets
the app in. A line comes also where all is well: an alert can then tell that from silence, and that trouble is over.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

from azure.core.exceptions import AzureError
from pydantic import AwareDatetime, BaseModel, ConfigDict

from exporters import log
from exporters.configuration import overview
from exporters.errors import ConfigError, TransientError
from exporters.health.overdue import late, scheduled
from exporters.health.standing import failed_run, held_runs
from exporters.health.stuck import lanes, stuck
from exporters.model.schedule import EveryRefresh
from exporters.parts import Parts
from exporters.scheduling.landed import look_at
from exporters.storage import paths
from exporters.storage.secrets import log_trouble

#: Time between two measurements. Ours: alerts are evaluated every five minutes; a tick does not come to the second.
EVERY = timedelta(minutes=4, seconds=30)


class SeenHead(BaseModel):
    """The message at the head of a queue."""

    model_config = ConfigDict(frozen=True)

    id: str
    since: AwareDatetime  #: when it was seen there first


class Measured(BaseModel):
    """What the last measurement has seen. Stored as `paths.MEASURED`, so that it outlives the process."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    heads: dict[str, SeenHead] = {}  #: by queue


def measure(parts: Parts) -> None:
    """Measure, unless somebody has a short while ago. Raises nothing: the line about it says what went wrong."""
    if _tried(parts, _is_due):
        for each in (_measure_queues, _measure_schedules, _measure_standing, _measure_lanes, _measure_vault):
            _tried(parts, each)


def _tried(parts: Parts, part: Callable[[Parts], object]) -> object:
    """What a part of the measurement answers; None where it fails, which holds up neither the others nor the tick."""
    try:
        return part(parts)
    except Exception as error:  # noqa: BLE001 (whatever it is, the tick has done its work, and its own errors count)
        name = part.__name__.removeprefix("_").removeprefix("measure_")
        log.step("measure", "failed", level=logging.ERROR, part=name, error=type(error).__name__)
        return None


def _is_due(parts: Parts) -> bool:
    last = _last(parts)
    return last is None or parts.now() - last.at >= EVERY


def _last(parts: Parts) -> Measured | None:
    try:
        found = parts.documents.read(Measured, paths.MEASURED)
    except ConfigError:  # the next one takes its place
        return None
    return None if found is None else found.value


def _measure_queues(parts: Parts) -> None:
    """One line for each queue, and what this measurement has seen is kept.

    The age of a message counts from when it was first seen at the head: see `QueueLook.head`.
    """
    now, last = parts.now(), _last(parts)
    before: Mapping[str, SeenHead] = {} if last is None else last.heads
    heads: dict[str, SeenHead] = {}
    for queue in parts.queue_names.all:
        try:
            look = parts.queues.look(queue)
        except AzureError as error:
            log.step("queue", "unreachable", level=logging.ERROR, queue=queue, error=type(error).__name__)
            heads |= {queue: before[queue]} if queue in before else {}
            continue
        if look is None:
            log.step("queue", "missing", level=logging.ERROR, queue=queue)
            continue
        if look.head is not None:
            known = before.get(queue)
            heads[queue] = known if known and known.id == look.head else SeenHead(id=look.head, since=now)
        waited_s = (now - heads[queue].since).total_seconds() if queue in heads else 0.0
        log.step("queue", "measured", queue=queue, messages=look.messages, oldest_s=waited_s)
    data = Measured(at=now, heads=heads).model_dump_json().encode()
    parts.state.put(paths.MEASURED, data)


def _measure_schedules(parts: Parts) -> None:
    """One line for each export that is overdue, or one for all."""
    rows = scheduled(overview.current(parts).rows.values())
    at_work = [row for row in rows if row.active is not None and isinstance(row.schedule, EveryRefresh)]
    landed = look_at(parts, (segment for row in at_work for segment in row.segments))
    now = parts.now()
    found = list(late(rows, landed, now))
    for each in found:
        late_s = (now - each.due).total_seconds()
        log.step("overdue", "late", level=logging.WARNING, export=each.export, late_s=late_s, due=each.due)
    if not found:
        log.step("overdue", "none", exports=len(rows))


def _measure_standing(parts: Parts) -> None:
    """One line for each export that has failed, and one for each run that is held, or one for all."""
    rows = list(overview.current(parts).rows.values())
    failed = [(row, run_id) for row in rows if (run_id := failed_run(row)) is not None]
    held = held_runs(parts, rows)
    for row, run_id in failed:
        log.step("standing", "failed", level=logging.WARNING, export=row.id, run_id=run_id, provider=row.provider)
    for run in held:
        keys = {"export": run.export.id, "run_id": run.id, "provider": run.connection.provider}
        log.step("standing", "held", level=logging.WARNING, **keys)
    if not failed and not held:
        log.step("standing", "none", exports=len(rows))


def _measure_lanes(parts: Parts) -> None:
    """One line for each lane that stands still, or one for all."""
    seen = list(lanes(parts))
    found = [each for lane in seen if (each := stuck(parts, lane)) is not None]
    for each in found:
        log.step(
            "lane",
            "stuck",
            level=logging.ERROR,
            account=each.account,
            provider=each.provider,
            waits_s=each.waits.total_seconds(),
            export=each.slot.export,
            run_id=each.slot.run,
        )
    if not found:
        log.step("lane", "moving", lanes=len(seen))


def _measure_vault(parts: Parts) -> None:
    began = parts.now()
    try:
        parts.secrets.reach()
    except (ConfigError, TransientError) as error:
        log_trouble(error, duration_s=(parts.now() - began).total_seconds())
    else:
        log.step("vault", "reached", duration_s=(parts.now() - began).total_seconds())
