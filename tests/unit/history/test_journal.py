"""The journal has a mark for each run, newest first, whatever dies when."""

from datetime import timedelta

import pytest

from exporters.history import journal
from exporters.model.run import RunStatus
from exporters.storage import paths
from tests.mortal import Mortal
from tests.world import START, World


@pytest.fixture
def world() -> World:
    world = World()
    world.people(3)
    return world


def runs(world: World, **options: object) -> list[str]:
    return [mark.run for mark in journal.newest(world.parts, **options)]


def three_runs(world: World) -> list[str]:
    """Ids of three runs, a day apart, newest first."""
    ids = []
    for day in range(3):
        world.time = START + timedelta(days=day)
        world.people(3 + day)
        ids.append(world.export_now()["id"])
    return ids[::-1]


def test_a_run_is_marked_from_its_start_and_says_more_at_its_end(world):
    answer = world.start()
    (begun,) = journal.newest(world.parts)
    world.pump()
    (ended,) = journal.newest(world.parts)

    assert (begun.run, begun.export, begun.kind, begun.status) == (world.run_id(answer), "newsletter", "changes", None)
    assert (ended.status, ended.planned, ended.delivered) == (RunStatus.SUCCESSFUL, 3, 3)
    assert ended.duration_ms == round(world.show(answer)["duration_s"] * 1000)


def test_runs_of_all_exports_and_of_one_come_newest_first_and_page_by_page(world):
    world.export(id="other")
    mine = three_runs(world)
    world.pass_time(hours=1)
    other = world.export_now(export="other")["id"]

    assert runs(world, fetch=2) == [other, *mine]
    assert runs(world, export="newsletter", fetch=1) == mine
    assert runs(world, export="newsletter", after=(mine[0], "newsletter")) == mine[1:]
    assert runs(world, after=(other, "other"), fetch=1) == mine
    assert runs(world, export="nobody") == []


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        (None, START + timedelta(days=1), [1, 2]),
        (START + timedelta(days=1), None, [0, 1]),
        (START + timedelta(days=1), START + timedelta(days=1), [1]),
        (START + timedelta(milliseconds=1), START + timedelta(days=2, milliseconds=-1), [1]),
        (START + timedelta(days=9), None, []),
        (None, START - timedelta(milliseconds=1), []),
    ],
)
def test_runs_of_a_time_are_those_that_were_started_then(world, since, until, found):
    ids = three_runs(world)

    assert runs(world, since=since, until=until) == [ids[number] for number in found]
    assert runs(world, export="newsletter", since=since, until=until) == [ids[number] for number in found]


def test_a_start_that_comes_late_takes_nothing_back(world):
    answer = world.start(key="k")
    run = world.run_id(answer)
    before = world.parts.documents
    world.pump()

    journal.note(
        world.parts,
        before.read(journal.Run, paths.run("newsletter", run)).value.model_copy(
            update={"status": RunStatus.QUEUED, "finished": None}
        ),
    )

    assert [mark.status for mark in journal.newest(world.parts)] == [RunStatus.SUCCESSFUL]


def test_foreign_blobs_in_the_journal_are_passed_over(world):
    run = world.export_now()["id"]
    world.state.put(f"{paths.journal()}readme.txt", b"hello")
    world.state.put(f"{paths.journal()}{run}/of-a-later-version", b"", metadata={"kind": "x", "trigger": "a new one"})

    assert runs(world) == [run]


WRITTEN = ("journal/", "state/exports/", "/run.json", "audit/", "receipt")


def live(dies_at: int) -> tuple[World, Mortal]:
    """A run from its start to its end, in a world where a process dies at some moment."""
    world = World()
    world.people(3)
    mortal = Mortal(world, counts=lambda _, name: any(word in name for word in WRITTEN), dies_at=dies_at)
    if not mortal.survives(lambda: world.start(key="k")):
        unmarked = {blob.name.split("/")[2] for blob in world.state.list("runs/newsletter/")} - set(runs(world))
        assert not unmarked
        world.start(key="k")
    for _ in range(2):
        mortal.pump(world)
        world.pass_time(hours=1)
        mortal.survives(world.exporter.tick)
    mortal.pump(world)
    return world, mortal


def test_whenever_a_process_dies_every_run_has_its_mark_and_its_end_is_marked():
    moments, dies_at = 1, 0
    while dies_at < moments:
        world, mortal = live(dies_at)
        for export in (None, "newsletter"):
            marks = [mark.status for mark in journal.newest(world.parts, export=export)]
            assert marks == [RunStatus.SUCCESSFUL], f"died at {dies_at}"
        moments, dies_at = max(moments, mortal.moments), dies_at + 1
    assert dies_at > 20
