"""What measurements say of exports that have failed or are held, for as long as they stand so."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exporters.configuration import overview
from exporters.health.standing import held_runs
from exporters.storage import paths
from exporters.storage.blobs import Blob
from exporters.storage.memory import MemoryBlobStore
from tests.unit.health.lines import Log
from tests.world import World

Line = tuple[str, str, dict[str, Any]]
NONE = [("none", "INFO", {"exports": 1})]
#: Holds a run of `hold`.
BRAKES = {"max_profiles": 5}


@pytest.fixture
def world() -> World:
    world = World()
    world.people(2)
    return world


def standing(world: World, log: Log) -> list[Line]:
    """What the next measurement says."""
    world.pass_time(minutes=5)
    log.forget()
    world.exporter.tick()
    return log.lines("standing")


def of(outcome: str, run_id: str, *, export: str = "newsletter") -> Line:
    return outcome, "WARNING", {"export": export, "run_id": run_id, "provider": "simulated"}


def fail(world: World) -> str:
    """Have a run fail; answers its id."""
    world.pass_time(minutes=1)
    world.account.key = "another"
    run = world.export_now()
    world.account.key = "good"
    assert run["status"] == "failed"
    return str(run["id"])


def hold(world: World, export: str = "newsletter") -> str:
    """Have a brake hold a run; answers its id."""
    world.pass_time(minutes=1)
    world.people(6)
    answer = world.start(export)
    world.pump()
    run = world.show(answer)
    assert run["status"] == "held"
    return str(run["id"])


def test_a_failed_export_is_told_for_weeks_until_a_run_ends_well(world: World, log: Log) -> None:
    run = fail(world)
    for _ in range(3):
        assert standing(world, log) == [of("failed", run)]
        world.pass_time(days=7)

    assert world.export_now()["status"] == "successful"
    assert standing(world, log) == NONE


def test_of_two_runs_that_failed_the_last_one_is_named(world: World, log: Log) -> None:
    fail(world)
    last = fail(world)

    assert standing(world, log) == [of("failed", last)]


def test_a_canceled_run_changes_nothing(world: World, log: Log) -> None:
    failed = fail(world)
    world.pass_time(minutes=1)
    answer = world.start()
    world.cancel(answer)
    world.pump()
    assert world.show(answer)["status"] == "canceled"

    assert standing(world, log) == [of("failed", failed)]


def test_a_reconciliation_that_ends_well_does_not_end_it(world: World, log: Log) -> None:
    world.export_now()
    failed = fail(world)
    assert reconcile(world) == "successful"

    assert standing(world, log) == [of("failed", failed)]


def test_a_reconciliation_that_fails_does_not_begin_it(world: World, log: Log) -> None:
    world.export_now()
    world.account.key = "another"
    assert reconcile(world) == "failed"

    assert standing(world, log) == NONE


def reconcile(world: World) -> str:
    world.pass_time(minutes=1)
    answer = world.call("POST", "/exports/newsletter/reconciliations")
    world.pump()
    return str(world.show(answer)["status"])


def test_without_its_connection_it_stands_so_too_and_names_no_provider(world: World, log: Log) -> None:
    (outcome, level, keys) = of("failed", fail(world))
    world.export(connection=None)

    del keys["provider"]
    assert standing(world, log) == [(outcome, level, keys)]


def test_an_export_that_was_removed_does_not(world: World, log: Log) -> None:
    failed = fail(world)
    assert standing(world, log) == [of("failed", failed)]
    world.state.delete(paths.export("newsletter"))

    assert standing(world, log) == [("none", "INFO", {"exports": 0})]


def test_a_row_that_an_older_version_has_stored_tells_of_a_failure_too(world: World, log: Log) -> None:
    failed = fail(world)
    seen = overview.look(world.parts)
    row = seen.rows["newsletter"].model_dump(mode="json", exclude_none=True, exclude={"failing_since"})
    stored = seen.model_copy(update={"rows": {"newsletter": overview.Row.model_validate(row)}})
    world.state.put(overview.PATH, stored.model_dump_json(exclude_none=True).encode())

    assert standing(world, log) == [of("failed", failed)]


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_held_run_is_told_until_somebody_decides(world: World, log: Log, decision: str) -> None:
    world.export(brakes=BRAKES)
    run = hold(world)
    for _ in range(3):
        assert standing(world, log) == [of("held", run)]
        world.pass_time(days=2)

    assert world.call("POST", f"/runs/newsletter/{run}/{decision}").status < 300
    assert standing(world, log) == NONE


def test_one_that_nobody_decides_about_is_told_until_its_week_is_over(world: World, log: Log) -> None:
    world.export(brakes=BRAKES)
    run = hold(world)
    world.time += timedelta(days=7) - timedelta(minutes=10)

    assert standing(world, log) == [of("held", run)]
    world.pass_time(minutes=10)
    assert standing(world, log) == NONE


def test_an_export_that_has_failed_and_is_held_now_is_told_for_both(world: World, log: Log) -> None:
    world.export(brakes=BRAKES)
    failed = fail(world)
    held = hold(world)

    assert standing(world, log) == [of("failed", failed), of("held", held)]


def test_a_run_that_cannot_be_read_hides_no_other(world: World, log: Log) -> None:
    world.export(brakes=BRAKES)
    world.export(id="offers", brakes=BRAKES)
    damaged, held = hold(world), hold(world, "offers")
    world.state.put(paths.run("newsletter", damaged), b"no JSON")

    assert standing(world, log) == [of("held", held, export="offers")]


def test_only_runs_at_work_are_read(world: World) -> None:
    class Counting(MemoryBlobStore):
        def __init__(self) -> None:
            super().__init__(now=world.now)
            self.reads: list[str] = []

        def get(self, name: str) -> Blob | None:
            self.reads.append(name)
            return super().get(name)

    world.export_now()
    for number in range(5):
        world.export(id=f"quiet-{number}")
    world.export(id="offers", brakes=BRAKES)
    held = hold(world, "offers")
    counting = Counting()
    for blob in world.state.list(""):
        found = world.state.get(blob.name)
        assert found is not None
        counting.put(blob.name, found.data)
    rows = overview.look(world.parts).rows.values()

    assert [run.id for run in held_runs(replace(world.parts, state=counting), rows)] == [held]
    assert counting.reads == [paths.run("offers", held)]
