"""How long a run bears what may pass before its plan: an hour from the first trouble in a row, pauses not counted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from exporters.delivery import lanes
from exporters.delivery.move import PATIENCE
from exporters.errors import ThrottledError, TransientError
from exporters.exporter import Exporter
from exporters.model.export import Mapping
from exporters.providers.base import Access, SuppressionKind
from tests.world import START, SimulatedProvider, World


@pytest.fixture
def world() -> World:
    world = World()
    world.people(3)
    return world


def before_access(world: World, happens: Callable[[], None]) -> None:
    """Call this before each question for the list."""

    class Provider(SimulatedProvider):
        def check_access(self, list_id: str, mapping: Mapping, *, count_account: bool = False) -> Access:
            happens()
            return super().check_access(list_id, mapping, count_account=count_account)

    world.parts = replace(world.parts, connect=lambda _, key: Provider(world.account, key))
    world.exporter = Exporter(world.parts)


def fail() -> None:
    raise TransientError("The provider answered 503: it is tried again")


def test_one_failure_after_a_long_pause_is_waited_out(world):
    answers = iter([ThrottledError("wait", wait_s=PATIENCE.total_seconds() + 100), TransientError("503"), None])

    def ask() -> None:
        if (error := next(answers)) is not None:
            raise error

    before_access(world, ask)

    assert world.export_now()["status"] == "successful"


def test_failures_before_and_after_a_pause_are_not_one_trouble(world):
    pause = PATIENCE.total_seconds() + 100
    answers = iter([TransientError("503"), ThrottledError("wait", wait_s=pause), TransientError("503"), None])

    def ask() -> None:
        if (error := next(answers)) is not None:
            raise error

    before_access(world, ask)

    assert world.export_now()["status"] == "successful"


def test_a_pause_that_another_run_on_the_account_was_told_of_does_not_count_either(world):
    asked: list[datetime] = []

    def ask() -> None:
        asked.append(world.time)
        if len(asked) < 3:
            lanes.hold_back(world.parts, "main", PATIENCE.total_seconds() + 100)
            fail()

    before_access(world, ask)

    assert world.export_now()["status"] == "successful"
    assert asked[2] - asked[0] > 2 * PATIENCE


def test_a_provider_that_fails_for_an_hour_fails_the_run(world):
    before_access(world, fail)

    run = world.export_now()

    assert (run["status"], run["reason"]) == ("failed", "The provider answered 503: it is tried again")
    assert PATIENCE < world.time - START < PATIENCE + timedelta(minutes=2)


def test_a_failure_after_questions_that_took_long_is_waited_out(world):
    world.export(withhold=True)
    world.account.suppressed |= {f"s{number}@example.com": SuppressionKind.BOUNCED for number in range(8)}

    def answer() -> None:
        world.pass_time(minutes=20)
        if world.account.questions == 1:
            fail()

    failures = [True]

    def plan() -> None:
        if world.account.questions == 5 and failures:
            failures.clear()
            fail()

    world.account.on_suppressions = answer
    before_access(world, plan)

    assert world.export_now()["status"] == "successful"
    assert not failures
    assert world.time - START > PATIENCE
