"""A retry sends what the run before did not deliver, and nothing else."""

import json
from typing import Any

import pytest

from exporters.errors import AccessError
from exporters.providers.base import JobReport
from tests.world import World, refusals


@pytest.fixture
def world() -> World:
    return World()


def refuse_one(contacts: list[dict[str, Any]]) -> JobReport | None:
    """The provider does not want one person."""
    return refusals("p3@example.com") if "p3@example.com" in {contact["email"] for contact in contacts} else None


def sent(world: World) -> list[str]:
    return sorted(email for request in world.account.requests for email in request)


def run(world: World, **options):
    """Start a run, let it come to its end; answers the start and the run."""
    answer = world.start(**options)
    world.pump()
    return answer, world.show(answer)


def retried(world: World, answer):
    world.account.requests.clear()
    again = world.retry(answer)
    assert again.status == 202, again.body
    world.pump()
    return again, world.show(again)


def test_people_who_were_refused_are_sent_again_and_nobody_else(world):
    world.people(10)
    world.account.on_submit = refuse_one
    started, first = run(world)
    assert first["retry"] == f"/api/runs/newsletter/{first['id']}/retry"
    world.account.on_submit = lambda contacts: None

    _, second = retried(world, started)

    assert sent(world) == ["p3@example.com"]
    assert (second["status"], second["retries"]) == ("successful", f"/api/runs/newsletter/{first['id']}")
    assert second["timeline"][0]["text"] == f"started (on demand, to retry the run {first['id']})"
    assert second["retry"] is None


def test_a_run_that_lost_its_key_half_way_is_retried_with_the_rest(world):
    people = world.people(12)

    def lose_the_key(contacts):
        if len(world.account.requests) == 2:
            raise AccessError("The key was deleted")

    world.account.on_submit = lose_the_key
    started, first = run(world)
    delivered = set(world.account.on_list)
    assert first["status"] == "failed"
    assert delivered
    world.account.on_submit = lambda contacts: None

    retried(world, started)

    assert sent(world) == sorted(set(people) - delivered)
    assert world.account.on_list == set(people)


def test_a_full_run_that_lost_its_key_half_way_is_retried_with_the_rest_and_not_with_nobody(world):
    people = world.people(12)
    run(world)

    def lose_the_key(contacts):
        raise AccessError("The key was deleted")

    sent_before = len(world.account.requests)
    world.account.on_submit = lambda contacts: (
        lose_the_key(contacts) if len(world.account.requests) > sent_before + 1 else None
    )
    started, first = run(world, body=b'{"full": true}')
    assert (first["status"], first["sums"]["delivered"]) == ("failed", 4)
    world.account.on_submit = lambda contacts: None

    retried(world, started)

    assert len(sent(world)) == len(people) - 4


def test_repeating_a_retry_answers_the_same_run_until_that_one_has_failed(world):
    world.people(6)
    world.account.on_submit = refuse_one
    started, _ = run(world)

    first = world.run_id(world.retry(started))
    at_work = world.run_id(world.retry(started))
    world.pump()  # nobody but the one whom the provider does not want, so it has failed
    failed = world.run_id(world.retry(started))
    world.account.on_submit = lambda contacts: None
    world.pump()
    well = world.run_id(world.retry(started))

    assert first == at_work
    assert failed != first
    assert well == failed


def test_a_key_of_the_caller_s_keeps_its_run(world):
    world.people(6)
    world.account.on_submit = refuse_one
    started, _ = run(world)

    first = world.retry(started, key="one")
    world.pump()

    assert world.run_id(world.retry(started, key="one")) == world.run_id(first)
    assert world.run_id(world.retry(started, key="two")) != world.run_id(first)


@pytest.mark.parametrize("at_work", [True, False], ids=["at work", "successful"])
def test_a_run_with_nothing_to_retry_says_what_to_do(world, at_work):
    world.people(3)
    started = world.start()
    if not at_work:
        world.pump()

    answer = world.retry(started)

    problem = json.loads(answer.body)
    assert (answer.status, problem["title"]) == (409, "The run cannot be retried")
    assert ("wait for its end" if at_work else "everybody who was planned is delivered") in problem["detail"]


def test_a_retry_waits_for_another_run_of_its_export(world):
    world.people(6)
    world.account.on_submit = refuse_one
    started, _ = run(world)
    other = world.start()

    answer = world.retry(started)

    assert (answer.status, json.loads(answer.body)["run"]) == (409, other.headers["Location"])


def test_a_full_run_that_failed_before_its_plan_is_retried_as_a_full_one(world):
    people = world.people(8)
    run(world)
    world.account.key = "new"
    started, first = run(world, body=b'{"full": true}')
    assert (first["status"], first["sums"]) == ("failed", None)
    world.secrets.values["main-key"] = "new"

    retried(world, started)

    assert sent(world) == people
