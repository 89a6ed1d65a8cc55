"""Remove: in mirror mode, people whom the export put on the list and who have left its segments leave the list.

Removals begin when every contact has its outcome. They are batches like those of the plan, whose numbers they continue:
the same messages, slots, claims, import jobs and outcomes carry them, so a crash or a doubled message does no more harm
to them. A removal that is repeated because its answer was lost finds the person absent instead of removed. Nobody is
deleted, and nothing that the provider knows of unsubscribes and bounces is touched.

Where the provider removes people by its own ids and many are to leave, the run first asks who is on the list. The
leavers whose ids are told need no look-up. The others may be on it all the same, for a provider that writes the list to
a file shows people there late: they are looked up and removed as if nobody had asked.
"""

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path

from exporters import log
from exporters.delivery import inquiry, members, records, verdicts
from exporters.errors import ConfigError, ThrottledError, TransientError
from exporters.model.batch import Outcome, RowRange, Tally
from exporters.model.run import DeliveryCounts, Plan, RemovalCounts, Run, Step
from exporters.parts import Parts
from exporters.providers.base import Member, Removal
from exporters.scratch import scratch_folder
from exporters.storage import paths

#: Removals that one batch makes at most. They keep a slot of the lane busy for a minute or so, if they take a second
#: each and need no job; with jobs, each waits for its own as an import does.
REQUESTS_A_BATCH = 50
#: How long a list is tried to be read that the provider does not tell; then the people are looked up.
LISTING_PATIENCE = timedelta(hours=1)
#: The same where all that comes are pauses and parts; then a batch has its slot, which the watch looks after.
LONGEST_READING = timedelta(days=1)
RETRY_S = 30.0


def is_ready(parts: Parts, run: Run, plan: Plan) -> bool:
    """Whether a run of which every contact has its outcome knows all that `begin` needs; if not, see `read_list`."""
    pays_from = parts.facts(run.connection).listing_pays_from
    return (
        run.lists_first is not None
        or pays_from is None
        or people_to_remove(run, plan) < pays_from
        or bool(run.removals)
        or not _may_begin(parts, run, plan)
    )


def read_list(parts: Parts, run: Run) -> float:
    """Ask the provider for some time who is on the list; answers the seconds after which the run has to be moved again.

    Where the list cannot be read, the people are looked up instead. Harmless when repeated: what is decided first
    stands, before anything is staged by it.
    """
    asking_since = _note_reading(parts, run)
    if parts.now() - asking_since > LONGEST_READING:
        _look_up_instead(parts, run, "it was not told within a day")
        return 0.0
    try:
        wait_s = inquiry.collect(parts, run, members.inquiry(run))
    except ThrottledError as error:
        return error.wait_s
    except TransientError as error:
        if parts.now() - asking_since <= LISTING_PATIENCE:
            return RETRY_S
        _look_up_instead(parts, run, str(error))
    except ConfigError as error:
        _look_up_instead(parts, run, str(error))
    else:
        if wait_s is not None:
            return wait_s
        records.change_run(parts, run, lambda run: _decided(run, lists_first=True))
    return 0.0


def begin(parts: Parts, run: Run, plan: Plan) -> Run | None:
    """Stage the removals of a run of which every contact has its outcome; None where nobody is to be removed any more.

    Harmless when repeated: it stages the same again, and the run document takes them in once.
    """
    if run.removals or not people_to_remove(run, plan) or not _may_begin(parts, run, plan):
        return None
    with scratch_folder("remove-") as folder:
        cut = _cut(parts, run, plan, folder)
    now = parts.now()
    text = f"removing {people_to_remove(run, plan):,} people from the list"
    if cut.by_id:
        text += f", {sum(cut.by_id):,} of them by their ids"

    def change(run: Run) -> Run:
        if run.removals:
            return run
        return run.noted(
            now,
            f"{text}; batches: {len(cut.by_id) + len(cut.by_address)}",
            removals=(*cut.by_id, *cut.by_address),
            removals_by_id=len(cut.by_id),
            step=Step.REMOVING,
        )

    return records.change_run(parts, run, change)


def people_to_remove(run: Run, plan: Plan) -> int:
    """How many people the run is to remove."""
    return plan.counts.leavers if run.removes else 0


def why_nobody(run: Run, plan: Plan, result: DeliveryCounts) -> str:
    """Why a run with leavers may not remove them, for an operator; empty where it may."""
    if not people_to_remove(run, plan) or run.removals:
        return ""
    if not (plan.counts.closes and result.closes(plan.counts.planned)):
        why = "the sums of this run do not close"
    elif run.halted:
        why = "sending was stopped"
    elif run.goes_back_to is None and plan.counts.planned and not result.delivered:
        why = "nobody of the segments could be delivered"
    else:
        return ""
    who, then = "who have left the segments", "the next run comes back to them"
    if run.goes_back_to is not None:
        who, then = f"whom the run {run.goes_back_to} had not left there", "start the undo again"
    people = f"{people_to_remove(run, plan):,} people {who}"
    return f"None of the {people} was removed from the list, because {why}; {then}"


def batch_sizes(people: int, *, request: int, slots: int) -> tuple[int, ...]:
    """Cut people into batches of whole requests: one for each slot, until batches would get too long."""
    if not people:
        return ()
    requests = min(REQUESTS_A_BATCH, ceil(people / request / slots))
    size = requests * request
    return tuple(min(size, people - first) for first in range(0, people, size))


def add_up(outcomes: Sequence[Outcome]) -> RemovalCounts:
    """What came of the removals."""
    return RemovalCounts(
        removed=sum(outcome.tally.delivered for outcome in outcomes),
        absent=sum(outcome.tally.absent for outcome in outcomes),
        refused=sum(outcome.tally.refusals for outcome in outcomes),
        unknown=sum(outcome.tally.unknown for outcome in outcomes),
        requests=sum(outcome.requests for outcome in outcomes),
    )


def in_words(removal: RemovalCounts) -> str:
    """What came of the removals, for the history of the run."""
    parts = {
        "removed": removal.removed,
        "not on the list": removal.absent,
        "not removed": removal.refused,
        "perhaps removed": removal.unknown,
    }
    return ", ".join(f"{count:,} {words}" for words, count in parts.items() if count)


def write_gone(
    parts: Parts, run: Run, plan: Plan, outcomes: Sequence[Outcome], *, work: Path
) -> tuple[Path | None, Path | None]:
    """Two local Parquet files (email): who is off the list now, and who perhaps is. None where nobody was removed."""
    if not run.removals:
        return None, None
    file, gone, unsure = work / "leavers.parquet", work / "gone.parquet", work / "unsure.parquet"
    staged = paths.staged_removals if run.lists_first else paths.staged_leavers
    parts.state.download(staged(run.id, plan.attempt), file)
    first = len(plan.batches)
    parts.planning.write_gone(
        file,
        run.removals,
        {outcome.number - first: outcome.tally for outcome in outcomes if outcome.number >= first},
        gone=gone,
        unsure=unsure,
        work=work,
    )
    return gone, unsure


def judge(removal: Removal, rows: Sequence[int], emails: Sequence[str]) -> tuple[Tally, tuple[RowRange, ...]]:
    """Verdicts of a removal that was answered, and the rows that have theirs once its job is done.

    `emails` are the addresses of the rows, in order. Whom the answer does not name has no verdict.
    """
    places: dict[str, list[int]] = {"removed": [], "absent": [], "pending": [], "unknown": []}
    refused: dict[int, str] = {}
    for row, email in zip(rows, emails, strict=True):
        if email in removal.refused:
            refused[row] = verdicts.without_values(removal.refused[email] or "refused")
        else:
            places[_place(removal, email)].append(row)
    tally = Tally(
        delivered=len(places["removed"]),
        absent=len(places["absent"]),
        refused=refused,
        unknown=len(places["unknown"]),
        unknown_ranges=verdicts.ranges_of(places["unknown"]),
    )
    return tally, verdicts.ranges_of(places["pending"])


def _place(removal: Removal, email: str) -> str:
    if email in removal.removed:
        return "removed"
    if email in removal.absent:
        return "absent"
    return "pending" if email in removal.pending and removal.job is not None else "unknown"


def _may_begin(parts: Parts, run: Run, plan: Plan) -> bool:
    return not why_nobody(run, plan, records.delivered_so_far(parts, run).counts)


def _note_reading(parts: Parts, run: Run) -> datetime:
    """Write into the history that the list is being read, once; answers since when it is."""
    now = parts.now()
    text = f"removing: asking {parts.facts(run.connection).title} who is on the list"

    def change(run: Run) -> Run:
        if any(event.text == text for event in run.timeline):
            return run.model_copy(update={"updated": now})  # so that the watch sees it alive
        return run.noted(now, text, step=Step.REMOVING)

    changed = records.change_run(parts, run, change)
    return next((event.at for event in changed.timeline if event.text == text), now)


def _look_up_instead(parts: Parts, run: Run, reason: str) -> None:
    """Give up reading the list: the people can be removed without it, if with more requests."""
    log.step("remove", "list not read", level=logging.WARNING, export=run.export.id, run_id=run.id, reason=reason)
    now = parts.now()
    text = f"removing: the list could not be read, so everybody is looked up: {reason}"

    def change(run: Run) -> Run:
        return run if run.lists_first is not None else _decided(run.noted(now, text), lists_first=False)

    records.change_run(parts, run, change)


def _decided(run: Run, *, lists_first: bool) -> Run:
    return run if run.lists_first is not None else run.model_copy(update={"lists_first": lists_first})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """How the people to remove are cut into batches: those whose ids are known, then the others."""

    by_id: tuple[int, ...]
    by_address: tuple[int, ...]


def _cut(parts: Parts, run: Run, plan: Plan, work: Path) -> _Cut:
    """Cut the leavers into batches, and stage them."""
    facts, leavers, with_id = parts.facts(run.connection), work / "leavers.parquet", 0
    parts.state.download(paths.staged_leavers(run.id, plan.attempt), leavers)
    if run.lists_first:
        everyone, leavers = leavers, work / "removals.parquet"
        answers = inquiry.stored(parts, members.inquiry(run), work / "answer.csv")
        with tempfile.TemporaryDirectory(dir=work) as folder:
            with_id = parts.planning.find_ids(everyone, answers, leavers, work=Path(folder))
        parts.state.upload(paths.staged_removals(run.id, plan.attempt), leavers)
    cut = _Cut(
        by_id=batch_sizes(with_id, request=facts.removal_limit_by_id, slots=facts.jobs_in_flight),
        by_address=batch_sizes(
            people_to_remove(run, plan) - with_id, request=facts.removal_limit, slots=facts.jobs_in_flight
        ),
    )
    sizes = (*cut.by_id, *cut.by_address)
    for number, batch in enumerate(parts.planning.read_leavers(leavers, sizes, work=work), start=len(plan.batches)):
        parts.state.put(paths.staged_batch(run.id, plan.attempt, number), b"".join(map(_line, batch)))
    return cut


def _line(person: Member) -> bytes:
    """A person as staged, a JSON object, as the contacts of the plan's batches are."""
    return json.dumps({"email": person.email, **({"id": person.id} if person.id else {})}).encode() + b"\n"
