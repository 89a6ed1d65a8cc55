"""The watch brings back what was lost."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from exporters.exporter import Exporter
from exporters.storage import paths
from exporters.storage.blobs import BlobInfo
from tests.world import World


@pytest.fixture
def world() -> World:
    world = World()
    world.people(8)
    return world


def lose_messages(world: World) -> None:
    world.pass_time(hours=1)
    while world.queues.due() is not None:
        pass


@pytest.mark.parametrize("steps", range(7))
def test_a_run_whose_messages_were_all_lost_ends_all_the_same(world, steps):
    answer = world.start()
    for _ in range(steps):
        world.time = max(world.time, world.queues.next_due())
        world.deliver(*world.queues.due())
    lose_messages(world)

    for _ in range(6):
        world.pass_time(minutes=20)
        world.exporter.tick()
        world.pump()

    assert world.show(answer)["status"] == "successful"
    assert len(world.account.contacts) == 8


def test_a_run_at_work_is_left_alone(world):
    world.start()
    world.deliver(*world.queues.due())
    before = len(world.queues._messages)

    world.exporter.tick()

    assert len(world.queues._messages) == before


def test_a_silent_run_is_moved_on_once_until_it_has_been_silent_for_as_long_again(world):
    world.start()
    lose_messages(world)

    for sent in (1, 1, 1, 2):
        world.exporter.tick()
        assert len(world.queues._messages) == sent
        world.pass_time(minutes=7)


def test_a_start_that_died_before_its_document_is_completed(world):
    answer = world.start()
    world.state.delete(next(blob.name for blob in world.state.list("runs/")))
    lose_messages(world)

    world.exporter.tick()
    world.pump()

    assert world.show(answer)["status"] == "successful"


def test_runs_at_work_are_looked_after_when_storage_fails_while_due_ones_are_looked_for(world):
    class Failing:
        """Exports cannot be listed."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.state, name)

        def list(self, prefix: str) -> Iterator[BlobInfo]:
            if prefix == paths.EXPORTS:
                raise OSError("The storage is away")
            return world.state.list(prefix)

    answer = world.start()
    lose_messages(world)
    world.exporter = Exporter(replace(world.parts, state=Failing()))

    with pytest.raises(OSError, match="away"):
        world.exporter.tick()
    world.pump()

    assert world.show(answer)["status"] == "successful"
