"""Send: one request of one batch, from the staged file to the provider's import job.

A message may come twice. The claim in the batch's progress keeps the second one from sending at the same time; once the
job is recorded the second one only sees to it that the job is asked for. A step that died between the provider's
answer and the record sends the rows again, which changes nothing at the provider: imports add or update, and who was
removed already is absent. Removals that are done at once are made one after the other in one step.
"""

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from exporters.delivery import lanes, records, remove, verdicts
from exporters.delivery.access import key_refused, with_provider
from exporters.delivery.assignment import Assignment
from exporters.delivery.conclude import conclude, halt, hand_on, rest_refused, rest_unknown
from exporters.delivery.finish import delete_staged
from exporters.errors import (
    ConfigError,
    ForbiddenError,
    RefusedError,
    StorageConflictError,
    ThrottledError,
    TransientError,
)
from exporters.model.batch import BatchProgress, Claim, ImportJob, RowRange, Tally
from exporters.model.messages import BatchMessage
from exporters.parts import Parts
from exporters.providers.base import Member, Provider
from exporters.storage.documents import Versioned

#: How long a step may work on a batch before another one may take it for dead, as a multiple of the time that the
#: platform lets a step live.
CLAIM = 1.1
#: How long a step begins further removals, as a share of that time: what it began last may take the rest.
REMOVE_FOR = 0.3
#: Requests that a batch may need until the rest of it is refused: enough to find one bad row of 30,000 by halves twice.
MAX_REQUESTS = 64
#: Tries in a row that failed and may pass; with the delays below they cover more than an hour.
MAX_FAILURES = 12
#: Waits after a 403, until sending is stopped. After many bad requests SendGrid answers so for a while, without saying
#: how long; meanwhile nobody on the account asks, so as not to prolong it.
#: https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors
FORBIDDEN_WAITS_S = (60.0, 180.0, 360.0)
#: Tries that wait for an import that may be a lost one, where two at once would hinder each other: some ten minutes.
#: One that runs for longer may never end.
DOUBTS = 7
FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 900.0

Held = Versioned[BatchProgress]


def send_batch(parts: Parts, message: BatchMessage) -> None:
    """Make the next request of a batch, or see that whatever comes next for it happens."""
    batch = Assignment.of(parts, message)
    if batch is None:
        _clear_up(parts, message)
        return
    taken = _take(batch)
    while (held := taken) is not None:
        try:
            taken = _make_request(batch, held)
            if taken is not None and (again := Assignment.of(parts, message)) is not None:
                batch = again  # somebody may have canceled the run meanwhile
        except Exception:  # the message comes back, and must not find the batch claimed by a step that is no more
            with suppress(StorageConflictError):
                batch.save(held.value.model_copy(update={"claim": None, "in_doubt": True}), held.etag)
            raise


def _clear_up(parts: Parts, message: BatchMessage) -> None:
    """After a run that has ended: give back a slot that it got too late, delete what a late step has written."""
    run = records.read_run(parts, message.export, message.run)
    if run is not None and run.status.ended:
        lanes.leave(parts, run.lane, run.id)
        delete_staged(parts, run.id)


def _make_request(batch: Assignment, held: Held) -> Held | None:
    """Make the first request that is pending; answers the batch when the next one is to be made in this step too."""
    if batch.run.halted:
        conclude(batch, rest_refused(held.value, batch.run.reason), reason=batch.run.reason)
        return None
    lines = batch.staged_lines()
    if lines is None:  # the run has ended meanwhile
        _clear_up(batch.parts, BatchMessage(export=batch.run.export.id, run=batch.run.id, batch=batch.batch))
        return None
    request = held.value.pending[0]
    contacts = [lines[row] for row in verdicts.rows_of(request)]
    ask = _remove if batch.removes else _submit
    try:
        answered = with_provider(batch.parts, batch.run, lambda provider: ask(batch, held, provider, contacts))
    except RefusedError as error:
        _narrow(batch, held, error)
    except ThrottledError as error:
        _try_again(batch, held.value, held.etag, error.wait_s, outcome="throttled")
    except TransientError as error:
        _after_failure(batch, held, error)
    except ForbiddenError as error:
        _after_ban(batch, held, error)
    except ConfigError as error:
        _stop(batch, held, error)
    else:
        return _follow(batch, held, answered)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the provider said to a request: the verdicts that it gave at once, and the job that has the others."""

    tally: Tally
    job: str | None
    rows: tuple[RowRange, ...]  #: of the job


class _BusyError(TransientError):
    """Nothing was sent, because it may be under way already."""


def _submit(batch: Assignment, held: Held, provider: Provider, contacts: list[bytes]) -> Answered:
    in_doubt = held.value.in_doubt and held.value.failures <= DOUBTS
    if in_doubt and batch.facts.jobs_in_flight == 1 and provider.import_runs():
        raise _BusyError(f"{provider.title} is at work on an import, perhaps of these contacts: they wait for it.")
    job = provider.submit(batch.run.export.list_id, contacts)
    return Answered(tally=Tally(), job=job, rows=held.value.pending[0])


def _remove(batch: Assignment, held: Held, provider: Provider, people: list[bytes]) -> Answered:
    leavers = [Member(**json.loads(person)) for person in people]
    removal = provider.remove(batch.run.export.list_id, leavers)
    rows_asked = verdicts.rows_of(held.value.pending[0])
    tally, rows = remove.judge(removal, rows_asked, [leaver.email for leaver in leavers])
    return Answered(tally=tally, job=removal.job, rows=rows)


def backoff_s(failures: int, jitter: float) -> float:
    """Wait after so many failures in a row: doubling, up to a fifth at random on top, a quarter of an hour at most."""
    return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(failures - 1, 10)) * (1 + 0.2 * jitter))


def _take(batch: Assignment) -> Held | None:
    """Claim the batch for a request; None when there is none to make now, after seeing to what comes instead."""
    held = batch.progress()
    if records.has_outcome(batch.parts, batch.run, batch.batch):  # asked after the progress, which goes at the end
        hand_on(batch)
        return None
    progress = batch.fresh() if held is None else held.value
    if progress.job is not None:
        batch.poll_later(progress.job.polls, progress.job.next_s)
        return None
    if not progress.pending:
        conclude(batch, progress)
        return None
    now = batch.parts.now()
    if progress.claim is not None and now < progress.claim.until:
        batch.send_later((progress.claim.until - now).total_seconds())
        return None
    own_wait_s = 0.0 if progress.not_before is None else (progress.not_before - now).total_seconds()
    asks_first = progress.in_doubt and batch.facts.jobs_in_flight == 1
    wait_s = max(lanes.wait_s(batch.parts, batch.account, to_poll=asks_first), own_wait_s)
    if wait_s > 0 and not batch.run.halted:
        batch.send_later(wait_s)
        return None
    claim = Claim(since=now, until=now + CLAIM * batch.parts.step_limit)
    in_doubt = progress.in_doubt or progress.claim is not None
    claimed = progress.model_copy(update={"claim": claim, "in_doubt": in_doubt})
    try:
        return batch.save(claimed, None if held is None else held.etag)
    except StorageConflictError:  # another message was faster and has the batch
        return None


def _follow(batch: Assignment, held: Held, answered: Answered) -> Held | None:
    """Record the verdicts and the import job, and have it asked for; where there is no job, go on."""
    tally = verdicts.add(held.value.tally, answered.tally)
    progress = _asked(batch, held.value, pending=held.value.pending[1:], tally=tally)
    if answered.job is None:
        return _go_on(batch, held, progress)
    now = batch.parts.now()
    job = ImportJob(
        id=answered.job,
        rows=answered.rows,
        contacts=verdicts.size(answered.rows),
        submitted=now,
        asked=now,
        next_s=lanes.first_question_s(batch.parts, batch.account, batch.facts.poll_delays_s),
        in_doubt=held.value.in_doubt,
    )
    batch.save(progress.model_copy(update={"job": job, "jobs": (*progress.jobs, job.id)}), held.etag)
    batch.log("send", "accepted", contacts=job.contacts)
    batch.poll_later(job.polls, job.next_s)
    return None


def _go_on(batch: Assignment, held: Held, progress: BatchProgress) -> Held | None:
    """After a request that was done at once: the next one, in this step as long as it may go on, or the end."""
    if not progress.pending:
        conclude(batch, progress)
        return None
    claim, wait_s = held.value.claim, lanes.wait_s(batch.parts, batch.account)
    if claim is not None and wait_s == 0 and batch.parts.now() < claim.since + REMOVE_FOR * batch.parts.step_limit:
        return batch.save(progress.model_copy(update={"claim": claim}), held.etag)
    batch.save(progress, held.etag)
    batch.send_later(wait_s)
    return None


def _narrow(batch: Assignment, held: Held, error: RefusedError) -> None:
    """Take the rows at fault out of a refused request, or halve it, and go on with the rest."""
    asked = _asked(batch, held.value)
    if asked.requests >= MAX_REQUESTS:
        narrowed = rest_refused(asked, str(error))
    else:
        narrowed = verdicts.narrowed(asked, error.rows, words=str(error))
    batch.save(narrowed, held.etag)
    batch.log("send", "refused", level=logging.WARNING, rejects=narrowed.tally.refusals)
    if narrowed.pending:
        batch.send_later()
    else:
        conclude(batch, narrowed)


def _asked(batch: Assignment, progress: BatchProgress, **changes: object) -> BatchProgress:
    """After a request that the provider has answered."""
    calm = {"failures": 0, "forbidden": 0, "not_before": None, "claim": None, "in_doubt": False}
    update = {"requests": progress.requests + 1, "answered": batch.parts.now(), **calm}
    return progress.model_copy(update={**update, **changes})


def _after_ban(batch: Assignment, held: Held, error: ForbiddenError) -> None:
    """Let the whole account wait and come again; stop the run when that has not helped."""
    tries = held.value.forbidden
    if tries >= len(FORBIDDEN_WAITS_S):
        _stop(batch, held, error)
        return
    lanes.hold_back(batch.parts, batch.account, FORBIDDEN_WAITS_S[tries])
    progress = held.value.model_copy(update={"forbidden": tries + 1, "requests": held.value.requests + 1})
    _try_again(batch, progress, held.etag, FORBIDDEN_WAITS_S[tries], outcome="forbidden for now")


def _stop(batch: Assignment, held: Held, error: ConfigError) -> None:
    """Send nothing more of the run."""
    key_refused(batch.run, error)
    halt(batch.parts, batch.run, str(error))
    conclude(batch, rest_refused(held.value, str(error)), reason=str(error))


def _after_failure(batch: Assignment, held: Held, error: TransientError) -> None:
    """Come again with growing delays; give the rows up as unknown when it has failed too often."""
    failures = held.value.failures + 1
    requests = held.value.requests + (not isinstance(error, _BusyError))
    progress = held.value.model_copy(update={"failures": failures, "requests": requests, "in_doubt": True})
    if failures < MAX_FAILURES:
        _try_again(batch, progress, held.etag, backoff_s(failures, batch.parts.jitter()), outcome="failed for now")
        return
    conclude(batch, rest_unknown(progress), reason=str(error))


def _try_again(batch: Assignment, progress: BatchProgress, etag: str, delay_s: float, *, outcome: str) -> None:
    """Give the claim back and come again later."""
    not_before = batch.parts.now() + timedelta(seconds=delay_s)
    batch.save(progress.model_copy(update={"claim": None, "not_before": not_before}), etag)
    batch.log("send", outcome, level=logging.WARNING, wait_s=delay_s)
    batch.send_later(delay_s)
