"""Whole runs in memory: from the start to the sums, the ledger and a free place."""

import json

import pytest

from exporters.errors import ConfigError, RefusedError, ThrottledError, TransientError
from exporters.model.run import ExportState
from exporters.providers.base import JobReport, JobState
from exporters.storage import paths
from tests.world import World, refusals


@pytest.fixture
def world() -> World:
    return World()


def sums(run: dict) -> tuple[int, ...]:
    words = ("read", "invalid", "duplicate", "unchanged", "planned", "delivered", "refused", "unknown")
    return tuple(run["sums"][word] for word in words)


def state(world: World) -> ExportState:
    found = world.parts.documents.read(ExportState, paths.export_state("newsletter"))
    assert found is not None
    return found.value


def nothing_left(world: World, run: dict) -> None:
    """The export is free, the lane is empty, nothing is staged."""
    assert state(world).active is None
    lane = json.loads(world.state.get("lanes/main.json").data)
    assert (lane["slots"], lane["waiting"]) == ([], [])
    assert [blob.name for blob in world.state.list(paths.staging(run["id"]))] == []


def test_everyone_valid_arrives_and_the_sums_close(world):
    world.segment("EMail,FirstName\na@x.example,Ann\nnot an address,Bo\nA@x.example,Again\nb@x.example,\n")

    run = world.export_now()

    assert run["status"] == "successful"
    assert sums(run) == (4, 1, 1, 0, 2, 2, 0, 0)
    assert world.account.contacts == {
        "a@x.example": {"email": "a@x.example", "first_name": "Ann"},
        "b@x.example": {"email": "b@x.example"},
    }
    nothing_left(world, run)


def test_batches_are_full_and_go_through_the_slots_that_the_provider_allows(world):
    emails = world.people(10)

    run = world.export_now()

    assert [len(request) for request in world.account.requests] == [4, 4, 2]
    assert sorted(email for request in world.account.requests for email in request) == sorted(emails)
    assert world.account.most_in_flight == 2
    assert (run["batches"], run["batches_ended"], run["requests"]) == (3, 3, 3)


def test_a_second_run_sends_only_what_changed(world):
    world.people(6)
    world.export_now()
    world.account.requests.clear()
    world.segment("EMail,FirstName\np0@example.com,Ann\np1@example.com,Changed\nnew@example.com,Ann\n")

    run = world.export_now()

    assert world.account.requests == [["p1@example.com", "new@example.com"]]
    assert sums(run) == (3, 0, 0, 1, 2, 2, 0, 0)


def test_a_run_with_nothing_new_says_that_everyone_is_unchanged(world):
    world.people(6)
    first = world.export_now()

    run = world.export_now()

    assert run["status"] == "successful"
    assert sums(run) == (6, 0, 0, 6, 0, 0, 0, 0)
    assert run["reason"] == f"Nothing was sent: all 6 contacts are as the run {first['id']} delivered them"
    nothing_left(world, run)


def test_people_who_only_read_differently_are_not_sent_and_the_next_ledger_knows_it(world):
    world.segment("EMail,FirstName\na@x.example,Ann\nb@x.example,Bo\n")
    world.export_now()
    world.segment("EMail,FirstName\nA@x.example, Ann\nb@x.example,Bo\n")

    run = world.export_now()

    assert sums(run) == (2, 0, 0, 2, 0, 0, 0, 0)
    assert state(world).ledger == run["id"]
    again = world.export_now()
    assert sums(again) == (2, 0, 0, 2, 0, 0, 0, 0)
    assert state(world).ledger == run["id"]


def test_a_full_run_sends_everyone_again(world):
    world.people(6)
    world.export_now()

    run = world.export_now(body=b'{"full": true}')

    assert sums(run) == (6, 0, 0, 0, 6, 6, 0, 0)
    assert world.export_now()["sums"]["unchanged"] == 6


def test_another_list_makes_the_ledger_void(world):
    world.people(3)
    world.export_now()
    world.connection(id="second")
    world.export(connection="second")

    assert world.export_now()["sums"]["planned"] == 3


def test_people_whom_the_job_names_are_refused_and_come_again_next_time(world):
    world.people(3)
    world.account.on_submit = lambda contacts: refusals("p1@example.com")

    run = world.export_now()

    assert run["status"] == "completed_with_warnings"
    assert sums(run) == (3, 0, 0, 0, 3, 2, 1, 0)
    world.account.on_submit = lambda contacts: None
    world.account.requests.clear()
    assert world.export_now()["status"] == "successful"
    assert world.account.requests == [["p1@example.com"]]


def test_the_words_of_the_provider_are_kept_without_the_address(world):
    world.people(3)
    world.account.on_submit = lambda contacts: refusals("p1@example.com")

    run = world.export_now()

    outcome = world.state.get(paths.outcome("newsletter", run["id"], 0)).data.decode()
    assert "… is not wanted" in outcome
    assert "example.com" not in outcome


def test_errors_that_nobody_is_named_for_make_as_many_unknown_and_all_of_the_job_come_again(world):
    world.people(4)
    world.account.on_submit = lambda contacts: refusals(errored=2)

    run = world.export_now()

    assert sums(run) == (4, 0, 0, 0, 4, 2, 0, 2)
    assert run["status"] == "completed_with_warnings"
    world.account.on_submit = lambda contacts: None
    assert world.export_now()["sums"]["planned"] == 4


def test_a_lost_report_leaves_nobody_delivered(world):
    world.people(4)
    world.account.on_submit = lambda contacts: JobReport(state=JobState.DONE, report_missing=True)

    run = world.export_now()

    assert sums(run) == (4, 0, 0, 0, 4, 0, 0, 4)
    assert run["status"] == "failed"


def test_a_failed_job_refuses_its_contacts_with_the_provider_s_words(world):
    world.people(4)
    report = JobReport(state=JobState.FAILED, words="you have hit your contact limit")
    world.account.on_submit = lambda contacts: report

    run = world.export_now()

    assert sums(run) == (4, 0, 0, 0, 4, 0, 4, 0)
    assert (run["status"], run["reason"]) == ("failed", "you have hit your contact limit")


def test_rows_that_a_refused_request_names_cost_only_themselves(world):
    world.people(4)

    def refuse(contacts):
        bad = [index for index, contact in enumerate(contacts) if contact["email"] == "p2@example.com"]
        if bad:
            raise RefusedError("no", rows={bad[0]: "p2@example.com is not valid"})

    world.account.on_submit = refuse

    run = world.export_now()

    assert sums(run) == (4, 0, 0, 0, 4, 3, 1, 0)
    assert world.account.requests[1] == ["p0@example.com", "p1@example.com", "p3@example.com"]
    assert run["requests"] == 2


def test_a_request_refused_without_names_is_halved_until_the_bad_row_is_found(world):
    world.people(4)

    def refuse(contacts):
        if any(contact["email"] == "p2@example.com" for contact in contacts):
            raise RefusedError("something is wrong")

    world.account.on_submit = refuse

    run = world.export_now()

    assert sums(run) == (4, 0, 0, 0, 4, 3, 1, 0)
    assert sorted(world.account.contacts) == ["p0@example.com", "p1@example.com", "p3@example.com"]


def test_a_throttled_account_waits_until_the_time_that_the_provider_named(world):
    world.people(4)
    tries = []

    def throttle(contacts):
        tries.append(world.time)
        if len(tries) == 1:
            raise ThrottledError("wait", wait_s=40)

    world.account.on_submit = throttle

    run = world.export_now()

    assert run["status"] == "successful"
    assert (tries[1] - tries[0]).total_seconds() >= 40


def test_a_used_up_limit_holds_back_the_next_request_too(world):
    world.people(8)
    times = []
    world.account.not_before_s = 20.0
    world.account.on_submit = lambda contacts: times.append(world.time)

    world.export_now()

    assert (times[1] - times[0]).total_seconds() >= 20


def test_a_failure_that_may_pass_is_tried_again_and_arrives(world):
    world.people(4)
    failures = iter([TransientError("lost"), TransientError("lost"), None])

    def fail(contacts):
        if error := next(failures):
            raise error

    world.account.on_submit = fail

    run = world.export_now()

    assert run["status"] == "successful"
    assert run["requests"] == 3


def test_a_provider_that_never_answers_leaves_the_contacts_unknown(world):
    world.people(4)

    def fail(contacts):
        raise TransientError("The connection was lost")

    world.account.on_submit = fail

    run = world.export_now()

    assert sums(run) == (4, 0, 0, 0, 4, 0, 0, 4)
    assert (run["status"], run["reason"]) == ("failed", "The connection was lost")
    nothing_left(world, run)


def test_a_job_that_never_ends_leaves_its_contacts_unknown(world):
    world.people(4)
    world.account.polls_until_done = 10_000

    run = world.export_now()

    assert sums(run)[-1] == 4
    nothing_left(world, run)


def test_a_rotated_key_is_read_once_more_and_the_run_goes_on(world):
    world.people(4)
    world.parts.secrets.get("main-key")
    world.account.key = "rotated"
    world.secrets.values["main-key"] = "rotated"

    assert world.export_now()["status"] == "successful"


def test_a_key_that_goes_in_the_middle_stops_the_run_and_keeps_what_was_delivered(world):
    world.people(14)

    def lose_the_key(contacts):
        if len(world.account.requests) == 3:
            world.account.key = "gone"

    world.account.on_submit = lose_the_key

    run = world.export_now()

    assert run["status"] == "failed"
    assert "refuses the key" in run["reason"]
    assert sums(run) == (14, 0, 0, 0, 14, 8, 2, 4)
    world.account.key = "good"
    world.account.on_submit = lambda contacts: None
    assert world.export_now()["sums"]["unchanged"] == 8


def test_a_wrong_key_fails_the_run_before_anything_is_sent(world):
    world.people(4)
    world.account.key = "another"

    run = world.export_now()

    assert run["status"] == "failed"
    assert "refuses the key" in run["reason"]
    assert world.account.requests == []


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"list_id": "list-9"}, "list-9"),
        ({"mapping": {"email": "E-Mail"}}, "did you mean EMail"),
        ({"segments": ["Nowhere"]}, "Nowhere"),
    ],
)
def test_a_run_that_cannot_go_on_fails_with_the_reason_and_frees_the_export(world, bad, named):
    world.people(4)
    world.export(**bad)

    run = world.export_now()

    assert run["status"] == "failed"
    assert named in run["reason"]
    assert state(world).active is None


def test_every_message_may_come_twice(world):
    emails = world.people(10)
    answer = world.start()

    world.pump(twice=True)

    run = world.show(answer)
    assert run["status"] == "successful"
    assert sums(run) == (10, 0, 0, 0, 10, 10, 0, 0)
    assert sorted(world.account.contacts) == sorted(emails)
    assert [len(request) for request in world.account.requests] == [4, 4, 2]
    nothing_left(world, run)


def test_no_message_and_no_run_document_holds_an_address(world):
    emails = world.people(10)
    world.account.on_submit = lambda contacts: refusals(contacts[0]["email"])
    answer = world.start()
    seen = []
    while (when := world.queues.next_due()) is not None:
        world.time = max(world.time, when)
        message = world.queues.due()
        seen.append(message[1])
        world.deliver(*message)

    run = json.dumps(world.show(answer))
    documents = [
        world.state.get(blob.name).data.decode(errors="replace")
        for blob in world.state.list("")
        if blob.name.endswith(".json")
    ]
    assert not [email for email in emails if any(email in text for text in [*seen, *documents, run])]


def test_a_poisoned_run_fails_and_a_later_one_can_start(world):
    world.people(4)
    answer = world.start()
    _, body = world.queues.due()

    world.exporter.abandon_run(body.encode())

    assert world.show(answer)["status"] == "failed"
    world.pass_time(seconds=1)
    assert world.export_now()["status"] == "successful"


def test_a_poisoned_batch_ends_as_unknown_and_the_others_are_delivered(world):
    world.people(8)
    answer = world.start()
    world.deliver(*world.queues.due())
    _, body = world.queues.due()

    world.exporter.abandon_send(body.encode())
    world.pump()

    assert sums(world.show(answer)) == (8, 0, 0, 0, 8, 4, 0, 4)


def test_a_config_error_in_the_middle_stops_sending(world):
    world.people(12)

    def forget(contacts):
        if len(world.account.requests) == 2:
            raise ConfigError("The custom field is gone")

    world.account.on_submit = forget

    run = world.export_now()

    assert run["status"] == "failed"
    assert run["reason"] == "The custom field is gone"
    assert len(world.account.requests) == 2
    assert sums(run) == (12, 0, 0, 0, 12, 4, 8, 0)


def test_a_snapshot_that_is_being_written_is_waited_for_and_the_run_says_so_once(world):
    world.segments.put("VIP.csv", b"EMail,FirstName\na@x.example,Ann\n")
    answer = world.start()
    world.deliver(*world.queues.due())
    shown = world.show(answer)

    world.pump()

    assert shown["status"] == "processing"
    assert world.show(answer)["status"] == "successful"
    texts = [event["text"] for event in world.show(answer)["timeline"]]
    assert len([text for text in texts if text.startswith("waiting")]) == 1


def test_a_snapshot_that_never_gets_complete_fails_the_run_after_an_hour(world):
    answer = world.start()
    while (when := world.queues.next_due()) is not None:
        world.time = max(world.time, when)
        world.segments.put("VIP.csv", b"EMail,FirstName\na@x.example,Ann\n")
        world.deliver(*world.queues.due())

    assert world.show(answer)["status"] == "failed"
    assert 3600 <= (world.time - world.parts.now().replace(hour=6, minute=0, second=0)).total_seconds() <= 3700


def test_after_a_run_without_a_ledger_nobody_is_taken_for_unchanged_by_what_was_known_before(world):
    people = world.people(3)
    world.export_now()
    doubtful = state(world).model_copy(update={"ledger_doubtful": True})  # as a run leaves it that was cut short
    world.state.put(paths.export_state("newsletter"), doubtful.model_dump_json().encode())
    world.people(2)
    world.export_now()
    world.people(3)
    world.account.requests.clear()

    run = world.export_now()

    assert (run["sums"]["unchanged"], run["sums"]["changed"]) == (2, 1)
    assert world.account.requests == [[people[2]]]
