"""A request that is refused is narrowed to the rows at fault, in few requests: a bad row costs nobody else the list."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from exporters.delivery.send import MAX_REQUESTS
from exporters.errors import RefusedError
from exporters.providers.base import BatchLimits
from tests.world import SimulatedProvider, World

PEOPLE = 1_000
#: Requests to find a row by halves: the whole, then two at each level, of which one is refused.
BY_HALVES = 1 + 2 * math.ceil(math.log2(PEOPLE))


class LargeRequests(SimulatedProvider):
    """A provider that takes everyone in one request."""

    limits: ClassVar[BatchLimits] = BatchLimits(max_contacts=30_000, max_body_bytes=6_000_000)


@pytest.fixture
def world() -> World:
    world = World()
    world.provider = LargeRequests
    return world


Refuse = Callable[[Sequence[Mapping[str, Any]]], None]


def refusing(bad: Sequence[str], *, names: int = 0) -> Refuse:
    """Refuse every request with one of these addresses, naming so many of them."""

    def refuse(contacts: Sequence[Mapping[str, Any]]) -> None:
        at_fault = [index for index, contact in enumerate(contacts) if contact["email"] in bad]
        if at_fault:
            raise RefusedError("no", rows=dict.fromkeys(at_fault[:names], "not valid"))

    return refuse


@pytest.mark.parametrize("place", [0, 1, 499, 500, 998, 999])
def test_one_bad_row_that_nobody_names_costs_itself_and_a_request_or_two_for_each_halving(world, place):
    emails = world.people(PEOPLE)
    world.account.on_submit = refusing([emails[place]])

    run = world.export_now()

    assert (run["sums"]["delivered"], run["sums"]["refused"], run["sums"]["unknown"]) == (PEOPLE - 1, 1, 0)
    assert world.account.on_list == set(emails) - {emails[place]}
    assert len(world.account.requests) == run["requests"] <= BY_HALVES


@pytest.mark.parametrize("places", [(0, 999), (3, 4), (250, 750), (499, 500)])
def test_two_bad_rows_cost_themselves_and_twice_as_many_requests(world, places):
    emails = world.people(PEOPLE)
    bad = {emails[place] for place in places}
    world.account.on_submit = refusing(sorted(bad))

    run = world.export_now()

    assert (run["sums"]["delivered"], run["sums"]["refused"]) == (PEOPLE - 2, 2)
    assert world.account.on_list == set(emails) - bad
    assert run["requests"] <= 2 * BY_HALVES <= MAX_REQUESTS


@pytest.mark.parametrize("names", [0, 1])
def test_where_all_are_bad_the_requests_have_an_end(world, names):
    emails = world.people(PEOPLE)
    world.account.on_submit = refusing(emails, names=names)

    run = world.export_now()

    assert (run["status"], run["sums"]["refused"], run["sums"]["delivered"]) == ("failed", PEOPLE, 0)
    assert run["requests"] == MAX_REQUESTS
    assert world.account.jobs == {}


@pytest.mark.parametrize(("names", "requests"), [(PEOPLE, 2), (1, 6)])
def test_rows_that_are_named_take_no_halving(world, names, requests):
    emails = world.people(PEOPLE)
    bad = emails[100:600:100]
    world.account.on_submit = refusing(bad, names=names)

    run = world.export_now()

    assert (run["sums"]["delivered"], run["sums"]["refused"]) == (PEOPLE - len(bad), len(bad))
    assert run["requests"] == requests


def test_thirty_thousand_rows_with_two_bad_ones_stay_within_the_requests_that_a_batch_may_need():
    """The bound that `MAX_REQUESTS` is made for, without the thirty thousand."""
    assert 2 * (1 + 2 * math.ceil(math.log2(30_000))) - 1 <= MAX_REQUESTS
