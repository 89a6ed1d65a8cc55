"""What is remembered of the counts of a segment."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from azure.core.exceptions import ServiceRequestError

from exporters.errors import StorageConflictError
from exporters.model.run import PartRead, Run, SegmentRead
from exporters.segments import counts
from exporters.segments.counts import DAYS, NEWEST
from exporters.segments.snapshots import newest_snapshot
from exporters.storage.memory import MemoryBlobStore
from tests.world import START, World


@pytest.fixture
def world() -> World:
    return World()


def run_of(world: World, **changes: object) -> Run:
    world.people(2)
    answer = world.start()
    run = Run.model_validate_json(world.state.get(f"runs/newsletter/{world.run_id(answer)}/run.json").data)
    return run.model_copy(update=changes)


def read_at(at: datetime, profiles: int = 2, *, etag: str = '"1"', segment: str = "VIP") -> SegmentRead:
    name = f"{segment}/{at:%Y/%m/%d/%H%M}"
    part = PartRead(name=f"{name}/1.csv", etag=etag, bytes=10)
    return SegmentRead(segment=segment, snapshot=name, parts=(part,), profiles=profiles, written=at, refreshed=at)


def known(world: World, segment: str = "VIP") -> list[int]:
    return [point.profiles for point in counts.read(world.parts, segment).points]


def test_a_run_makes_the_count_of_its_snapshot_known(world):
    world.people(3)
    run = world.export_now()

    snapshot = newest_snapshot(world.segments, "VIP", now=world.now(), settle=timedelta(0))
    remembered = counts.read(world.parts, "VIP")

    assert run["status"] == "successful"
    assert counts.known(remembered, snapshot) == 3
    (point,) = remembered.points
    assert (point.export, point.run, point.bytes, point.snapshot) == ("newsletter", run["id"], 73, "VIP.csv")
    assert point.at == point.written == START - timedelta(hours=1)


def test_the_count_of_a_file_that_was_written_anew_is_not_known(world):
    world.people(3)
    world.export_now()
    world.people(4)

    snapshot = newest_snapshot(world.segments, "VIP", now=world.now(), settle=timedelta(0))

    assert counts.known(counts.read(world.parts, "VIP"), snapshot) is None


def test_each_snapshot_is_one_point_however_often_it_is_read(world):
    world.people(3)
    world.export(id="second", segments=["VIP"])
    for export in ("newsletter", "second", "newsletter"):
        world.export_now(export=export)
    world.people(4)
    world.export_now()

    assert known(world) == [3, 4]


def test_runs_of_a_correction_or_an_undo_read_no_segment(world):
    run = run_of(world, goes_back_to="79738877199999999-00000000")

    counts.remember(world.parts, run, [read_at(START)])

    assert known(world) == []


def test_points_are_in_the_order_of_their_times_whichever_run_came_first(world):
    run = run_of(world)
    for days in (2, 0, 1):
        counts.remember(world.parts, run, [read_at(START + timedelta(days=days), days)])

    assert known(world) == [0, 1, 2]


def test_of_many_points_the_newest_and_the_last_one_of_each_day_stay(world):
    run = run_of(world)
    hours = (DAYS + 60) * 24
    points = [counts._point(run, read_at(START + timedelta(hours=hour), hour)) for hour in range(hours)]

    kept = counts._thinned(points)

    assert [point.profiles for point in kept[-NEWEST:]] == list(range(hours - NEWEST, hours))
    days = [point.at.date() for point in kept[:-NEWEST]]
    assert len(days) == len(set(days)) == DAYS
    assert {point.at.hour for point in kept[1 : -NEWEST - 1]} == {23}
    assert counts._thinned(kept) == kept
    assert len(counts.Counts(segment="s" * 900, points=kept).model_dump_json()) < 200_000


def test_a_document_that_cannot_be_read_is_no_count_and_is_made_anew(world):
    run = run_of(world)
    world.state.put(counts.path_of("VIP"), b"{")
    assert known(world) == []

    counts.remember(world.parts, run, [read_at(START), read_at(START, segment="Other")])

    assert (known(world), known(world, "Other")) == ([2], [2])


@pytest.mark.parametrize("error", [ServiceRequestError("down"), StorageConflictError("lost")])
def test_a_run_does_not_fail_where_the_count_cannot_be_kept(world, error):
    class Failing(MemoryBlobStore):
        def create(self, name: str, data: bytes, **more: object) -> str:
            if name.startswith("state/segments/"):
                raise error
            return super().create(name, data, **more)

    state = Failing(now=world.now)
    for info in world.state.list(""):
        state.put(info.name, world.state.get(info.name).data)
    world.state, world.parts = state, replace(world.parts, state=state)
    world.exporter = type(world.exporter)(world.parts)
    world.people(3)

    assert world.export_now()["status"] == "successful"
    assert known(world) == []


def test_two_who_remember_at_once_lose_nothing(world):
    run = run_of(world)

    class Racing(MemoryBlobStore):
        """Somebody else is faster once."""

        before: Callable[[], None] | None = None

        def create(self, name: str, data: bytes, **more: object) -> str:
            race, Racing.before = Racing.before, None
            if race is not None:
                race()
            return super().create(name, data, **more)

    parts = replace(world.parts, state=Racing(now=world.now))
    Racing.before = lambda: counts.remember(parts, run, [read_at(START, 1)])
    counts.remember(parts, run, [read_at(START + timedelta(days=1), 2)])

    assert [point.profiles for point in counts.read(parts, "VIP").points] == [1, 2]


def test_the_document_names_no_people_and_has_a_name_of_fixed_length(world):
    world.people(3)
    world.export_now()

    (info,) = world.state.list("state/segments/")

    assert len(counts.path_of("x" * 900)) == len(info.name)
    assert "example.com" not in json.dumps(json.loads(world.state.get(info.name).data))
