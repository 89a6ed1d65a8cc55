"""What the tick starts, and what it leaves out with an entry that says why."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from exporters.exporter import Exporter
from exporters.model.export import Export
from exporters.model.run import ExportState, Run, RunStatus, Trigger
from exporters.scheduling import skipped, tick
from exporters.scheduling.start import scheduled, start_run
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.world import EXPORT, START, World
from tests.world_receiver import RECEIVER

HOURLY = {"kind": "cron", "cron": "0 * * * *"}
REFRESH = {"kind": "refresh"}
SINCE = START - timedelta(days=2)


@pytest.fixture
def world() -> World:
    world = World()
    world.people(3)
    return world


def export(world: World, schedule: dict[str, Any], **changes: object) -> None:
    """An export that was saved a while ago."""
    now, world.time = world.time, SINCE
    world.export(schedule=schedule, **({"scheduled_since": SINCE.isoformat()} | changes))
    world.time = now


def state(world: World, name: str = "newsletter") -> ExportState:
    found = world.parts.documents.read(ExportState, paths.export_state(name))
    return ExportState(export=name) if found is None else found.value


def runs(world: World, name: str = "newsletter") -> list[Run]:
    """All run documents of an export, oldest first."""
    names = [blob.name for blob in world.state.list(f"runs/{name}/") if blob.name.endswith("run.json")]
    return [world.parts.documents.read(Run, each).value for each in reversed(names)]


def told(world: World, name: str = "newsletter") -> list[tuple[datetime | None, RunStatus]]:
    return [(run.occurrence, run.status) for run in runs(world, name)]


def trail(world: World) -> list[dict[str, Any]]:
    lines = b"".join(world.state.get(blob.name).data for blob in world.state.list(paths.AUDIT)).splitlines()
    return [json.loads(line) for line in lines]


def give(world: World, schedule: dict[str, Any]) -> None:
    """Somebody gives the export another schedule."""
    save(world, "schedule", {"schedule": schedule})


def change(world: World, **changes: object) -> None:
    """Somebody changes settings of the export."""
    settings = json.loads(world.call("GET", "/exports/newsletter").body)["settings"]
    save(world, "", settings | changes)


def save(world: World, part: str, body: object) -> None:
    path = f"/exports/newsletter/{part}".rstrip("/")
    etag = world.call("GET", path).headers["ETag"]
    headers = {"if-match": etag, "content-type": "application/json"}
    answer = world.call("PUT", path, headers=headers, body=json.dumps(body).encode())
    assert answer.status == 200, answer.body


def hours(number: float) -> datetime:
    return START + timedelta(hours=number)


def land(world: World, name: str = "VIP.csv", text: str = "EMail,FirstName\np9@example.com,Ann\n") -> datetime:
    """A snapshot lands now; answers when it will be complete."""
    world.segments.put(name, text.encode())
    return world.time + timedelta(seconds=61)


class Dying(MemoryBlobStore):
    """A store that ends the process at a write, or whatever the error does."""

    def __init__(self, store: MemoryBlobStore, error: type[BaseException] = SystemExit) -> None:
        self.__dict__ = dict(store.__dict__)
        self.error = error
        self.left: dict[str, int] = {}

    def _write(self, name: str, *args: Any, **options: Any) -> str:
        for word in self.left:
            if word in name:
                self.left[word] -= 1
                if self.left[word] < 0:
                    raise self.error(name)
        return super()._write(name, *args, **options)


class Unreadable(MemoryBlobStore):
    """A container that the app has no role for any more."""

    def get(self, name: str) -> Any:
        raise HttpResponseError("403")


def model(*parts: str) -> bytes:
    """A model.json that names these parts of the table T."""
    partitions = [{"name": part, "location": f"https://a.blob.core.windows.net/c/{part}"} for part in parts]
    columns = [{"name": name, "dataType": "string"} for name in ("EMail", "FirstName")]
    table = {"$type": "LocalEntity", "name": "T", "attributes": columns, "partitions": partitions}
    return json.dumps({"name": "x", "version": "1.0", "entities": [table]}).encode()


class TestOccurrences:
    def test_after_a_gap_one_run_starts_and_each_of_the_others_has_an_entry(self, world):
        export(world, HOURLY, scheduled_since=hours(-3.5).isoformat())

        world.exporter.tick()
        world.pump()
        world.exporter.tick()

        assert told(world) == [
            (hours(-3), RunStatus.SKIPPED),
            (hours(-2), RunStatus.SKIPPED),
            (hours(-1), RunStatus.SKIPPED),
            (hours(0), RunStatus.SUCCESSFUL),
        ]
        assert "A later occurrence stands for it" in runs(world)[0].reason
        assert [entry.at for entry in state(world).skipped] == [hours(-1), hours(-2), hours(-3)]
        assert state(world).occurrence == START
        assert state(world).occurrence_skipped == ""

    def test_an_entry_touches_nothing_of_how_the_export_does(self, world):
        export(world, HOURLY)
        world.state.put(
            paths.export_state("newsletter"),
            json.dumps({"export": "newsletter", "last_status": "failed", "occurrence": hours(-2).isoformat()}).encode(),
        )
        before = state(world)

        world.state.delete(paths.connection("main"))
        world.exporter.tick()

        assert told(world) == [(hours(-1), RunStatus.SKIPPED), (hours(0), RunStatus.SKIPPED)]
        assert "does not exist" in state(world).occurrence_skipped
        kept = {"last_status", "last_run", "last_finished", "failing_since", "active", "keys"}
        assert state(world).model_dump(include=kept) == before.model_dump(include=kept)

    def test_of_a_long_gap_the_last_entry_tells_how_many_more_there_were(self, world):
        export(world, {"kind": "cron", "cron": "*/10 * * * *"}, scheduled_since=hours(-24).isoformat())

        world.exporter.tick()

        entries = [run for run in runs(world) if run.status is RunStatus.SKIPPED]
        assert len(entries) == skipped.MOST_ENTRIES
        assert entries[-1].skipped_until == hours(-1 / 6)
        assert f"The {144 - 1 - skipped.MOST_ENTRIES} occurrences after it" in entries[-1].reason
        assert state(world).active is not None

    def test_a_gap_of_just_so_many_has_no_entry_that_stands_for_others(self, world):
        minutes = skipped.MOST_ENTRIES + 1
        export(world, {"kind": "cron", "cron": "* * * * *"}, scheduled_since=hours(-minutes / 60).isoformat())

        world.exporter.tick()

        entries = [run for run in runs(world) if run.status is RunStatus.SKIPPED]
        assert len(entries) == skipped.MOST_ENTRIES
        assert {entry.skipped_until for entry in entries} == {None}

    @pytest.mark.parametrize("survived", [0, 1, 40, 98, 99])
    def test_a_tick_that_dies_among_the_entries_is_completed_by_a_later_one_without_any_twice(self, world, survived):
        export(world, {"kind": "cron", "cron": "*/10 * * * *"}, scheduled_since=hours(-24).isoformat())
        dying = Dying(world.state)
        dying.left = {"run.json": survived}
        with pytest.raises(SystemExit):
            tick.start_due(replace(world.parts, state=dying))
        world.pass_time(minutes=25)

        world.exporter.tick()

        covered: list[datetime] = []
        for run in runs(world):
            assert run.occurrence is not None
            until = run.skipped_until or run.occurrence
            covered += [
                run.occurrence + timedelta(minutes=10) * step
                for step in range((until - run.occurrence).seconds // 600 + 1)
            ]
        assert covered == [hours(-24) + timedelta(minutes=10) * step for step in range(1, 144 + 3)]
        assert runs(world)[-1].status is RunStatus.QUEUED

    def test_an_entry_without_its_state_is_not_made_twice_and_starts_no_run_later(self, world):
        export(world, HOURLY, scheduled_since=hours(-0.5).isoformat())
        first = world.start()
        dying = Dying(world.state)
        dying.left = {"state/exports/": 0}
        with pytest.raises(SystemExit):
            tick.start_due(replace(world.parts, state=dying))
        world.pump()
        assert world.show(first)["status"] == "successful"

        world.exporter.tick()

        assert [run.status for run in runs(world)].count(RunStatus.SKIPPED) == 1
        assert len(runs(world)) == 2
        assert state(world).occurrence == START
        assert len({line["id"] for line in trail(world) if line["action"] == "occurrence skipped"}) == 1

    def test_where_a_skip_and_a_start_meet_the_entry_stands_and_the_place_is_free(self, world):
        export(world, HOURLY, scheduled_since=hours(-0.5).isoformat(), notify=RECEIVER)
        exported = world.parts.documents.read(Export, paths.export("newsletter")).value
        skipped.enter(world.parts, exported, scheduled(START), START, "somebody was faster")

        run = start_run(world.parts, "newsletter", scheduled(START))

        assert run.status is RunStatus.SKIPPED
        assert state(world).active is None
        assert state(world).last_status is None
        world.pump()
        assert world.receiver.posts == []
        assert world.start().status == 202

    def test_an_export_has_one_entry_for_as_long_as_it_is_detached(self, world):
        export(world, HOURLY, connection=None, scheduled_since=hours(-0.5).isoformat())

        for _ in range(5):
            world.exporter.tick()
            world.pass_time(hours=1)
        export(world, HOURLY, scheduled_since=hours(-0.5).isoformat())
        world.exporter.tick()

        [entry, run] = runs(world)
        assert (entry.status, entry.occurrence, entry.skipped_until) == (RunStatus.SKIPPED, hours(0), hours(4))
        assert "is detached" in entry.reason
        assert "until 2026-11-22 10:00 UTC" in entry.reason
        assert (run.status, run.occurrence) == (RunStatus.QUEUED, hours(5))
        assert [line["action"] for line in trail(world)] == ["occurrence skipped", "run started"]

    def test_an_export_that_is_detached_again_has_another_entry(self, world):
        export(world, HOURLY, connection=None, scheduled_since=hours(-0.5).isoformat())
        world.exporter.tick()
        export(world, HOURLY, scheduled_since=hours(-0.5).isoformat())
        world.time = hours(1)
        world.exporter.tick()
        world.pump()
        export(world, HOURLY, connection=None, scheduled_since=hours(-0.5).isoformat())
        world.time = hours(2)
        world.exporter.tick()

        assert told(world) == [
            (hours(0), RunStatus.SKIPPED),
            (hours(1), RunStatus.SUCCESSFUL),
            (hours(2), RunStatus.SKIPPED),
        ]

    def test_an_extended_entry_whose_state_was_lost_stands_for_no_occurrence_twice(self, world):
        export(world, HOURLY, connection=None, scheduled_since=hours(-0.5).isoformat())
        world.exporter.tick()
        world.time = hours(1)
        dying = Dying(world.state)
        dying.left = {"state/exports/": 0}
        with pytest.raises(SystemExit):
            tick.start_due(replace(world.parts, state=dying))
        world.exporter.tick()

        [entry] = runs(world)
        assert entry.skipped_until == state(world).occurrence == hours(1)

    def test_what_waits_for_a_reconciliation_has_an_entry_when_the_schedule_is_changed(self, world):
        export(world, HOURLY, scheduled_since=hours(-0.5).isoformat())
        world.exporter.tick()
        world.pump()
        world.call("POST", "/exports/newsletter/reconciliations")
        world.time = hours(1)
        world.exporter.tick()
        before = told(world)

        give(world, {"kind": "daily", "times": ["23:00"]})

        assert (hours(1), RunStatus.SKIPPED) not in before
        assert told(world)[-1] == (hours(1), RunStatus.SKIPPED)
        assert state(world).skipped[0].reason == tick.CHANGED

    def test_an_entry_that_comes_after_the_run_takes_nothing_of_it(self, world):
        """An edit and the timer look at once, and one of them is slow."""
        export(world, HOURLY, scheduled_since=hours(-0.5).isoformat())
        exported = world.parts.documents.read(Export, paths.export("newsletter")).value
        path = paths.run("newsletter", scheduled(START).run_of("newsletter", START))

        class Slow(MemoryBlobStore):
            def create(self, name: str, *args: Any, **options: Any) -> str:
                if name == path:
                    start_run(world.parts, "newsletter", scheduled(START))
                return super().create(name, *args, **options)

        slow = Slow(now=world.now)
        slow.__dict__ = world.state.__dict__
        stands = skipped.enter(replace(world.parts, state=slow), exported, scheduled(START), START, "I was slow")

        assert stands.status is RunStatus.QUEUED
        assert [line["action"] for line in trail(world)] == ["run started"]
        marks = [*world.state.list(paths.journal())]
        assert len(marks) == 1
        assert "status" not in marks[0].metadata

    def test_an_entry_without_its_line_in_the_trail_gets_it_later(self, world):
        export(world, HOURLY, scheduled_since=hours(-0.5).isoformat())
        world.start()

        class Mute(Dying):
            def append(self, name: str, data: bytes) -> None:
                raise SystemExit(name)

        with pytest.raises(SystemExit):
            tick.start_due(replace(world.parts, state=Mute(world.state)))
        world.exporter.tick()

        assert [line["action"] for line in trail(world)][-1] == "occurrence skipped"

    def test_a_reconciliation_lets_the_newest_wait_and_not_the_others(self, world):
        export(world, HOURLY, scheduled_since=hours(-0.5).isoformat())
        world.exporter.tick()
        world.pump()
        answer = world.call("POST", "/exports/newsletter/reconciliations")
        assert answer.status == 202
        world.time = hours(2)
        world.exporter.tick()
        waits = state(world)
        world.pump()
        world.exporter.tick()

        assert waits.occurrence == hours(1)
        assert told(world)[1:] == [
            (None, RunStatus.SUCCESSFUL),
            (hours(1), RunStatus.SKIPPED),
            (hours(2), RunStatus.QUEUED),
        ]

    def test_saving_drops_no_occurrence_that_is_due(self, world):
        export(world, HOURLY, scheduled_since=hours(-0.5).isoformat())
        etag = world.call("GET", "/exports/newsletter/schedule").headers["ETag"]
        body = json.dumps({"schedule": {"kind": "daily", "times": ["09:00"]}}).encode()

        changed = world.call(
            "PUT",
            "/exports/newsletter/schedule",
            headers={"if-match": etag, "content-type": "application/json"},
            body=body,
        )

        assert changed.status == 200
        assert told(world) == [(START, RunStatus.QUEUED)]

    def test_runs_and_skips_are_in_the_trail_and_the_journal(self, world):
        export(world, HOURLY, scheduled_since=hours(-1.5).isoformat())

        world.exporter.tick()

        lines = [line for line in trail(world) if line["action"] in {"run started", "occurrence skipped"}]
        assert [(line["action"], line["caller"]["kind"]) for line in lines] == [
            ("occurrence skipped", "schedule"),
            ("run started", "schedule"),
        ]
        ids = {run.id for run in runs(world)}
        assert {line["subject"].rpartition("/")[2] for line in lines} == ids
        assert {blob.name.split("/")[2] for blob in world.state.list(paths.journal())} == ids

    def test_a_broken_document_of_one_export_does_not_keep_the_others_from_starting(self, world):
        export(world, HOURLY, id="broken")
        export(world, HOURLY)
        world.state.put(paths.run("broken", scheduled(START).run_of("broken", START)), b"{")

        world.exporter.tick()

        assert runs(world)[-1].status is RunStatus.QUEUED

    def test_what_nobody_expected_is_raised_once_the_others_were_started(self, world):
        export(world, HOURLY, id="broken")
        export(world, HOURLY)
        dying = Dying(world.state, error=OSError)
        dying.left = {"state/exports/broken": 0}

        with pytest.raises(OSError, match="broken"):
            tick.start_due(replace(world.parts, state=dying))

        assert runs(world)[-1].status is RunStatus.QUEUED


class TestRefreshes:
    def test_saving_starts_nothing_and_the_next_snapshot_does_once(self, world):
        world.export(schedule=REFRESH)
        world.exporter.tick()
        assert runs(world) == []

        world.pass_time(hours=1)
        world.time = land(world)
        for _ in range(3):
            world.exporter.tick()
            world.pump()

        [run] = runs(world)
        assert (run.status, run.trigger, run.started_by) == (RunStatus.SUCCESSFUL, Trigger.REFRESH, "schedule")
        assert world.account.on_list == {"p9@example.com"}
        assert state(world).refreshed == {"VIP": START + timedelta(hours=1)}

    def test_what_is_complete_only_after_the_export_was_created_starts_a_run(self, world):
        land(world)
        world.state.delete(paths.export("newsletter"))
        world.pass_time(seconds=30)
        assert world.call("POST", "/exports", body=json.dumps({**EXPORT, "schedule": REFRESH}).encode()).status == 201
        world.pass_time(seconds=31)

        world.exporter.tick()

        assert [run.trigger for run in runs(world)] == [Trigger.REFRESH]

    def test_saving_other_settings_drops_no_snapshot(self, world):
        export(world, REFRESH)
        world.time = land(world) - timedelta(seconds=30)
        change(world, name="Renamed")
        world.pass_time(seconds=31)

        world.exporter.tick()

        assert [run.trigger for run in runs(world)] == [Trigger.REFRESH]

    def test_what_lands_during_a_first_run_that_is_canceled_is_exported(self, world):
        export(world, REFRESH)
        answer = world.start()
        world.time = land(world)
        change(world, name="Renamed")
        world.cancel(answer)
        world.pump()

        world.exporter.tick()

        assert [run.trigger for run in runs(world)] == [Trigger.DEMAND, Trigger.REFRESH]

    def test_what_waits_for_a_run_has_an_entry_when_the_schedule_is_changed(self, world):
        export(world, REFRESH)
        world.start()
        world.deliver(*world.queues.due())  # it has read what was there
        world.pass_time(minutes=1)
        world.time = land(world)
        give(world, HOURLY)
        give(world, REFRESH)
        world.pump()
        for _ in range(3):
            world.exporter.tick()
            world.pump()
            world.pass_time(minutes=1)

        [_, entry] = runs(world)
        assert (entry.status, entry.trigger, entry.reason) == (RunStatus.SKIPPED, Trigger.REFRESH, tick.CHANGED)
        assert state(world).skipped[0].run == entry.id

    def test_of_what_waits_for_a_run_only_the_segments_that_go_have_an_entry(self, world):
        export(world, REFRESH, segments=["VIP", "Other"])
        answer = world.start()
        world.pass_time(minutes=1)
        land(world, "Other.csv")
        world.time = land(world)
        change(world, segments=["VIP"])
        world.cancel(answer)
        world.pump()

        world.exporter.tick()

        assert [run.status for run in runs(world)] == [RunStatus.CANCELED, RunStatus.SKIPPED, RunStatus.QUEUED]
        assert state(world).refreshed.keys() == {"VIP", "Other"}

    def test_a_segment_that_is_put_back_waits_for_its_next_snapshot(self, world):
        land(world, "Other.csv")
        export(world, REFRESH, segments=["VIP", "Other"])
        world.time = land(world)
        world.exporter.tick()
        world.pump()
        change(world, segments=["VIP"])
        world.pass_time(days=5)
        land(world, "Other.csv")
        world.pass_time(days=5)
        change(world, segments=["VIP", "Other"])
        world.exporter.tick()
        before = len(runs(world))
        world.time = land(world, "Other.csv")
        world.exporter.tick()

        assert (before, len(runs(world))) == (1, 2)

    def test_a_first_snapshot_that_never_becomes_complete_blocks_no_export(self, world):
        export(world, REFRESH, segments=["VIP", "D/T"])
        world.segments.put("D/model.json", model("D/T/2026/11/20/0000/T_1.csv", "D/T/2026/11/20/0000/T_2.csv"))
        land(world, "D/T/2026/11/20/0000/T_1.csv")
        world.time = land(world)
        world.exporter.tick()
        before = runs(world)
        world.pass_time(hours=1)
        world.exporter.tick()
        world.pump()

        assert before == []
        [run] = runs(world)
        assert (run.status, run.trigger) == (RunStatus.FAILED, Trigger.REFRESH)
        assert "T_2.csv" in run.reason

    def test_a_container_that_cannot_be_read_stops_only_what_waits_for_it(self, world):
        export(world, REFRESH)
        export(world, HOURLY, id="by-clock", scheduled_since=hours(-0.5).isoformat())
        parts = replace(world.parts, segments=Unreadable(now=world.now))
        world.exporter = Exporter(parts)

        world.exporter.tick()
        shown = world.call("GET", "/exports/newsletter")
        give(world, {"kind": "off"})

        assert [run.status for run in runs(world, "by-clock")] == [RunStatus.QUEUED]
        assert shown.status == 200
        assert "VIP cannot be looked at now" in json.loads(shown.body)["next_run"]["text"]

    def test_a_snapshot_that_is_being_written_starts_nothing(self, world):
        export(world, REFRESH)
        complete = land(world)
        world.time = complete - timedelta(seconds=2)

        world.exporter.tick()
        before = runs(world)
        world.time = complete
        world.exporter.tick()

        assert before == []
        assert len(runs(world)) == 1

    def test_a_run_at_work_keeps_it_due_and_one_that_has_read_it_makes_it_needless(self, world):
        export(world, REFRESH)
        world.time = land(world)
        world.start()

        world.exporter.tick()
        world.pump()
        world.exporter.tick()

        assert [run.trigger for run in runs(world)] == [Trigger.DEMAND]

    def test_what_lands_while_a_run_is_at_work_is_exported_after_it(self, world):
        export(world, REFRESH)
        world.time = land(world)
        world.exporter.tick()
        world.pump()
        world.start()
        planned = world.queues.due()
        assert planned is not None
        world.deliver(*planned)  # it has read what was there
        world.time = land(world, text="EMail,FirstName\nlate@example.com,Bob\n")

        world.exporter.tick()
        world.pump()
        world.exporter.tick()
        world.pump()

        assert [run.trigger for run in runs(world)] == [Trigger.REFRESH, Trigger.DEMAND, Trigger.REFRESH]
        assert "late@example.com" in world.account.on_list

    def test_of_several_segments_each_new_snapshot_starts_one_run(self, world):
        export(world, REFRESH, segments=["VIP", "Other"])
        land(world)
        world.time = land(world, "Other.csv")
        world.exporter.tick()
        world.pump()
        world.pass_time(hours=1)
        world.time = land(world, "Other.csv")
        world.exporter.tick()
        world.pump()

        assert [run.trigger for run in runs(world)] == [Trigger.REFRESH] * 2

    def test_a_segment_that_cannot_be_used_does_not_keep_the_others_back(self, world):
        export(world, REFRESH, segments=["VIP", "Missing"], id="one")
        export(world, REFRESH, segments=["VIP"], id="two")
        world.export(schedule={"kind": "off"})
        world.time = land(world)

        world.exporter.tick()

        assert len(runs(world, "one")) == len(runs(world, "two")) == 1

    def test_a_failed_run_is_not_started_again_for_the_same_snapshot(self, world):
        export(world, REFRESH)
        world.time = land(world)
        world.account.key = "another"
        for _ in range(3):
            world.exporter.tick()
            world.pump()
            world.pass_time(minutes=1)

        assert [run.status for run in runs(world)] == [RunStatus.FAILED]

    @pytest.mark.parametrize(
        "disturb",
        [
            lambda world: world.pass_time(days=-3),
            lambda world: world.segments.delete("VIP.csv"),
            lambda world: world.segments.put("VIP.csv.gz", b""),
        ],
        ids=["clock", "deleted", "another file"],
    )
    def test_neither_a_clock_that_runs_back_nor_a_snapshot_that_is_gone_makes_a_storm(
        self, world, disturb: Callable[[World], None]
    ):
        export(world, REFRESH, scheduled_since=hours(-200).isoformat())
        world.time = land(world)
        world.exporter.tick()
        world.pump()
        disturb(world)
        for _ in range(5):
            world.exporter.tick()
            world.pump()
            world.pass_time(minutes=1)

        assert len(runs(world)) <= 2

    def test_an_export_that_cannot_run_has_one_entry_for_a_snapshot_and_waits_for_the_next(self, world):
        export(world, REFRESH, connection=None)
        world.time = land(world)
        for _ in range(3):
            world.exporter.tick()
            world.pass_time(minutes=1)
        export(world, REFRESH)
        world.exporter.tick()

        [entry] = runs(world)
        assert (entry.status, entry.trigger) == (RunStatus.SKIPPED, Trigger.REFRESH)
        assert "is detached" in entry.reason

    def test_each_segment_is_looked_at_once_however_many_exports_use_it(self, world):
        listed: list[str] = []

        class Counting(MemoryBlobStore):
            def list(self, prefix: str) -> Any:
                listed.append(prefix)
                return super().list(prefix)

        counting = Counting(now=world.now)
        counting.put("VIP.csv", b"EMail\np1@example.com\n")
        for number in range(20):
            export(world, REFRESH, id=f"e{number}")

        tick.start_due(replace(world.parts, segments=counting))

        assert listed.count("VIP.") == 1


def test_a_tick_without_anything_due_reads_no_document_of_any_export(world):
    read: list[str] = []

    class Counting(MemoryBlobStore):
        def get(self, name: str) -> Any:
            read.append(name)
            return super().get(name)

    for number in range(30):
        export(world, {"kind": "daily", "times": ["09:00"]}, id=f"e{number}", scheduled_since=START.isoformat())
    world.exporter.tick()
    counting = Counting(now=world.now)
    counting.__dict__ = world.state.__dict__
    parts = replace(world.parts, state=counting)
    tick.start_due(parts)
    read.clear()

    tick.start_due(parts)

    assert [name for name in read if name.startswith(("config/", "state/exports/"))] == []
