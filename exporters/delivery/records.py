"""The documents of a run, by what they mean."""

from collections.abc import Callable
from dataclasses import dataclass

from exporters.model.batch import Outcome
from exporters.model.run import DeliveryCounts, Plan, Run
from exporters.parts import Parts
from exporters.storage import paths


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


def delivered_so_far(parts: Parts, run: Run) -> Delivered:
    """Add up the counts of the outcomes that are there."""
    rows = [blob.metadata for blob in parts.state.list(paths.outcomes(run.export.id, run.id))]
    return Delivered(
        ended=len(rows),
        counts=DeliveryCounts(
            **{word: sum(int(row[word]) for row in rows) for word in ("delivered", "refused", "unknown", "requests")}
        ),
    )


def all_ended(parts: Parts, run: Run, plan: Plan) -> bool:
    """Whether every batch of the plan has an outcome."""
    return delivered_so_far(parts, run).ended >= len(plan.batches)
