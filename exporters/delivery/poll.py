"""Poll: ask the provider where an import job is, and turn its answer into verdicts.

A message carries how many questions went before it, so a doubled one is recognised and the provider's slow rate
buckets are not spent twice. An answer that was recorded but not acted on is acted on by the message's next delivery.
"""

import json
import logging
from contextlib import suppress
from datetime import datetime, timedelta

from exporters.delivery import lanes, verdicts
from exporters.delivery.access import key_refused, with_provider
from exporters.delivery.assignment import Assignment
from exporters.delivery.conclude import conclude, halt
from exporters.delivery.send import Held, backoff_s
from exporters.errors import ConfigError, ForbiddenError, StorageConflictError, ThrottledError, TransientError
from exporters.model.batch import BatchProgress, ImportJob, Tally
from exporters.model.messages import PollMessage
from exporters.parts import Parts
from exporters.providers.base import JobReport, JobState

#: A message that comes this long after the next question was due is not a double but the redelivery after a crash; as
#: a share of the time that the platform lets a step live.
OVERDUE = 0.2
#: Share of its time that a job is taken to have needed which the first question for it found done.
SOONER_AFTER_ONE = 0.75
#: How long a job is asked for with a key that the provider refuses, before its rows are given up as unknown.
ACCESS_PATIENCE = timedelta(minutes=15)
#: After a 403, which may pass, see `send.FORBIDDEN_WAITS_S`; as often as the patience lasts.
FORBIDDEN_WAIT_S = 180.0


def poll_batch(parts: Parts, message: PollMessage) -> None:
    """Ask for the import job of a batch once, and see to whatever comes next."""
    batch = Assignment.of(parts, message)
    held = None if batch is None else batch.progress()
    if batch is None or held is None:
        return
    job = held.value.job
    if job is None:
        _carry_on(batch, held.value)
        return
    due = job.asked + timedelta(seconds=job.next_s)
    if message.poll < job.polls and parts.now() < due + OVERDUE * parts.step_limit:
        return
    wait_s = lanes.wait_s(parts, batch.account, to_poll=True)
    if wait_s > 0:
        batch.poll_later(message.poll, wait_s)
        return
    counted = _count_question(batch, held, job)
    if counted is None:
        return
    try:
        _ask(batch, *counted, due=due)
    except Exception:  # the message comes back, and must not be taken for a double of the question that failed
        with suppress(StorageConflictError):
            batch.save(held.value, counted[0].etag)
        raise


def _count_question(batch: Assignment, held: Held, job: ImportJob) -> tuple[Held, ImportJob] | None:
    """Record that the job is asked for now; None when another message does so at this moment."""
    delays = batch.facts.poll_delays_s
    polls = job.polls + 1
    next_s = delays[min(polls, len(delays) - 1)]
    job = job.model_copy(update={"polls": polls, "asked": batch.parts.now(), "next_s": next_s})
    try:
        return batch.save(held.value.model_copy(update={"job": job}), held.etag), job
    except StorageConflictError:
        return None


def _ask(batch: Assignment, held: Held, job: ImportJob, *, due: datetime) -> None:
    next_s, give_up = job.next_s, job.submitted + timedelta(seconds=batch.facts.job_deadline_s)
    report = JobReport(state=JobState.PENDING)
    try:
        report = with_provider(batch.parts, batch.run, lambda provider: provider.poll(job.id))
    except ThrottledError as error:
        next_s = error.wait_s
    except TransientError as error:  # the job goes on without us
        batch.log("poll", "no answer", level=logging.WARNING, reason=str(error))
        next_s = max(next_s, backoff_s(job.polls, batch.parts.jitter()))
    except ConfigError as error:
        held, job = _shut_out(batch, held, job, since=job.shut_out or batch.parts.now())
        give_up = min(give_up, (job.shut_out or batch.parts.now()) + ACCESS_PATIENCE)
        next_s = backoff_s(job.polls, batch.parts.jitter())
        if isinstance(error, ForbiddenError) and batch.parts.now() <= give_up:
            next_s = FORBIDDEN_WAIT_S
            lanes.hold_back(batch.parts, batch.account, next_s)
        else:
            key_refused(batch.run, error)
            halt(batch.parts, batch.run, str(error))
    else:
        held, job = _shut_out(batch, held, job, since=None)
    if report.state is JobState.DONE:
        lanes.job_took(batch.parts, batch.account, _took_s(job, until=min(batch.parts.now(), due)))
    if report.state is not JobState.PENDING:
        _record(batch, held, verdicts.judge(job, report, _emails(batch, job, report)))
    elif batch.parts.now() > give_up:
        _record(batch, held, verdicts.unknown(job.rows))
    else:
        batch.poll_later(job.polls, next_s)


def _took_s(job: ImportJob, *, until: datetime) -> float:
    """Seconds that a job is taken to have needed; `until`: when the question that found it done was asked, or was due.

    A question that a crash or an outage has delayed tells nothing of the job. What the first question found done may
    have been done long before: the next job is asked for sooner, or one slow job would make all later ones wait.
    """
    longest_s = max(0.0, (until - job.submitted).total_seconds())
    return longest_s * SOONER_AFTER_ONE if job.polls == 1 else longest_s


def _shut_out(batch: Assignment, held: Held, job: ImportJob, *, since: datetime | None) -> tuple[Held, ImportJob]:
    """Remember since when the provider refuses the key, or that it does no more."""
    if job.shut_out == since:
        return held, job
    job = job.model_copy(update={"shut_out": since})
    return batch.save(held.value.model_copy(update={"job": job}), held.etag), job


def _emails(batch: Assignment, job: ImportJob, report: JobReport) -> list[str]:
    """Addresses of the job's rows, in lower case and in order; read only when the report names someone."""
    if not report.refusals:
        return []
    lines = batch.staged_lines() or []
    return [str(json.loads(lines[row])["email"]).lower() for row in verdicts.rows_of(job.rows)]


def _record(batch: Assignment, held: Held, tally: Tally) -> None:
    """Write a job's verdicts into its batch, and carry on."""
    progress = held.value.model_copy(update={"job": None, "tally": verdicts.add(held.value.tally, tally)})
    batch.save(progress, held.etag)
    _carry_on(batch, progress)


def _carry_on(batch: Assignment, progress: BatchProgress) -> None:
    """After a job: the next request of the batch, or its end."""
    if progress.pending:
        batch.send_later()
    else:
        conclude(batch, progress)
