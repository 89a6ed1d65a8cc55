"""The message that has a run moved on. It may be sent once too often: what comes next is in the run's documents."""

from exporters import tracing
from exporters.model.messages import RunMessage
from exporters.model.run import Run
from exporters.parts import Parts


def move_later(parts: Parts, run: Run, delay_s: float = 0) -> None:
    """Have the next step of a run done that is not a batch's."""
    message = RunMessage(export=run.export.id, run=run.id, traceparent=tracing.carried(run.trace))
    parts.queues.send(parts.queue_names.plan, message.model_dump_json(), delay_s=delay_s)
