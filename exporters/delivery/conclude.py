"""The end of a batch: its verdicts are written once, its slot is handed on, and after the last one the run is
finished.
"""

import logging

from exporters.delivery import lanes, records
from exporters.delivery.assignment import Assignment
from exporters.model.batch import BatchProgress, Outcome
from exporters.model.messages import RunMessage


def conclude(batch: Assignment, progress: BatchProgress, *, reason: str = "") -> None:
    """Write the outcome of a batch of which no row waits any more. Harmless when repeated: the first outcome stands."""
    outcome = Outcome(
        number=batch.batch,
        contacts=progress.contacts,
        tally=progress.tally,
        requests=progress.requests,
        jobs=progress.jobs,
        reason=reason,
        finished=batch.parts.now(),
    )
    if records.store_outcome(batch.parts, batch.run, outcome):
        batch.log(
            "batch",
            "ended",
            level=logging.WARNING if outcome.tally.refusals or outcome.tally.unknown else logging.INFO,
            contacts=outcome.contacts,
            rejects=outcome.tally.refusals,
            unknown=outcome.tally.unknown,
            requests=outcome.requests,
        )
    hand_on(batch)


def hand_on(batch: Assignment) -> None:
    """After a batch has its outcome: free its slot, and have the run finished if it was the last one."""
    lanes.leave_slot(batch.parts, batch.run, batch.batch)
    if records.all_ended(batch.parts, batch.run, batch.plan):
        message = RunMessage(export=batch.run.export.id, run=batch.run.id)
        batch.parts.queues.send(batch.parts.queue_names.plan, message.model_dump_json())


def halt(batch: Assignment, reason: str) -> None:
    """Let nothing more of the run be sent. Jobs that were accepted are still followed to their end."""
    now = batch.parts.now()
    records.change_run(
        batch.parts, batch.run, lambda run: run.noted(now, f"stopped sending: {reason}", halted=True, reason=reason)
    )
