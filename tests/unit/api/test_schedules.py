"""Schedules over HTTP."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exporters.api import schedules
from exporters.api.answers import Answer, Request
from exporters.configuration import overview
from exporters.exporter import Exporter
from exporters.model.caller import Caller, CallerKind, Role
from exporters.model.run import ExportState
from exporters.storage import paths
from tests.world import START, World

DAILY = {"kind": "daily", "times": ["07:00", "18:30"], "time_zone": "Europe/Zagreb"}


@pytest.fixture
def world() -> World:
    world = World()
    world.people(2)
    return world


def ask(world: World, method: str, path: str, body: object = None, **headers: str) -> Answer:
    if body is None:
        return world.call(method, path, headers=headers)
    sent = {"content-type": "application/json"} | headers
    return world.call(method, path, headers=sent, body=json.dumps(body).encode())


def show(world: World, name: str = "newsletter") -> tuple[dict[str, Any], str]:
    answer = ask(world, "GET", f"/exports/{name}/schedule")
    assert answer.status == 200, answer.body
    return json.loads(answer.body), answer.headers["ETag"]


def put(world: World, schedule: object, etag: str | None = "*") -> Answer:
    headers = {} if etag is None else {"if-match": etag}
    return ask(world, "PUT", "/exports/newsletter/schedule", {"schedule": schedule}, **headers)


def test_a_schedule_is_shown_with_its_next_run_and_what_it_has_skipped(world):
    world.time -= timedelta(days=1)
    world.export(schedule=DAILY, connection=None)
    world.time = START + timedelta(minutes=1)
    world.exporter.tick()

    shown, _ = show(world)

    assert shown["schedule"] == DAILY
    assert shown["next_run"]["kind"] == "none"
    assert shown["occurrences"][:2] == [
        {"at": "2026-11-22T17:30:00Z", "local": "2026-11-22T18:30:00+01:00"},
        {"at": "2026-11-23T06:00:00Z", "local": "2026-11-23T07:00:00+01:00"},
    ]
    assert len(shown["occurrences"]) == schedules.NEXT
    assert [entry["at"] for entry in shown["skipped"]] == ["2026-11-22T06:00:00Z", "2026-11-21T17:30:00Z"]
    entry = world.call("GET", shown["skipped"][0]["run"].removeprefix("/api"))
    assert json.loads(entry.body)["status"] == "skipped"


def test_a_changed_schedule_is_in_force_at_once_and_in_the_trail(world):
    _, etag = show(world)

    answer = put(world, DAILY, etag)

    assert answer.status == 200
    shown = json.loads(answer.body)
    assert shown["schedule"] == DAILY
    assert shown["since"] == START.isoformat().replace("+00:00", "Z")
    assert shown["next_run"]["at"] == "2026-11-22T17:30:00Z"
    assert answer.headers["ETag"] == show(world)[1] != etag
    [wanted, done] = [json.loads(line) for line in world.state.get(paths.audit(START)).data.splitlines()]
    assert (wanted["action"], wanted["subject"]) == ("export edited", "/exports/newsletter")
    assert (wanted["before"]["schedule"], wanted["after"]["schedule"]) == ({"kind": "off"}, DAILY)
    assert done["result"] == "done"


def test_the_same_schedule_once_more_changes_nothing(world):
    put(world, DAILY)
    _, etag = show(world)
    world.pass_time(hours=1)

    answer = put(world, DAILY)

    assert answer.headers["ETag"] == etag


@pytest.mark.parametrize(("etag", "status"), [(None, 428), ('"old"', 412), ("*", 200)])
def test_a_change_names_the_version_that_it_is_about(world, etag, status):
    assert put(world, DAILY, etag).status == status


def test_who_loses_a_race_is_told_and_nothing_is_overwritten(world):
    class Racing:
        """A store in which somebody else writes the export right before each of our writes to it."""

        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        def replace(self, name: str, data: bytes, *, etag: str) -> str:
            if name.startswith(paths.EXPORTS):
                world.export(name="Another name")
            return str(self._store.replace(name, data, etag=etag))

    parts = replace(world.parts, state=Racing(world.state))
    world.exporter = Exporter(parts)

    answer = put(world, DAILY)
    several = ask(world, "PUT", "/schedules", {"exports": ["newsletter"], "schedule": DAILY})

    assert answer.status == 412
    assert json.loads(several.body)["exports"][0]["result"] == "changed-meanwhile"
    assert json.loads(world.state.get(paths.export("newsletter")).data)["name"] == "Another name"


@pytest.mark.parametrize(
    "schedule",
    [
        {"kind": "hourly"},
        {"kind": "daily", "times": []},
        {"kind": "daily", "times": ["25:00"]},
        {"kind": "daily", "times": ["06:00"], "time_zone": "Mars/Olympus"},
        {"kind": "weekly", "days": ["someday"], "times": ["06:00"]},
        {"kind": "monthly", "days": [32], "times": ["06:00"]},
        {"kind": "cron", "cron": "0 0 30 2 *"},
        {"kind": "off", "extra": True},
        None,
        "off",
    ],
    ids=str,
)
def test_what_is_no_schedule_is_refused(world, schedule):
    for answer in (put(world, schedule), ask(world, "POST", "/schedules/preview", {"schedule": schedule})):
        assert answer.status == 400
        assert json.loads(answer.body)["type"].endswith(":request-body")
    assert show(world)[0]["schedule"] == {"kind": "off"}


def test_an_export_that_is_not_there_has_no_schedule(world):
    assert ask(world, "GET", "/exports/nothing/schedule").status == 404
    assert ask(world, "PUT", "/exports/nothing/schedule", {"schedule": DAILY}, **{"if-match": "*"}).status == 404


def test_a_schedule_that_is_not_saved_yet_tells_its_times_across_daylight_saving(world):
    schedule = {"kind": "weekly", "days": ["sunday"], "times": ["02:30"], "time_zone": "Europe/Zagreb"}
    world.time = START.replace(month=3, day=20)

    answer = ask(world, "POST", "/schedules/preview", {"schedule": schedule})

    shown = json.loads(answer.body)
    assert shown["occurrences"][:2] == [
        {"at": "2026-03-22T01:30:00Z", "local": "2026-03-22T02:30:00+01:00"},
        {"at": "2026-03-29T01:00:00Z", "local": "2026-03-29T03:00:00+02:00"},
    ]
    assert len(shown["occurrences"]) == schedules.PREVIEWED
    assert show(world)[0]["schedule"] == {"kind": "off"}


@pytest.mark.parametrize("kind", ["off", "refresh"])
def test_a_schedule_without_times_tells_what_it_does(world, kind):
    shown = json.loads(ask(world, "POST", "/schedules/preview", {"schedule": {"kind": kind}}).body)
    assert shown["occurrences"] == []
    assert shown["text"]


class TestSeveral:
    def results(self, answer: Answer) -> dict[str, str]:
        assert answer.status == 200, answer.body
        return {each["export"]: each["result"] for each in json.loads(answer.body)["exports"]}

    def test_each_export_gets_the_schedule_or_keeps_its_own(self, world):
        refresh = {"kind": "refresh"}
        world.export(id="own", schedule=refresh)
        world.state.put(paths.export("broken"), b"{")
        names = ["newsletter", "own", "missing", "broken", "own"]

        kept = ask(world, "PUT", "/schedules", {"exports": names, "schedule": DAILY, "keep_existing": True})
        overwritten = ask(world, "PUT", "/schedules", {"exports": names, "schedule": DAILY})

        failed = {"missing": "no-such-export", "broken": "state-unreadable"}
        assert self.results(kept) == {"newsletter": "set", "own": "kept"} | failed
        assert self.results(overwritten) == {"newsletter": "set", "own": "set"} | failed
        assert show(world, "own")[0]["schedule"] == DAILY

    def test_what_is_due_by_the_former_schedules_is_started_first(self, world):
        hourly = {"kind": "cron", "cron": "0 * * * *"}
        world.time -= timedelta(minutes=30)
        world.export(schedule=hourly)
        world.export(id="other", schedule=hourly)
        world.time = START

        ask(world, "PUT", "/schedules", {"exports": ["newsletter", "other"], "schedule": DAILY})

        for name in ("newsletter", "other"):
            state = world.parts.documents.read(ExportState, paths.export_state(name)).value
            assert (state.occurrence, state.active is not None) == (START, True)

    def test_the_overview_is_written_once_for_all_of_them(self, world):
        for name in ("a", "b", "c"):
            world.export(id=name)
        overview.look(world.parts)
        written, replace_before = [], world.state.replace

        def count(name: str, data: bytes, *, etag: str) -> str:
            written.append(name)
            return replace_before(name, data, etag=etag)

        world.state.replace = count
        ask(world, "PUT", "/schedules", {"exports": ["a", "b", "c"], "schedule": DAILY})

        stored = overview.Overview.model_validate_json(world.state.get(overview.PATH).data)
        assert written.count(overview.PATH) == 1
        assert [stored.rows[name].schedule.kind for name in ("a", "b", "c", "newsletter")] == [*["daily"] * 3, "off"]

    def test_contributors_change_those_that_are_shared_with_them(self, world):
        world.connection(id="shared", used_by="contributors")
        world.export(id="theirs", connection="shared")
        caller = Caller(kind=CallerKind.PERSON, id="1", name="Ana", role=Role.CONTRIBUTOR)
        body = json.dumps({"exports": ["newsletter", "theirs"], "schedule": DAILY}).encode()

        answer = schedules.change_several(world.parts, Request(method="PUT", caller=caller, body=body))

        assert self.results(answer) == {"newsletter": "forbidden", "theirs": "set"}
        stored = json.loads(world.state.get(paths.export("theirs")).data)
        assert stored["updated"] == {"at": START.isoformat().replace("+00:00", "Z"), "by": "Ana"}

    @pytest.mark.parametrize("names", [[], ["../other"], ["Newsletter"], [f"e{number}" for number in range(101)]])
    def test_names_that_are_none_or_too_many_are_refused(self, world, names):
        assert ask(world, "PUT", "/schedules", {"exports": names, "schedule": DAILY}).status == 400
