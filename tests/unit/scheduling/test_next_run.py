"""What is said of the next run is what the tick does then."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from exporters.configuration import overview
from exporters.exporter import Exporter
from exporters.model.run import ExportState, Run, RunStatus, Trigger
from exporters.scheduling.next_run import NextRun, NextRunKind, next_run, next_run_of
from exporters.storage import paths
from tests.simulation.planning import PlainPlanning
from tests.world import START, World

HOURLY = {"kind": "cron", "cron": "0 * * * *"}
SCHEDULES: tuple[dict[str, Any], ...] = (
    {"kind": "off"},
    {"kind": "refresh"},
    {"kind": "refresh"},
    HOURLY,
    {"kind": "daily", "times": ["02:30", "14:00"], "time_zone": "Europe/Zagreb"},
    {"kind": "weekly", "days": ["sunday", "monday"], "times": ["00:15"], "time_zone": "Asia/Kolkata"},
    {"kind": "monthly", "days": ["last", 30], "times": ["23:59"], "time_zone": "America/St_Johns"},
)


class Days:
    """Days of an export, in which all sorts of things happen to it."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.world = World()
        parts = replace(self.world.parts, planning=PlainPlanning())
        self.world.parts, self.world.exporter = parts, Exporter(parts)
        self.people = 10
        self.world.time -= timedelta(days=1)
        self.land()
        self.set(schedule=self.chance.choice(SCHEDULES), scheduled_since=self.world.time.isoformat())
        self.world.time += timedelta(days=1)

    def set(self, **changes: object) -> None:
        blob = self.world.state.get(paths.export("newsletter"))
        assert blob is not None
        self.world.state.put(paths.export("newsletter"), json.dumps(json.loads(blob.data) | changes).encode())

    def land(self) -> None:
        self.people = max(1, self.people + self.chance.choice([-6, 0, 1]))
        rows = "".join(f"p{number}@example.com,Ann\n" for number in range(self.people))
        self.world.segments.put("VIP.csv", f"EMail,FirstName\n{rows}".encode())

    def happen(self) -> None:
        world, chance = self.world, self.chance
        what = chance.choice(["nothing", "work", "work", "land", "start", "reconcile", "decide", "settings"])
        if what == "work":
            world.pump()
        elif what == "land":
            self.land()
        elif what == "start":
            world.start()
        elif what == "reconcile":
            world.call("POST", "/exports/newsletter/reconciliations")
        elif what == "decide":
            active = self.state().active
            if active is not None:
                decision = chance.choice(["approve", "reject", "cancel"])
                world.call("POST", f"/runs/newsletter/{active.run}/{decision}")
                world.pump()
        elif what == "settings" and chance.random() < 0.5:
            self.set(connection=chance.choice([None, "main", "main", "main", "gone"]))
        elif what == "settings":
            self.change_schedule()

    def change_schedule(self) -> None:
        etag = self.world.call("GET", "/exports/newsletter/schedule").headers["ETag"]
        answer = self.world.call(
            "PUT",
            "/exports/newsletter/schedule",
            headers={"if-match": etag, "content-type": "application/json"},
            body=json.dumps({"schedule": self.chance.choice(SCHEDULES)}).encode(),
        )
        assert answer.status == 200, answer.body

    def state(self) -> ExportState:
        found = self.world.parts.documents.read(ExportState, paths.export_state("newsletter"))
        return ExportState(export="newsletter") if found is None else found.value

    def said(self) -> NextRun:
        return next_run_of(self.world.parts, overview.look(self.world.parts).rows["newsletter"])

    def by_itself(self) -> list[Run]:
        """Run documents that no caller wanted, oldest first."""
        names = [blob.name for blob in self.world.state.list("runs/") if blob.name.endswith("run.json")]
        found = [self.world.parts.documents.read(Run, name).value for name in reversed(names)]
        return [run for run in found if run.trigger is not Trigger.DEMAND]

    def tick(self) -> list[Run]:
        """Run documents that a tick makes."""
        before = {run.id for run in self.by_itself()}
        self.world.exporter.tick()
        return [run for run in self.by_itself() if run.id not in before]


@pytest.mark.parametrize("seed", range(12))
def test_what_is_said_before_a_tick_is_what_it_does(seed):
    days = Days(seed)
    for _ in range(60):
        days.happen()
        days.world.pass_time(seconds=days.chance.choice([1, 59, 61, 600, 4_000, 50_000]))
        said = days.said()
        if said.kind is NextRunKind.TIME and days.chance.random() < 0.5:
            assert said.at is not None
            days.world.time = said.at - timedelta(seconds=1)
            assert [run for run in days.tick() if run.status is not RunStatus.SKIPPED] == []
            active = days.state().active
            days.world.time = said.at
            made = days.tick()
            if active is not None and active.reconciles:
                assert made == []
            else:
                [run] = made
                assert (run.occurrence, run.status is RunStatus.SKIPPED) == (said.at, active is not None)
            continue
        made = days.tick()
        started = [run for run in made if run.status is not RunStatus.SKIPPED]
        assert len(started) == (said.kind is NextRunKind.NOW), (said, made)
        if started and started[0].occurrence is not None:
            assert started[0].occurrence == said.at
        assert said.kind is not NextRunKind.TIME or (said.at is not None and said.at > days.world.time)


def test_all_that_can_be_said_comes_up():
    said = Counter[str]()
    for seed in range(8):
        days = Days(seed)
        for _ in range(60):
            days.happen()
            days.world.pass_time(seconds=days.chance.choice([1, 59, 61, 600, 4_000, 50_000]))
            said[days.said().kind] += 1
            days.tick()
    assert set(said) == set(NextRunKind)


class TestTexts:
    @pytest.fixture
    def world(self) -> World:
        world = World()
        world.people(3)
        return world

    def said(self, world: World, schedule: dict[str, Any], **changes: object) -> NextRun:
        now, world.time = world.time, START - timedelta(days=1)
        world.export(schedule=schedule, scheduled_since=world.time.isoformat(), **changes)
        world.time = now
        return next_run_of(world.parts, overview.look(world.parts).rows["newsletter"])

    def test_an_occurrence_is_told_in_its_zone(self, world):
        said = self.said(world, {"kind": "daily", "times": ["09:30"], "time_zone": "Europe/Zagreb"})
        assert (said.kind, said.text) == (
            NextRunKind.NOW,
            "Due since 2026-11-21 at 09:30 (Europe/Zagreb): it starts within a minute",
        )
        world.exporter.tick()
        world.pump()
        said = self.said(world, {"kind": "daily", "times": ["09:30"], "time_zone": "Europe/Zagreb"})
        assert (said.at, said.text) == (START + timedelta(hours=2.5), "On 2026-11-22 at 09:30 (Europe/Zagreb)")

    def test_a_run_at_work_may_keep_the_next_from_starting(self, world):
        run_id = world.run_id(world.start())
        said = self.said(world, HOURLY)
        assert said.at == START + timedelta(hours=1)
        assert said.text.endswith(f", unless the run {run_id} is still at work then")

    def test_a_segment_that_is_missing_or_being_written_is_named(self, world):
        assert self.said(world, {"kind": "refresh"}).text == (
            "The snapshot VIP.csv, written 2026-11-22 05:00:00 UTC, starts a run within a minute"
        )
        world.exporter.tick()
        world.pump()
        world.segments.put("New/part_1.csv", b"EMail\np1@example.com\n")
        said = self.said(world, {"kind": "refresh"}, segments=["VIP", "New", "Missing"])
        assert said.kind is NextRunKind.REFRESH
        assert (
            "one of its 3 segments is complete; what was exported last was written 2026-11-22 05:00:00 UTC" in said.text
        )
        assert "There is no snapshot of Missing yet" in said.text
        assert "New changed less than 60 seconds ago" in said.text

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"schedule": {"kind": "off"}}, "on demand only"),
            ({"connection": None}, "detached"),
            ({"connection": "gone"}, "does not exist"),
        ],
        ids=["off", "detached", "gone"],
    )
    def test_where_there_is_none_it_is_said_why(self, world, changes, text):
        said = self.said(world, **({"schedule": HOURLY} | changes))
        assert (said.kind, said.at) == (NextRunKind.NONE, None)
        assert text in said.text

    def test_a_run_at_work_whose_document_cannot_be_read_is_at_work_all_the_same(self, world):
        run_id = world.run_id(world.start())
        world.state.put(paths.run("newsletter", run_id), b"{")
        said = self.said(world, HOURLY)
        assert said.kind is NextRunKind.TIME
        assert said.text.endswith(f", unless the run {run_id} is still at work then")

    def test_an_export_that_cannot_be_read_has_none(self, world):
        world.state.put(paths.export("newsletter"), b"{")
        row = overview.look(world.parts).rows["newsletter"]
        assert next_run(row, START).kind is NextRunKind.NONE
