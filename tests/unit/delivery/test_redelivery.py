"""Steps that fail with what nobody expected, and everything that may then come twice, late or in vain."""

from datetime import timedelta
from itertools import pairwise

import pytest

from exporters.delivery import lanes
from exporters.errors import TransientError
from exporters.model.run import Run
from exporters.providers.base import JobReport, JobState, Refusal
from exporters.storage import paths
from tests.world import START, World


@pytest.fixture
def world() -> World:
    world = World()
    world.people(4)
    return world


def step(world: World) -> tuple[str, str]:
    """Deliver the next message; answers it."""
    world.time = max(world.time, world.queues.next_due())
    message = world.queues.due()
    world.deliver(*message)
    return message


def waiting(world: World) -> int:
    return len(world.queues._messages)


def test_a_send_that_failed_is_free_for_the_next_delivery_of_its_message(world):
    answer = world.start()
    step(world)
    world.account.on_submit = lambda contacts: 1 / 0
    _, body = world.queues.due()
    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            world.deliver("batch", body)
        world.pass_time(seconds=30)
    assert waiting(world) == 0

    world.account.on_submit = lambda contacts: None
    world.deliver("batch", body)
    world.pump()

    assert world.show(answer)["status"] == "successful"


def test_a_poll_that_failed_is_no_double_when_its_message_comes_again(world):
    answer = world.start()
    step(world)
    step(world)
    world.account.on_poll = lambda: 1 / 0
    world.pass_time(seconds=2)
    _, body = world.queues.due()
    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            world.deliver("poll", body)
        world.pass_time(seconds=30)
    assert waiting(world) == 0

    world.account.on_poll = lambda: None
    world.deliver("poll", body)
    world.pump()

    assert world.show(answer)["status"] == "successful"


def test_the_watch_adds_no_message_to_a_run_that_waits_for_its_snapshot(world):
    world.start()
    for _ in range(50):
        world.pass_time(minutes=1)
        world.segments.put("VIP.csv", b"EMail,FirstName\na@x.example,Ann\n")
        world.exporter.tick()
        while world.queues.next_due() <= world.time:
            step(world)

    assert waiting(world) == 1


def test_the_watch_leaves_a_batch_that_waits_for_its_next_try_alone(world):
    tries = []

    def fail(contacts):
        tries.append(world.time)
        raise TransientError("The connection was lost")

    world.account.on_submit = fail
    world.start()
    while world.time < START + timedelta(minutes=60):
        world.pass_time(seconds=30)
        world.exporter.tick()
        while (when := world.queues.next_due()) is not None and when <= world.time:
            step(world)

    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(tries)]
    assert gaps == sorted(gaps)
    assert len(tries) < 12


def test_the_watch_adds_no_message_while_the_provider_wants_a_pause(world):
    world.start()
    step(world)
    lanes.hold_back(world.parts, "main", 3600)
    before = waiting(world)
    for _ in range(40):
        world.pass_time(minutes=1)
        world.exporter.tick()

    assert waiting(world) == before


def test_a_slot_that_an_ended_run_got_too_late_is_given_back(world):
    answer = world.start()
    world.pump()
    run = world.parts.documents.read(Run, paths.run("newsletter", world.run_id(answer))).value
    lanes.join(world.parts, run, batches=1, size=2)

    world.pump()

    assert lanes.read(world.parts, "main").slots == ()


def test_a_job_whose_errors_cannot_be_read_delivers_nobody_whatever_it_counts(world):
    report = JobReport(state=JobState.DONE, errored=1, report_missing=True)
    world.account.on_submit = lambda contacts: report

    run = world.export_now()

    assert (run["sums"]["delivered"], run["sums"]["unknown"]) == (0, 4)


def test_a_run_shows_what_the_provider_said_and_how_often(world):
    words = "the address 'p1@example.com' is on a list"
    named = tuple(Refusal(email=f"p{number}@example.com", words=words) for number in (1, 2))
    world.account.on_submit = lambda contacts: JobReport(state=JobState.DONE, refusals=named, errored=2)

    run = world.export_now()

    (reject,) = run["rejects"]
    assert (reject["kind"], reject["count"], reject["words"], reject["line"]) == (
        "refused",
        2,
        "the address … is on a list",
        3,
    )
    assert run["reason"] == "the address … is on a list"


def test_a_ledger_that_is_gone_makes_the_next_run_a_full_one(world):
    first = world.export_now()
    world.state.delete(paths.ledger("newsletter", first["id"]))

    run = world.export_now()

    assert (run["status"], run["sums"]["planned"]) == ("successful", 4)


def test_a_pause_that_came_with_a_failure_is_kept_too(world):
    times = []

    def fail_once(contacts):
        times.append(world.time)
        world.account.not_before_s = 120.0 if len(times) == 1 else None
        if len(times) == 1:
            raise TransientError("503")

    world.account.on_submit = fail_once

    world.export_now()

    assert (times[1] - times[0]).total_seconds() >= 120


def test_a_key_that_is_refused_late_gets_its_patience(world):
    world.account.polls_until_done = 200
    world.start()
    while world.time < START + timedelta(minutes=30):
        step(world)
    world.account.key = "another"
    refused_at = world.time
    while world.queues.next_due() < refused_at + timedelta(minutes=10):
        step(world)
    world.account.key = "good"
    world.pump()

    assert len(world.account.contacts) == 4
