"""Who waits when a provider wants a pause, or never ends a job: everyone on that account, and nobody else."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import ClassVar

import pytest

from exporters.api.answers import Answer
from exporters.delivery.lanes import JITTER
from exporters.errors import ThrottledError, TransientError
from exporters.exporter import Exporter
from exporters.providers.base import JobReport, JobState, Refusal
from tests.world import START, Account, SimulatedProvider, World

PAUSE_S = 600.0


@dataclass
class Asked:
    """When an account was asked for anything but access."""

    world: World
    moments: list[datetime] = field(default_factory=list)

    def note(self) -> None:
        self.moments.append(self.world.time)


@pytest.fixture
def world() -> World:
    world = World()
    world.people(12)
    world.export(id="second")
    return world


def other_account(world: World, *, jitter: float = 0.0) -> Account:
    """An export named elsewhere, on an account of its own with a connection of its own."""
    account = Account()
    world.connection(id="other")
    world.export(id="elsewhere", connection="other")
    accounts = {"main": world.account, "other": account}
    world.parts = replace(
        world.parts,
        connect=lambda connection, key: SimulatedProvider(accounts[connection.id], key),
        jitter=lambda: jitter,
    )
    world.exporter = Exporter(world.parts)
    return account


def watched(world: World, account: Account, trouble: Callable[[int], None], *, on: str) -> Asked:
    """Note each request, and meet the so-many-th submit or poll with trouble."""
    asked, counted = Asked(world), 0

    def meet(kind: str) -> None:
        nonlocal counted
        asked.note()
        if kind == on:
            counted += 1
            trouble(counted)

    account.on_submit = lambda _: meet("submit")
    account.on_poll = lambda: meet("poll")
    return asked


def pause_at(number: int, wait_s: float = PAUSE_S) -> Callable[[int], None]:
    def trouble(counted: int) -> None:
        if counted == number:
            raise ThrottledError("too many requests", wait_s=wait_s)

    return trouble


def ended(world: World, answer: Answer) -> timedelta:
    """How long a run took that delivered everyone."""
    run = world.show(answer)
    assert (run["status"], run["sums"]["delivered"]) == ("successful", 12)
    return datetime.fromisoformat(run["finished"]) - START


@pytest.mark.parametrize("on", ["submit", "poll"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_nobody_on_the_account_asks_for_anything_before_the_time_that_was_named(world, on, number):
    asked = watched(world, world.account, pause_at(number), on=on)
    runs = [world.start(), world.start("second")]

    world.pump()

    told = [moment for moment in asked.moments if moment < START + timedelta(seconds=PAUSE_S)][-1]
    assert [moment for moment in asked.moments if told < moment < told + timedelta(seconds=PAUSE_S)] == []
    assert all(ended(world, run) >= timedelta(seconds=PAUSE_S) for run in runs)


def test_a_good_answer_that_used_up_the_limit_holds_back_every_run_on_the_account(world):
    world.account.not_before_s = 30.0
    asked = watched(world, world.account, lambda _: None, on="submit")
    runs = [world.start(), world.start("second")]

    world.pump()

    assert len(asked.moments) == 12  # two runs of three batches, each sent and asked for once
    assert all(later - one >= timedelta(seconds=30) for one, later in pairwise(asked.moments))
    assert all(ended(world, run) for run in runs)


def test_those_who_wait_come_back_at_different_times_and_none_too_early(world):
    other_account(world, jitter=1.0)
    asked = watched(world, world.account, pause_at(1), on="submit")

    world.start()
    world.pump()

    told, back = asked.moments[0], asked.moments[1]
    assert timedelta(seconds=PAUSE_S) <= back - told <= timedelta(seconds=PAUSE_S * (1 + 2 * JITTER))
    assert back - told >= timedelta(seconds=PAUSE_S * (1 + JITTER) - 1)


@pytest.mark.parametrize("on", ["submit", "poll"])
def test_a_run_on_another_account_takes_no_longer_because_one_waits(world, on):
    def took(trouble: Callable[[int], None]) -> tuple[timedelta, timedelta]:
        world = World()
        world.people(12)
        other_account(world)
        watched(world, world.account, trouble, on=on)
        slow, quick = world.start(), world.start("elsewhere")
        world.pump()
        return ended(world, slow), ended(world, quick)

    well, undisturbed = took(lambda _: None)
    waiting, beside_it = took(pause_at(1))

    assert waiting - well >= timedelta(seconds=PAUSE_S - 60)
    assert beside_it == undisturbed


def test_a_provider_that_is_down_for_one_account_is_no_trouble_for_another(world):
    quick = other_account(world)

    def down(_: int) -> None:
        if world.time < START + timedelta(minutes=30):
            raise TransientError("The connection was lost")

    watched(world, world.account, down, on="submit")
    runs = [world.start(), world.start("elsewhere")]

    world.pump()

    assert ended(world, runs[0]) > timedelta(minutes=30)
    assert ended(world, runs[1]) < timedelta(minutes=5)
    assert len(quick.on_list) == 12


def test_a_job_that_never_ends_keeps_one_slot_until_its_deadline_and_nobody_else_waits_for_it(world):
    world.account.on_submit = lambda contacts: setattr(
        world.account, "polls_until_done", 10_000 if len(world.account.requests) == 1 else 1
    )
    stuck, other = world.start(), world.start("second")

    world.pump()

    run = world.show(stuck)
    assert (run["status"], run["sums"]["delivered"], run["sums"]["unknown"]) == ("completed_with_warnings", 8, 4)
    assert ended(world, other) < timedelta(minutes=10)
    again = world.export_now()
    assert (again["status"], again["sums"]["planned"]) == ("successful", 4)


def test_polls_that_fail_for_a_while_cost_time_and_no_verdict(world):
    lost = iter([TransientError("lost")] * 5)

    def lose() -> None:
        if (error := next(lost, None)) is not None:
            raise error

    world.account.on_poll = lose

    run = world.export_now()

    assert (run["status"], run["sums"]["delivered"], run["requests"]) == ("successful", 12, 3)


def test_an_import_whose_answer_is_lost_again_and_again_is_delivered_once(world):
    """The provider takes each of them; what counts is the one job whose end was seen."""
    taken: list[str] = []

    def take(contacts: list[dict[str, str]]) -> None:
        taken.extend(contact["email"] for contact in contacts)
        world.account.on_list |= {contact["email"] for contact in contacts}
        if len(world.account.requests) % 3:
            raise TransientError("The connection was lost")

    world.account.on_submit = take

    run = world.export_now()

    assert len(taken) > 12
    assert (run["status"], run["sums"]["delivered"]) == ("successful", 12)
    assert len(world.account.on_list) == 12


class OneAtATime(SimulatedProvider):
    """A provider whose imports hinder each other."""

    jobs_in_flight: ClassVar[int] = 1


def lose_the_first_answer(world: World, *, lasts: timedelta) -> list[datetime]:
    """The first import is taken and works for so long, but its answer is lost; answers when there were others."""
    world.provider = OneAtATime
    sent: list[datetime] = []

    def take(contacts: list[dict[str, str]]) -> None:
        sent.append(world.time)
        world.account.in_flight = 0
        if len(sent) == 1:
            world.account.in_flight = 1
            raise TransientError("The connection was lost")

    def end() -> None:
        if world.time >= sent[0] + lasts:
            world.account.in_flight = 0

    world.account.on_submit = take
    world.parts = replace(world.parts, now=lambda: (end() if sent else None, world.now())[1])
    world.exporter = Exporter(world.parts)
    return sent


def test_where_imports_hinder_each_other_one_that_may_be_a_lost_one_is_waited_for(world):
    sent = lose_the_first_answer(world, lasts=timedelta(minutes=3))

    run = world.export_now()

    assert (run["status"], run["sums"]["delivered"]) == ("successful", 12)
    assert timedelta(minutes=3) <= sent[1] - sent[0] <= timedelta(minutes=7)
    assert world.account.requests[0] == world.account.requests[1]


def test_an_import_that_never_ends_is_not_waited_for_for_ever(world):
    sent = lose_the_first_answer(world, lasts=timedelta(days=30))

    run = world.export_now()

    assert (run["status"], run["sums"]["delivered"]) == ("successful", 12)
    assert timedelta(minutes=5) <= sent[1] - sent[0] <= timedelta(minutes=30)


@pytest.mark.parametrize(
    ("strangers", "errored", "unknown"),
    [(1, 1, 1), (2, 2, 2), (2, None, 2), (0, 3, 3), (1, 3, 3), (9, 9, 4)],
)
def test_row_errors_that_fit_nobody_make_as_many_unknown_and_nobody_delivered(world, strangers, errored, unknown):
    world.people(4)
    named = tuple(Refusal(email=f"stranger{number}@example.com", words="no") for number in range(strangers))
    report = JobReport(state=JobState.DONE, refusals=named, errored=errored)
    world.account.on_submit = lambda _: report

    run = world.export_now()

    assert (run["sums"]["delivered"], run["sums"]["refused"], run["sums"]["unknown"]) == (4 - unknown, 0, unknown)
    world.account.on_submit = lambda _: None
    assert world.export_now()["sums"]["planned"] == 4


def test_a_run_is_shown_where_its_lane_cannot_be_read(world):
    started = world.start()
    world.state.put("lanes/main.json", b'{"slots": 3}')

    run = world.show(started)

    assert run["status_word"] == "Queued"
    assert run["waiting"]["reason"] == "unreadable"
    assert "lanes/main.json cannot be used: account: is missing; slots: " in run["waiting"]["text"]
    assert run["waiting_until"] is None
