"""A cause starts one run, an export has one run at work."""

import json
from datetime import timedelta

import pytest

from exporters.model.run import ExportState, Trigger
from exporters.scheduling import start
from exporters.storage import paths
from tests.world import START, World


@pytest.fixture
def world() -> World:
    world = World()
    world.people(3)
    return world


def runs(world: World) -> list[str]:
    return [blob.name for blob in world.state.list("runs/") if blob.name.endswith("run.json")]


def state(world: World) -> ExportState:
    return world.parts.documents.read(ExportState, paths.export_state("newsletter")).value


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
