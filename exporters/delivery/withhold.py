"""Withhold: ask the provider whom it has suppressed, and tell afterwards who was left out because of it.

Each answer is stored before the next question is asked, in staging, where it goes with the run. So a step that died or
has to wait goes on where it was; it may ask a question again of which the answer was not noted, and none twice else.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt

from exporters.delivery import lanes
from exporters.delivery.access import with_provider
from exporters.errors import ConfigError
from exporters.model.connection import Connection
from exporters.model.run import Plan, Run
from exporters.parts import Parts
from exporters.planning.suppressed import encode_answer, merge_answers, write_withheld
from exporters.providers.base import Provider, Suppressions
from exporters.storage import paths

#: How long one step begins further questions. Meanwhile it keeps one of the few places for messages in its process.
ASK_FOR = timedelta(minutes=1)
#: Ours: after so many answers, "not written yet" included, there is no end to them. At SendGrid they hold 500 people
#: each, so five million, fifty times what an export there is stated to carry. One step has to fetch them all again: at
#: 30 ms each, a guess, that is half of `functionTimeout` in host.json.
MAX_ANSWERS = 10_000


class Asked(BaseModel):
    """How far the questions are; `asked.json` in the folder of the answers, changed under its ETag."""

    model_config = ConfigDict(frozen=True)

    questions: NonNegativeInt = 0  #: that were answered
    answers: NonNegativeInt = 0  #: that are stored; the others told of nobody
    last: str = ""  #: digest of the newest one that is stored
    token: str | None = None  #: for the next question
    not_before: AwareDatetime | None = None  #: the provider is still writing a file
    complete: bool = False


def has_begun(parts: Parts, folder: str) -> bool:
    """Whether a question was answered."""
    return _asked(parts, folder).questions > 0


def collect(
    parts: Parts,
    connection: Connection,
    folder: str,
    *,
    ask_for: timedelta = ASK_FOR,
    max_answers: int = MAX_ANSWERS,
) -> float | None:
    """Ask for so long, and store the answers in the folder; None when all are there.

    Otherwise the seconds after which it has to be called again. Harmless when repeated. Raises AccessError,
    ConfigError (also for answers that do not come to an end), ThrottledError or TransientError; what was answered
    before is kept.
    """
    until = parts.now() + ask_for
    asked = _asked(parts, folder)
    if asked.complete:
        return None
    wait_s = max(_wait_s(parts, asked), lanes.wait_s(parts, connection.lane))
    return wait_s or with_provider(
        parts, connection, lambda provider: _ask(parts, provider, folder, until, max_answers)
    )


def fetch(parts: Parts, folder: str, target: Path) -> None:
    """Make one local Parquet file of the answers, as `planning.suppressed.merge_answers` writes it."""
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        merge_answers(
            _answers(parts, folder, Path(work) / "answer.csv"),
            target,
            work=Path(work),
            memory_mb=parts.plan_memory_mb,
            threads=parts.plan_threads,
        )


def tell(parts: Parts, run: Run, plan: Plan, *, work: Path) -> None:
    """Write `withheld/<export>.csv`: whom this run left out, for the systems that the segments come from.

    Overwrites the one of the run before. Harmless when repeated.
    """
    withheld, target = work / "withheld.parquet", work / "withheld.csv"
    parts.state.download(paths.staged_withheld(run.id, plan.attempt), withheld)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        write_withheld(
            withheld,
            target,
            run_id=run.id,
            work=Path(folder),
            memory_mb=parts.plan_memory_mb,
            threads=parts.plan_threads,
        )
    parts.state.upload(paths.withheld(run.export.id), target)


def _ask(parts: Parts, provider: Provider, folder: str, until: datetime, max_answers: int) -> float | None:
    """Ask until all is answered, the time is over, or the provider wants a pause."""
    asked = _asked(parts, folder)
    while not asked.complete:
        if asked.questions >= max_answers:
            raise _endless(provider, f"there is no end to it after {max_answers:,} answers")
        answer = provider.suppressions(asked.token)
        if answer.rows and answer.token is not None and _digest(answer) == asked.last:
            raise _endless(provider, "it gives the same answer again when it is asked for the next one")
        asked = _store(parts, folder, asked, answer)
        wait_s = max(_wait_s(parts, asked), provider.not_before_s or 0.0)
        if not asked.complete and (wait_s > 0 or parts.now() >= until):
            return wait_s
    return None


def _store(parts: Parts, folder: str, asked: Asked, answer: Suppressions) -> Asked:
    """Store an answer, then note it; when another step has noted it already, go on from there."""
    answers, last = asked.answers, asked.last
    if answer.rows:
        parts.state.put(f"{folder}{answers:05d}.csv", encode_answer(answer.rows))
        answers, last = answers + 1, _digest(answer)
    after = Asked(
        questions=asked.questions + 1,
        answers=answers,
        last=last,
        token=answer.token,
        not_before=parts.now() + timedelta(seconds=answer.wait_s) if answer.wait_s else None,
        complete=answer.token is None,
    )
    return parts.documents.change(
        Asked, _path(folder), lambda found: after if found == asked else found, default=Asked()
    )


def _asked(parts: Parts, folder: str) -> Asked:
    found = parts.documents.read(Asked, _path(folder))
    return Asked() if found is None else found.value


def _wait_s(parts: Parts, asked: Asked) -> float:
    return 0.0 if asked.not_before is None else max(0.0, (asked.not_before - parts.now()).total_seconds())


def _answers(parts: Parts, folder: str, file: Path) -> Iterator[Path]:
    """The stored answers, one after the other in the same local file."""
    for number in range(_asked(parts, folder).answers):
        parts.state.download(f"{folder}{number:05d}.csv", file)
        yield file


def _digest(answer: Suppressions) -> str:
    return hashlib.sha256(encode_answer(answer.rows)).hexdigest()


def _endless(provider: Provider, why: str) -> ConfigError:
    return ConfigError(
        f"{provider.title} was asked whom it has suppressed, and {why}: switch withhold off in the export, and tell"
        f" the support of {provider.title}."
    )


def _path(folder: str) -> str:
    return f"{folder}asked.json"
