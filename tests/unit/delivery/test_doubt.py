"""What a step did that never learnt of it: requests whose answers got lost, and ends that died half-way."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from azure.core.exceptions import ServiceRequestError

from exporters.delivery import lanes
from exporters.errors import ConfigError, TransientError
from exporters.exporter import Exporter
from exporters.model.messages import RunMessage
from exporters.model.run import Run
from exporters.providers.base import JobReport, JobState
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.mortal import Died, Mortal
from tests.world import World

PEOPLE = 4


@pytest.fixture
def world() -> World:
    world = World()
    world.export(mode="mirror", brakes={"max_share_removed": 1})
    world.people(PEOPLE)
    return world


def step(world: World) -> None:
    """Deliver the next message, whenever it shows itself."""
    world.time = max(world.time, world.queues.next_due())
    world.deliver(*world.queues.due())


def staged(world: World) -> list[str]:
    return [blob.name for blob in world.state.list("staging/")]


def takes_them(world: World, raising: BaseException):
    """The provider puts the contacts on the list, and nobody hears of it."""

    def on_submit(contacts):
        world.account.contacts |= {contact["email"]: contact for contact in contacts}
        world.account.on_list |= {contact["email"] for contact in contacts}
        raise raising

    return on_submit


def refuses(contacts):
    raise ConfigError("The account is full")


def check_nobody_is_forgotten(world: World, run: dict) -> None:
    """Who is on the list without having left the segment for the ledger is taken off it once that happens."""
    assert (run["sums"]["unknown"], run["sums"]["refused"]) == (PEOPLE, 0)
    world.account.on_submit = lambda contacts: None
    world.segment("EMail,FirstName\nnew@example.com,Ann\n")
    world.export(mode="mirror", brakes={"max_share_removed": 1, "min_share_of_last": 0})
    world.export_now()
    assert world.account.on_list == {"new@example.com"}


def test_people_of_a_lost_answer_are_not_called_refused_when_sending_is_stopped(world):
    answer = world.start()
    step(world)
    world.account.on_submit = takes_them(world, TransientError("The connection was lost"))
    step(world)
    world.account.on_submit = refuses
    world.pump()

    check_nobody_is_forgotten(world, world.show(answer))


def test_people_of_a_step_that_died_are_not_called_refused_when_sending_is_stopped(world):
    answer = world.start()
    step(world)
    world.account.on_submit = takes_them(world, Died())
    message = world.queues.due()
    with pytest.raises(Died):
        world.deliver(*message)
    world.account.on_submit = refuses
    world.pass_time(minutes=12)
    world.deliver(*message)
    world.pump()

    check_nobody_is_forgotten(world, world.show(answer))


def test_people_of_a_step_that_could_not_write_down_their_job_are_not_called_refused(world):
    answer = world.start()
    step(world)
    message = world.queues.due()
    mortal = Mortal(world, counts=lambda name, path: name == "replace" and "/progress/" in path, dies_at=0)
    assert not mortal.deliver(world, *message)
    world.exporter = Exporter(world.parts)
    world.account.on_list |= {f"p{number}@example.com" for number in range(PEOPLE)}
    world.account.on_submit = refuses
    world.pass_time(minutes=12)
    world.deliver(*message)
    world.pump()

    check_nobody_is_forgotten(world, world.show(answer))


def test_people_of_a_lost_answer_are_not_called_refused_when_the_second_job_fails(world):
    answer = world.start()
    step(world)
    world.account.on_submit = takes_them(world, TransientError("The connection was lost"))
    step(world)
    world.account.on_submit = lambda contacts: JobReport(state=JobState.FAILED, words="busy")
    world.pump()

    check_nobody_is_forgotten(world, world.show(answer))


def test_people_whom_the_provider_refuses_without_doubt_are_refused(world):
    world.account.on_submit = refuses

    assert world.export_now()["sums"]["refused"] == PEOPLE


def test_a_rejection_that_dies_while_it_deletes_leaves_nothing_behind(world):
    world.segment("EMail,FirstName\n")
    answer = world.start()
    world.pump()
    assert staged(world)
    Mortal(world, counts=lambda name, path: name == "delete", dies_at=1)
    with pytest.raises(Died):
        world.reject(answer)
    world.exporter = Exporter(world.parts)
    world.exporter.tick()
    world.pump()

    assert staged(world) == []
    assert world.show(answer)["status"] == "canceled"


def test_a_start_that_dies_while_it_frees_the_place_of_an_ended_run_leaves_nothing_behind(world):
    answer = world.start()
    while len(list(world.state.list("runs/"))) < 2 or world.show(answer)["batches_ended"] < 1:
        step(world)
    mortal = Mortal(world, counts=lambda name, path: path.startswith("staging/"), dies_at=0)
    assert not mortal.deliver(world, *world.queues.due())
    assert world.show(answer)["status"] == "successful"
    Mortal(world, counts=lambda name, path: path == paths.export_state("newsletter"), dies_at=1)
    with pytest.raises(Died):
        world.start()
    world.exporter = Exporter(world.parts)
    world.pump()

    assert staged(world) == []


def test_a_run_does_not_ask_which_account_it_is_while_the_account_has_to_wait(world):
    world.account.id = "owner@example.com"
    world.export_now()
    world.pass_time(days=2)  # until then it is known
    (lane,) = [blob.name for blob in world.state.list(paths.LANES)]
    lanes.hold_back(world.parts, lane.removeprefix(paths.LANES).removesuffix(".json"), 60)
    world.exporter = Exporter(replace(world.parts, connect=lambda *_: pytest.fail("a request within the pause")))
    world.start()

    world.deliver(*world.queues.due())

    assert (world.queues.next_due() - world.time).total_seconds() == 60


class Late(MemoryBlobStore):
    """The state of a world, in which the run comes to its end before the first progress is written."""

    def __init__(self, world: World) -> None:
        super().__init__(now=world.now)
        self._blobs, self._etags, self._lock = world.state._blobs, world.state._etags, world.state._lock
        self._world: World | None = world

    def create(self, name: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        world = self._world
        if "/progress/" in name and world is not None:
            self._world = None
            world.queues.send("batch", self.message)
            world.pump()
        return super().create(name, data, metadata=metadata)


def test_a_step_that_claims_a_batch_after_the_end_of_its_run_leaves_nothing_behind(world):
    answer = world.start()
    step(world)
    _, body = world.queues.due()
    late = Late(world)
    late.message = body
    Exporter(replace(world.parts, state=late)).send_batch(body.encode())
    world.pump()

    assert world.show(answer)["status"] == "successful"
    assert len(world.account.requests) == 1
    assert staged(world) == []


class Shaky(MemoryBlobStore):
    """The state of a world, of which one upload of a ledger fails."""

    def __init__(self, world: World) -> None:
        super().__init__(now=world.now)
        self._blobs, self._etags, self._lock = world.state._blobs, world.state._etags, world.state._lock
        self._fails = True

    def upload(self, name: str, source: Path) -> None:
        if name.startswith("ledgers/") and self._fails:
            self._fails = False
            raise ServiceRequestError("The storage could not be reached")
        super().upload(name, source)


def test_the_ledger_of_a_run_that_was_cut_short_is_not_given_up_for_trouble_that_passes(world):
    answer = world.start()
    step(world)
    _, body = world.queues.due()
    message = RunMessage(export="newsletter", run=world.run_id(answer)).model_dump_json().encode()
    shaky = Exporter(replace(world.parts, state=Shaky(world)))
    with pytest.raises(ServiceRequestError):
        shaky.abandon_run(message)

    shaky.abandon_run(message)

    run = world.parts.documents.read(Run, paths.run("newsletter", world.run_id(answer))).value
    assert (run.status, run.has_ledger) == ("failed", True)
    world.exporter.send_batch(body.encode())
    assert staged(world) == []
