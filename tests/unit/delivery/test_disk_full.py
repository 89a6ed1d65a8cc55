"""A run whose instance has not the disk for its plan. What is written to /dev/full meets a full disk."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from exporters.exporter import Exporter
from exporters.parts import Parts
from exporters.planning.engine import DuckDbPlanning
from exporters.planning.plan import PlanInputs, Planned, Stage
from exporters.storage.memory import MemoryBlobStore
from tests.world import World

FULL = Path("/dev/full")


@pytest.fixture
def world() -> World:
    world = World()
    world.people(6)
    return world


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where all temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def without_room_for_the_plan(world: World) -> Parts:
    class Cramped(DuckDbPlanning):
        def make_plan(self, inputs: PlanInputs, *, work: Path, stage: Stage) -> Planned:
            (work / "contacts.parquet").symlink_to(FULL)
            return super().make_plan(inputs, work=work, stage=stage)

    planning = world.parts.planning
    return replace(world.parts, planning=Cramped(memory_mb=planning.memory_mb, threads=planning.threads))


def without_room_for_the_segment(world: World) -> Parts:
    class Large(MemoryBlobStore):
        def download(self, name: str, target: Path, *, etag: str | None = None) -> None:
            target.symlink_to(FULL)
            super().download(name, target, etag=etag)

    usual, world.segments = world.segments, Large(now=world.now)
    world.people(6)
    large, world.segments = world.segments, usual
    return replace(world.parts, segments=large)


@pytest.fixture(params=[without_room_for_the_plan, without_room_for_the_segment])
def cramped(request: pytest.FixtureRequest, world: World, disk: Path) -> World:
    world.parts = request.param(world)
    world.exporter = Exporter(world.parts)
    return world


def test_the_run_fails_with_what_to_do_and_leaves_nothing_behind(cramped, disk):
    run = cramped.export_now()

    assert run["status"] == "failed"
    assert run["reason"].startswith("The temporary disk is full; it has ")
    assert "fewer or smaller segments" in run["reason"]
    assert cramped.account.requests == []
    assert list(disk.iterdir()) == []
    assert list(cramped.state.list("staging/")) == []


def test_the_export_is_free_for_the_run_after_it(cramped):
    cramped.export_now()
    cramped.parts = replace(cramped.parts, planning=World().parts.planning, segments=cramped.segments)
    cramped.exporter = Exporter(cramped.parts)

    assert cramped.export_now()["status"] == "successful"


def test_a_preview_says_the_same(cramped, disk):
    answer = cramped.preview()

    problem = json.loads(answer.body)
    assert (answer.status, problem["type"].rpartition(":")[2]) == (422, "export-unusable")
    assert problem["detail"].startswith("The temporary disk is full")
    assert list(disk.iterdir()) == []
