"""In mirror mode one export alone fills a list, however its id is spelled and whichever connection leads there."""

from typing import Any

import pytest

from tests.world import World


@pytest.fixture
def world() -> World:
    world = World()
    world.people(2)
    world.export(mode="mirror")
    return world


def other(world: World, *, list_id: str = "list-1", **connection: Any) -> None:
    """Another export, on a connection of its own where that has settings."""
    if connection:
        world.connection(id="second", **connection)
    world.export(id="other", name="Other", list_id=list_id, connection="second" if connection else "main")


@pytest.mark.parametrize(
    "settings",
    [
        {"list_id": "LIST-1"},
        {"secret": "main-key"},
        {"secret": "MAIN-KEY"},
        {"secret": "other-key", "account": "main"},
    ],
)
def test_a_mirror_does_not_fill_a_list_that_another_export_reaches_by_another_way(world, settings):
    other(world, **settings)

    run = world.export_now()

    assert run["status"] == "failed"
    assert "The export other fills the same list" in run["reason"]
    assert world.account.requests == []


@pytest.mark.parametrize(
    "settings",
    [
        {"list_id": "list-2"},
        {"secret": "other-key"},
        {"secret": "main-key", "provider": "unknown"},
    ],
)
def test_another_list_another_account_and_an_export_that_cannot_run_do_not_matter(world, settings):
    other(world, **settings)

    assert world.export_now()["status"] == "successful"
