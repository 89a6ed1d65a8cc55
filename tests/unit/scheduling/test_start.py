"""A cause starts one run, an export has one run at work."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exporters.configuration import exports
from exporters.errors import ConfigError
from exporters.model.caller import LOCAL
from exporters.model.names import run_id
from exporters.model.run import Active, ExportState, Run, RunStatus, Trigger
from exporters.scheduling import cut_short, start
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.world import EXPORT, START, World


@pytest.fixture
def world() -> World:
    world = World()
    world.people(3)
    return world


def all_runs(world: World) -> list[str]:
    return [blob.name for blob in world.state.list("runs/") if blob.name.endswith("run.json")]


def runs(world: World) -> list[str]:
    """Those that were started."""
    skipped = {paths.run(run.export.id, run.id) for run in entries(world)}
    return [name for name in all_runs(world) if name not in skipped]


def state(world: World) -> ExportState:
    return world.parts.documents.read(ExportState, paths.export_state("newsletter")).value


def entries(world: World) -> list[Run]:
    """What was skipped."""
    found = [world.parts.documents.read(Run, name).value for name in all_runs(world)]
    return [run for run in found if run.status is RunStatus.SKIPPED]


def schedule(world: World, cron: str = "0 6 * * *") -> None:
    world.time = START - timedelta(hours=2)
    world.export(schedule={"cron": cron, "time_zone": "UTC"})
    world.time = START


def test_a_timer_that_fires_often_starts_an_occurrence_once(world):
    schedule(world)

    for _ in range(3):
        world.exporter.tick()
        world.pump()
        world.pass_time(seconds=20)

    assert len(runs(world)) == 1
    assert len(world.account.contacts) == 3


def test_the_next_occurrence_starts_the_next_run(world):
    schedule(world)
    world.exporter.tick()
    world.pump()
    world.time = START + timedelta(days=1, seconds=30)

    world.exporter.tick()

    assert len(runs(world)) == 2


def test_an_occurrence_from_before_the_export_was_written_starts_nothing(world):
    world.time = START + timedelta(minutes=5)
    world.export(schedule={"cron": "0 6 * * *"})

    world.exporter.tick()

    assert runs(world) == []


def test_an_occurrence_that_finds_a_run_at_work_is_noted_and_not_made_up(world):
    schedule(world)
    world.start()

    world.exporter.tick()
    world.pump()
    world.exporter.tick()

    assert len(runs(world)) == 1
    assert [(entry.occurrence, entry.reason) for entry in entries(world)] == [(START, state(world).occurrence_skipped)]
    assert state(world).occurrence == START
    assert "was still at work" in state(world).occurrence_skipped


def test_one_broken_export_does_not_keep_the_others_from_starting(world):
    schedule(world)
    world.time = START - timedelta(hours=2)
    world.state.put(paths.export("broken"), b"{")
    world.export(id="another", connection="missing", schedule={"cron": "0 6 * * *"})
    world.time = START

    world.exporter.tick()
    world.exporter.tick()

    assert len(runs(world)) == 1
    assert [entry.export.id for entry in entries(world)] == ["another"]
    other = world.parts.documents.read(ExportState, paths.export_state("another")).value
    assert "does not exist" in other.occurrence_skipped


def test_a_repeated_idempotency_key_answers_the_same_run(world):
    first = world.start(key="nightly-7")
    while_at_work = world.start(key="nightly-7")
    world.pump()
    after_its_end = world.start(key="nightly-7")

    assert {first.status, while_at_work.status, after_its_end.status} == {202}
    assert len({world.run_id(answer) for answer in (first, while_at_work, after_its_end)}) == 1
    assert len(runs(world)) == 1


def again(world: World, *, renewable: bool = True) -> str:
    cause = start.Cause(trigger=Trigger.DEMAND, text="file", renewable=renewable)
    return start.start_run(world.parts, "newsletter", cause).id


def fail_next_run(world: World) -> None:
    world.account.key = "another"
    world.pump()
    world.account.key = "good"


def test_a_renewable_cause_starts_one_run_more_for_each_that_has_failed(world):
    first = again(world)
    fail_next_run(world)
    second = [again(world), again(world)]
    fail_next_run(world)
    third = again(world)
    world.pump()

    assert second == [second[0]] * 2
    assert len({first, second[0], third, again(world)}) == 3
    assert len(runs(world)) == 3
    assert list(state(world).keys.values()) == [third]


def test_a_cause_that_is_not_renewable_stays_with_the_run_that_has_failed(world):
    first = again(world, renewable=False)
    fail_next_run(world)

    assert again(world, renewable=False) == first


def test_a_renewable_cause_whose_start_died_after_the_claim_goes_on_with_it(world):
    first = again(world)
    world.state.delete(runs(world)[0])

    assert again(world) == first
    assert len(runs(world)) == 1


def test_a_renewable_cause_waits_for_another_run_at_work(world):
    again(world)
    fail_next_run(world)
    other = world.run_id(world.start())

    with pytest.raises(start.RunActiveError) as raised:
        again(world)

    assert raised.value.run == other


def test_a_second_start_names_the_run_at_work(world):
    first = world.start()

    second = world.start()

    assert second.status == 409
    assert second.headers["Location"] == first.headers["Location"]
    assert json.loads(second.body)["run"] == first.headers["Location"]


def test_a_run_that_ended_without_saying_so_does_not_block_the_export(world):
    answer = world.start()
    world.pump()
    active = {"run": world.run_id(answer), "trigger": "on demand", "since": START.isoformat()}
    stuck = state(world).model_dump(mode="json") | {"active": active, "ledger": None, "ledger_target": ""}
    world.state.put(paths.export_state("newsletter"), json.dumps(stuck).encode())

    again = world.start()

    assert again.status == 202
    assert state(world).ledger == world.run_id(answer)


def test_a_start_that_died_after_the_claim_is_completed_by_the_same_key(world):
    world.start(key="once")
    world.state.delete(runs(world)[0])
    while world.queues.due():
        pass

    answer = world.start(key="once")
    world.pump()

    assert world.show(answer)["status"] == "successful"


def test_a_start_that_died_after_the_claim_fails_when_its_export_is_detached_since(world):
    answer = world.start(key="once")
    world.state.delete(runs(world)[0])
    while world.queues.due():
        pass
    world.export(connection=None)
    world.pass_time(minutes=2)

    world.exporter.tick()
    world.pump()
    world.exporter.tick()

    shown = world.show(answer)
    assert shown["status"] == "failed"
    assert "cut short" in shown["reason"]
    assert "is detached" in shown["reason"]
    assert (state(world).active, state(world).last_run) == (None, world.run_id(answer))


def start_while(world: World, meddle: Callable[[], object]) -> Run:
    """Start a run, while somebody does something right before the export's place is claimed."""

    class Meddled(MemoryBlobStore):
        def create(self, name: str, *args: Any, **options: Any) -> str:
            if name == paths.export_state("newsletter"):
                meddle()
            return super().create(name, *args, **options)

    meddled = Meddled(now=world.now)
    meddled.__dict__ = world.state.__dict__
    cause = start.Cause(trigger=Trigger.DEMAND, text="x")
    return start.start_run(replace(world.parts, state=meddled), "newsletter", cause)


def test_an_export_that_is_removed_while_it_is_started_is_not_run(world):
    run = start_while(world, lambda: exports.remove(world.parts, LOCAL, "newsletter"))
    world.pump()
    world.exporter.tick()

    assert (run.status, world.account.requests) == (RunStatus.FAILED, [])
    assert world.state.get(paths.export_state("newsletter")) is None
    assert world.call("POST", "/exports", body=json.dumps(EXPORT).encode()).status == 201


def test_an_export_that_is_detached_while_it_is_started_is_not_run(world):
    run = start_while(world, lambda: exports.detach(world.parts, LOCAL, "newsletter"))
    world.pump()

    assert (run.status, world.account.requests) == (RunStatus.FAILED, [])
    assert "is detached" in run.reason
    assert (state(world).active, state(world).last_run) == (None, run.id)


def test_a_start_that_died_leaves_nothing_where_its_export_is_gone(world):
    answer = world.start()
    world.state.delete(runs(world)[0])
    while world.queues.due():
        pass
    world.state.delete(paths.export("newsletter"))
    world.pass_time(minutes=2)
    world.exporter.tick()

    assert world.call("GET", world.address(answer)).status == 404
    assert world.call("POST", "/exports", body=json.dumps(EXPORT).encode()).status == 201


def claim(world: World, active: Active) -> None:
    state = ExportState(export="newsletter", active=active)
    world.state.put(paths.export_state("newsletter"), state.model_dump_json().encode())


def test_the_end_of_a_start_that_was_only_slow_is_no_end(world):
    """The start goes on while its end is written."""
    export, connection = start.read_export(world.parts, "newsletter")
    active = Active(run=run_id("newsletter", START, "x"), trigger=Trigger.REFRESH, since=START, by="schedule")
    claim(world, active)
    path = paths.run("newsletter", active.run)

    class Slow(MemoryBlobStore):
        def create(self, name: str, *args: Any, **options: Any) -> str:
            if name == path:
                start.ensure_started(world.parts, active, export, connection)
            return super().create(name, *args, **options)

    slow = Slow(now=world.now)
    slow.__dict__ = world.state.__dict__
    world.export(connection=None)
    cut_short.fail_start(replace(world.parts, state=slow), active, "newsletter", ConfigError("It is detached"))

    assert world.parts.documents.read(Run, path).value.status is RunStatus.QUEUED
    assert [mark.metadata.get("status") for mark in world.state.list(paths.journal())] == [None]
    assert state(world).active == active


def test_a_start_of_a_schedule_that_was_cut_short_is_in_the_trail(world):
    active = Active(run=run_id("newsletter", START, "x"), trigger=Trigger.REFRESH, since=START, by="schedule")
    claim(world, active)

    cut_short.fail_start(world.parts, active, "newsletter", ConfigError("It is detached"))

    lines = b"".join(world.state.get(blob.name).data for blob in world.state.list(paths.AUDIT)).splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["run started", "run ended"]
    assert {mark.metadata["status"] for mark in world.state.list(paths.journal())} == {"failed"}


def test_an_export_remembers_a_bounded_number_of_keys(world):
    for number in range(start.KEYS_KEPT + 5):
        world.start(key=f"key-{number}")
        active = state(world).active
        ended = state(world).model_copy(update={"active": None})
        assert active is not None
        world.state.put(paths.export_state("newsletter"), ended.model_dump_json().encode())

    assert len(state(world).keys) == start.KEYS_KEPT


def test_run_ids_sort_newest_first(world):
    ids = []
    for _ in range(3):
        ids.append(world.run_id(world.start()))
        world.pump()
        world.pass_time(seconds=1)

    assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize("place", ["export", "connection"])
def test_a_document_whose_id_is_not_its_file_s_name_starts_nothing(world, place):
    copied = world.state.get(getattr(paths, place)("newsletter" if place == "export" else "main")).data
    world.state.put(getattr(paths, place)("copy"), copied)
    world.export(id="other", connection="copy" if place == "connection" else "main")

    answer = world.start("copy" if place == "export" else "other")

    assert answer.status == 422
    assert "make id and file name the same" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize("name", ["Archive/old", "Newsletter", "copy"])
def test_a_scheduled_export_in_a_wrong_file_does_not_stop_the_others(world, name):
    schedule(world)
    world.time = START - timedelta(hours=2)
    world.state.put(paths.export(name), world.state.get(paths.export("newsletter")).data)
    world.time = START

    world.exporter.tick()

    assert len(runs(world)) == 1
