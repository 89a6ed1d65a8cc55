"""Steps that outlive their run, or come too late for a decision: nothing of a person stays, and nothing is undone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import pytest

from exporters.api.answers import Answer
from exporters.delivery import hold, lanes, records
from exporters.delivery.finish import fail_run
from exporters.errors import TransientError
from exporters.exporter import Exporter
from exporters.model.messages import RunMessage
from exporters.model.run import RunStatus
from exporters.providers.base import Envelope, SuppressionKind
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.world import SimulatedProvider, World, refusals

Hook = Callable[[], object]


class Interrupted(MemoryBlobStore):
    """The state of a world, of which one download lets something else happen right after it, once."""

    def __init__(self, world: World, file: str, meanwhile: Hook) -> None:
        super().__init__(now=world.now)
        self._blobs, self._etags, self._lock = world.state._blobs, world.state._etags, world.state._lock
        self._file = file
        self._meanwhile: Hook | None = meanwhile

    def download(self, name: str, target: Path, *, etag: str | None = None) -> None:
        super().download(name, target, etag=etag)
        meanwhile = self._meanwhile
        if self._file in name and meanwhile is not None:
            self._meanwhile = None
            meanwhile()


class Slow(SimulatedProvider):
    """Lets something else happen before it answers the last question before planning, once."""

    meanwhile: Hook | None = None

    def envelope(self, list_id: str) -> Envelope:
        happens, type(self).meanwhile = type(self).meanwhile, None
        if happens is not None:
            happens()
        return super().envelope(list_id)


@pytest.fixture
def world() -> World:
    return World()


def cut_off(world: World) -> None:
    """A segment that holds its run, with one reject."""
    rows = "".join(f"p{number}@example.com,Ann\n" for number in range(6))
    world.segment(f'EMail,FirstName\n{rows}"cut@example.com","An')


def body(world: World, answer: Answer) -> bytes:
    return RunMessage(export="newsletter", run=world.run_id(answer)).model_dump_json().encode()


def staged(world: World) -> list[str]:
    return [blob.name for blob in world.state.list("staging/")]


def kinds(world: World, answer: Answer, work: Path) -> list[str]:
    """Kinds of the rejects that were kept."""
    world.state.download(paths.rejects("newsletter", world.run_id(answer)), work / "rejects")
    with duckdb.connect() as database:
        rows = database.execute(
            "SELECT kind FROM read_parquet($file) ORDER BY kind", {"file": str(work / "rejects")}
        ).fetchall()
    return [str(kind) for (kind,) in rows]


def plan_late(world: World, answer: Answer, meanwhile: Hook) -> None:
    """Let something else happen while another instance is about to plan the run."""

    class Once(Slow):
        pass

    Once.meanwhile = staticmethod(meanwhile)
    late = Exporter(replace(world.parts, heavy_work=Lock(), connect=lambda _, key: Once(world.account, key)))
    late.move_run(body(world, answer))


def test_a_planner_that_comes_after_the_rejection_leaves_nothing_behind(world):
    cut_off(world)
    answer = world.start()

    def hold_and_reject() -> None:
        world.pump()
        assert world.reject(answer).status == 200

    plan_late(world, answer, hold_and_reject)

    assert world.show(answer)["status"] == "canceled"
    assert world.queues.next_due() is None
    assert staged(world) == []
    assert lanes.read(world.parts, "main").waiting == ()
    assert world.account.requests == []


def test_a_run_is_held_until_somebody_decides(world):
    cut_off(world)
    answer = world.start()
    world.pump()
    run_id = world.run_id(answer)
    before = records.read_run(world.parts, "newsletter", run_id)

    world.reject(answer)

    after = records.read_run(world.parts, "newsletter", run_id)
    assert before is not None
    assert after is not None
    assert (before.held, after.held) == (True, False)


def test_a_planner_that_comes_after_its_run_was_given_up_leaves_nothing_behind(world):
    world.people(6)
    answer = world.start()

    plan_late(world, answer, lambda: world.exporter.abandon_run(body(world, answer)))
    world.pump()

    assert world.show(answer)["status"] == "failed"
    assert staged(world) == []
    lane = lanes.read(world.parts, "main")
    assert (lane.slots, lane.waiting) == ((), ())
    assert world.account.requests == []


def test_a_planner_that_fails_after_its_run_was_given_up_leaves_nothing_behind(world):
    world.people(6)
    answer = world.start()

    def end_and_die() -> None:
        world.exporter.abandon_run(body(world, answer))
        world.state.put(f"{paths.staging(world.run_id(answer))}attempt/00000.ndjson", b"{}\n")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        plan_late(world, answer, end_and_die)

    assert staged(world) == []


def test_removals_that_are_staged_after_the_end_of_the_run_go_again(world):
    world.export(mode="mirror", brakes={"max_share_removed": 1, "min_share_of_last": 0})
    world.people(12)
    world.export_now()
    world.segment("EMail,FirstName\nnew@example.com,Ann\np0@example.com,Ann\n")
    answer = world.start()
    while not list(world.state.list(paths.outcomes("newsletter", world.run_id(answer)))):
        world.time = max(world.time, world.queues.next_due())
        world.deliver(*world.queues.due())
    late = Interrupted(world, "leavers.parquet", world.pump)

    Exporter(replace(world.parts, heavy_work=Lock(), state=late)).move_run(body(world, answer))
    world.pump()

    run = world.show(answer)
    assert (run["status"], run["removal"]["removed"]) == ("successful", 11)
    assert staged(world) == []


def test_an_answer_about_suppressed_people_that_comes_after_the_end_does_not_stay(world):
    world.export(withhold=True)
    world.people(3)
    world.account.suppressed["p1@example.com"] = SuppressionKind.BOUNCED
    answer = world.start()
    world.account.on_suppressions = lambda: world.exporter.abandon_run(body(world, answer))

    world.pump()

    assert world.show(answer)["status"] == "failed"
    assert world.account.questions == 1
    assert staged(world) == []


def test_a_rejection_and_an_approval_at_once_leave_the_rejects_of_the_one_that_counts(world, tmp_path):
    cut_off(world)
    answer = world.start()
    world.pump()
    world.account.on_submit = lambda contacts: refusals(contacts[0]["email"])

    def approve() -> None:
        world.approve(answer)
        world.pump()

    late = replace(world.parts, state=Interrupted(world, "rejects.parquet", approve))
    run = records.read_run(late, "newsletter", world.run_id(answer))
    assert run is not None
    hold.reject(late, run)

    shown = world.show(answer)
    assert shown["status"] in {"canceled", "completed_with_warnings"}
    assert kinds(world, answer, tmp_path) == ["invalid", *["refused"] * shown["sums"]["refused"]]


def test_a_rejection_that_died_before_it_kept_the_rejects_is_completed_by_the_watch(world, tmp_path):
    cut_off(world)
    answer = world.start()
    world.pump()

    def die() -> None:
        raise TransientError("The connection was lost")

    broken = replace(world.parts, state=Interrupted(world, "rejects.parquet", die))
    run = records.read_run(broken, "newsletter", world.run_id(answer))
    assert run is not None
    with pytest.raises(TransientError):
        hold.reject(broken, run)

    world.exporter.tick()
    world.pump()

    assert world.show(answer)["status"] == RunStatus.CANCELED
    assert kinds(world, answer, tmp_path) == ["invalid"]
    assert staged(world) == []
    assert started_again(world)["status"] == "held"


def started_again(world: World) -> dict[str, Any]:
    world.pass_time(seconds=1)
    return world.export_now()


def test_a_planner_that_fails_after_another_one_has_planned_fails_nothing(world):
    world.people(6)
    answer = world.start()
    before = records.read_run(world.parts, "newsletter", world.run_id(answer))
    world.deliver(*world.queues.due())

    fail_run(world.parts, before, "VIP.csv was changed while it was read")

    world.pump()
    run = world.show(answer)
    assert (run["status"], run["sums"]["delivered"]) == ("successful", 6)
