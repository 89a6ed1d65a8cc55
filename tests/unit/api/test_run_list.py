"""GET /runs, GET …/batches, and what one run tells of its steps, its people and earlier runs."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exporters.api import run_list
from exporters.exporter import Exporter
from exporters.model.caller import SignIn
from exporters.providers.base import JobReport, JobState
from exporters.storage import paths
from tests.world import START, World, refusals


@pytest.fixture
def world() -> World:
    world = World()
    world.people(5)
    world.export(id="other", name="Other", schedule={"cron": "0 6 * * *"})
    return world


def runs(world: World, **query: object) -> dict[str, Any]:
    answer = world.call("GET", "/runs", query={name.rstrip("_"): str(value) for name, value in query.items()})
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def ids(page: dict[str, Any]) -> list[str]:
    return [row["id"] for row in page["items"]]


def problem(answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["type"].removeprefix("urn:segment-exporter:problem:")


def step(world: World) -> None:
    world.time = max(world.time, world.queues.next_due())
    world.deliver(*world.queues.due())


def five_runs(world: World) -> list[str]:
    """Ids of five runs, an hour apart, newest first: the second failed, the fourth is another export's."""
    found = []
    for number in range(5):
        world.pass_time(hours=1)
        world.people(5 + number)
        if number == 1:
            world.account.key = "another"
        found.append(world.export_now(export="other" if number == 3 else "newsletter")["id"])
        world.account.key = "good"
    return found[::-1]


def test_nothing_has_run_yet(world):
    assert runs(world) == {"items": [], "next": None, "total": None}


def test_a_row_tells_the_run_in_short(world):
    answer = world.start()
    world.pump()
    run = world.show(answer)

    (row,) = runs(world)["items"]

    same = ("id", "export", "name", "provider", "connection", "status", "status_word", "trigger", "kind", "started_by")
    same += ("created", "finished", "duration_s", "reason")
    assert {name: row[name] for name in same} == {name: run[name] for name in same}
    assert row["sums"] == {"read": 5, "planned": 5, "delivered": 5, "refused": 0, "unknown": 0, "removed": 0}
    assert row["address"] == f"/api/runs/newsletter/{run['id']}"
    assert world.call("GET", row["address"].removeprefix("/api")).status == 200


def test_a_run_at_work_is_a_row_without_an_end(world):
    world.start()
    (row,) = runs(world)["items"]

    assert (row["status_word"], row["finished"], row["duration_s"], row["sums"]) == ("Queued", None, None, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"export": "newsletter"}, [0, 2, 3, 4]),
        ({"export": "other"}, [1]),
        ({"export": "nobody"}, []),
        ({"status": "failed"}, [3]),
        ({"status": "successful"}, [0, 1, 2, 4]),
        ({"status": "held"}, []),
        ({"trigger": "on demand"}, [0, 1, 2, 3, 4]),
        ({"trigger": "schedule"}, []),
        ({"from_": (START + timedelta(hours=3)).isoformat()}, [0, 1, 2]),
        ({"to": (START + timedelta(hours=2, minutes=30)).isoformat()}, [3, 4]),
        ({"from_": "2026-11-22T09:00:00+01:00", "to": "2026-11-22T10:30:00+01:00"}, [2, 3]),
        ({"export": "newsletter", "status": "successful", "to": (START + timedelta(hours=4)).isoformat()}, [2, 4]),
    ],
)
def test_filters_leave_out_what_does_not_fit(world, query, found):
    all_runs = five_runs(world)

    page = runs(world, **query)

    assert ids(page) == [all_runs[number] for number in found]
    assert page["next"] is None


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("query", [{}, {"export": "newsletter"}, {"status": "successful"}])
def test_pages_hold_every_run_once(world, limit, query):
    five_runs(world)
    whole, found = ids(runs(world, **query)), []

    page = runs(world, limit=limit, **query)
    while True:
        assert 1 <= len(page["items"]) <= limit
        found += ids(page)
        if page["next"] is None:
            break
        path, _, asked = page["next"].partition("?")
        assert path == "/api/runs"
        answer = world.call("GET", "/runs", query=dict(part.split("=") for part in asked.split("&")))
        page = json.loads(answer.body)

    assert found == whole


def test_the_next_page_stands_in_the_link_too(world):
    five_runs(world)

    answer = world.call("GET", "/runs", query={"limit": "2"})

    assert answer.headers["Link"] == f'<{json.loads(answer.body)["next"]}>; rel="next"'
    assert "Link" not in world.call("GET", "/runs").headers


def test_an_answer_looks_at_so_many_marks_and_goes_on_from_there(world, monkeypatch):
    all_runs = five_runs(world)
    monkeypatch.setattr(run_list, "MOST_MARKS", 2)

    first = runs(world, status="failed")

    assert first["items"] == []
    assert first["next"] is not None
    after = dict(part.split("=") for part in first["next"].partition("?")[2].split("&"))["after"]
    assert ids(runs(world, status="failed", after=after)) == [all_runs[3]]


def test_a_run_whose_documents_are_gone_or_damaged_is_left_out(world):
    gone, damaged, *rest = five_runs(world)
    world.state.delete(paths.run("newsletter", gone))
    world.state.put(paths.run("other", damaged), b"{}")

    assert ids(runs(world)) == rest
    assert ids(runs(world, limit=1)) == rest[:1]


def test_a_run_that_was_held_is_found_by_its_status_now(world):
    world.export(brakes={"max_profiles": 1})
    answer = world.start()
    world.pump()

    assert ids(runs(world, status="held")) == [world.run_id(answer)]
    assert ids(runs(world, status="processing")) == []
    world.reject(answer)
    assert ids(runs(world, status="held")) == []
    assert ids(runs(world, status="canceled")) == [world.run_id(answer)]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "many"},
        {"status": "fine"},
        {"trigger": "me"},
        {"export": "../config"},
        {"from": "yesterday"},
        {"from": "2026-11-22T06:00:00"},
        {"after": "../../config"},
        {"after": "79738877939999999-00000000"},
        {"since": "2026-11-22T06:00:00Z"},
        {"what": "ever"},
    ],
)
def test_a_query_that_cannot_be_used_is_refused(world, query):
    assert problem(world.call("GET", "/runs", query=query)) == (400, "request-query")


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
@pytest.mark.parametrize("name", ["from", "to"])
def test_times_that_no_run_can_have_do_no_harm(world, name, time):
    world.export_now()

    assert world.call("GET", "/runs", query={name: time}).status == 200


# One run.


def test_a_run_tells_when_each_of_its_steps_began_and_ended(world):
    world.export(brakes={"max_profiles": 1})
    answer = world.start()
    world.pump()
    world.pass_time(hours=2)
    held = world.show(answer)
    world.approve(answer)
    world.pump()
    run = world.show(answer)

    assert [step["step"] for step in held["steps"]] == ["waiting", "planning", "held"]
    assert (held["steps"][-1]["ended"], held["steps"][-1]["duration_s"]) == (None, 7200.0)
    assert [step["step"] for step in run["steps"]] == ["waiting", "planning", "held", "sending"]
    assert run["steps"][0]["began"] == run["created"]
    assert run["steps"][2]["ended"] == run["steps"][3]["began"] == run["approved"]
    assert run["steps"][3]["ended"] == run["finished"]
    assert sum(step["duration_s"] for step in run["steps"]) == pytest.approx(run["duration_s"])


def test_a_run_that_removes_people_tells_when_that_began(world):
    world.state.delete(paths.export("other"))  # it fills the same list
    world.export(mode="mirror", brakes={"max_share_removed": 1, "min_share_of_last": 0})
    world.people(8)
    world.export_now()
    world.people(5)
    run = world.export_now()

    assert [step["step"] for step in run["steps"]] == ["waiting", "planning", "sending", "removing"]
    assert run["steps"][-1]["ended"] == run["finished"]


def test_a_run_names_who_has_started_it_and_decided_about_it(world):
    world.export(brakes={"max_profiles": 1})
    approved, rejected, canceled = world.start(), None, None
    world.pump()
    world.approve(approved)
    world.pump()
    rejected = world.start(body=b'{"full": true}')
    world.pump()
    world.reject(rejected)
    canceled = world.start(body=b'{"full": true}')
    world.cancel(canceled)
    world.pump()

    named = [world.show(answer) for answer in (approved, rejected, canceled)]

    assert [run["started_by"] for run in named] == ["this machine"] * 3
    assert [run["approved_by"] for run in named] == ["this machine", "", ""]
    assert [run["rejected_by"] for run in named] == ["", "this machine", ""]
    assert [run["canceled_by"] for run in named] == ["", "", "this machine"]


def test_a_run_is_held_against_earlier_ones_of_its_sort(world):
    assert world.export_now()["earlier"] is None
    first = runs(world)["items"][0]
    world.pass_time(hours=1)
    world.people(7)
    second = world.export_now()
    world.pass_time(hours=1)
    full = world.export_now(body=b'{"full": true}')
    world.account.key = "another"
    world.export_now()  # failed, and in no comparison
    world.account.key = "good"
    world.pass_time(hours=1)
    third = world.export_now()

    assert second["earlier"] == {
        "runs": 1,
        "last": first["address"],
        "last_s": first["duration_s"],
        "last_planned": 5,
        "last_delivered": 5,
        "median_s": first["duration_s"],
        "median_planned": 5,
    }
    assert full["earlier"] is None
    assert (third["earlier"]["runs"], third["earlier"]["last"]) == (2, f"/api/runs/newsletter/{second['id']}")
    assert third["earlier"]["median_s"] == pytest.approx((first["duration_s"] + second["duration_s"]) / 2, abs=0.002)


def test_a_run_tells_by_which_rules_contacts_were_made(world):
    run = world.export_now()
    world.export(mapping={"email": "EMail"})
    again = world.export_now()

    assert run["mapping_version"]
    assert run["mapping_version"] != again["mapping_version"]


# Batches.


def batches(world: World, answer, **query: object) -> dict[str, Any]:
    asked = {name: str(value) for name, value in query.items()}
    found = world.call("GET", f"{world.address(answer)}/batches", query=asked)
    assert found.status == 200, found.body
    return dict(json.loads(found.body))


def test_a_run_without_a_plan_has_no_batches(world):
    answer = world.start()

    page = batches(world, answer)

    assert (page["items"], page["next"], page["total"]) == ([], None, 0)


def test_each_batch_tells_where_it_is_and_what_came_of_it(world):
    world.people(14)  # batches of 4, 4, 4 and 2; two jobs at once
    world.account.polls_until_done = 3
    answer = world.start()
    step(world)
    planned = batches(world, answer)["items"]
    step(world)
    step(world)
    accepted = batches(world, answer)["items"]
    world.pump()
    ended = batches(world, answer)["items"]

    assert [batch["state"] for batch in planned] == ["sending", "sending", "waiting", "waiting"]
    assert [batch["state"] for batch in accepted] == ["at the provider", "at the provider", "waiting", "waiting"]
    assert [batch["jobs"] for batch in accepted] == [["job-1"], ["job-2"], [], []]
    assert accepted[0]["submitted"] is not None
    assert [batch["state"] for batch in ended] == ["ended"] * 4
    assert [batch["people"] for batch in ended] == [batch["delivered"] for batch in ended] == [4, 4, 4, 2]
    assert [batch["requests"] for batch in ended] == [1, 1, 1, 1]
    assert all(batch["finished"] and batch["kind"] == "add" for batch in ended)
    assert sorted(job for batch in ended for job in batch["jobs"]) == [f"job-{number}" for number in range(1, 5)]


def test_batches_close_whatever_the_provider_says(world):
    people = world.people(9)
    world.account.on_submit = lambda rows: (
        refusals(rows[0]["email"]) if rows[0]["email"] == people[0] else JobReport(state=JobState.DONE, errored=1)
    )
    answer = world.start()
    world.pump()

    items = batches(world, answer)["items"]

    counted = ("delivered", "removed", "absent", "refused", "unknown")
    assert [sum(batch[word] for word in counted) for batch in items] == [batch["people"] for batch in items]
    assert [(batch["refused"], batch["unknown"]) for batch in items] == [(1, 0), (0, 1), (0, 1)]


def test_removals_are_batches_too(world):
    world.state.delete(paths.export("other"))  # it fills the same list
    world.export(mode="mirror", brakes={"max_share_removed": 1, "min_share_of_last": 0})
    world.people(12)
    world.export_now()
    world.people(4, first_name="Eve")
    world.account.on_list.discard("p11@example.com")
    answer = world.start()
    world.pump()

    items = batches(world, answer)["items"]

    assert [batch["kind"] for batch in items] == ["add", *["remove"] * (len(items) - 1)]
    removals = items[1:]
    assert sum(batch["removed"] for batch in removals) == 7
    assert sum(batch["absent"] for batch in removals) == 1
    assert all(batch["delivered"] == 0 for batch in removals)


def test_batches_come_page_by_page(world):
    world.people(14)
    answer = world.start()
    world.pump()

    page = batches(world, answer, limit=3)
    rest = batches(world, answer, limit=3, offset=3)

    assert [batch["number"] for batch in page["items"]] == [0, 1, 2]
    assert page["next"] == f"{page['run']}/batches?limit=3&offset=3"
    assert ([batch["number"] for batch in rest["items"]], rest["next"], rest["total"]) == ([3], None, 4)
    assert batches(world, answer, offset=4)["items"] == []


def test_batches_of_a_rejected_run_were_not_sent(world):
    world.export(brakes={"max_profiles": 1})
    answer = world.start()
    world.pump()
    world.reject(answer)

    assert [batch["state"] for batch in batches(world, answer)["items"]] == ["not sent", "not sent"]


def test_jobs_that_do_not_fit_beside_an_outcome_are_read_from_it(world, monkeypatch):
    monkeypatch.setattr("exporters.model.batch.LONGEST_JOBS", 0)
    answer = world.start()
    world.pump()

    assert [batch["jobs"] for batch in batches(world, answer)["items"]] == [["job-1"], ["job-2"]]


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "201"}, {"offset": "-1"}, {"what": "ever"}])
def test_a_query_for_batches_that_cannot_be_used_is_refused(world, query):
    answer = world.start()

    found = world.call("GET", f"{world.address(answer)}/batches", query=query)

    assert problem(found) == (400, "request-query")


def test_batches_of_no_run_are_not_found(world):
    found = world.call("GET", "/runs/newsletter/79738877939999999-00000000/batches")

    assert problem(found) == (404, "no-such-run")


# The audit trail.


def trail(world: World) -> list[dict[str, Any]]:
    lines = (line for blob in world.state.list("audit/") for line in world.state.get(blob.name).data.splitlines())
    return [json.loads(line) for line in lines]


def done(world: World) -> list[tuple[str, str, str]]:
    return [(line["action"], line["subject"], line["result"]) for line in trail(world) if line["result"] != "wanted"]


def test_starts_decisions_and_ends_are_in_the_trail(world):
    world.export(brakes={"max_profiles": 1})
    answer = world.start()
    world.pump()
    world.approve(answer, body=b'{"reason": "as agreed"}')
    world.pump()
    again = world.cancel(answer)

    run = f"/runs/newsletter/{world.run_id(answer)}"
    assert again.status == 409
    assert done(world) == [
        ("run started", "/exports/newsletter", "done"),
        ("run approved", run, "done"),
        ("run ended", run, "done"),
        ("run canceled", run, "not done"),
    ]
    assert [line["caller"]["name"] for line in trail(world) if line["action"] == "run approved"] == ["this machine"] * 2
    (ended,) = [line for line in trail(world) if line["action"] == "run ended"]
    assert ended["caller"]["kind"] == "app"
    assert ended["after"]["sums"]["delivered"] == 5


def test_a_start_that_was_refused_is_in_the_trail_as_not_done(world):
    world.start(key="k")
    world.start(key="another")
    world.start(key="k", body=b'{"full": true}')

    assert [result for _, _, result in done(world)] == ["done", "not done", "not done"]


def test_the_end_is_in_the_trail_once_however_often_it_comes(world):
    answer = world.start()
    world.pump(twice=True)
    for _ in range(3):
        world.deliver("plan", json.dumps({"export": "newsletter", "run": world.run_id(answer)}))

    ended = [line for line in trail(world) if line["action"] == "run ended"]
    assert len({line["id"] for line in ended}) == 1


def test_who_is_shown_people_is_in_the_trail(world):
    answer = world.start()
    world.pump()
    address = world.address(answer)
    assert world.call("GET", f"{address}/rejects").status == 200
    assert world.call("GET", f"{address}/drift").status == 404
    assert world.call("POST", "/exports/newsletter/preview/unmasked").status == 200
    assert world.preview().status == 200

    assert [line for line in done(world) if line[0] == "people shown"] == [
        ("people shown", f"{address}/rejects", "done"),
        ("people shown", f"{address}/drift", "not done"),
        ("people shown", "/exports/newsletter/preview/unmasked", "done"),
    ]


def test_nobody_reads_runs_without_a_role(world):
    answer = world.start()
    closed = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))
    world.exporter = closed

    for path in ("/runs", f"{world.address(answer)}/batches", f"{world.address(answer)}/receipt"):
        assert problem(world.call("GET", path)) == (401, "not-signed-in")
