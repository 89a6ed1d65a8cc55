"""When a job is first asked for follows from how long jobs take, and from nothing that went wrong in between."""

from collections.abc import Iterator

import pytest

from exporters.delivery import lanes
from tests.world import SimulatedProvider, World


class Patient(SimulatedProvider):
    """A provider whose jobs may be asked for as late as after an hour."""

    poll_delays_s = (1.0, 5.0, 3600.0)


@pytest.fixture
def world() -> World:
    world = World()
    world.provider = Patient
    return world


def first_questions(world: World, runs: int) -> Iterator[float]:
    """Seconds from the start of the job of each of these runs, one after the other, to the first question for it."""
    for number in range(runs):
        world.people(1, first_name=f"Ann {number}")
        world.start()
        while not world.account.in_flight:
            step(world)
        submitted = world.time
        while world.account.in_flight:
            step(world)
        yield (world.time - submitted).total_seconds()
        world.pump()


def step(world: World) -> None:
    world.time = max(world.time, world.queues.next_due())
    world.deliver(*world.queues.due())


def test_a_question_that_comes_late_tells_nothing_of_the_job(world):
    world.people(1)
    world.start()
    while not world.account.in_flight:
        step(world)
    world.pass_time(minutes=10)  # its message was held by a process that died
    world.pump()

    assert lanes.first_question_s(world.parts, "main", Patient.poll_delays_s) <= 1.0


def test_after_a_slow_job_quick_ones_are_asked_for_sooner_and_sooner(world):
    lanes.job_took(world.parts, "main", 60.0)

    waits = list(first_questions(world, 8))

    assert waits[0] >= 50
    assert waits == sorted(waits, reverse=True)
    assert waits[-1] <= 10
