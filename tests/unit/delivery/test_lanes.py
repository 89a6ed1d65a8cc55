"""Runs of one account share its lane, on-demand before scheduled; those of other accounts know nothing of it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from exporters.delivery import lanes
from exporters.errors import ThrottledError
from exporters.exporter import Exporter
from exporters.model.lane import Lane, Slot, Waiter
from exporters.model.run import Trigger
from exporters.providers.base import JobReport
from exporters.storage import paths
from tests.world import START, Account, SimulatedProvider, World

RUNS = tuple(f"7973886894799999{number}-0123abcd" for number in range(6))


def waiter(number: int, trigger: Trigger = Trigger.DEMAND, *, batches: int = 2) -> Waiter:
    return Waiter(export="newsletter", run=RUNS[number], trigger=trigger, next_batch=0, batches=batches)


def lane_of(world: World, account: str) -> Lane:
    return lanes.read(world.parts, account)


class Accounts(World):
    """A world in which each connection has an account of its own, or the one of another."""

    def __init__(self, **account_of: str | None) -> None:
        super().__init__()
        self.accounts = {name: Account(id=account) for name, account in account_of.items()}
        self.parts = replace(
            self.parts,
            connect=lambda connection, key: SimulatedProvider(self.accounts[connection.id], key),
            facts=lambda connection: SimulatedProvider,
        )
        self.exporter = Exporter(self.parts)
        for name in account_of:
            self.connection(id=name)
            self.export(id=f"to-{name}", connection=name)


def test_free_slots_go_to_runs_on_demand_in_turns_and_then_to_scheduled_ones():
    waiting = (waiter(0, Trigger.SCHEDULE), waiter(1), waiter(2), waiter(3, Trigger.SCHEDULE))
    lane = Lane(account="main", size=7, waiting=waiting)

    filled = lanes.fill(lane, START)

    assert [(RUNS.index(slot.run), slot.batch) for slot in filled.slots] == [
        (1, 0),
        (2, 0),
        (1, 1),
        (2, 1),
        (0, 0),
        (3, 0),
        (0, 1),
    ]
    assert [(waiter.run, waiter.next_batch) for waiter in filled.waiting] == [(RUNS[3], 1)]


def test_a_full_lane_gives_nobody_a_slot():
    slot = Slot(export="newsletter", run=RUNS[0], batch=0, since=START)
    lane = Lane(account="main", size=1, slots=(slot,), waiting=(waiter(1),))

    assert lanes.fill(lane, START) == lane


def test_connections_with_keys_of_the_same_account_share_its_lane():
    world = Accounts(one="acme", other="acme")
    world.people(20)
    first, second = world.start("to-one"), world.start("to-other")
    for _ in range(4):  # both are planned
        world.deliver(*world.queues.due())

    (lane,) = [blob.name for blob in world.state.list(paths.LANES)]
    found = json.loads(world.state.get(lane).data)
    assert len(found["slots"]) == SimulatedProvider.jobs_in_flight
    assert {place["export"] for place in (*found["slots"], *found["waiting"])} == {"to-one", "to-other"}

    world.pump()
    for started in (first, second):
        assert world.show(started)["status"] == "successful"


def test_the_name_of_a_lane_does_not_tell_what_the_provider_calls_the_account():
    world = Accounts(one="owner@example.com")
    world.people(2)
    world.start("to-one")
    world.pump()

    (lane,) = [blob.name for blob in world.state.list(paths.LANES)]

    assert lane.startswith("lanes/simulated-")
    documents = b"".join(world.state.get(blob.name).data for blob in world.state.list("") if "staging" not in blob.name)
    assert b"owner@example.com" not in documents


def test_an_account_named_in_the_connection_is_asked_for_by_nobody():
    world = Accounts(one="acme")
    world.connection(id="one", account="shared")
    world.people(2)
    world.start("to-one")
    world.pump()

    assert [blob.name for blob in world.state.list(paths.LANES)] == ["lanes/shared.json"]


def test_where_the_provider_does_not_tell_each_connection_is_an_account():
    world = Accounts(one=None, other=None)
    world.people(2)
    for export in ("to-one", "to-other"):
        world.start(export)
    world.pump()

    assert [blob.name for blob in world.state.list(paths.LANES)] == ["lanes/one.json", "lanes/other.json"]


def test_exports_on_other_accounts_run_at_full_speed_while_one_waits_for_its_provider():
    world = Accounts(one="acme", other="globex")
    world.people(20)

    def throttle(contacts):
        raise ThrottledError("too many requests", wait_s=3000)

    alone = Accounts(other="globex")
    alone.people(20)
    undisturbed = alone.start("to-other")
    alone.pump()
    world.accounts["one"].on_submit = throttle

    waiting, going = world.start("to-one"), world.start("to-other")
    while world.show(going)["finished"] is None:
        world.time = max(world.time, world.queues.next_due())
        world.deliver(*world.queues.due())

    there, here = alone.show(undisturbed), world.show(going)
    assert here["finished"] == there["finished"]
    assert here["requests"] == there["requests"]
    assert world.show(waiting)["waiting"]["reason"] == "provider"


def started_and_planned(world: World, *exports: str) -> list[Any]:
    started = [world.start(export) for export in exports]
    for _ in exports:
        world.deliver(*world.queues.due())
    return started


def test_a_run_that_waits_for_its_turn_shows_its_place():
    world = Accounts(one="acme", two="acme", three="acme")
    world.people(20)
    first, second, third = started_and_planned(world, "to-one", "to-two", "to-three")

    assert world.show(first)["waiting"] is None
    assert world.show(second)["waiting"] == {
        "reason": "turn",
        "text": "waiting for its turn on the account, place 2 of 3: other runs at work there: 1",
        "until": None,
        "place": 2,
        "waiters": 3,
    }
    assert world.show(third)["waiting"]["place"] == 3


def test_a_run_that_waits_for_the_provider_says_until_when():
    world = World()
    world.people(3)

    def throttle(contacts):
        raise ThrottledError("too many requests", wait_s=90)

    world.account.on_submit = throttle
    started = world.start()
    for _ in range(2):
        world.deliver(*world.queues.due())

    waiting = world.show(started)["waiting"]

    until = START + timedelta(seconds=90)
    assert waiting["text"] == (f"waiting for the provider until {until:%Y-%m-%d %H:%M:%S} UTC: Simulated wants a pause")
    assert waiting["until"] == until.isoformat().replace("+00:00", "Z")


def test_a_run_that_was_just_started_waits_for_its_first_step_and_an_ended_one_for_nothing():
    world = World()
    world.people(3)
    started = world.start()
    assert world.show(started)["waiting"]["reason"] == "planner"

    world.pump()

    assert world.show(started)["waiting"] is None


def test_a_pause_for_questions_about_jobs_holds_up_no_import():
    world = World()
    world.people(8)
    world.account.polls_not_before_s = 600
    started = world.start()
    while world.queues.next_due() <= START:
        world.deliver(*world.queues.due())

    assert len(world.account.requests) == 2
    assert world.account.polls == 0
    assert world.show(started)["waiting"]["text"].endswith("Simulated answers no questions about import jobs before")

    world.account.polls_not_before_s = None
    world.pump()

    assert world.now() >= START + timedelta(seconds=600)
    assert world.show(started)["status"] == "successful"


def test_a_question_that_the_provider_puts_off_comes_again_at_the_named_time_and_imports_go_on():
    world = World()
    world.people(12)
    asked = []

    def throttle():
        asked.append(world.now())
        if len(asked) == 1:
            raise ThrottledError("too many questions", wait_s=120, polls_only=True)

    world.account.on_poll = throttle
    run = world.export_now()

    assert run["status"] == "successful"
    assert asked[1] >= asked[0] + timedelta(seconds=120)
    assert lane_of(world, "main").not_before is None


def test_time_remaining_is_that_of_the_pace_so_far():
    world = World()
    world.people(40)
    started = world.start()
    assert world.show(started)["seconds_remaining"] is None
    world.deliver(*world.queues.due())
    published = world.show(started)["seconds_remaining"]
    while not world.show(started)["batches_ended"]:
        world.time = max(world.time, world.queues.next_due())
        world.deliver(*world.queues.due())
    world.pass_time(seconds=9)  # ten since the plan, for the first four of forty

    assert published == 24  # forty, at a hundred a minute
    assert world.show(started)["seconds_remaining"] == 90
    world.pump()
    assert world.show(started)["seconds_remaining"] is None


def test_the_watch_frees_places_of_runs_that_have_ended_or_are_gone():
    world = World()
    ended = world.export_now() if world.people(2) else {}
    slots = (
        Slot(export="newsletter", run=ended["id"], batch=0, since=START),
        Slot(export="newsletter", run=RUNS[0], batch=0, since=START),
    )
    lane = Lane(account="main", size=2, slots=slots, waiting=(waiter(1),))
    world.state.put(paths.lane("main"), lane.model_dump_json().encode())

    world.exporter.tick()

    found = lane_of(world, "main")
    assert (found.slots, found.waiting) == ((), ())


def test_a_provider_that_takes_nothing_for_a_day_ends_the_run_with_a_reason():
    world = World()
    world.people(12)

    def throttle(contacts):
        raise ThrottledError("too many requests", wait_s=300)

    world.account.on_submit = throttle
    started = world.start()
    for _ in range(2 * 24 * 60):
        world.pass_time(minutes=1)
        world.exporter.tick()
        while (message := world.queues.due()) is not None:
            world.deliver(*message)
        if world.show(started)["finished"] is not None:
            break

    run = world.show(started)
    assert run["status"] == "failed"
    assert run["reason"].startswith("Simulated took nothing for 24 hours: look at its status page")
    assert timedelta(hours=24) < world.now() - START < timedelta(hours=25)
    assert (lane_of(world, "main").slots, lane_of(world, "main").waiting) == ((), ())


def test_a_provider_that_only_wants_pauses_before_the_plan_fails_the_run_after_a_day():
    class Throttling(SimulatedProvider):
        def account(self) -> str | None:
            raise ThrottledError("too many requests", wait_s=300)

    world = World()
    world.people(3)
    world.parts = replace(world.parts, connect=lambda connection, key: Throttling(world.account, key))
    world.exporter = Exporter(world.parts)
    started = world.start()

    world.pump()

    run = world.show(started)
    assert (run["status"], run["sums"]) == ("failed", None)
    assert run["reason"].startswith("Simulated has wanted one pause after the other for a day: look")
    assert timedelta(hours=24) < world.now() - START < timedelta(hours=25)


@pytest.mark.parametrize("trigger", ["schedule", "on demand"])
def test_an_export_never_has_two_runs_at_work(trigger):
    world = World()
    world.people(3)
    world.export(schedule={"cron": "* * * * *"})
    world.pass_time(minutes=1)
    world.exporter.tick()
    if trigger == "schedule":
        world.pass_time(minutes=1)
        world.exporter.tick()
    else:
        assert world.start().status == 409

    files = [blob.name for blob in world.state.list("runs/newsletter/") if blob.name.endswith("/run.json")]
    runs = [json.loads(world.state.get(name).data)["status"] for name in files]
    assert [status for status in runs if status != "skipped"] == ["queued"]
    assert runs.count("skipped") == (1 if trigger == "schedule" else 0)


def test_a_job_is_first_asked_for_when_the_last_one_had_ended():
    world = World()
    world.people(4 * 6)
    began: dict[str, datetime] = {}

    class Slow(SimulatedProvider):
        """Jobs take twenty seconds."""

        jobs_in_flight = 1
        poll_delays_s = (1.0, 2.0, 5.0, 15.0, 60.0)

        def submit(self, list_id: str, contacts: Sequence[bytes]) -> str:
            job = super().submit(list_id, contacts)
            began[job] = world.now()
            return job

        def poll(self, job_id: str) -> JobReport:
            is_done = world.now() - began[job_id] >= timedelta(seconds=20)
            world.account.jobs[job_id].polls_until_done = 1 if is_done else 2
            return super().poll(job_id)

    world.parts = replace(
        world.parts, connect=lambda connection, key: Slow(world.account, key), facts=lambda connection: Slow
    )
    world.exporter = Exporter(world.parts)

    run = world.export_now()

    assert (run["status"], run["requests"]) == ("successful", 6)
    # After 1, 3, 8 and 23 seconds; after 23; a try sooner than that, after 17, 19 and 24; after 24; 18 and 20; 20.
    assert world.account.polls == 4 + 1 + 3 + 1 + 2 + 1


class ShortOfQuestions(SimulatedProvider):
    """The account question counts among the few for import jobs, and they are used up."""

    def account(self) -> str | None:
        raise ThrottledError("too many questions", wait_s=600, polls_only=True)


def with_provider(world: World, provider: type[SimulatedProvider]) -> None:
    world.parts = replace(
        world.parts,
        connect=lambda connection, key: provider(world.accounts[connection.id], key),
        facts=lambda connection: provider,
    )
    world.exporter = Exporter(world.parts)


def test_a_run_whose_account_is_not_known_waits_rather_than_open_a_second_lane():
    world = Accounts(one="acme")
    world.people(2)
    with_provider(world, ShortOfQuestions)
    started = world.start("to-one")
    world.deliver(*world.queues.due())

    assert world.show(started)["status"] == "queued"
    assert world.accounts["one"].requests == []
    with_provider(world, SimulatedProvider)
    world.pump()

    assert world.now() >= START + timedelta(seconds=600)
    (account,) = world.state.list("state/accounts/")
    lane = json.loads(world.state.get(account.name).data)["lane"]
    assert lane_of(world, lane).slots == ()
    assert world.show(started)["status"] == "successful"


def test_a_known_account_is_enough_while_questions_are_used_up():
    world = Accounts(one="acme")
    world.people(2)
    world.start("to-one")
    world.pump()
    world.pass_time(days=2)
    world.people(3)
    with_provider(world, ShortOfQuestions)

    started = world.start("to-one")
    world.pump()

    assert world.show(started)["status"] == "successful"


def test_another_secret_may_lead_to_another_account():
    world = Accounts(one="acme")
    world.people(2)
    world.start("to-one")
    world.pump()
    (known,) = world.state.list("state/accounts/")
    before = json.loads(world.state.get(known.name).data)["lane"]
    world.accounts["one"] = Account(id="globex")
    world.secrets.values["other-key"] = "good"
    world.connection(id="one", secret="other-key")

    world.start("to-one", body=b'{"full": true}')
    world.pump()

    assert json.loads(world.state.get(known.name).data)["lane"] != before


def test_the_watch_sends_nothing_again_while_questions_for_jobs_have_to_wait():
    world = World()
    world.people(8)
    world.account.polls_not_before_s = 3600
    world.start()
    while world.queues.next_due() <= START:
        world.deliver(*world.queues.due())
    waiting = len(world.queues._messages)

    for _ in range(50):
        world.pass_time(minutes=1)
        world.exporter.tick()

    assert len(world.queues._messages) == waiting


def test_a_canceled_run_says_nothing_of_how_long_the_next_one_takes():
    world = World()
    world.people(40)
    canceled = world.start()
    world.deliver(*world.queues.due())
    world.deliver(*world.queues.due())
    world.cancel(canceled)
    world.pump()
    assert world.show(canceled)["sums"]["refused"] > 30

    started = world.start(body=b'{"full": true}')
    world.deliver(*world.queues.due())

    assert world.show(started)["seconds_remaining"] == 24  # forty, at the published hundred a minute
