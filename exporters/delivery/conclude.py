"""The end of a batch: its verdicts are written once, its slot is handed on, and after the last one the run is
finished.
"""

import logging

from exporters.delivery import lanes, records, verdicts
from exporters.delivery.assignment import Assignment
from exporters.model.batch import BatchProgress, Outcome
from exporters.model.run import Run
from exporters.parts import Parts
from exporters.scheduling.next_step import move_later


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
        move_later(batch.parts, batch.run)


def give_up(batch: Assignment, words: str) -> None:
    """End a batch that nobody works on: what was not sent is refused with these words.

    The rows of a job, and of a request that somebody has begun, are unknown. Harmless when repeated: the first outcome
    stands.
    """
    held = batch.progress()
    progress = batch.fresh() if held is None else held.value
    if progress.job is not None:
        tally = verdicts.add(progress.tally, verdicts.unknown(progress.job.rows))
        progress = progress.model_copy(update={"job": None, "tally": tally})
    if progress.claim is not None:
        progress = progress.model_copy(update={"in_doubt": True})
    conclude(batch, rest_refused(progress, words), reason=words)


def rest_refused(progress: BatchProgress, words: str) -> BatchProgress:
    """A batch of which nothing more is sent. Who may have been sent is unknown: the next run must not forget them."""
    tally = progress.tally
    for number, request in enumerate(progress.pending):
        may_be_sent = number == 0 and progress.in_doubt
        tally = verdicts.add(tally, verdicts.unknown(request) if may_be_sent else verdicts.refused(request, words))
    return progress.model_copy(update={"pending": (), "tally": tally})


def rest_unknown(progress: BatchProgress) -> BatchProgress:
    """A batch of which nobody can say what became of those who have no verdict yet."""
    tally = progress.tally
    for request in (*progress.pending, *([progress.job.rows] if progress.job else [])):
        tally = verdicts.add(tally, verdicts.unknown(request))
    return progress.model_copy(update={"pending": (), "job": None, "tally": tally})


def halt(parts: Parts, run: Run, reason: str) -> None:
    """Let nothing more of a run be sent. Jobs that were accepted are still followed to their end."""
    now = parts.now()

    def change(run: Run) -> Run:
        return run if run.halted else run.noted(now, f"stopped sending: {reason}", halted=True, reason=reason)

    records.change_run(parts, run, change)
