"""What a poisoned message ends in: a verdict with a reason, never silence.

The host moves a message to `<queue>-poison` when its function has failed too often: a bug of ours, or a process that
died each time. The batch or run then ends here.
"""

import logging
from typing import TypeVar

from pydantic import ValidationError

from exporters import log
from exporters.delivery import lanes, records
from exporters.delivery.assignment import Assignment
from exporters.delivery.conclude import conclude, rest_unknown
from exporters.delivery.finish import delete_staged, fail_run
from exporters.errors import ConfigError
from exporters.model.batch import BatchProgress
from exporters.model.messages import BatchMessage, Message, PollMessage, RunMessage
from exporters.parts import Parts
from exporters.scheduling.start import release_unreadable
from exporters.storage import paths
from exporters.storage.queues import POISON

Poisoned = TypeVar("Poisoned", bound=Message)

RUN_REASON = "The run could not be moved on: its step failed again and again. The log of the function move_run says why"
BATCH_REASON = "The batch could not be sent: its step failed again and again. The log of the function says why"


def read_poisoned(kind: type[Poisoned], body: bytes, *, queue: str) -> Poisoned | None:
    """A poisoned message of a queue; None for what is no message of ours, which is dropped: no run waits for it."""
    poison = f"{queue}{POISON}"
    try:
        message = kind.model_validate_json(body)
    except ValidationError:
        expected, size = kind.__name__, len(body)
        log.step("abandon", "not a message", level=logging.ERROR, queue=poison, expected=expected, bytes=size)
        return None
    log.step("abandon", "poisoned", level=logging.ERROR, queue=poison, **message.keys())
    return message


def abandon_run(parts: Parts, message: RunMessage) -> None:
    """Fail the run of a poisoned message. Harmless when repeated: an ended run stays as it ended."""
    try:
        run = records.read_run(parts, message.export, message.run)
    except ConfigError as error:
        _give_up(parts, message, error)
        return
    if run is not None:
        with parts.heavy_work:
            fail_run(parts, run, RUN_REASON)


def abandon_batch(parts: Parts, message: BatchMessage | PollMessage) -> None:
    """End the batch of a poisoned message: every row without a verdict is unknown, and is sent again by the next run.

    Harmless when repeated: the first outcome stands.
    """
    try:
        batch = Assignment.of(parts, message)
    except ConfigError as error:
        _give_up(parts, message, error)
        return
    if batch is None:
        return
    conclude(batch, rest_unknown(_progress(batch)), reason=BATCH_REASON)


def _progress(batch: Assignment) -> BatchProgress:
    """Where a batch was; as before its first request when that cannot be read any more."""
    try:
        held = batch.progress()
    except ConfigError:
        held = None
    return batch.fresh() if held is None else held.value


def _give_up(parts: Parts, message: RunMessage | BatchMessage | PollMessage, error: ConfigError) -> None:
    """Free the places of a run whose document cannot be read, so that the export can be started again.

    The document stays as it is, for whoever looks into it. Harmless when repeated.
    """
    log.step("finish", "failed", level=logging.ERROR, export=message.export, run_id=message.run, reason=str(error))
    for blob in parts.state.list(paths.LANES):
        lanes.leave(parts, blob.name.removeprefix(paths.LANES).removesuffix(".json"), message.run)
    release_unreadable(parts, message.export, message.run)
    delete_staged(parts, message.run)
