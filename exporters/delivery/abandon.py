"""What a poisoned message ends in: a verdict with a reason, never silence.

The host moves a message to `<queue>-poison` when its function has failed too often: a bug of ours, or a process that
died each time. The batch or run then ends here.
"""

from exporters.delivery import records, verdicts
from exporters.delivery.assignment import Assignment
from exporters.delivery.conclude import conclude
from exporters.delivery.finish import fail_run
from exporters.model.batch import BatchProgress
from exporters.model.messages import BatchMessage, PollMessage, RunMessage
from exporters.parts import Parts

RUN_REASON = "The run could not be moved on: its step failed again and again. The log of the function move_run says why"
BATCH_REASON = "The batch could not be sent: its step failed again and again. The log of the function says why"


def abandon_run(parts: Parts, message: RunMessage) -> None:
    """Fail the run of a poisoned message. Harmless when repeated: an ended run stays as it ended."""
    run = records.read_run(parts, message.export, message.run)
    if run is not None:
        fail_run(parts, run, RUN_REASON)


def abandon_batch(parts: Parts, message: BatchMessage | PollMessage) -> None:
    """End the batch of a poisoned message: every row without a verdict is unknown, and is sent again by the next run.

    Harmless when repeated: the first outcome stands.
    """
    batch = Assignment.of(parts, message)
    if batch is None:
        return
    held = batch.progress()
    progress = BatchProgress.fresh(batch.plan.batches[batch.batch]) if held is None else held.value
    tally = progress.tally
    for request in (*progress.pending, *([progress.job.rows] if progress.job else [])):
        tally = verdicts.add(tally, verdicts.unknown(request))
    conclude(batch, progress.model_copy(update={"pending": (), "job": None, "tally": tally}), reason=BATCH_REASON)
