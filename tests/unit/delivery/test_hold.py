"""A run that a brake holds sends nobody until a person says so, and leaves everything as it was when nobody does."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from exporters.api.answers import Answer
from exporters.delivery import lanes
from exporters.delivery.hold import HOLD_LASTS
from exporters.errors import TransientError
from exporters.exporter import Exporter
from exporters.model.messages import RunMessage
from exporters.model.run import ExportState
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.world import START, World

CUT_OFF = '"cut@example.com","An'


@pytest.fixture
def world() -> World:
    return World()


def state(world: World) -> ExportState:
    return world.parts.documents.read(ExportState, paths.export_state("newsletter")).value


def cut_off(world: World, count: int = 6) -> None:
    """A segment of so many people whose file ends in the middle of a line."""
    rows = "".join(f"p{number}@example.com,Ann\n" for number in range(count))
    world.segment(f"EMail,FirstName\n{rows}{CUT_OFF}")


def start(world: World) -> Answer:
    """Start a run and let it come as far as it can."""
    answer = world.start()
    world.pump()
    return answer


def plan_again(world: World, answer: Answer, times: int = 1) -> None:
    """Deliver the message of a run on the plan queue once more."""
    body = RunMessage(export="newsletter", run=world.run_id(answer)).model_dump_json()
    for _ in range(times):
        world.deliver("plan", body)


def texts(run: dict[str, Any]) -> list[str]:
    return [event["text"] for event in run["timeline"]]


def staged(world: World, run: dict[str, Any]) -> list[str]:
    return [blob.name for blob in world.state.list(paths.staging(run["id"]))]


def staged_rejects(world: World, answer: Answer) -> str:
    return next(name for name in staged(world, world.show(answer)) if name.endswith("/rejects.parquet"))


def test_a_brake_holds_a_run_before_anything_is_sent_and_says_why(world):
    cut_off(world)

    run = world.show(start(world))

    assert (run["status"], run["step"], run["finished"]) == ("held", "held", None)
    (brake,) = run["brakes"]
    assert (brake["kind"], brake["segment"]) == ("cut_off", "VIP")
    assert "VIP.csv ends in the middle of line 8" in brake["sentence"]
    assert texts(run)[-1] == "held for approval: cut off"
    assert world.account.requests == []
    assert lanes.read(world.parts, "main").waiting == ()
    assert state(world).active is not None
    assert staged(world, run)


def test_an_approved_run_goes_on_and_the_next_one_is_held_against_it(world):
    cut_off(world)
    answer = start(world)
    world.pass_time(days=2)

    approved = world.approve(answer, body=b'{"reason": "the upstream team knows"}')
    world.pump()

    assert (approved.status, json.loads(approved.body)["status"]) == (200, "processing")
    run = world.show(answer)
    assert run["status"] == "successful"
    assert run["approved"] == (START + timedelta(days=2)).isoformat().replace("+00:00", "Z")
    assert "approved: the upstream team knows" in texts(run)
    assert len(world.account.contacts) == 6
    assert state(world).ledger == run["id"]
    assert state(world).last_read["VIP"].profiles == 7
    assert staged(world, run) == []


def test_a_rejected_run_ends_and_leaves_ledger_and_measure_as_they_were(world):
    world.people(6)
    first = world.export_now()
    before = state(world)
    cut_off(world, 8)
    answer = start(world)

    rejected = world.reject(answer, body=b'{"reason": " half of it is missing "}')
    world.pump()

    run = world.show(answer)
    assert rejected.status == 200
    assert (run["status"], run["step"], run["reason"]) == ("canceled", "ended", "rejected: half of it is missing")
    assert run["finished"] is not None
    assert (run["sums"]["planned"], run["sums"]["delivered"], run["sums"]["unknown"]) == (2, 0, 0)
    after = state(world)
    assert (after.active, after.ledger, after.ledger_target) == (None, first["id"], before.ledger_target)
    assert after.last_read == before.last_read
    assert staged(world, run) == []
    world.people(6)
    assert world.export_now()["sums"]["unchanged"] == 6


def test_the_rejects_of_a_rejected_run_are_kept(world):
    cut_off(world)
    answer = start(world)
    before = world.state.get(staged_rejects(world, answer)).data

    world.reject(answer)

    assert world.state.get(paths.rejects("newsletter", world.run_id(answer))).data == before


def test_a_first_run_that_is_rejected_leaves_no_measure(world):
    cut_off(world)
    world.reject(start(world))

    assert (state(world).ledger, state(world).last_read) == (None, {})


def test_approving_twice_sends_once(world):
    cut_off(world)
    answer = start(world)

    first, second = world.approve(answer), world.approve(answer)
    world.pump()
    third = world.approve(answer)

    assert [each.status for each in (first, second, third)] == [200, 200, 200]
    assert [json.loads(each.body)["status"] for each in (second, third)] == ["processing", "successful"]
    assert sorted(map(len, world.account.requests)) == [2, 4]
    assert texts(world.show(answer)).count("approved") == 1


def test_an_approval_whose_message_was_lost_is_made_good_by_the_next_one(world):
    cut_off(world)
    answer = start(world)
    world.approve(answer)
    world.queues.due()

    world.approve(answer)
    world.pump()

    assert world.show(answer)["status"] == "successful"


def test_an_approval_whose_message_was_lost_is_made_good_by_the_watch(world):
    cut_off(world)
    answer = start(world)
    world.approve(answer)
    world.queues.due()

    world.pass_time(minutes=20)
    world.exporter.tick()
    world.pump()

    assert world.show(answer)["status"] == "successful"


def test_rejecting_twice_is_harmless_and_what_was_decided_first_stands(world):
    cut_off(world)
    answer = start(world)
    rejected, again = world.reject(answer), world.reject(answer)

    too_late = world.approve(answer)
    world.pump()

    assert (rejected.status, again.status, too_late.status) == (200, 200, 409)
    assert "status is canceled" in json.loads(too_late.body)["detail"]
    assert world.show(answer)["status"] == "canceled"
    assert world.account.requests == []


def test_an_approved_run_cannot_be_rejected(world):
    cut_off(world)
    answer = start(world)
    world.approve(answer)

    assert world.reject(answer).status == 409
    world.pump()
    assert world.show(answer)["status"] == "successful"


def test_late_and_repeated_messages_do_not_send_a_held_run(world):
    cut_off(world)
    answer = world.start()
    world.pump(twice=True)

    plan_again(world, answer, times=3)

    run = world.show(answer)
    assert run["status"] == "held"
    assert world.account.requests == []
    assert world.queues.next_due() is None
    assert lanes.read(world.parts, "main").slots == ()


def test_messages_that_come_twice_after_an_approval_send_once(world):
    cut_off(world)
    answer = start(world)
    world.approve(answer)

    world.pump(twice=True)

    assert sorted(map(len, world.account.requests)) == [2, 4]


def test_late_messages_of_a_rejected_run_send_nothing(world):
    cut_off(world)
    answer = start(world)
    world.reject(answer)

    plan_again(world, answer, times=2)
    world.pump()

    assert world.account.requests == []
    assert world.show(answer)["status"] == "canceled"


def test_the_watch_leaves_a_held_run_alone_until_its_time_is_over(world):
    cut_off(world)
    answer = start(world)

    world.time += HOLD_LASTS
    world.exporter.tick()
    still = world.show(answer)
    world.pass_time(minutes=1)
    world.exporter.tick()
    world.exporter.tick()

    assert still["status"] == "held"
    assert world.queues.next_due() is None
    run = world.show(answer)
    assert (run["status"], staged(world, run), state(world).active) == ("canceled", [], None)
    assert run["reason"] == "Nobody approved the run within 7 days; nothing was sent. Start the export again"


def test_a_run_expires_though_the_provider_wants_a_pause(world):
    cut_off(world)
    answer = start(world)
    world.time += HOLD_LASTS + timedelta(minutes=1)
    lanes.hold_back(world.parts, "main", 3600)

    world.exporter.tick()

    assert world.show(answer)["status"] == "canceled"


def test_an_expired_run_cannot_be_approved_any_more(world):
    cut_off(world)
    answer = start(world)
    world.time += HOLD_LASTS + timedelta(minutes=1)
    world.exporter.tick()

    assert world.approve(answer).status == 409
    assert world.reject(answer).status == 200


def test_a_rejection_that_died_before_it_freed_the_export_is_completed_by_the_watch(world):
    cut_off(world)
    answer = start(world)
    blocked = state(world)
    world.reject(answer)
    world.state.put(paths.export_state("newsletter"), blocked.model_dump_json().encode())

    world.exporter.tick()
    world.pump()

    assert state(world).active is None


def test_an_approved_run_whose_batches_are_gone_fails_and_keeps_the_ledger(world):
    world.people(6)
    first = world.export_now()
    cut_off(world, 8)
    answer = start(world)
    for name in staged(world, world.show(answer)):
        world.state.delete(name)

    world.approve(answer)
    world.pump()

    run = world.show(answer)
    assert run["status"] == "failed"
    assert "nothing was sent" in run["reason"]
    assert "Start the export again" in run["reason"]
    assert (state(world).ledger, state(world).active) == (first["id"], None)
    assert state(world).last_read["VIP"].profiles == 6


def test_one_missing_batch_is_noticed_before_anything_is_sent(world):
    cut_off(world)
    answer = start(world)
    world.state.delete(next(name for name in staged(world, world.show(answer)) if name.endswith("00001.ndjson")))

    world.approve(answer)
    world.pump()

    assert world.show(answer)["status"] == "failed"
    assert world.account.requests == []


def test_a_poisoned_message_of_a_held_run_leaves_it_to_the_person(world):
    cut_off(world)
    answer = start(world)

    world.exporter.abandon_run(RunMessage(export="newsletter", run=world.run_id(answer)).model_dump_json().encode())

    assert world.show(answer)["status"] == "held"
    world.approve(answer)
    world.pump()
    assert world.show(answer)["status"] == "successful"


def test_a_held_run_keeps_the_export_s_place_and_says_what_to_do(world):
    cut_off(world)
    held = start(world)

    second = world.start()

    assert second.status == 409
    assert second.headers["Location"] == held.headers["Location"]
    assert "held for approval; approve or reject it" in json.loads(second.body)["detail"]


def test_occurrences_while_a_run_is_held_are_noted_as_skipped_with_the_reason(world):
    world.time = START - timedelta(hours=2)
    world.export(schedule={"cron": "0 6 * * *", "time_zone": "UTC"})
    world.time = START
    cut_off(world)
    world.exporter.tick()
    world.pump()
    run_id = state(world).active.run

    world.pass_time(days=1)
    world.exporter.tick()

    assert state(world).occurrence == START + timedelta(days=1)
    assert state(world).occurrence_skipped == f"the run {run_id} was held for approval"
    runs = [blob.name for blob in world.state.list("runs/") if blob.name.endswith("run.json")]
    [entry] = [name for name in runs if name != paths.run("newsletter", run_id)]
    assert json.loads(world.state.get(entry).data)["status"] == "skipped"


def test_an_empty_segment_holds_a_first_run_and_an_approved_one_says_that_nobody_was_sent(world):
    world.segment("EMail,FirstName\n")
    answer = start(world)
    held = world.show(answer)

    world.approve(answer)
    world.pump()

    assert (held["status"], [brake["kind"] for brake in held["brakes"]]) == ("held", ["empty"])
    run = world.show(answer)
    assert (run["status"], run["reason"]) == ("successful", "Nothing was sent: the segments have no profile")
    assert state(world).last_read["VIP"].profiles == 0


def test_what_an_approved_run_has_read_is_the_new_measure(world):
    world.people(20)
    world.export_now()
    world.people(5)
    answer = start(world)
    kinds = [brake["kind"] for brake in world.show(answer)["brakes"]]
    world.approve(answer)
    world.pump()

    again = world.export_now()

    assert kinds == ["shrunken"]
    assert again["status"] == "successful"
    assert again["brakes"] == []


def test_an_empty_segment_after_a_delivery_does_not_forget_whom_the_list_has(world):
    world.people(6)
    first = world.export_now()
    world.segment("EMail,FirstName\n")
    answer = start(world)
    world.approve(answer)
    world.pump()
    world.people(6)

    assert state(world).ledger == first["id"]
    assert world.export_now()["sums"]["unchanged"] == 6


def test_a_snapshot_older_than_the_last_one_holds_the_run(world):
    world.people(6)
    world.export_now()
    world.time -= timedelta(days=2)
    world.segments.put("VIP.csv", b"EMail,FirstName\np0@example.com,Old\n" + b"x@example.com,Old\n" * 5)
    world.time += timedelta(days=2)

    run = world.show(start(world))

    assert [brake["kind"] for brake in run["brakes"]] == ["older"]


def test_more_profiles_than_the_export_allows_hold_the_run_and_the_setting_lets_it_go(world):
    world.people(12)
    world.export(brakes={"max_profiles": 10})
    held = world.show(answer := start(world))
    world.reject(answer)
    world.pass_time(seconds=1)
    world.export(brakes={"max_profiles": 12})

    assert [brake["kind"] for brake in held["brakes"]] == ["provider_limit"]
    assert world.export_now()["status"] == "successful"


def test_a_full_plan_holds_the_run_only_where_the_connection_says_how_much_it_includes(world):
    world.people(6)
    world.export_now()
    world.connection(plan_contacts=10)
    world.people(11)

    run = world.show(answer := start(world))

    (brake,) = run["brakes"]
    assert (brake["kind"], brake["value"], brake["limit"]) == ("plan_room", 11, 10)
    world.reject(answer)
    world.pass_time(seconds=1)
    world.connection(plan_contacts=11)
    assert world.export_now()["status"] == "successful"


class Interrupted(MemoryBlobStore):
    """Segments of which a download lets something else happen first, and then fails."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__(now=lambda: START - timedelta(hours=1))
        self._meanwhile = meanwhile

    def download(self, name: str, target: Path, *, etag: str | None = None) -> None:
        self._meanwhile()
        raise TransientError("The connection was lost")


def test_a_step_that_plans_late_and_fails_leaves_the_run_held_and_open_to_approval(world):
    cut_off(world)
    answer = world.start()
    _, body = world.queues.due()
    slow = Interrupted(meanwhile=lambda: world.deliver("plan", body))
    slow.put("VIP.csv", b"EMail,FirstName\n")
    late = Exporter(replace(world.parts, segments=slow, heavy_work=Lock()))

    late.move_run(body.encode())

    assert world.show(answer)["status"] == "held"
    world.approve(answer)
    world.pump()
    assert world.show(answer)["status"] == "successful"
