"""A canceled run sends nothing more, and what the provider has accepted counts all the same."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exporters.api.answers import Answer
from exporters.delivery import lanes
from exporters.errors import AccessError, ThrottledError, TransientError
from exporters.exporter import Exporter
from exporters.model.run import ExportState
from exporters.planning.engine import DuckDbPlanning
from exporters.storage import paths
from tests.world import World

PEOPLE = 14


@pytest.fixture
def world() -> World:
    world = World()
    world.people(PEOPLE)
    return world


def step(world: World) -> bool:
    """Deliver the next message, whenever it shows itself; answers whether there was one."""
    when = world.queues.next_due()
    if when is None:
        return False
    world.time = max(world.time, when)
    message = world.queues.due()
    assert message is not None
    world.deliver(*message)
    return True


def steps(world: World, count: int) -> None:
    for _ in range(count):
        step(world)


def state(world: World) -> ExportState:
    return world.parts.documents.read(ExportState, paths.export_state("newsletter")).value


def check_sums(run: dict[str, Any]) -> None:
    sums = run["sums"]
    assert sums["planned"] == sums["delivered"] + sums["refused"] + sums["unknown"]


def nothing_left(world: World) -> None:
    lane = lanes.read(world.parts, "main")
    assert (lane.slots, lane.waiting) == ((), ())
    assert list(world.state.list("staging/")) == []
    assert state(world).active is None


def steps_of_a_run() -> int:
    world = World()
    world.people(PEOPLE)
    world.start()
    count = 0
    while step(world):
        count += 1
    return count


@pytest.mark.parametrize("before", range(steps_of_a_run()))
@pytest.mark.parametrize("twice", [False, True], ids=["once", "doubled"])
def test_a_run_can_be_canceled_at_any_step_and_the_next_one_sends_who_is_missing(world, before, twice):
    started = world.start()
    steps(world, before)
    was_over = world.show(started)["finished"] is not None
    sent = len(world.account.requests)

    answer = world.cancel(started)
    world.pump(twice=twice)

    if was_over:
        assert answer.status == 409
        return
    run = world.show(started)
    assert (run["status"], run["reason"]) == ("canceled", "Canceled")
    assert len(world.account.requests) == sent
    accepted = {email for request in world.account.requests for email in request}
    assert world.account.on_list == accepted
    if run["sums"] is not None:
        check_sums(run)
        assert run["sums"]["delivered"] == len(accepted)
        assert run["sums"]["unknown"] == 0
    nothing_left(world)

    world.account.requests.clear()
    again = world.export_now()

    assert again["status"] == "successful"
    assert {email for request in world.account.requests for email in request}.isdisjoint(accepted)
    assert len(world.account.on_list) == PEOPLE
    nothing_left(world)


def test_who_canceled_it_says_why_and_the_run_shows_it(world):
    started = world.start()
    steps(world, 2)

    shown = json.loads(world.cancel(started, body=b'{"reason": "wrong list"}').body)

    assert (shown["status"], shown["cancel"]) == ("processing", None)
    assert shown["canceled"] is not None
    world.pump()
    run = world.show(started)
    assert (run["status"], run["reason"]) == ("canceled", "Canceled: wrong list")
    assert {reject["words"] for reject in run["rejects"]} == {"Canceled: wrong list"}


def test_a_held_run_is_canceled_at_once_and_keeps_its_rejects(world):
    world.segment('EMail,FirstName\np0@example.com,Ann\nnobody,Ann\n"cut@example.com","An')
    started = world.start()
    world.pump()
    assert world.show(started)["status"] == "held"

    shown = json.loads(world.cancel(started).body)

    assert (shown["status"], shown["step"]) == ("canceled", "ended")
    assert shown["finished"] is not None
    assert world.state.get(paths.rejects("newsletter", shown["id"])) is not None
    assert world.approve(started).status == 409
    world.pump()
    assert world.account.requests == []
    nothing_left(world)


def test_canceling_twice_and_after_the_end_answers_the_run_as_it_is(world):
    started = world.start()
    steps(world, 2)
    first = json.loads(world.cancel(started).body)
    second = json.loads(world.cancel(started, body=b'{"reason": "too late"}').body)
    world.pump()

    third = json.loads(world.cancel(started).body)

    assert first["canceled"] == second["canceled"] == third["canceled"]
    assert third["reason"] == "Canceled"
    assert third["timeline"][-1]["text"].startswith("canceled: ")


def test_a_canceled_run_does_not_wait_for_the_end_of_a_pause_that_nobody_needs_any_more(world):
    def throttle(contacts):
        raise ThrottledError("too many requests", wait_s=3600)

    world.account.on_submit = throttle
    started = world.start()
    steps(world, 3)
    assert world.show(started)["waiting"]["reason"] == "provider"
    now = world.now()

    world.cancel(started)
    while world.show(started)["finished"] is None:
        assert step(world)

    assert world.now() - now < timedelta(minutes=1)
    assert world.show(started)["sums"]["refused"] == PEOPLE


def test_a_run_that_is_canceled_while_it_removes_people_keeps_the_others_for_the_next_run(world):
    world.export(mode="mirror", brakes={"max_share_removed": 1, "min_share_of_last": 0})
    world.export_now()
    world.people(2)
    world.account.removes_by_job = True
    started = world.start()
    while not world.account.removals:
        assert step(world)

    world.cancel(started)
    world.pump()

    run = world.show(started)
    gone = {email for request in world.account.removals for email in request}
    assert run["status"] == "canceled"
    assert (run["removal"]["removed"], run["removal"]["refused"]) == (len(gone), PEOPLE - 2 - len(gone))
    assert len(world.account.on_list) == PEOPLE - len(gone)
    assert world.export_now()["status"] == "successful"
    assert len(world.account.on_list) == 2


def test_the_watch_ends_a_canceled_run_whose_messages_were_lost(world):
    started = world.start()
    steps(world, 2)
    world.cancel(started)
    while world.queues.due():
        pass
    while world.queues.next_due() is not None:
        world.time = world.queues.next_due()
        world.queues.due()

    for _ in range(60):
        world.pass_time(minutes=1)
        world.exporter.tick()
        world.pump()

    assert world.show(started)["status"] == "canceled"
    nothing_left(world)


def test_an_unknown_run_cannot_be_canceled_and_an_unreadable_body_is_refused(world):
    started = world.start()

    assert world.cancel(started, body=b'{"why": 1}').status == 400
    body = json.dumps({"run": "/api/runs/newsletter/79738868947999999-0123abcd"}).encode()
    assert world.cancel(Answer(status=202, body=body, headers={})).status == 404


def test_a_request_whose_answer_got_lost_before_the_cancel_leaves_its_people_unknown(world):
    def lose_the_answer(contacts):
        world.account.contacts |= {contact["email"]: contact for contact in contacts}
        world.account.on_list |= {contact["email"] for contact in contacts}
        raise TransientError("The connection was lost")

    world.account.on_submit = lose_the_answer
    started = world.start()
    steps(world, 3)  # planned, and both slots have tried once
    world.account.on_submit = lambda contacts: None

    world.cancel(started)
    world.pump()

    run = world.show(started)
    assert (run["status"], run["sums"]["unknown"], run["sums"]["refused"]) == ("canceled", 8, PEOPLE - 8)
    world.account.requests.clear()
    world.export_now()
    assert sum(len(request) for request in world.account.requests) == PEOPLE


def test_nobody_is_removed_any_more_once_the_cancel_was_answered(world):
    world.export(mode="mirror", brakes={"max_share_removed": 1, "min_share_of_last": 0})
    world.export_now()
    world.people(2)
    started = world.start()

    def cancel_at_the_first(emails):
        if len(world.account.removals) == 1:
            assert world.cancel(started).status == 200

    world.account.on_remove = cancel_at_the_first
    world.pump()

    run = world.show(started)
    assert (run["status"], len(world.account.removals)) == ("canceled", 1)
    assert (run["removal"]["removed"], run["removal"]["refused"]) == (3, PEOPLE - 5)


def test_a_cancel_between_the_last_verdict_and_the_end_counts(world):
    started = world.start()

    class Late(DuckDbPlanning):
        """Somebody cancels while the ledger is written."""

        def merge_ledger(self, *files, **options):
            world.cancel(started)
            super().merge_ledger(*files, **options)

    planning = world.parts.planning
    world.parts = replace(world.parts, planning=Late(memory_mb=planning.memory_mb, threads=planning.threads))
    world.exporter = Exporter(world.parts)
    world.pump()

    run = world.show(started)
    assert (run["status"], run["sums"]["delivered"]) == ("canceled", PEOPLE)


def test_canceling_a_run_that_was_stopped_keeps_the_reason_why(world):
    def lose_the_key(contacts):
        raise AccessError("The key was deleted")

    world.account.on_submit = lose_the_key
    started = world.start()
    steps(world, 2)
    assert world.show(started)["finished"] is None

    world.cancel(started)
    world.pump()

    run = world.show(started)
    assert (run["status"], run["reason"]) == ("canceled", "The key was deleted")
