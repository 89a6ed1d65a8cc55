"""A thousand worlds, and what makes them worth anything: they repeat themselves, and they notice."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exporters.parts import Parts
from exporters.planning.plan import PlanInputs, Planned, Stage
from exporters.storage.blobs import Blob, BlobInfo
from tests.simulation.faults import BrokenPromiseError
from tests.simulation.life import Life
from tests.simulation.planning import PlainPlanning, read, write
from tests.simulation.provider import LikeBrevo, LikeSendGrid
from tests.simulation.runner import run_all, scratch

SEEDS = 1_000
#: What is broken on purpose is noticed by one of so many.
ENOUGH = 100


@pytest.fixture(autouse=True)
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with scratch() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield


@pytest.mark.timeout(900)
def test_every_promise_is_kept_whatever_happens():
    assert run_all(range(SEEDS)) == []


def test_a_seed_decides_everything_that_happens():
    root = Path(__file__).parents[2]
    one, other = (
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", "12"],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": order},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for order in ("1", "2")
    )

    assert one == other
    assert "submit" in one


def test_providers_of_both_shapes_and_every_kind_of_event_come_up():
    shapes, said = set(), ""
    for seed in range(150):
        trace: list[str] = []
        life = Life(seed, trace=trace)
        life.live()
        shapes.add(life.world.shape)
        said += "\n".join(trace)

    events = (
        "KILLED BEFORE write",
        "KILLED BEFORE conditional",
        "KILLED BEFORE send",
        "KILLED BEFORE request",
        "KILLED AFTER write",
        "KILLED AFTER conditional",
        "KILLED AFTER send",
        "KILLED AFTER request",
        "FAILED: read",
        "LOST: conditional",
        "CONFLICT: conditional",
        "TWICE: send",
        "DIES AT ONCE",
        "s pass)",
        "is poisoned",
        "provider: throttled",
        "provider: lost answer",
        "provider: server error",
        "provider: refuses the key",
        "submit",
        "remove",
        "* approve",
        "* reject",
        "* cancel",
        "* timer",
        "* detach",
        "* attach",
        "> schedule",
    )
    assert [event for event in events if event not in said] == []
    assert shapes == {LikeSendGrid, LikeBrevo}


class Forgetful(PlainPlanning):
    """Leaves somebody out of every ledger."""

    def merge_ledger(self, previous: Path | None, contacts: Path, verdicts: Any, target: Path, **others: Any) -> None:
        super().merge_ledger(previous, contacts, verdicts, target, **others)
        write(target, read(target)[:-1])


class Boastful(PlainPlanning):
    """Takes everyone for delivered."""

    def merge_ledger(self, previous: Path | None, contacts: Path, verdicts: Any, target: Path, **others: Any) -> None:
        nothing_bad = {batch: type(tally)() for batch, tally in verdicts.items()}
        super().merge_ledger(previous, contacts, nothing_bad, target, **others)


class Restless(PlainPlanning):
    """Sends everyone, whatever the ledger says."""

    def make_plan(self, inputs: PlanInputs, *, work: Path, stage: Stage) -> Planned:
        return super().make_plan(replace(inputs, full=True), work=work, stage=stage)


class Indifferent(PlainPlanning):
    """Does not ask who is suppressed."""

    def make_plan(self, inputs: PlanInputs, *, work: Path, stage: Stage) -> Planned:
        return super().make_plan(replace(inputs, suppressed=None), work=work, stage=stage)


class Pushy(PlainPlanning):
    """Says in every contact that the person may be mailed."""

    def make_plan(self, inputs: PlanInputs, *, work: Path, stage: Stage) -> Planned:
        def push(number: int, lines: bytes) -> None:
            stage(number, lines.replace(b'{"email"', b'{"emailBlacklisted":false,"email"'))

        return super().make_plan(inputs, work=work, stage=push)


class Around:
    """A store but for one thing."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Hoarding(Around):
    """Deletes nothing."""

    def delete(self, name: str) -> None:
        return


class Impatient(Around):
    """Shows lanes without the pauses that the provider wants."""

    def get(self, name: str) -> Blob | None:
        blob: Blob | None = self._store.get(name)
        if blob is None or not name.startswith("lanes/"):
            return blob
        return replace(blob, data=blob.data.replace(b'"not_before":"20', b'"not_before":"19'))


class Silent(Around):
    """Enters nothing of what was skipped."""

    def create(self, name: str, data: bytes, **others: Any) -> str:
        if b'"status":"skipped"' in data:
            return '"nothing"'
        return str(self._store.create(name, data, **others))


class Old(Around):
    """Says of each snapshot that it was there a month before."""

    def list(self, name: str) -> Iterator[BlobInfo]:
        found = list(self._store.list(name))
        return iter(replace(blob, modified=blob.modified - timedelta(days=30)) for blob in found)


def planning(engine: Callable[[], PlainPlanning]) -> Callable[[Parts], Parts]:
    return lambda parts: replace(parts, planning=engine())


def state(kind: Callable[[Any], Any]) -> Callable[[Parts], Parts]:
    return lambda parts: replace(parts, state=kind(parts.state))


def segments(kind: Callable[[Any], Any]) -> Callable[[Parts], Parts]:
    return lambda parts: replace(parts, segments=kind(parts.segments))


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        (planning(Forgetful), "forgot them"),
        (planning(Boastful), "who is not on"),
        (planning(Restless), "again for nothing"),
        (planning(Indifferent), "who was to be withheld"),
        (planning(Pushy), "could lift an opt-out"),
        (state(Hoarding), "left under staging/"),
        (state(Impatient), "until when the provider wanted a pause"),
        (state(Silent), "has the runs and entries []"),
        (segments(Old), "was left out"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_broken_on_purpose_is_noticed(change, noticed):
    said = []
    for seed in range(ENOUGH):
        try:
            Life(seed, change=change).live()
        except BrokenPromiseError as error:
            said.append(str(error))
            if noticed in said[-1]:
                return
    raise AssertionError(f"nobody noticed in {ENOUGH} worlds; said was {said[:3]}")
