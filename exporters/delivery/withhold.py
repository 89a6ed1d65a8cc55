"""Withhold: ask the provider whom it has suppressed, and tell afterwards who was left out because of it."""

import tempfile
from pathlib import Path

from exporters.delivery.inquiry import Inquiry, Part, stored
from exporters.model.run import Plan, Run
from exporters.parts import Parts
from exporters.planning.suppressed import encode_answer
from exporters.providers.base import Provider
from exporters.storage import paths


def inquiry(run: Run) -> Inquiry:
    """The question of a run for those who are suppressed."""
    return Inquiry(
        folder=paths.suppressed(run.id),
        ask=_ask,
        about="whom it has suppressed",
        remedy="switch withhold off in the export",
    )


def _ask(provider: Provider, token: str | None) -> Part:
    answer = provider.suppressions(token)
    return Part(data=encode_answer(answer.rows), token=answer.token, wait_s=answer.wait_s)


def fetch(parts: Parts, run: Run, target: Path) -> None:
    """Make one local Parquet file of the answers, as `planning.suppressed.merge_answers` writes it."""
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        answers = stored(parts, inquiry(run), Path(work) / "answer.csv")
        parts.planning.merge_suppressed(answers, target, work=Path(work))


def tell(parts: Parts, run: Run, plan: Plan, *, work: Path) -> None:
    """Write `withheld/<export>.csv`: whom this run left out, for the systems that the segments come from.

    Overwrites the one of the run before. Harmless when repeated.
    """
    withheld, target = work / "withheld.parquet", work / "withheld.csv"
    parts.state.download(paths.staged_withheld(run.id, plan.attempt), withheld)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        parts.planning.write_withheld(withheld, target, run_id=run.id, work=Path(folder))
    parts.state.upload(paths.withheld(run.export.id), target)
