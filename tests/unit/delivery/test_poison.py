"""What becomes of messages and documents that nobody can read."""

import json
import traceback

import pytest
from pydantic import ValidationError

from exporters.errors import ConfigError
from exporters.storage import paths
from tests.world import World

PRIVATE = "jane@private.example"


@pytest.fixture
def world() -> World:
    world = World()
    world.people(8)
    return world


def break_document(world: World, prefix: str) -> None:
    """Let every JSON document below a prefix miss what it needs."""
    for blob in world.state.list(prefix):
        if blob.name.endswith(".json"):
            world.state.put(blob.name, json.dumps({"id": PRIVATE}).encode())


def pump_with_poison(world: World) -> None:
    """Deliver messages until there is none; one that fails goes where the host would put it after some tries."""
    abandon = {
        "plan": world.exporter.abandon_run,
        "batch": world.exporter.abandon_send,
        "poll": world.exporter.abandon_poll,
    }
    while (due := world.queues.next_due()) is not None:
        world.time = max(world.time, due)
        queue, body = world.queues.due()
        try:
            world.deliver(queue, body)
        except ConfigError:
            abandon[queue](body.encode())


@pytest.mark.parametrize("body", [b"", b"{", b'{"export": "newsletter"}', b'["x"]', b"\xff\xfe", PRIVATE.encode()])
def test_a_poisoned_body_that_is_no_message_is_dropped(world, body):
    world.exporter.abandon_run(body)
    world.exporter.abandon_send(body)
    world.exporter.abandon_poll(body)

    assert world.export_now()["status"] == "successful"


@pytest.mark.parametrize("handler", ["move_run", "send_batch", "poll_batch"])
def test_what_a_message_held_is_not_in_the_traceback(world, handler):
    with pytest.raises(ValidationError) as caught:
        getattr(world.exporter, handler)(json.dumps({"export": PRIVATE, "run": PRIVATE}).encode())

    assert PRIVATE not in "".join(traceback.format_exception(caught.value))


def test_what_a_document_held_is_not_in_the_traceback(world):
    world.start()
    break_document(world, "runs/")
    with pytest.raises(ConfigError) as caught:
        world.deliver(*world.queues.due())

    assert PRIVATE not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("steps", range(3))
def test_a_run_whose_document_is_unreadable_frees_its_places(world, steps):
    world.start()
    for _ in range(steps):
        world.time = max(world.time, world.queues.next_due())
        world.deliver(*world.queues.due())
    break_document(world, "runs/")
    pump_with_poison(world)

    assert [blob.name for blob in world.state.list("staging/")] == []
    world.pass_time(seconds=1)
    run = world.export_now()
    assert (run["status"], run["sums"]["delivered"]) == ("successful", 8)


def test_a_batch_whose_progress_is_unreadable_ends_as_unknown(world):
    answer = world.start()
    for _ in range(2):
        world.deliver(*world.queues.due())
    break_document(world, f"{paths.staging(world.run_id(answer))}progress/")

    pump_with_poison(world)

    assert world.show(answer)["sums"] | {"delivered": 4, "unknown": 4} == world.show(answer)["sums"]


def test_an_unreadable_run_does_not_keep_the_watch_from_the_others(world):
    world.export(id="another")
    world.start("another")
    answer = world.start("newsletter")
    break_document(world, "runs/another/")
    world.pass_time(hours=1)
    while world.queues.due() is not None:
        pass

    world.exporter.tick()
    world.pump()

    assert world.show(answer)["status"] == "successful"


def test_an_unreadable_run_is_shown_as_a_problem(world):
    answer = world.start()
    break_document(world, "runs/")

    shown = world.call("GET", world.address(answer))

    assert (shown.status, shown.headers["Content-Type"]) == (500, "application/problem+json")
    assert PRIVATE not in shown.body.decode()
