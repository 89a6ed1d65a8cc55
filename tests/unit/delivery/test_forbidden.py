"""A 403 in the middle of a run may be a block that passes: a few careful tries, while all on the account wait."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from exporters.delivery.poll import ACCESS_PATIENCE
from exporters.delivery.send import FORBIDDEN_WAITS_S
from exporters.errors import ForbiddenError
from tests.world import World

BLOCKED = "SendGrid answered 403 to the import"


@pytest.fixture
def world() -> World:
    world = World()
    world.people(12)
    return world


class Block:
    """Everything is forbidden from the so-many-th request on, for so long; notes when it was asked meanwhile."""

    def __init__(self, world: World, *, after: int, lasts: timedelta) -> None:
        self._world, self._after, self._lasts = world, after, lasts
        self._asked = 0
        self._since: datetime | None = None
        self.refused: list[datetime] = []
        world.account.on_submit = lambda _: self()
        world.account.on_poll = self

    def __call__(self) -> None:
        self._asked += 1
        if self._asked <= self._after:
            return
        self._since = self._since or self._world.time
        if self._world.time < self._since + self._lasts:
            self.refused.append(self._world.time)
            raise ForbiddenError(BLOCKED)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4, 5])
def test_a_block_that_passes_costs_time_and_nobody_their_verdict(world, after):
    block = Block(world, after=after, lasts=timedelta(minutes=5))

    run = world.export_now()

    assert (run["status"], run["sums"]["delivered"]) == ("successful", 12)
    assert len(block.refused) <= 6


def test_a_block_that_stays_stops_the_run_after_some_minutes_and_few_requests(world):
    block = Block(world, after=0, lasts=timedelta(days=1))

    run = world.export_now()

    assert (run["status"], run["reason"]) == ("failed", BLOCKED)
    assert run["sums"]["delivered"] == 0
    passed = block.refused[-1] - block.refused[0]
    assert timedelta(seconds=sum(FORBIDDEN_WAITS_S)) <= passed <= timedelta(seconds=sum(FORBIDDEN_WAITS_S) + 60)
    assert len(block.refused) <= 2 * (len(FORBIDDEN_WAITS_S) + 1)  # two slots


def test_what_was_delivered_before_a_block_that_stays_is_kept(world):
    block = Block(world, after=3, lasts=timedelta(days=1))

    run = world.export_now()

    assert run["reason"] == BLOCKED
    assert run["sums"]["delivered"] >= 4
    assert block.refused[-1] - block.refused[0] <= ACCESS_PATIENCE + timedelta(minutes=5)
    world.account.on_submit = lambda _: None
    world.account.on_poll = lambda: None
    again = world.export_now()
    assert (again["status"], again["sums"]["unchanged"]) == ("successful", run["sums"]["delivered"])


def test_nobody_on_the_account_asks_while_it_is_blocked(world):
    world.export(id="other")
    first, second = world.start(), world.start("other")
    block = Block(world, after=0, lasts=timedelta(minutes=5))

    world.pump()

    assert [world.show(answer)["status"] for answer in (first, second)] == ["successful", "successful"]
    moments = sorted(set(block.refused))
    assert all(later - one >= timedelta(seconds=FORBIDDEN_WAITS_S[0]) for one, later in pairwise(moments))


def test_two_short_blocks_far_apart_are_not_one_long_one(world):
    world.people(4)
    world.account.polls_until_done = 200
    times: list[datetime] = []

    def forbid() -> None:
        times.append(world.time)
        if len(times) in (2, 150):
            raise ForbiddenError(BLOCKED)

    world.account.on_poll = forbid

    run = world.export_now()

    assert times[149] - times[1] > ACCESS_PATIENCE
    assert (run["status"], run["sums"]["delivered"]) == ("successful", 4)
