"""What a run would do, told before it is started."""

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from exporters.api import preview
from exporters.api.answers import Answer, Request
from exporters.delivery import lanes
from exporters.errors import TransientError
from exporters.exporter import Exporter
from exporters.providers.base import SuppressionKind
from tests.world import SimulatedProvider, World


@pytest.fixture
def world() -> World:
    world = World()
    world.people(6)
    return world


def shown(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def unmasked(world: World) -> dict[str, Any]:
    return shown(world.call("POST", "/exports/newsletter/preview/unmasked"))


def problem(answer: Answer) -> tuple[int, str, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = json.loads(answer.body)
    return answer.status, body["type"].removeprefix("urn:segment-exporter:problem:"), body["detail"]


def stored(world: World) -> dict[str, str]:
    return {blob.name: blob.etag for blob in world.state.list("")}


def test_a_preview_counts_what_a_run_would_do(world):
    world.segment("EMail,FirstName\na@x.example,Ann\nnope,Bo\nA@x.example,Again\nb@x.example,\n")

    told = shown(world.preview())

    assert told["sums"] == {
        "read": 4,
        "invalid": 1,
        "duplicate": 1,
        "withheld": 0,
        "unchanged": 0,
        "planned": 2,
        "added": 2,
        "changed": 0,
        "leavers": 0,
        "removals": 0,
    }
    assert (told["requests"], told["removal_requests"], told["list_name"], told["list_count"]) == (1, 0, "List", 0)
    assert told["bytes"] == len('[{"email":"a@x.example","first_name":"Ann"},{"email":"b@x.example"}]')
    (segment,) = told["segments"]
    assert (segment["segment"], segment["snapshot"], segment["profiles"]) == ("VIP", "VIP.csv", 4)
    assert {(reject["reason"], reject["column"], reject["count"], reject["line"]) for reject in told["rejects"]} == {
        ("email_malformed", "EMail", 1, 3),
        ("duplicate", "EMail", 1, 4),
    }
    assert all(reject["sentence"] and reject["remedy"] for reject in told["rejects"])


def test_a_preview_writes_nothing(world):
    before = stored(world)

    shown(world.preview())

    assert stored(world) == before
    assert world.account.requests == []
    assert world.queues.next_due() is None


def test_a_run_does_what_its_preview_said(world):
    world.export_now()
    world.segment("EMail,FirstName\np0@example.com,Ann\np1@example.com,Changed\nnew@example.com,Ann\n")

    told, run = shown(world.preview()), world.export_now()

    words = ("read", "invalid", "duplicate", "withheld", "unchanged", "planned", "added", "changed", "leavers")
    assert [told["sums"][word] for word in words] == [3, 0, 0, 0, 1, 2, 1, 1, 4]
    assert [told["sums"][word] for word in words] == [run["sums"].get(word, 4) for word in words]
    assert (told["bytes"], told["requests"]) == (run["bytes"], run["requests"])


def test_a_full_preview_plans_everyone(world):
    first = world.export_now()

    usual, full = shown(world.preview()), shown(world.preview(body=b'{"full": true}'))

    assert (usual["full"], usual["sums"]["planned"], usual["compared_with"]) == (False, 0, first["id"])
    assert (full["full"], full["sums"]["planned"], full["compared_with"]) == (True, 6, None)


def test_contacts_are_masked_but_for_those_who_may_see_them(world):
    told, plain = shown(world.preview()), unmasked(world)

    assert (told["masked"], plain["masked"]) == (True, False)
    assert told["contacts"][0] == {"email": "***@e***.com", "first_name": "***"}
    assert plain["contacts"][0] == {"email": "p0@example.com", "first_name": "Ann"}
    assert b"p0@" not in world.preview().body


def test_the_first_twenty_contacts_of_several_batches_are_shown(world):
    emails = world.people(30)

    assert [contact["email"] for contact in unmasked(world)["contacts"]] == sorted(emails, key=emails.index)[:20]


def test_empty_values_are_left_out_of_a_contact(world):
    world.segment("EMail,FirstName\na@x.example,\n")

    assert unmasked(world)["contacts"] == [{"email": "a@x.example"}]


def test_brakes_that_would_hold_the_run_are_told(world):
    world.people(12)
    world.export(brakes={"max_profiles": 10})

    (brake,) = shown(world.preview())["brakes"]

    assert (brake["kind"], brake["value"], brake["limit"]) == ("provider_limit", 12, 10)
    assert "12 profiles, more than the 10" in brake["sentence"]


def test_a_mirror_tells_whom_it_would_remove(world):
    world.export_now()
    world.export(mode="mirror")
    world.people(2)

    told = shown(world.preview())

    assert (told["sums"]["leavers"], told["sums"]["removals"], told["removal_requests"]) == (4, 4, 2)


def test_room_in_the_account_s_plan_is_told_where_it_is_known(world):
    world.export_now()
    unknown = shown(world.preview())["room"]
    world.connection(plan_contacts=10)

    assert unknown == {"account_contacts": None, "plan_contacts": None, "left": None}
    assert shown(world.preview())["room"] == {"account_contacts": 6, "plan_contacts": 10, "left": 4}


def test_minutes_are_at_the_published_pace_before_the_first_run(world):
    world.people(150)

    told = shown(world.preview())

    assert told["duration"] == {"minutes": 1.5, "contacts_per_minute": 100.0, "measured_by": None}
    assert "published one of Simulated" in told["notes"][0]


def test_minutes_are_at_the_pace_of_the_last_run_that_sent_somebody(world):
    world.account.not_before_s = 20.0
    answer = world.start()
    world.pump()
    world.account.not_before_s = None
    world.pass_time(hours=1)
    world.export_now()  # sends nobody, and so tells nothing
    events = {event["text"].split(" ", 1)[0]: event["at"] for event in world.show(answer)["timeline"]}

    told = shown(world.preview(body=b'{"full": true}'))

    assert events["planned"] < world.show(answer)["finished"]
    assert told["duration"]["measured_by"] == answer.headers["Location"]
    assert told["duration"]["contacts_per_minute"] < 20
    assert told["duration"]["minutes"] > 0.3
    assert told["notes"] == []


def test_a_small_run_tells_nothing_of_a_large_one(world):
    world.export_now()
    world.people(70)

    assert shown(world.preview())["duration"]["measured_by"] is None


def test_an_approved_run_s_pace_does_not_count_its_days_on_hold(world):
    world.export(brakes={"max_profiles": 5})
    answer = world.start()
    world.pump()
    world.pass_time(days=3)
    world.approve(answer)
    world.pump()

    assert shown(world.preview(body=b'{"full": true}'))["duration"]["contacts_per_minute"] > 1


def test_minutes_do_not_count_what_removing_took(world):
    world.export(mode="mirror", brakes={"max_share_removed": 1, "min_share_of_last": 0})
    world.people(12)
    world.export_now()
    world.people(6, first_name="Changed")
    answer = world.start()
    while "removing" not in {event["text"].split(" ", 1)[0] for event in world.show(answer)["timeline"]}:
        world.time = max(world.time, world.queues.next_due())
        world.deliver(*world.queues.due())
    world.pass_time(days=1)
    world.pump()
    assert world.show(answer)["removal"]["removed"] == 6

    assert shown(world.preview(body=b'{"full": true}'))["duration"]["contacts_per_minute"] > 1


def test_people_whom_the_provider_has_suppressed_are_counted_where_one_step_tells(world):
    world.export(withhold=True)
    world.account.suppressed = {f"p{number}@example.com": SuppressionKind.BOUNCED for number in range(5)}

    told = shown(world.preview())

    assert (told["sums"]["withheld"], told["sums"]["planned"]) == (5, 1)
    assert world.account.questions == 3
    assert not [note for note in told["notes"] if "suppressed" in note]


class WritesFiles(SimulatedProvider):
    """A provider that starts a job of its own when it is asked whom it has suppressed."""

    suppressions_at_once = False


def test_a_provider_that_would_write_a_file_of_whom_it_has_suppressed_is_not_asked(world):
    world.export(withhold=True)
    world.account.suppressed = {"p0@example.com": SuppressionKind.BOUNCED}
    world.parts = replace(
        world.parts, connect=lambda _, key: WritesFiles(world.account, key), facts=lambda _: WritesFiles
    )
    world.exporter = Exporter(world.parts)

    told = shown(world.preview())

    assert (told["sums"]["withheld"], told["sums"]["planned"]) == (None, 6)
    assert world.account.questions == 0
    assert "Whom Simulated has suppressed" in told["notes"][0]


def test_a_preview_asks_for_suppressions_only_so_long(world):
    world.export(withhold=True)
    world.account.suppressed = {f"p{number}@example.com": SuppressionKind.BOUNCED for number in range(5)}
    world.account.on_suppressions = lambda: world.pass_time(seconds=31)

    told = shown(world.preview())

    assert told["sums"]["withheld"] is None
    assert world.account.questions == 2


def test_a_preview_that_takes_too_long_is_answered_in_time_and_goes_on_alone(world):
    answered = threading.Event()
    world.export(withhold=True)
    world.account.on_suppressions = lambda: bool(answered.wait(30))

    answer = preview.preview(world.parts, Request(route={"export": "newsletter"}), within_s=0.2)
    busy = world.preview()
    answered.set()
    with world.parts.heavy_work:  # until then the first one is at work
        pass

    assert problem(answer)[:2] == (503, "preview-too-slow")
    assert "start a run instead" in problem(answer)[2]
    assert problem(busy)[:2] == (503, "busy")
    assert world.preview().status == 200


def test_a_preview_that_nobody_waits_for_any_more_is_given_up(world):
    world.export(withhold=True)
    world.account.on_suppressions = lambda: world.pass_time(seconds=preview.ANSWER_WITHIN_S + 1)

    assert problem(world.preview()) == (503, "not-ready", "The preview was given up: it took too long.")


@pytest.mark.parametrize("name", ["VIP.parquet", "VIP/part-0.csv.GZ"])
def test_files_that_cannot_be_planned_in_time_are_refused_before_anyone_is_asked(world, name):
    world.segments.delete("VIP.csv")
    world.segments.put(name, bytes(preview.MAX_MEGABYTES * 1_000_000 // 8 + 1_000_000))
    world.pass_time(hours=1)
    world.account.key = "another"

    status, kind, detail = problem(world.preview())

    assert (status, kind) == (422, "preview-too-large")
    assert "about 1,008 MB" in detail
    assert "start a run instead" in detail


def test_a_preview_asks_for_suppressions_only_so_often(world):
    world.export(withhold=True)
    world.account.suppressed = {f"p{number}@example.com": SuppressionKind.BOUNCED for number in range(500)}

    assert shown(world.preview())["sums"]["withheld"] is None
    assert world.account.questions == 40


def test_a_preview_while_something_else_is_planned_comes_later(world):
    with world.parts.heavy_work:
        answer = world.preview()

    assert problem(answer)[:2] == (503, "busy")
    assert answer.headers["Retry-After"] == "2"
    assert world.preview().status == 200


def test_a_preview_is_made_though_a_run_is_at_work(world):
    world.start()

    assert shown(world.preview())["sums"]["planned"] == 6


def test_a_pause_that_the_provider_wants_is_kept_to(world):
    lanes.hold_back(world.parts, "main", 40)

    answer = world.preview()

    assert problem(answer)[:2] == (503, "throttled")
    assert answer.headers["Retry-After"] == "40"


def test_a_provider_that_does_not_answer_is_asked_again_later(world):
    def lose() -> None:
        raise TransientError("The connection was lost")

    world.export(withhold=True)
    world.account.on_suppressions = lose

    answer = world.preview()

    assert problem(answer) == (503, "not-ready", "The connection was lost")
    assert answer.headers["Retry-After"] == "30"


def test_a_snapshot_that_is_being_written_is_asked_for_again_later(world):
    world.segments.put("VIP.csv", b"EMail,FirstName\na@x.example,Ann\n")

    assert problem(world.preview())[:2] == (503, "not-ready")


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"list_id": "list-9"}, "list-9"),
        ({"mapping": {"email": "E-Mail"}}, "EMail"),
        ({"segments": ["Nowhere"]}, "Nowhere"),
        ({"connection": "missing"}, "missing"),
        ({"segments": []}, "segments"),
    ],
)
def test_what_keeps_a_run_from_going_on_is_a_problem_in_the_run_s_words(world, bad, named):
    world.export(**bad)

    status, name, detail = problem(world.preview())

    assert (status, name) == (422, "export-unusable")
    assert named in detail


def test_a_refused_key_is_a_problem_and_the_next_preview_can_be_made(world):
    world.account.key = "another"
    assert problem(world.preview())[:2] == (422, "export-unusable")

    world.account.key = "good"
    assert world.preview().status == 200


@pytest.mark.parametrize("export", ["unknown", "Newsletter"])
def test_an_unknown_export_is_not_found(world, export):
    assert problem(world.preview(export))[:2] == (404, "no-such-export")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"full": "yes"}', b'{"masked": false}'])
def test_a_body_that_cannot_be_used_is_refused(world, body):
    assert problem(world.preview(body=body))[:2] == (400, "request-body")
