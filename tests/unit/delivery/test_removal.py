"""Mirror mode: people who have left the segments leave the list, once everyone else has a verdict."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from exporters.delivery.remove import batch_sizes, judge
from exporters.errors import RefusedError, ThrottledError, TransientError
from exporters.model.run import Corrections, ExportState, Run
from exporters.providers.base import Removal, SuppressionKind
from exporters.storage import paths
from tests.world import World

#: Of the tests: they are about removals, not about what would hold them.
NO_BRAKES = {"max_share_removed": 1, "min_share_of_last": 0}


@pytest.fixture
def world() -> World:
    """Ten people are on the list, and the last six of them have left the segment since."""
    world = World()
    world.export(mode="mirror", brakes=NO_BRAKES)
    world.people(10)
    assert world.export_now()["status"] == "successful"
    world.account.requests.clear()
    world.people(4)
    return world


def names(numbers: Sequence[int]) -> set[str]:
    return {f"p{number}@example.com" for number in numbers}


def removal(run: dict[str, Any]) -> tuple[int, ...]:
    return tuple(run["removal"][word] for word in ("leavers", "removed", "absent", "refused", "unknown"))


def ledger(world: World, work: Path) -> dict[str, bool]:
    """Who is in the ledger in force, and whether it knows in what form."""
    state = world.parts.documents.read(ExportState, paths.export_state("newsletter"))
    assert state is not None
    assert state.value.ledger is not None
    world.state.download(paths.ledger("newsletter", state.value.ledger), work / "ledger")
    query = "SELECT email, fingerprint IS NOT NULL FROM read_parquet($file)"
    with duckdb.connect() as database:
        return dict(database.execute(query, {"file": str(work / "ledger")}).fetchall())


def nothing_left(world: World) -> None:
    lane = json.loads(world.state.get(paths.lane("main")).data)
    assert (lane["slots"], lane["waiting"]) == ([], [])
    assert [blob.name for blob in world.state.list("staging/")] == []


def test_people_who_have_left_the_segment_are_taken_off_the_list_and_out_of_the_ledger(world, tmp_path):
    run = world.export_now()

    assert world.account.on_list == names(range(4))
    assert removal(run) == (6, 6, 0, 0, 0)
    assert (run["status"], run["reason"]) == ("successful", "")
    assert ledger(world, tmp_path) == dict.fromkeys(names(range(4)), True)
    assert world.export_now()["removal"] is None
    nothing_left(world)


def test_nobody_is_deleted_and_no_suppression_is_touched(world):
    world.account.suppressed["p9@example.com"] = SuppressionKind.UNSUBSCRIBED

    world.export_now()

    assert set(world.account.contacts) == names(range(10))
    assert world.account.suppressed == {"p9@example.com": SuppressionKind.UNSUBSCRIBED}


def test_update_mode_removes_nobody_and_a_later_mirror_run_remembers_who_left(world):
    world.export(mode="update", brakes=NO_BRAKES)
    run = world.export_now()
    assert run["removal"] is None
    assert world.account.on_list == names(range(10))

    world.export(mode="mirror", brakes=NO_BRAKES)

    assert removal(world.export_now()) == (6, 6, 0, 0, 0)
    assert world.account.on_list == names(range(4))


def test_a_correction_removes_nobody(world):
    answer = world.start()
    run = world.parts.documents.read(Run, paths.run("newsletter", world.run_id(answer))).value

    assert run.removes
    corrects = Corrections(run=run.id, digest="0", fields=("email",))
    assert not run.model_copy(update={"corrects": corrects}).removes


def test_removals_begin_when_every_contact_has_its_verdict(world):
    world.segment("EMail,FirstName\n" + "".join(f"n{number}@example.com,New\n" for number in range(9)))
    world.account.polls_until_done = 3
    jobs_at_work = []
    world.account.on_remove = lambda emails: jobs_at_work.append(world.account.in_flight)

    run = world.export_now()

    assert jobs_at_work == [0] * 4
    assert removal(run) == (10, 10, 0, 0, 0)
    assert world.account.on_list == {f"n{number}@example.com" for number in range(9)}


def test_a_mirror_does_not_fill_a_list_that_another_export_fills_too(world):
    world.export(id="other", name="Other")

    run = world.export_now()

    assert run["status"] == "failed"
    assert "The export other fills the same list" in run["reason"]
    assert world.account.requests == []
    world.export(id="other", name="Other", list_id="list-2")
    assert removal(world.export_now()) == (6, 6, 0, 0, 0)


def test_requests_are_full_and_removal_jobs_keep_to_the_slots_of_the_lane(world):
    world.people(0)
    world.account.removes_by_job = True
    world.account.most_in_flight = 0
    world.account.polls_until_done = 3

    answer = world.start()
    world.pump()
    world.approve(answer)
    world.pump()

    assert sorted(len(request) for request in world.account.removals) == [1, 3, 3, 3]
    assert world.account.most_in_flight == 2
    assert removal(world.show(answer)) == (10, 10, 0, 0, 0)
    assert world.account.on_list == set()


def test_someone_who_is_not_on_the_list_any_more_is_absent_and_leaves_the_ledger(world, tmp_path):
    world.account.on_list -= names([5, 6])

    run = world.export_now()

    assert removal(run) == (6, 4, 2, 0, 0)
    assert run["status"] == "successful"
    assert ledger(world, tmp_path) == dict.fromkeys(names(range(4)), True)


def test_someone_whom_the_provider_does_not_remove_stays_in_the_ledger_and_comes_again(world, tmp_path):
    world.account.on_remove = lambda emails: {
        email: f"{email} is locked" for email in emails if email == "p5@example.com"
    }

    run = world.export_now()

    assert removal(run) == (6, 5, 0, 1, 0)
    assert (run["status"], run["reason"]) == ("completed_with_warnings", "… is locked")
    assert ledger(world, tmp_path) == dict.fromkeys(names([0, 1, 2, 3, 5]), True)
    world.account.on_remove = lambda emails: None
    assert removal(world.export_now()) == (1, 1, 0, 0, 0)
    assert world.account.on_list == names(range(4))


def test_someone_without_verdict_comes_again_and_if_back_in_the_segment_is_sent_again(world, tmp_path):
    def fail(emails):
        raise TransientError("The connection was lost")

    world.account.on_remove = fail

    run = world.export_now()

    assert removal(run) == (6, 0, 0, 0, 6)
    assert (run["status"], run["reason"]) == ("failed", "The connection was lost")
    assert ledger(world, tmp_path) == dict.fromkeys(names(range(4)), True) | dict.fromkeys(names(range(4, 10)), False)
    world.account.on_remove = lambda emails: None
    world.people(6)
    run = world.export_now()
    assert world.account.requests == [["p4@example.com", "p5@example.com"]]
    assert removal(run) == (4, 4, 0, 0, 0)


def test_a_removal_that_is_a_job_counts_when_the_job_has_ended(world):
    world.account.removes_by_job = True
    world.account.polls_until_done = 4
    answer = world.start()
    seen = set()
    while (when := world.queues.next_due()) is not None:
        world.time = max(world.time, when)
        world.deliver(*world.queues.due())
        shown = world.show(answer)
        seen.add((shown["step"], None if shown["removal"] is None else shown["removal"]["removed"]))

    assert removal(shown) == (6, 6, 0, 0, 0)
    assert {("removing", 0), ("removing", 3), ("ended", 6)} <= seen


def test_a_removal_job_that_never_ends_leaves_its_people_unknown(world, tmp_path):
    world.account.removes_by_job = True
    world.account.polls_until_done = 10_000

    run = world.export_now()

    assert removal(run) == (6, 0, 0, 0, 6)
    assert not any(ledger(world, tmp_path)[email] for email in names(range(4, 10)))


def test_a_throttled_removal_waits_until_the_time_that_the_provider_named(world):
    times = []

    def throttle(emails):
        times.append(world.time)
        if len(times) == 2:
            raise ThrottledError("wait", wait_s=40)

    world.account.on_remove = throttle

    run = world.export_now()

    assert removal(run) == (6, 6, 0, 0, 0)
    assert (times[2] - times[1]).total_seconds() >= 40


def test_a_used_up_limit_holds_back_the_next_removal(world):
    world.people(0)
    answer = world.start()
    world.pump()
    times = []
    world.account.not_before_s = 20.0
    world.account.on_remove = lambda emails: times.append(world.time)

    world.approve(answer)
    world.pump()

    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert [gap for gap in gaps if gap < 20] == []
    assert len(times) == 4


def test_a_step_begins_removals_for_a_limited_time(world):
    world.people(0)
    answer = world.start()
    world.pump()
    world.account.on_remove = lambda emails: world.pass_time(minutes=4)
    world.approve(answer)
    made = []
    while (when := world.queues.next_due()) is not None:
        world.time = max(world.time, when)
        before = len(world.account.removals)
        world.deliver(*world.queues.due())
        made.append(len(world.account.removals) - before)

    assert max(made) == 1
    assert removal(world.show(answer)) == (10, 10, 0, 0, 0)


@pytest.mark.parametrize("by_job", [False, True])
def test_every_message_may_come_twice(world, by_job):
    world.account.removes_by_job = by_job
    answer = world.start()

    world.pump(twice=True)

    assert removal(world.show(answer)) == (6, 6, 0, 0, 0)
    assert sorted(len(request) for request in world.account.removals) == [3, 3]
    assert world.account.on_list == names(range(4))
    nothing_left(world)


@pytest.mark.parametrize("steps", range(9))
@pytest.mark.parametrize("by_job", [False, True])
def test_a_run_whose_messages_were_all_lost_ends_all_the_same(world, steps, by_job):
    world.account.removes_by_job = by_job
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

    assert removal(world.show(answer)) == (6, 6, 0, 0, 0)
    nothing_left(world)


@pytest.mark.parametrize(("before", "counts"), [(True, (6, 6, 0, 0, 0)), (False, (6, 3, 3, 0, 0))])
def test_a_step_that_died_is_made_again_and_finds_those_absent_whom_it_had_removed(world, before, counts, tmp_path):
    def die(emails):
        world.account.on_remove = lambda emails: None
        if not before:
            world.account.on_list -= set(emails)
        raise ZeroDivisionError

    world.account.on_remove = die
    answer = world.start()
    while (when := world.queues.next_due()) is not None:
        world.time = max(world.time, when)
        message = world.queues.due()
        try:
            world.deliver(*message)
        except ZeroDivisionError:
            world.pass_time(seconds=30)
            world.deliver(*message)

    assert removal(world.show(answer)) == counts
    assert ledger(world, tmp_path) == dict.fromkeys(names(range(4)), True)


def test_a_run_whose_sending_was_stopped_removes_nobody_and_the_next_one_does(world):
    world.segment("EMail,FirstName\n" + "".join(f"n{number}@example.com,New\n" for number in range(14)))

    def lose_the_key(contacts):
        if len(world.account.requests) == 3:
            world.account.key = "gone"

    world.account.on_submit = lose_the_key

    run = world.export_now()

    assert world.account.removals == []
    assert run["removal"] is None
    assert run["status"] == "failed"
    assert "None of the 10 people who have left the segments was removed" in run["reason"]
    assert "refuses the key" in run["reason"]
    world.account.key = "good"
    world.account.on_submit = lambda contacts: None
    assert removal(world.export_now()) == (10, 10, 0, 0, 0)


def test_a_run_that_delivers_nobody_removes_nobody_and_says_so(world):
    world.segment("EMail,FirstName\nnew@example.com,New\n")

    def refuse(contacts):
        raise RefusedError("the plan is used up")

    world.account.on_submit = refuse

    run = world.export_now()

    assert (run["status"], world.account.removals) == ("failed", [])
    assert run["reason"].startswith("the plan is used up. None of the 10 people who have left")


def test_a_key_that_is_refused_in_the_middle_leaves_the_rest_on_the_list_for_the_next_run(world, tmp_path):
    def lose_the_key(emails):
        world.account.key = "gone"

    world.account.on_remove = lose_the_key

    run = world.export_now()

    assert removal(run) == (6, 3, 0, 3, 0)
    assert run["status"] == "failed"
    assert "refuses the key" in run["reason"]
    assert len(ledger(world, tmp_path)) == 7
    world.account.key = "good"
    world.account.on_remove = lambda emails: None
    assert removal(world.export_now()) == (3, 3, 0, 0, 0)


def test_a_poisoned_removal_ends_as_unknown_and_the_others_are_made(world):
    answer = world.start()
    world.deliver(*world.queues.due())
    _, body = world.queues.due()

    world.exporter.abandon_send(body.encode())
    world.pump()

    assert removal(world.show(answer)) == (6, 3, 0, 0, 3)


def test_a_run_that_was_cut_short_while_it_removed_lets_the_next_one_send_whoever_may_be_off_the_list(world):
    answer = world.start()
    world.deliver(*world.queues.due())
    world.deliver(*world.queues.due())
    plan_message = json.dumps({"export": "newsletter", "run": world.run_id(answer)})

    world.exporter.abandon_run(plan_message.encode())

    run = world.show(answer)
    assert (run["status"], removal(run)) == ("failed", (6, 3, 0, 0, 3))
    world.pump()
    world.people(10)
    assert world.export_now()["sums"]["planned"] == 6
    assert world.account.on_list == names(range(10))


def test_leavers_are_not_forgotten_after_a_run_that_was_cut_short(world):
    answer = world.start()
    world.deliver(*world.queues.due())
    world.exporter.abandon_run(json.dumps({"export": "newsletter", "run": world.run_id(answer)}).encode())
    assert world.show(answer)["status"] == "failed"
    world.pump()

    run = world.export_now()

    assert run["sums"]["unchanged"] == 4
    assert removal(run)[0] == 6
    assert world.account.on_list == names(range(4))


def test_a_newcomer_of_a_run_that_was_cut_short_is_removed_when_gone_again(world):
    world.people(4)
    world.export_now()
    world.segment("EMail,FirstName\n" + "".join(f"p{n}@example.com,Ann\n" for n in (0, 1, 2, 3, 77)))
    answer = world.start()
    for _ in range(2):  # planned, and sent
        world.deliver(*world.queues.due())
    world.exporter.abandon_run(json.dumps({"export": "newsletter", "run": world.run_id(answer)}).encode())
    world.pump()
    world.account.on_list.add("p77@example.com")  # the job that nobody followed did its work
    world.people(4)

    run = world.export_now()

    assert removal(run) == (1, 1, 0, 0, 0)
    assert world.account.on_list == names(range(4))


def test_no_message_and_no_document_of_a_removal_holds_an_address(world):
    world.account.on_remove = lambda emails: {emails[0]: f"{emails[0]} is locked"}
    world.account.removes_by_job = True
    answer = world.start()
    seen = []
    while (when := world.queues.next_due()) is not None:
        world.time = max(world.time, when)
        message = world.queues.due()
        seen.append(message[1])
        world.deliver(*message)
        seen += [
            world.state.get(blob.name).data.decode() for blob in world.state.list("") if blob.name.endswith(".json")
        ]

    assert [text for text in [*seen, json.dumps(world.show(answer))] if "@example" in text] == []


@pytest.mark.parametrize(
    ("people", "sizes"),
    [
        (1, (1,)),
        (16, (10, 6)),
        (35, (20, 15)),
        (1_000, (500, 500)),
        (1_001, (500, 500, 1)),
    ],
)
def test_people_are_cut_into_whole_requests_over_all_slots_until_batches_get_long(people, sizes):
    assert batch_sizes(people, request=10, slots=2) == sizes


def test_an_answer_gives_each_row_one_verdict_and_none_to_whom_it_does_not_name():
    answer = Removal(
        removed=frozenset({"a"}),
        absent=frozenset({"b"}),
        refused={"c": "c@example.com is locked"},
        pending=frozenset({"d", "e"}),
        job="7",
    )

    tally, rows = judge(answer, [4, 5, 6, 7, 8, 9], ["a", "b", "c", "d", "e", "f"])

    assert (tally.delivered, tally.absent, tally.refused) == (1, 1, {6: "… is locked"})
    assert (tally.unknown, tally.unknown_ranges) == (1, ((9, 10),))
    assert rows == ((7, 9),)
