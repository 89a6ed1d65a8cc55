"""The batches of a run, one by one: where each is, what came of it, and which import jobs it was at the provider."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import unquote

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt

from exporters.delivery import lanes
from exporters.model.batch import BatchProgress, Outcome
from exporters.model.run import Run
from exporters.parts import Parts
from exporters.storage import paths
from exporters.storage.blobs import BlobInfo


class BatchKind(StrEnum):
    """What a batch does."""

    ADD = "add"  #: puts people on the list, or changes them
    REMOVE = "remove"  #: takes people off it


class BatchState(StrEnum):
    """Where a batch is."""

    WAITING = "waiting"  #: for its turn on the account
    SENDING = "sending"  #: its next request is being made, or will be as soon as the provider lets it
    AT_PROVIDER = "at the provider"  #: an import job is at work on it
    ENDED = "ended"  #: everyone in it has a verdict, or will have none
    NOT_SENT = "not sent"  #: the run ended before anything was sent


class BatchView(BaseModel):
    """One batch. People = delivered + removed + absent + refused + unknown, once it has ended."""

    model_config = ConfigDict(frozen=True)

    number: NonNegativeInt  #: from 0; removals go on after the contacts
    kind: BatchKind
    people: NonNegativeInt
    state: BatchState
    jobs: tuple[str, ...] = ()  #: ids of its import jobs at the provider, in order
    requests: NonNegativeInt = 0  #: write requests made for it
    delivered: NonNegativeInt = 0
    removed: NonNegativeInt = 0
    absent: NonNegativeInt = 0  #: were to be removed, and were not on the list
    refused: NonNegativeInt = 0
    unknown: NonNegativeInt = 0
    submitted: AwareDatetime | None = None  #: when the provider took the job that is at work
    asked: AwareDatetime | None = None  #: when that was last asked for
    finished: AwareDatetime | None = None


def batches(parts: Parts, run: Run, *, offset: int, limit: int) -> Sequence[BatchView]:
    """So many batches of a run from a number on: one listing, and a document for each that is on its way."""
    numbers = range(offset, min(offset + limit, len(run.batches)))
    ended = {view.number: view for view in _ended(parts, run, numbers)} if numbers else {}
    slots = set[int]() if run.status.ended else _slots(parts, run)
    return [ended.get(number) or _unfinished(parts, run, number, has_slot=number in slots) for number in numbers]


def _ended(parts: Parts, run: Run, numbers: range) -> Iterator[BatchView]:
    """Batches that have their outcome, as its metadata says."""
    folder = paths.outcomes(run.export.id, run.id)
    after = folder if numbers.start == 0 else paths.outcome(run.export.id, run.id, numbers.start - 1)
    for blob in parts.state.page(folder, after=after, size=len(numbers)):
        number = int(PurePosixPath(blob.name).stem)
        if number in numbers:
            yield _of_outcome(parts, run, number, blob)


def _of_outcome(parts: Parts, run: Run, number: int, blob: BlobInfo) -> BatchView:
    said = blob.metadata
    if "jobs" not in said or "finished" not in said:  # too long for it, or written by an earlier version
        found = parts.documents.read(Outcome, blob.name)
        outcome = None if found is None else found.value
        jobs, finished = ((), blob.modified) if outcome is None else (outcome.jobs, outcome.finished)
    else:
        jobs = tuple(unquote(job) for job in said["jobs"].split())
        finished = datetime.fromisoformat(said["finished"])
    kind = _kind(run, number)
    taken = "delivered" if kind is BatchKind.ADD else "removed"
    counts = {word: said[word] for word in ("absent", "refused", "unknown", "requests")}
    return BatchView.model_validate(
        {
            "number": number,
            "kind": kind,
            "people": run.batches[number],
            "state": BatchState.ENDED,
            "jobs": jobs,
            "finished": finished,
            taken: said["delivered"],
            **counts,
        }
    )


def _unfinished(parts: Parts, run: Run, number: int, *, has_slot: bool) -> BatchView:
    """A batch without an outcome."""
    people, kind = run.batches[number], _kind(run, number)
    if run.status.ended and run.result is None:
        return BatchView(number=number, kind=kind, people=people, state=BatchState.NOT_SENT)
    if run.status.ended:  # it was cut short, and its sums count them so
        state = BatchState.ENDED
        return BatchView(number=number, kind=kind, people=people, state=state, unknown=people, finished=run.finished)
    held = parts.documents.read(BatchProgress, paths.progress(run.id, number)) if has_slot else None
    if held is None:
        state = BatchState.SENDING if has_slot else BatchState.WAITING
        return BatchView(number=number, kind=kind, people=people, state=state)
    return _on_its_way(number, kind, people, held.value)


def _on_its_way(number: int, kind: BatchKind, people: int, progress: BatchProgress) -> BatchView:
    job, tally = progress.job, progress.tally
    return BatchView(
        number=number,
        kind=kind,
        people=people,
        state=BatchState.SENDING if job is None else BatchState.AT_PROVIDER,
        jobs=progress.jobs,
        requests=progress.requests,
        delivered=tally.delivered if kind is BatchKind.ADD else 0,
        removed=tally.delivered if kind is BatchKind.REMOVE else 0,
        absent=tally.absent,
        refused=tally.refusals,
        unknown=tally.unknown,
        submitted=None if job is None else job.submitted,
        asked=None if job is None or not job.polls else job.asked,
    )


def _kind(run: Run, number: int) -> BatchKind:
    planned = 0 if run.plan is None else len(run.plan.batches)
    return BatchKind.ADD if number < planned else BatchKind.REMOVE


def _slots(parts: Parts, run: Run) -> set[int]:
    """Numbers of the batches that have a slot of the lane."""
    return {slot.batch for slot in lanes.read(parts, run.lane).slots if slot.run == run.id}
