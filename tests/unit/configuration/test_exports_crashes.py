"""Exports when processes die in the middle, and when somebody else is faster."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from exporters.configuration import exports, overview
from exporters.configuration.exports import ExportExistsError, Started, settings_of
from exporters.errors import StorageConflictError
from exporters.exporter import Exporter
from exporters.model.caller import LOCAL
from exporters.model.export import Export, ExportSettings
from exporters.model.run import Trigger
from exporters.parts import Parts
from exporters.scheduling.start import Cause, NoSuchExportError, RunActiveError, start_run
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.mortal import Mortal
from tests.world import EXPORT, START, World

SETTINGS = ExportSettings.model_validate({name: value for name, value in EXPORT.items() if name != "id"})
PATH = paths.export("newsletter")


@pytest.fixture
def world() -> World:
    world = World()
    world.people(4)
    return world


class MeddledStore(MemoryBlobStore):
    """Somebody else does something right before a document is replaced, once."""

    def __init__(self, world: World, meddle: Callable[[], object]) -> None:
        super().__init__(now=world.now)
        self._meddle: Callable[[], object] | None = None
        for blob in world.state.list(""):
            self.put(blob.name, world.state.get(blob.name).data)
        self._meddle = meddle

    def replace(self, name: str, data: bytes, *, etag: str) -> str:
        meddle, self._meddle = (None, self._meddle) if name != PATH else (self._meddle, None)
        if meddle is not None:
            meddle()
        return super().replace(name, data, etag=etag)


def meddled(world: World, meddle: Callable[[Parts], object]) -> Parts:
    """Parts whose state somebody changes just before the export's document is replaced."""
    holder: list[Parts] = []
    parts = replace(world.parts, state=MeddledStore(world, lambda: meddle(holder[0])))
    holder.append(parts)
    return parts


def rename(parts: Parts) -> None:
    document = json.loads(parts.state.get(PATH).data) | {"name": "Renamed"}
    parts.state.put(PATH, json.dumps(document).encode())


def dies(world: World, do: Callable[[World], object], *, at: int | None) -> Mortal:
    """Do something with a process that dies at a moment, or at none."""
    mortal = Mortal(world, counts=lambda *_: True, dies_at=at)
    assert mortal.survives(lambda: do(world)) is (at is None)
    return mortal


def moments(world: Callable[[], World], do: Callable[[World], object]) -> range:
    """The moments at which a process can die while it does something."""
    return range(dies(world(), do, at=None).moments)


def used() -> World:
    """An export that has delivered people and withheld one."""
    world = World()
    world.people(4)
    world.export_now()
    world.state.put(paths.withheld("newsletter"), b"email\n")
    return world


def removal(world: World) -> object:
    return exports.remove(world.exporter.parts, LOCAL, "newsletter")


def creation(world: World) -> object:
    return exports.create(world.exporter.parts, LOCAL, SETTINGS, export_id="newsletter")


def left(world: World) -> set[str]:
    """What is stored about the export beside its runs, with their people, and the notes about them."""
    alone = ("runs/", paths.REJECTS, paths.DRIFT, "journal/", "audit/", overview.PATH)
    return {blob.name for blob in world.state.list("") if "newsletter" in blob.name and not blob.name.startswith(alone)}


def test_a_removal_that_dies_anywhere_is_completed_by_another():
    for moment in moments(used, removal):
        world = used()
        dies(world, removal, at=moment)
        if world.state.get(PATH) is not None:
            exports.remove(world.parts, LOCAL, "newsletter")

        assert left(world) == set(), moment
        assert overview.look(world.parts).rows == {}


def test_a_removal_that_dies_anywhere_leaves_an_export_that_is_whole_or_does_not_run():
    for moment in moments(used, removal):
        world = used()
        whole = left(world)
        dies(world, removal, at=moment)
        found = world.state.get(PATH)
        if found is not None and Export.model_validate_json(found.data).connection is not None:
            assert left(world) == whole, moment


def test_a_creation_in_place_of_another_inherits_nothing_wherever_it_dies():
    def abandoned() -> World:
        world = used()
        world.state.delete(PATH)  # by hand
        return world

    for moment in moments(abandoned, creation):
        world = abandoned()
        dies(world, creation, at=moment)
        world.exporter = Exporter(world.parts)
        found = world.state.get(PATH)
        if found is None:
            creation(world)
        elif Export.model_validate_json(found.data).connection is None:
            exports.edit(world.parts, LOCAL, exports.read(world.parts, "newsletter"), SETTINGS)

        assert world.export_now()["sums"]["added"] == 4, moment


def test_a_removed_export_is_not_started_by_anybody_who_comes_in_between(world: World):
    """Somebody starts it after the removal has seen that nothing is at work."""
    parts = meddled(world, lambda parts: start_run(parts, "newsletter", Cause(trigger=Trigger.DEMAND, text="x")))

    with pytest.raises(RunActiveError):
        exports.remove(parts, LOCAL, "newsletter")
    assert exports.read(parts, "newsletter").value.connection == "main"


def test_an_export_that_is_being_removed_cannot_be_started(world: World):
    mortal = Mortal(world, counts=lambda name, path: (name, path) == ("replace", PATH), dies_at=1)
    assert not mortal.survives(lambda: removal(world))

    with pytest.raises(Exception, match="detached"):
        start_run(world.parts, "newsletter", Cause(trigger=Trigger.DEMAND, text="x"))


def test_whoever_is_slower_changes_nothing(world: World):
    parts = meddled(world, rename)
    found = exports.read(parts, "newsletter")

    with pytest.raises(StorageConflictError):
        exports.edit(parts, LOCAL, found, SETTINGS.model_copy(update={"name": "Mine"}))
    assert exports.read(parts, "newsletter").value.name == "Renamed"


def test_a_removal_of_what_somebody_changes_meanwhile_removes_nothing(world: World):
    parts = meddled(world, rename)

    with pytest.raises(StorageConflictError):
        exports.remove(parts, LOCAL, "newsletter")
    assert exports.read(parts, "newsletter").value.connection == "main"


def test_a_detachment_takes_what_somebody_changes_meanwhile_along(world: World):
    parts = meddled(world, rename)
    exports.detach(parts, LOCAL, "newsletter")

    found = exports.read(parts, "newsletter").value
    assert (found.name, found.connection) == ("Renamed", None)


def test_of_two_who_create_one_id_one_is_told(world: World):
    exports.create(world.parts, LOCAL, SETTINGS, export_id="mine")

    with pytest.raises(ExportExistsError):
        exports.create(world.parts, LOCAL, SETTINGS, export_id="mine")


def test_an_id_is_not_taken_from_an_export_whose_run_is_still_at_work(world: World):
    world.start()
    world.state.delete(PATH)  # by hand

    with pytest.raises(RunActiveError):
        creation(world)
    assert world.state.get(PATH) is None


def test_an_id_that_is_made_of_a_name_is_another_one_then(world: World):
    world.start()
    world.state.delete(PATH)  # by hand

    assert exports.create(world.parts, LOCAL, SETTINGS).value.id == "newsletter-2"


def test_an_export_that_a_removal_has_left_behind_forgets_nothing_while_a_run_is_at_work(world: World):
    """The removal has died between the start that it met and giving the export back."""
    world.start()
    found = exports.read(world.parts, "newsletter")
    left_behind = found.value.model_copy(update={"connection": None, "forgets": True})
    world.state.put(PATH, left_behind.model_dump_json().encode())

    with pytest.raises(RunActiveError):
        exports.edit(world.parts, LOCAL, exports.read(world.parts, "newsletter"), SETTINGS)
    world.pump()
    after = exports.edit(world.parts, LOCAL, exports.read(world.parts, "newsletter"), SETTINGS).value
    assert (after.connection, after.forgets, left(world)) == ("main", False, {PATH})


def test_an_export_of_another_id_than_its_file_is_not_changed(world: World):
    world.state.put(paths.export("other"), world.state.get(PATH).data)

    with pytest.raises(Exception, match="make id and file name the same"):
        exports.detach(world.parts, LOCAL, "other")
    with pytest.raises(NoSuchExportError):
        exports.read(world.parts, "none")


def test_settings_that_change_when_occurrences_are_due_let_those_start_first(world: World):
    world.export(schedule={"kind": "daily", "times": ["06:30"]}, scheduled_since=START.isoformat())
    world.pass_time(hours=1)
    found = exports.read(world.parts, "newsletter")
    changed = settings_of(found.value).model_copy(update={"schedule": SETTINGS.schedule})
    exports.edit(world.parts, LOCAL, found, changed)

    assert overview.look(world.parts).rows["newsletter"].active is not None


def test_those_that_the_time_is_too_short_for_are_left_to_the_same_key(world: World):
    for name in ("a", "b"):
        world.export(id=name, schedule={"kind": "refresh"})
    world.export(id="off")
    rows = list(overview.look(world.parts).rows.values())
    times = count()
    # Each look at the clock takes a minute.
    slow = replace(world.parts, now=lambda: world.now() + timedelta(minutes=next(times)))
    first = exports.start_all(slow, LOCAL, rows, key="k", until=world.now())
    second = exports.start_all(world.parts, LOCAL, rows, key="k", until=world.now() + timedelta(minutes=1))

    assert not all(isinstance(each, Started) for each in first)
    assert [each.row.id for each in second if isinstance(each, Started) and each.run] == ["a", "b"]
