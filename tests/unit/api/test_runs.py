"""What a caller over HTTP gets."""

import json

import pytest

from tests.world import World


@pytest.fixture
def world() -> World:
    world = World()
    world.people(3)
    return world


def problem(answer) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = json.loads(answer.body)
    assert body["status"] == answer.status
    return answer.status, body["type"].removeprefix("urn:segment-exporter:problem:")


def test_a_start_answers_where_the_run_is_and_when_to_look(world):
    answer = world.start()

    assert answer.status == 202
    assert answer.headers["Location"] == f"/api/runs/newsletter/{world.run_id(answer)}"
    assert answer.headers["Retry-After"] == "5"
    assert json.loads(answer.body)["status"] == "queued"


@pytest.mark.parametrize("export", ["unknown", "Newsletter", "news..letter", "n" * 64])
def test_an_unknown_export_is_not_found(world, export):
    assert problem(world.start(export)) == (404, "no-such-export")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"full": "yes"}', b'{"fulll": true}', b"\xff"])
def test_a_body_that_cannot_be_used_is_refused(world, body):
    assert problem(world.start(body=body)) == (400, "request-body")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ключ"])
def test_an_unusable_idempotency_key_is_refused(world, key):
    assert problem(world.start(key=key)) == (422, "idempotency-key")


def test_a_key_that_was_used_for_another_request_is_refused(world):
    world.start(key="k")

    assert problem(world.start(key="k", body=b'{"full": true}')) == (422, "idempotency-key")


def test_a_key_whose_run_has_failed_answers_it_and_asks_for_a_new_key(world):
    world.account.key = "another"
    first = world.start(key="k")
    world.pump()
    world.account.key = "good"

    again, other = world.start(key="k"), world.start(key="k2")

    assert (again.status, again.headers["Location"]) == (202, first.headers["Location"])
    reason = json.loads(again.body)["reason"]
    assert reason.startswith(world.show(first)["reason"])
    assert reason.endswith("to start another one, use a new Idempotency-Key.")
    assert "Idempotency-Key" not in world.show(first)["reason"]
    assert other.headers["Location"] != first.headers["Location"]


def test_a_key_whose_run_was_successful_answers_it_without_a_word(world):
    world.start(key="k")
    world.pump()

    assert json.loads(world.start(key="k").body)["reason"] == ""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"connection": "missing"}, "missing"),
        ({"segments": []}, "segments"),
        ({"mapping": {}}, "mapping.email"),
        ({"schedule": {"cron": "often"}}, "schedule"),
    ],
)
def test_an_export_that_cannot_run_says_why(world, change, named):
    world.export(**change)

    answer = world.start()

    assert problem(answer) == (422, "export-unusable")
    assert named in json.loads(answer.body)["detail"]


def test_an_unknown_provider_is_named_before_anything_starts(world):
    world.connection(provider="mailpigeon")

    answer = world.start()

    assert problem(answer) == (422, "export-unusable")
    assert "mailpigeon" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize("run", ["79738877939999999-00000000", "79738877939999999-0000000G", "x"])
def test_an_unknown_run_is_not_found(world, run):
    answer = world.call("GET", f"/runs/newsletter/{run}")

    assert problem(answer) == (404, "no-such-run")


def test_a_run_at_work_shows_how_far_it_is(world):
    world.people(10)
    answer = world.start()
    while world.show(answer)["batches_ended"] < 2:
        world.time = max(world.time, world.queues.next_due())
        world.deliver(*world.queues.due())

    run = world.show(answer)

    assert (run["status"], run["step"]) == ("processing", "sending")
    assert (run["batches"], run["batches_ended"]) == (3, 2)
    assert run["sums"]["delivered"] == 8


def test_a_run_shows_until_when_the_provider_wants_it_to_wait(world):
    answer = world.start()
    world.deliver(*world.queues.due())
    world.account.not_before_s = 50.0
    world.deliver(*world.queues.due())

    assert world.show(answer)["waiting_until"] is not None


def test_a_run_names_reasons_with_sentence_remedy_and_place(world):
    world.segment("EMail,FirstName\na@x.example,A\nnope,B\n")

    run = world.export_now()

    (reject,) = run["rejects"]
    assert (reject["kind"], reject["reason"], reject["column"], reject["count"]) == (
        "invalid",
        "email_malformed",
        "EMail",
        1,
    )
    assert (reject["segment"], reject["part"], reject["line"]) == ("VIP", "VIP.csv", 3)
    assert reject["sentence"]
    assert reject["remedy"]


def test_health_is_anonymous_and_tells_only_that_all_is_well(world):
    answer = world.call("GET", "/health")

    assert (answer.status, json.loads(answer.body)) == (200, {"status": "ok"})


def hold_next_run(world) -> None:
    world.segment('EMail,FirstName\na@x.example,A\n"cut')


def test_a_held_run_says_where_to_decide_and_nothing_of_when_to_look_again(world):
    hold_next_run(world)
    answer = world.start(key="k")
    world.pump()

    shown = world.call("GET", world.address(answer))
    run = json.loads(shown.body)
    again = world.start(key="k")

    address = f"/api/runs/newsletter/{run['id']}"
    assert (run["status"], run["approve"], run["reject"]) == ("held", f"{address}/approve", f"{address}/reject")
    assert "Retry-After" not in shown.headers
    assert (again.status, again.headers.get("Retry-After")) == (202, None)
    approved = world.approve(answer)
    assert approved.headers["Retry-After"] == "5"
    assert (json.loads(approved.body)["approve"], json.loads(approved.body)["reject"]) == (None, None)


def test_the_sums_of_a_plan_tell_who_is_new_and_who_has_changed(world):
    world.export_now()
    world.segment("EMail,FirstName\np0@example.com,Ann\np1@example.com,Other\nnew@example.com,Ann\n")

    sums = world.export_now()["sums"]

    assert {word: sums[word] for word in ("withheld", "unchanged", "planned", "added", "changed", "leavers")} == {
        "withheld": 0,
        "unchanged": 1,
        "planned": 2,
        "added": 1,
        "changed": 1,
        "leavers": 1,
    }


@pytest.mark.parametrize("word", ["approve", "reject"])
def test_a_run_that_was_never_held_cannot_be_decided_about(world, word):
    answer = world.start()
    queued = getattr(world, word)(answer)
    world.pump()
    ended = getattr(world, word)(answer)

    assert (problem(queued), problem(ended)) == ((409, "run-not-held"), (409, "run-not-held"))
    assert "status is queued" in json.loads(queued.body)["detail"]
    assert "status is successful" in json.loads(ended.body)["detail"]


@pytest.mark.parametrize("word", ["approve", "reject"])
@pytest.mark.parametrize("run", ["79738877939999999-00000000", "79738877939999999-0000000G", "x"])
def test_an_unknown_run_cannot_be_decided_about(world, word, run):
    assert problem(world.call("POST", f"/runs/newsletter/{run}/{word}")) == (404, "no-such-run")


@pytest.mark.parametrize("word", ["approve", "reject", "cancel"])
def test_no_address_of_a_reason_stands_in_the_run_where_every_viewer_reads_it(world, word):
    hold_next_run(world)
    answer = world.start()
    world.pump()

    decided = getattr(world, word)(answer, body=b'{"reason": "asked by ann@example.com"}')

    assert decided.status == 200
    assert b"ann@example.com" not in decided.body
    assert any("asked by [hidden]" in event["text"] for event in json.loads(decided.body)["timeline"])


@pytest.mark.parametrize("word", ["approve", "reject"])
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"reason": 1}',
        b'{"why": "x"}',
        b'{"reason": "%s"}' % (b"x" * 501),
        b'{"reason": "a\\u0000"}',
        b'{"reason": "\\u202ea"}',
    ],
)
def test_a_decision_that_cannot_be_read_decides_nothing(world, word, body):
    hold_next_run(world)
    answer = world.start()
    world.pump()

    assert problem(getattr(world, word)(answer, body=body)) == (400, "request-body")
    assert world.show(answer)["status"] == "held"
