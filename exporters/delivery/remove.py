"""Remove: in mirror mode, people whom the export put on the list and who have left its segments leave the list.

Removals begin when every contact has its outcome. They are batches like those of the plan, whose numbers they continue:
the same messages, slots, claims, import jobs and outcomes carry them, so a crash or a doubled message does no more harm
to them. A removal that is repeated because its answer was lost finds the person absent instead of removed. Nobody is
deleted, and nothing that the provider knows of unsubscribes and bounces is touched.
"""

import json
import tempfile
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from exporters.delivery import records, verdicts
from exporters.delivery.pace import REMOVING
from exporters.model.batch import Outcome, RowRange, Tally
from exporters.model.run import DeliveryCounts, Plan, RemovalCounts, Run, Step
from exporters.parts import Parts
from exporters.providers.base import Removal
from exporters.storage import paths

#: Removals that one batch makes at most. They keep a slot of the lane busy for a minute or so, if they take a second
#: each and need no job; with jobs, each waits for its own as an import does.
REQUESTS_A_BATCH = 50


def begin(parts: Parts, run: Run, plan: Plan) -> Run | None:
    """Stage the removals of a run of which every contact has its outcome; None where nobody is to be removed any more.

    Harmless when repeated: it stages the same again, and the run document takes them in once.
    """
    if (
        run.removals
        or not people_to_remove(run, plan)
        or why_nobody(run, plan, records.delivered_so_far(parts, run).counts)
    ):
        return None
    facts = parts.facts(run.connection)
    sizes = batch_sizes(people_to_remove(run, plan), request=facts.removal_limit, slots=facts.jobs_in_flight)
    _stage(parts, run, plan, sizes[0])
    now = parts.now()
    text = f"{REMOVING} {people_to_remove(run, plan):,} people from the list; batches: {len(sizes)}"

    def change(run: Run) -> Run:
        return run if run.removals else run.noted(now, text, removals=sizes, step=Step.REMOVING)

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
    elif plan.counts.planned and not result.delivered:
        why = "nobody of the segments could be delivered"
    else:
        return ""
    people = f"{people_to_remove(run, plan):,} people who have left the segments"
    return f"None of the {people} was removed from the list, because {why}; the next run comes back to them"


def batch_sizes(people: int, *, request: int, slots: int) -> tuple[int, ...]:
    """Cut people into batches of whole requests: one for each slot, until batches would get too long."""
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
    parts.state.download(paths.staged_leavers(run.id, plan.attempt), file)
    first = len(plan.batches)
    parts.planning.write_gone(
        file,
        run.removals[0],
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


def _stage(parts: Parts, run: Run, plan: Plan, size: int) -> None:
    """Write the addresses of each batch, a JSON object a line, as the contacts of the plan's batches are."""
    with tempfile.TemporaryDirectory(prefix="remove-") as folder:
        file = Path(folder) / "leavers.parquet"
        parts.state.download(paths.staged_leavers(run.id, plan.attempt), file)
        batches = parts.planning.read_leavers(file, size, work=Path(folder))
        for number, emails in enumerate(batches, start=len(plan.batches)):
            lines = b"".join(json.dumps({"email": email}).encode() + b"\n" for email in emails)
            parts.state.put(paths.staged_batch(run.id, plan.attempt, number), lines)
