"""The documents of a run, by what they mean."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from exporters.model.batch import Outcome
from exporters.model.run import DeliveryCounts, Plan, RemovalCounts, Run
from exporters.parts import Parts
from exporters.storage import paths

#: What is counted of an outcome, in its metadata.
COUNTED = ("delivered", "absent", "refused", "unknown", "requests")


def read_run(parts: Parts, export_id: str, run_id: str) -> Run | None:
    """A run; None where there is none."""
    found = parts.documents.read(Run, paths.run(export_id, run_id))
    return None if found is None else found.value


def change_run(parts: Parts, run: Run, change: Callable[[Run], Run]) -> Run:
    """Change a run that has not ended; an ended one stays as it is."""
    return parts.documents.change(
        Run, paths.run(run.export.id, run.id), lambda now: now if now.status.ended else change(now)
    )


def has_outcome(parts: Parts, run: Run, batch: int) -> bool:
    """Whether a batch has ended."""
    path = paths.outcome(run.export.id, run.id, batch)
    return any(blob.name == path for blob in parts.state.list(path))


def store_outcome(parts: Parts, run: Run, outcome: Outcome) -> bool:
    """Write the verdicts of a batch; False when they were written before, which then stand."""
    path = paths.outcome(run.export.id, run.id, outcome.number)
    return parts.documents.create(path, outcome, metadata=outcome.metadata())


def read_outcomes(parts: Parts, run: Run) -> list[Outcome]:
    """The verdicts of all batches that have ended, by number."""
    found = (
        parts.documents.read(Outcome, blob.name) for blob in parts.state.list(paths.outcomes(run.export.id, run.id))
    )
    return [outcome.value for outcome in found if outcome is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """How far the batches of a run are, from one listing."""

    ended: int  #: batches with an outcome
    counts: DeliveryCounts
    removal: RemovalCounts | None  #: None where nobody is removed, or not yet


def ended_batches(parts: Parts, run: Run) -> frozenset[int]:
    """Numbers of the batches that have an outcome."""
    blobs = parts.state.list(paths.outcomes(run.export.id, run.id))
    return frozenset(int(PurePosixPath(blob.name).stem) for blob in blobs)


def delivered_so_far(parts: Parts, run: Run) -> Delivered:
    """Add up the counts of the outcomes that are there."""
    planned = 0 if run.plan is None else len(run.plan.batches)
    sent, removed = Counter[str](), Counter[str]()
    ended = 0
    for blob in parts.state.list(paths.outcomes(run.export.id, run.id)):
        ended += 1
        counts = sent if int(PurePosixPath(blob.name).stem) < planned else removed
        counts.update({word: int(blob.metadata[word]) for word in COUNTED if word in blob.metadata})
    return Delivered(
        ended=ended,
        counts=DeliveryCounts(**{word: sent[word] for word in ("delivered", "refused", "unknown", "requests")}),
        removal=RemovalCounts(
            removed=removed["delivered"],
            **{word: removed[word] for word in ("absent", "refused", "unknown", "requests")},
        )
        if run.removals
        else None,
    )


def all_ended(parts: Parts, run: Run, plan: Plan) -> bool:
    """Whether every batch of the plan, and of the removals that have begun, has an outcome."""
    return delivered_so_far(parts, run).ended >= len(plan.batches) + len(run.removals)
