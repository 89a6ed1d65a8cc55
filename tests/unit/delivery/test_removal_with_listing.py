"""Removals of many people at a provider that removes by id: the run asks first who is on the list."""

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from exporters.errors import ConfigError, ThrottledError, TransientError
from exporters.providers.base import Member, Members
from exporters.storage import paths
from tests.unit.delivery.test_removal import ledger, names, nothing_left, removal
from tests.world import SimulatedProvider, World

NO_BRAKES = {"max_share_removed": 1, "min_share_of_last": 0}


class ById(SimulatedProvider):
    """Removes three people by their addresses, six by their ids."""

    listing_pays_from: ClassVar[int | None] = 5


class Nameless(ById):
    """Tells the people on the list without their ids."""

    def members(self, list_id: str, token: str | None) -> Members:
        told = super().members(list_id, token)
        return Members(rows=[Member(email=row.email) for row in told.rows], token=told.token, wait_s=told.wait_s)


class Late(ById):
    """Does not show those yet who were put on the list last."""

    HIDDEN: ClassVar[frozenset[str]] = names(range(7, 10))

    def members(self, list_id: str, token: str | None) -> Members:
        told = super().members(list_id, token)
        return replace(told, rows=[row for row in told.rows if row.email not in self.HIDDEN])


class Blank(Late):
    """Shows nobody yet."""

    HIDDEN: ClassVar[frozenset[str]] = names(range(10))


@pytest.fixture
def world() -> World:
    """Ten people are on the list, and the last eight of them have left the segment since."""
    world = World()
    world.provider = ById
    world.export(mode="mirror", brakes=NO_BRAKES)
    world.people(10)
    assert world.export_now()["status"] == "successful"
    world.people(2)
    return world


def texts(run) -> str:
    return "\n".join(event["text"] for event in run["timeline"])


def pump_until_reading(world: World) -> None:
    """Deliver messages until the list was asked for."""
    while not world.account.listings:
        world.time = max(world.time, world.queues.next_due())
        world.deliver(*world.queues.due())


def test_many_leavers_are_removed_by_the_ids_that_the_list_tells(world, tmp_path):
    run = world.export_now()

    assert removal(run) == (8, 8, 0, 0, 0)
    assert run["status"] == "successful"
    assert world.account.listings == 2
    assert sorted(map(len, world.account.removals)) == [2, 6]
    assert world.account.on_list == names(range(2))
    assert set(ledger(world, tmp_path)) == names(range(2))
    assert "removing: asking Simulated who is on the list" in texts(run)
    nothing_left(world)


def test_few_leavers_are_removed_without_reading_the_list(world):
    world.people(6)

    assert removal(world.export_now()) == (4, 4, 0, 0, 0)
    assert world.account.listings == 0
    assert max(map(len, world.account.removals)) <= 3


def test_leavers_whom_the_list_does_not_show_yet_leave_it_all_the_same(world, tmp_path):
    world.provider = Late

    run = world.export_now()

    assert removal(run) == (8, 8, 0, 0, 0)
    assert run["status"] == "successful"
    assert world.account.removals == [sorted(names(range(2, 7))), sorted(names(range(7, 10)))]
    assert world.account.on_list == names(range(2))
    assert set(ledger(world, tmp_path)) == names(range(2))
    assert "removing 8 people from the list, 5 of them by their ids; batches: 2" in texts(run)
    nothing_left(world)


def test_leavers_whom_an_empty_listing_hides_take_no_more_requests_than_without_it(world):
    world.provider = Blank

    run = world.export_now()

    assert removal(run) == (8, 8, 0, 0, 0)
    assert sorted(map(len, world.account.removals)) == [2, 3, 3]
    assert "removing 8 people from the list; batches: 2" in texts(run)


def test_leavers_who_are_not_on_the_list_are_absent_once_they_were_looked_up(world, tmp_path):
    world.account.on_list -= names([3, 5, 9])

    run = world.export_now()

    assert removal(run) == (8, 5, 3, 0, 0)
    assert run["status"] == "successful"
    assert world.account.removals == [sorted(names([2, 4, 6, 7, 8])), sorted(names([3, 5, 9]))]
    assert set(ledger(world, tmp_path)) == names(range(2))
    nothing_left(world)


def test_people_without_ids_are_removed_by_their_addresses(world):
    world.provider = Nameless
    world.account.on_list -= names([9])

    assert removal(world.export_now()) == (8, 7, 1, 0, 0)
    assert sorted(map(len, world.account.removals)) == [2, 3, 3]


def test_refused_and_unknown_people_stay_known_beside_absent_ones(world, tmp_path):
    world.account.on_list -= names([2, 3])
    world.account.on_remove = lambda emails: {"p5@example.com": "locked"} if "p5@example.com" in emails else None

    run = world.export_now()

    assert removal(run) == (8, 5, 2, 1, 0)
    assert set(ledger(world, tmp_path)) == names([0, 1, 5])


def test_a_list_that_is_still_written_is_waited_for_as_a_message(world):
    world.account.members_after = 3
    answer = world.start()
    before = world.time
    world.pump()

    assert removal(world.show(answer)) == (8, 8, 0, 0, 0)
    assert world.account.listings == 5
    assert (world.time - before).total_seconds() >= 3 * SimulatedProvider.FILE_WAIT_S


def test_a_provider_that_wants_a_pause_gets_it(world):
    times = []

    def throttle():
        times.append(world.time)
        if len(times) == 1:
            raise ThrottledError("wait", wait_s=40)

    world.account.on_members = throttle

    assert removal(world.export_now()) == (8, 8, 0, 0, 0)
    assert (times[1] - times[0]).total_seconds() >= 40


def test_a_list_that_cannot_be_read_lets_everybody_be_looked_up(world):
    def fail():
        raise ConfigError("The file is too large: divide it")

    world.account.on_members = fail

    run = world.export_now()

    assert removal(run) == (8, 8, 0, 0, 0)
    assert run["status"] == "successful"
    assert world.account.listings == 1
    assert max(map(len, world.account.removals)) <= 3
    assert "the list could not be read, so everybody is looked up: The file is too large" in texts(run)


def test_trouble_that_does_not_pass_ends_in_look_ups_too(world):
    def fail():
        raise TransientError("The connection was lost")

    world.account.on_members = fail
    answer = world.start()
    before = world.time
    world.pump()

    assert removal(world.show(answer)) == (8, 8, 0, 0, 0)
    assert 3600 <= (world.time - before).total_seconds() < 4000


def test_trouble_that_passes_costs_nothing_but_time(world):
    def fail():
        if world.account.listings == 2:
            raise TransientError("The connection was lost")

    world.account.on_members = fail

    assert removal(world.export_now()) == (8, 8, 0, 0, 0)
    assert world.account.listings == 3
    assert sorted(map(len, world.account.removals)) == [2, 6]


def test_every_message_may_come_twice(world):
    world.account.on_list -= names([3])
    answer = world.start()

    world.pump(twice=True)

    assert removal(world.show(answer)) == (8, 7, 1, 0, 0)
    assert world.account.listings == 2
    assert sorted(map(len, world.account.removals)) == [1, 1, 6]
    nothing_left(world)


@pytest.mark.parametrize("steps", range(7))
def test_a_run_whose_messages_were_all_lost_ends_all_the_same(world, steps):
    world.account.members_after = 1
    world.account.on_list -= names([3])
    answer = world.start()
    for _ in range(steps):
        if (when := world.queues.next_due()) is not None:
            world.time = max(world.time, when)
            world.deliver(*world.queues.due())
    world.pass_time(hours=1)
    while world.queues.due() is not None:
        pass

    for _ in range(6):
        world.pass_time(minutes=20)
        world.exporter.tick()
        world.pump()

    assert removal(world.show(answer)) == (8, 7, 1, 0, 0)
    nothing_left(world)


@pytest.mark.parametrize("listing", [1, 2])
def test_a_step_that_died_while_it_read_the_list_goes_on_where_it_was(world, listing):
    def die():
        if world.account.listings == listing:
            world.account.on_members = lambda: None
            raise ZeroDivisionError

    world.account.on_members = die
    answer = world.start()
    while (when := world.queues.next_due()) is not None:
        world.time = max(world.time, when)
        message = world.queues.due()
        try:
            world.deliver(*message)
        except ZeroDivisionError:
            world.pass_time(seconds=30)
            world.deliver(*message)

    assert removal(world.show(answer)) == (8, 8, 0, 0, 0)
    assert world.account.listings == 3


def test_a_run_that_is_canceled_while_it_reads_the_list_removes_nobody(world):
    world.people(2, first_name="Eve")
    world.account.members_after = 5
    answer = world.start()
    pump_until_reading(world)

    world.cancel(answer)
    world.pump()

    run = world.show(answer)
    assert (run["status"], run["removal"], world.account.removals) == ("canceled", None, [])
    assert world.account.on_list == names(range(10))
    world.account.members_after = 0
    assert removal(world.export_now()) == (8, 8, 0, 0, 0)


def test_a_run_that_is_cut_short_while_it_reads_the_list_leaves_its_people_to_the_next_one(world):
    world.account.members_after = 5
    answer = world.start()
    pump_until_reading(world)

    world.exporter.abandon_run(json.dumps({"export": "newsletter", "run": world.run_id(answer)}).encode())
    assert world.show(answer)["status"] == "failed"
    world.pump()
    world.account.members_after = 0

    assert removal(world.export_now()) == (8, 8, 0, 0, 0)
    nothing_left(world)


def test_the_list_is_read_while_the_room_for_plans_is_free_for_others(world):
    taken = []
    world.account.on_members = lambda: taken.append(world.parts.heavy_work.locked())

    world.export_now()

    assert taken == [False, False]


def test_addresses_and_ids_are_in_staging_alone(world):
    world.account.members_after = 1
    world.start()
    seen = []
    while (when := world.queues.next_due()) is not None:
        world.time = max(world.time, when)
        message = world.queues.due()
        seen.append(message[1])
        world.deliver(*message)
        seen += [
            world.state.get(blob.name).data.decode() for blob in world.state.list("") if blob.name.endswith(".json")
        ]

    assert [text for text in seen if "p9@" in text or "id-p" in text] == []


def test_what_is_staged_of_the_list_goes_with_the_run(world):
    answer = world.start()
    pump_until_reading(world)
    assert [blob.name for blob in world.state.list(paths.members(world.run_id(answer)))] != []

    world.pump()

    nothing_left(world)
    assert Path(paths.members("x")).parts[0] == "staging"


def test_a_provider_that_wants_one_pause_after_the_other_is_asked_for_the_list_for_a_day(world):
    def throttle():
        raise ThrottledError("wait", wait_s=300)

    world.account.on_members = throttle
    answer = world.start()
    before = world.time
    world.pump()

    assert removal(world.show(answer)) == (8, 8, 0, 0, 0)
    assert 86_400 < (world.time - before).total_seconds() < 87_000
