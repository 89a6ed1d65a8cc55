"""What the tick writes into the log for alerts: each time where something is wrong, and where all is well."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError

from exporters.errors import ConfigError, TransientError
from exporters.exporter import Exporter
from exporters.model.lane import Lane
from exporters.storage import paths
from exporters.storage.blobs import BlobInfo
from exporters.storage.memory import MemoryBlobStore, MemoryQueues
from exporters.storage.queues import QueueLook
from tests.unit.health.lines import Log
from tests.world import World

QUEUES = {f"{name}{ending}" for name in ("plan", "batch", "poll", "notify", "erase") for ending in ("", "-poison")}


def test_each_tick_has_its_line(world: World, log: Log) -> None:
    for _ in range(3):
        world.exporter.tick()
        world.pass_time(minutes=1)

    assert log.lines("tick") == [("done", "INFO", {"duration_s": 0.0})] * 3


def test_a_tick_that_fails_says_so_and_measures_all_the_same(world: World, log: Log) -> None:
    class Away(MemoryBlobStore):
        def list(self, prefix: str) -> Iterator[BlobInfo]:
            if prefix == paths.OLD_KEYS:
                raise ServiceRequestError("https://account.blob.example/state?sig=secret")
            return super().list(prefix)

    with pytest.raises(ServiceRequestError):
        Exporter(replace(world.parts, state=Away(now=world.now))).tick()

    assert log.lines("tick") == [("failed", "ERROR", {"duration_s": 0.0, "error": "ServiceRequestError"})]
    assert log.outcomes("vault") == ["reached"]


def test_all_is_measured_every_five_minutes_whichever_process_ticks(world: World, log: Log) -> None:
    for _ in range(11):
        Exporter(world.parts).tick()
        world.pass_time(minutes=1)

    assert log.outcomes("vault") == ["reached"] * 3
    assert log.lines("lane") == [("moving", "INFO", {"lanes": 0})] * 3
    assert log.lines("overdue") == [("none", "INFO", {"exports": 0})] * 3
    assert log.lines("standing") == [("none", "INFO", {"exports": 1})] * 3
    measured = log.lines("queue")
    assert len(measured) == 3 * len(QUEUES)
    assert {keys["queue"] for _, _, keys in measured} == QUEUES
    assert {(outcome, keys["messages"], keys["oldest_s"]) for outcome, _, keys in measured} == {("measured", 0, 0.0)}


class TestQueues:
    def of(self, log: Log, queue: str) -> list[tuple[str, int, float]]:
        lines = log.lines("queue")
        return [(out, keys["messages"], keys["oldest_s"]) for out, _, keys in lines if keys["queue"] == queue]

    def measure(self, world: World) -> None:
        world.exporter.tick()
        world.pass_time(minutes=5)

    def test_the_message_at_the_head_ages_from_when_it_was_seen_there(self, world: World, log: Log) -> None:
        world.queues.send("poll", "old", delay_s=3600)
        self.measure(world)
        world.pass_time(hours=1)
        for _ in range(3):
            self.measure(world)

        assert self.of(log, "poll") == [("measured", 1, 0.0), ("measured", 1, 0.0), *self.ages(300, 600)]

    def ages(self, *ages: float) -> list[tuple[str, int, float]]:
        return [("measured", 1, float(age)) for age in ages]

    def test_one_that_is_taken_makes_room_for_a_younger_one(self, world: World, log: Log) -> None:
        world.queues.send("poll", "first")
        self.measure(world)
        world.queues.due()
        world.queues.send("poll", "second")
        self.measure(world)

        assert self.of(log, "poll") == self.ages(0, 0)

    def test_a_queue_that_is_not_there_is_told(self, world: World, log: Log) -> None:
        world.queues.missing = {"plan-poison"}
        self.measure(world)

        wrong = [line for line in log.lines("queue") if line[0] != "measured"]
        assert wrong == [("missing", "ERROR", {"queue": "plan-poison"})]

    def test_one_that_does_not_answer_hides_no_other(self, world: World, log: Log) -> None:
        class Away(MemoryQueues):
            def look(self, queue: str) -> QueueLook | None:
                if queue == "plan":
                    raise ServiceRequestError("https://account.queue.example/plan?sig=secret")
                return super().look(queue)

        Exporter(replace(world.parts, queues=Away(now=world.now))).tick()

        lines = log.lines("queue")
        assert lines[0] == ("unreachable", "ERROR", {"queue": "plan", "error": "ServiceRequestError"})
        assert [line[0] for line in lines[1:]] == ["measured"] * (len(QUEUES) - 1)

    def test_a_damaged_document_of_the_last_measurement_is_made_anew(self, world: World, log: Log) -> None:
        world.state.put(paths.MEASURED, b"no JSON")
        self.measure(world)
        self.measure(world)

        assert log.outcomes("measure") == []
        assert len(self.of(log, "plan")) == 2


class TestSchedules:
    def test_an_export_is_late_until_a_run_has_ended_well(self, world: World, log: Log) -> None:
        world.export(schedule={"kind": "daily", "times": ["06:30"]})
        world.account.key = "another"
        world.people(2)
        world.exporter.tick()
        due = world.time + timedelta(minutes=30)
        world.pass_time(minutes=31)
        world.exporter.tick()
        world.pump()
        assert log.outcomes("finish") == ["failed"]
        log.forget()
        world.pass_time(hours=2)
        world.exporter.tick()
        [(outcome, level, keys)] = log.lines("overdue")
        late = (world.time - due).total_seconds()
        assert (outcome, level, keys) == (
            "late",
            "WARNING",
            {"export": "newsletter", "late_s": late, "due": due.isoformat()},
        )

        log.forget()
        world.account.key = "good"
        assert world.export_now()["status"] == "successful"
        world.pass_time(minutes=5)
        world.exporter.tick()

        assert log.lines("overdue") == [("none", "INFO", {"exports": 1})]

    def test_each_snapshot_that_a_good_run_has_read_is_known(self, world: World, log: Log) -> None:
        world.export(schedule={"kind": "refresh"})
        world.pass_time(hours=2)
        world.people(2)
        world.exporter.tick()
        world.pump()
        world.pass_time(hours=5)
        world.exporter.tick()

        assert log.outcomes("finish") == ["successful"]
        assert set(log.outcomes("overdue")) == {"none"}


class TestLanes:
    def lane(self, world: World, **changes: Any) -> None:
        """A lane with a slot whose batch nobody works on, given when the world began."""
        answer = world.start()
        slot = {"export": "newsletter", "run": world.run_id(answer), "batch": 0, "since": world.time}
        lane = Lane.model_validate({"account": "main", "slots": [slot], **changes})
        world.state.put(paths.lane("main"), lane.model_dump_json().encode())

    def test_a_slot_that_nobody_works_on_for_an_hour_is_stuck(self, world: World, log: Log) -> None:
        self.lane(world)
        world.exporter.tick()
        world.pass_time(minutes=61)
        world.exporter.tick()

        (fine, (outcome, level, keys)) = log.lines("lane")
        assert fine == ("moving", "INFO", {"lanes": 1})
        assert (outcome, level) == ("stuck", "ERROR")
        run_id = keys.pop("run_id")
        assert keys == {"account": "main", "provider": "simulated", "waits_s": 3660.0, "export": "newsletter"}
        assert f"runs/newsletter/{run_id}/run.json" in {blob.name for blob in world.state.list("runs/")}

    def test_a_pause_that_the_provider_wants_is_no_standstill(self, world: World, log: Log) -> None:
        self.lane(world, not_before=world.time + timedelta(hours=5))
        world.pass_time(hours=5, minutes=59)
        world.exporter.tick()
        world.pass_time(minutes=5)
        world.exporter.tick()

        assert log.outcomes("lane") == ["moving", "stuck"]


class TestVault:
    @pytest.mark.parametrize(
        ("trouble", "outcome"),
        [
            (ConfigError("The vault refuses"), "refused"),
            (TransientError("The vault could not be reached"), "unreachable"),
        ],
    )
    def test_trouble_and_its_end_are_told(
        self, world: World, log: Log, trouble: ConfigError | TransientError, outcome: str
    ) -> None:
        world.secrets.trouble = trouble
        world.exporter.tick()
        world.secrets.trouble = None
        world.pass_time(minutes=5)
        world.exporter.tick()

        keys = {"error": type(trouble).__name__, "duration_s": 0.0}
        assert log.lines("vault") == [(outcome, "ERROR", keys), ("reached", "INFO", {"duration_s": 0.0})]

    def test_a_bug_in_one_measurement_is_told_and_hides_no_other(self, world: World, log: Log) -> None:
        class Odd(MemoryQueues):
            def look(self, queue: str) -> QueueLook | None:
                raise KeyError(queue)

        Exporter(replace(world.parts, queues=Odd(now=world.now))).tick()

        assert log.lines("measure") == [("failed", "ERROR", {"part": "queues", "error": "KeyError"})]
        assert log.outcomes("vault") == ["reached"]
        assert log.outcomes("tick") == ["done"]
