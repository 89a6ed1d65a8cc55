"""Inquiry: a long question to a provider that is answered part by part, asked by steps that may die or have to wait.

Each part is stored before the next question is asked, in the staging folder of a run, where it goes with the run. So a
step that died or has to wait goes on where it was; it may ask a question again of which the answer was not noted, and
none twice else.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt

from exporters.delivery import lanes
from exporters.delivery.access import with_provider
from exporters.errors import ConfigError
from exporters.model.run import Run
from exporters.parts import Parts
from exporters.providers.base import Provider

#: How long one step begins further questions. Meanwhile it keeps one of the few places for messages in its process.
ASK_FOR = timedelta(minutes=1)
#: Ours: after so many parts, "not written yet" included, there is no end to them. The smallest parts are SendGrid's of
#: suppressions, 500 people each, so five million, fifty times what an export there is stated to carry; those of the
#: people on a list hold up to 100,000 each. One step has to fetch them all again: at 30 ms each, a guess for small
#: ones, that is half of `functionTimeout` in host.json.
MAX_PARTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the answer."""

    data: bytes  #: CSV without a header; empty where it tells of nobody
    token: str | None  #: for the next question, without personal data; None: that was the end
    wait_s: float = 0.0  #: seconds until the next question makes sense


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What is asked, and where the answer is kept."""

    folder: str
    ask: Callable[[Provider, str | None], Part]
    about: str  #: "whom it has suppressed"
    remedy: str  #: what an operator can do when there is no end to it


class Asked(BaseModel):
    """How far the questions are; `asked.json` in the folder of the parts, changed under its ETag."""

    model_config = ConfigDict(frozen=True)

    questions: NonNegativeInt = 0  #: that were answered
    parts: NonNegativeInt = 0  #: that are stored; the others told of nobody
    last: str = ""  #: digest of the newest one that is stored
    token: str | None = None  #: for the next question
    not_before: AwareDatetime | None = None  #: the provider is still writing a file
    complete: bool = False


def has_begun(parts: Parts, inquiry: Inquiry) -> bool:
    """Whether a question was answered."""
    return _asked(parts, inquiry).questions > 0


def collect(
    parts: Parts, run: Run, inquiry: Inquiry, *, ask_for: timedelta = ASK_FOR, max_parts: int = MAX_PARTS
) -> float | None:
    """Ask for so long, and store the parts in the folder; None when all are there.

    Otherwise the seconds after which it has to be called again. Harmless when repeated. Raises AccessError,
    ConfigError (also for an answer that does not come to an end), ThrottledError or TransientError; what was answered
    before is kept.
    """
    until = parts.now() + ask_for
    asked = _asked(parts, inquiry)
    if asked.complete:
        return None
    wait_s = max(_wait_s(parts, asked), lanes.wait_s(parts, run.lane, to_poll=True))
    return wait_s or with_provider(parts, run, lambda provider: _ask(parts, provider, inquiry, until, max_parts))


def stored(parts: Parts, inquiry: Inquiry, file: Path) -> Iterator[Path]:
    """The stored parts, one after the other in the same local file."""
    for number in range(_asked(parts, inquiry).parts):
        parts.state.download(f"{inquiry.folder}{number:05d}.csv", file)
        yield file


def _ask(parts: Parts, provider: Provider, inquiry: Inquiry, until: datetime, max_parts: int) -> float | None:
    """Ask until all is answered, the time is over, or the provider wants a pause."""
    asked = _asked(parts, inquiry)
    while not asked.complete:
        if asked.questions >= max_parts:
            raise _endless(provider, inquiry, f"there is no end to it after {max_parts:,} answers")
        part = inquiry.ask(provider, asked.token)
        if part.data and part.token is not None and _digest(part) == asked.last:
            raise _endless(provider, inquiry, "it gives the same answer again when it is asked for the next one")
        asked = _store(parts, inquiry, asked, part)
        wait_s = max(_wait_s(parts, asked), provider.not_before_s or 0.0)
        if not asked.complete and (wait_s > 0 or parts.now() >= until):
            return wait_s
    return None


def _store(parts: Parts, inquiry: Inquiry, asked: Asked, part: Part) -> Asked:
    """Store a part, then note it; when another step has noted it already, go on from there."""
    number, last = asked.parts, asked.last
    if part.data:
        parts.state.put(f"{inquiry.folder}{number:05d}.csv", part.data)
        number, last = number + 1, _digest(part)
    after = Asked(
        questions=asked.questions + 1,
        parts=number,
        last=last,
        token=part.token,
        not_before=parts.now() + timedelta(seconds=part.wait_s) if part.wait_s else None,
        complete=part.token is None,
    )
    return parts.documents.change(
        Asked, _path(inquiry), lambda found: after if found == asked else found, default=Asked()
    )


def _asked(parts: Parts, inquiry: Inquiry) -> Asked:
    found = parts.documents.read(Asked, _path(inquiry))
    return Asked() if found is None else found.value


def _wait_s(parts: Parts, asked: Asked) -> float:
    return 0.0 if asked.not_before is None else max(0.0, (asked.not_before - parts.now()).total_seconds())


def _digest(part: Part) -> str:
    return hashlib.sha256(part.data).hexdigest()


def _endless(provider: Provider, inquiry: Inquiry, why: str) -> ConfigError:
    return ConfigError(
        f"{provider.title} was asked {inquiry.about}, and {why}: {inquiry.remedy}, and tell the support of"
        f" {provider.title}."
    )


def _path(inquiry: Inquiry) -> str:
    return f"{inquiry.folder}asked.json"
