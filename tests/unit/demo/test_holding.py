"""A hold before harm, as the demo shows it."""

import io
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from rich.console import Console

from infra.local.demo.holding import REASON, Holding
from infra.local.sample.accounts import Account
from tests.unit.demo.examples import ACCOUNT, view

SENTENCE = "a.csv ends in the middle of line 9: people may be missing after it."


@dataclass(frozen=True, kw_only=True)
class Counted(Account):
    """An account that has accepted so many imports."""

    accepted: int

    def imports(self) -> list[dict[str, int]]:
        return [{"contacts": 1, "bytes": 1}] * self.accepted


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80)


def holding(console: Console, *, accepted: int) -> Holding:
    fields = {name: getattr(ACCOUNT, name) for name in asdict(ACCOUNT)}
    return Holding(account=Counted(**fields, accepted=accepted), console=console, imports_before=2)


def held(kind: str) -> dict[str, Any]:
    return view(status="held", finished=None, brakes=[{"kind": kind, "sentence": SENTENCE}], approve="/api/r/approve")


def test_a_hold_is_told_in_the_words_of_the_run_and_approved_for_a_reason(console: Console) -> None:
    decide = holding(console, accepted=2)

    assert decide(held("cut_off")) == REASON
    assert list(decide.faults()) == []
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        f"SendGrid: held before anything is sent: {SENTENCE}",
        f"SendGrid: approved, because {REASON}: POST /api/r/approve",
    ]


@pytest.mark.parametrize("kinds", [[], ["provider_limit"]])
def test_a_run_that_the_cut_off_file_did_not_hold_is_a_broken_promise(console: Console, kinds: list[str]) -> None:
    decide = holding(console, accepted=2)
    for kind in kinds:
        decide(held(kind))

    assert list(decide.faults()) == ["the run was not held, though a file of its segment is cut off"]


def test_a_request_before_the_hold_is_a_broken_promise(console: Console) -> None:
    decide = holding(console, accepted=3)
    decide(held("cut_off"))

    assert list(decide.faults()) == ["1 requests were made before the run was held"]
