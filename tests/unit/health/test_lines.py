"""The lines that alerts stand on: each is there when what it tells has happened, with its keys."""

from typing import Any

import pytest

from exporters.errors import AccessError, ForbiddenError, ThrottledError
from exporters.model.messages import BatchMessage, EraseMessage, RunMessage
from tests.unit.health.lines import Log
from tests.world import World, refusals

KEYS = {
    *("export", "run_id", "provider", "trigger", "read", "invalid", "planned", "delivered", "refused", "unknown"),
    *("requests", "duration_s"),
}


def test_a_run_from_its_start_to_its_end(world: World, log: Log) -> None:
    world.people(6)
    run = world.export_now()
    of_run = {"export": "newsletter", "run_id": run["id"]}
    known = {**of_run, "provider": "simulated"}

    assert log.only("start") == {"outcome": "queued", "levelname": "INFO", **of_run, "trigger": "on demand"}
    accepted = {"outcome": "accepted", "levelname": "INFO", "connection": "main"}
    assert log.only("key") == {**accepted, **known}
    planned = {"outcome": "planned", "levelname": "INFO", "contacts": 6, "rejects": 0, "duration_s": 0.0}
    assert log.only("plan") == {**planned, **known}
    assert {line["batch"] for line in log.of("send")} == {0, 1}
    assert all(line.items() >= known.items() for line in [*log.of("send"), *log.of("batch")])
    end = log.only("finish")
    took_s = end.pop("duration_s")
    assert took_s > 0
    counts = {"read": 6, "invalid": 0, "planned": 6, "delivered": 6, "refused": 0, "unknown": 0, "requests": 2}
    said = {"outcome": "successful", "levelname": "INFO", "trigger": "on demand", "reason": ""}
    assert end == {**said, **known, **counts}


def test_a_run_with_refusals_ends_with_a_warning_and_its_sums(world: World, log: Log) -> None:
    world.people(3)
    world.account.on_submit = lambda contacts: refusals("p1@example.com")
    world.export_now()

    end = log.only("finish")
    assert (end["outcome"], end["levelname"]) == ("completed_with_warnings", "WARNING")
    assert (end["delivered"], end["refused"], end["unknown"]) == (2, 1, 0)
    assert "p1@" not in str(end)


def test_a_refused_key_is_told_and_fails_the_run(world: World, log: Log) -> None:
    world.people(1)
    world.account.key = "another"
    run = world.export_now()

    refused = log.only("key")
    assert refused == {
        "outcome": "refused",
        "levelname": "ERROR",
        "connection": "main",
        "provider": "simulated",
        "export": "newsletter",
        "run_id": run["id"],
    }
    end = log.only("finish")
    assert (end["outcome"], end["levelname"], end["reason"]) == ("failed", "ERROR", run["reason"])
    assert end.keys() >= KEYS


@pytest.mark.parametrize("error", [AccessError("The provider refuses the key"), ForbiddenError("It forbids it")])
def test_a_key_that_is_refused_while_sending_is_told_once_the_run_gives_up(
    world: World, log: Log, error: AccessError
) -> None:
    def refuse(_: object) -> None:
        raise error

    world.people(1)
    world.account.on_submit = refuse
    world.export_now()

    assert [line["outcome"] for line in log.of("key")] == ["accepted", "refused"]
    assert log.only("finish")["outcome"] == "failed"


def test_an_administrator_who_proves_a_key_ends_the_trouble(world: World, log: Log) -> None:
    assert world.call("POST", "/connections/main/connect").status == 200

    said = {"outcome": "accepted", "levelname": "INFO", "connection": "main", "provider": "simulated"}
    assert log.only("key") == said


def test_a_pause_that_the_provider_wants_is_told_with_its_length(world: World, log: Log) -> None:
    pauses = [ThrottledError("too many requests", wait_s=30)]

    def throttle(_: object) -> None:
        if pauses:
            raise pauses.pop()

    world.people(1)
    world.account.on_submit = throttle
    run = world.export_now()

    assert log.only("throttled") == {
        "outcome": "waits",
        "levelname": "WARNING",
        "account": "main",
        "wait_s": 30,
        "connection": "main",
        "provider": "simulated",
        "export": "newsletter",
        "run_id": run["id"],
    }


class TestHolds:
    def held(self, world: World) -> Any:
        """A run that reads far fewer people than the one before."""
        world.people(200)
        world.export_now()
        world.people(2)
        answer = world.start()
        world.pump()
        return answer

    @pytest.mark.parametrize(
        ("decide", "outcome", "ends"),
        [
            (World.approve, "approved", "successful"),
            (World.reject, "rejected", "canceled"),
            (World.cancel, "canceled", "canceled"),
        ],
    )
    def test_a_hold_and_its_end_are_told(self, world: World, log: Log, decide: Any, outcome: str, ends: str) -> None:
        answer = self.held(world)
        assert [(line["outcome"], line["levelname"]) for line in log.of("plan")][-1] == ("held", "WARNING")
        decide(world, answer, body=b'{"reason": "Ann said so"}')
        world.pump()

        decided = {"outcome": outcome, "levelname": "INFO", "provider": "simulated", "export": "newsletter"}
        assert log.only("hold") == {**decided, "run_id": world.run_id(answer)}
        end = log.of("finish")[-1]
        assert (end["outcome"], end["run_id"]) == (ends, world.run_id(answer))
        assert "Ann" not in str(log.of("finish") + log.of("hold"))

    def test_a_hold_that_runs_out_is_told(self, world: World, log: Log) -> None:
        self.held(world)
        world.pass_time(days=8)
        world.exporter.tick()

        assert log.only("hold")["outcome"] == "canceled"
        assert log.of("finish")[-1]["outcome"] == "canceled"


def test_a_run_that_is_canceled_before_its_plan_has_an_end(world: World, log: Log) -> None:
    world.people(1)
    world.cancel(world.start())

    end = log.only("finish")
    assert (end["outcome"], end["levelname"], end["planned"]) == ("canceled", "WARNING", 0)
    assert log.of("hold") == []


def test_a_poisoned_message_is_told_with_what_it_was_about(world: World, log: Log) -> None:
    world.people(1)
    run_id = world.run_id(world.start())
    world.exporter.abandon_send(BatchMessage(export="newsletter", run=run_id, batch=3).model_dump_json().encode())
    world.exporter.abandon_erasure(EraseMessage(erasure="0" * 32).model_dump_json().encode())
    world.exporter.abandon_run(RunMessage(export="newsletter", run=run_id).model_dump_json().encode())
    world.exporter.abandon_run(b"nonsense")

    batch, erasure, run, nonsense = log.of("abandon")
    about = {"outcome": "poisoned", "levelname": "ERROR", "export": "newsletter", "run_id": run_id}
    assert batch == {**about, "queue": "batch-poison", "batch": 3}
    assert erasure == {"outcome": "poisoned", "levelname": "ERROR", "queue": "erase-poison", "erasure": "0" * 32}
    assert run == {**about, "queue": "plan-poison"}
    assert (nonsense["outcome"], nonsense["queue"], nonsense["bytes"]) == ("not a message", "plan-poison", 8)
    assert log.only("finish")["outcome"] == "failed"
