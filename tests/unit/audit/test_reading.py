"""Read the audit trail with bounds: days, bytes and entries of one page."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exporters.audit.reading import Wanted, read_page
from exporters.audit.trail import Action, note
from exporters.model.caller import BY_APP
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.world import START, World

EVERYTHING = Wanted(since=START - timedelta(days=100), until=START + timedelta(days=1))


def read_all(world: World, **limits: int) -> tuple[list[str], list[int]]:
    """The ids on all pages, and how many each page has."""
    ids, sizes, after = [], [], None
    while True:
        page = read_page(world.parts, EVERYTHING, after=after, **{"limit": 50, **limits})
        ids += [told.entry.id for told in page.entries]
        sizes.append(len(page.entries))
        if page.after is None:
            return ids, sizes
        assert after is None or page.after < after
        after = page.after


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        ({}, [20]),
        ({"limit": 9}, [9, 9, 2]),
        ({"limit": 20}, [20]),
        ({"max_days": 7}, [8, 8, 4]),
        ({"max_bytes": 1}, [1] * 20),
        ({"max_page_bytes": 1_500}, [2] * 10),
    ],
)
def test_pages_have_bounds_and_together_everything(limits, sizes):
    world = World()
    for days in range(20):
        at = START - timedelta(days=3 * days)
        note(world.parts, BY_APP, Action.RUN_ENDED, "/x", id=f"{days:02d}", at=at, reason="x " * 450)

    ids, found = read_all(world, **limits)

    assert ids == [f"{days:02d}" for days in range(20)]
    assert found == sizes


@pytest.mark.parametrize("limits", [{"max_days": 0}, {"max_days": 3}, {"max_bytes": 1}, {"max_bytes": 700}])
def test_days_one_after_the_other_come_to_an_end(limits):
    world = World()
    for days in range(12):
        note(world.parts, BY_APP, Action.RUN_ENDED, "/x", id=f"{days:02d}", at=START - timedelta(days=days))

    ids, sizes = read_all(world, **limits)

    assert ids == [f"{days:02d}" for days in range(12)]
    assert max(sizes) < 12


def test_a_large_day_is_paged_by_the_places_of_its_lines():
    world = World()
    for number in range(3_000):
        note(world.parts, BY_APP, Action.RUN_ENDED, "/x", id=f"{number:04d}", at=START + timedelta(milliseconds=number))

    ids, sizes = read_all(world, limit=700)

    assert ids == [f"{number:04d}" for number in reversed(range(3_000))]
    assert sizes == [700, 700, 700, 700, 200]


def test_the_trail_may_lie_in_a_container_of_its_own():
    world = World()
    audit = MemoryBlobStore(now=world.now)
    world.parts = replace(world.parts, audit=audit)

    note(world.parts, BY_APP, Action.RUN_ENDED, "/x", id="1", at=START)

    assert [blob.name for blob in audit.list("")] == [paths.audit(START)]
    assert list(world.state.list(paths.AUDIT)) == []
    assert read_all(world) == (["1"], [1])
