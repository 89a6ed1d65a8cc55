"""The overview of all exports: what its rows say, and how little is read for it."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from exporters.configuration import overview
from exporters.configuration.overview import PATH, Row, current, look, refresh, reread, rows_of
from exporters.errors import StorageConflictError
from exporters.model.connection import UsedBy
from exporters.model.run import RunStatus
from exporters.model.schedule import EveryRefresh, Weekly
from exporters.storage import paths
from exporters.storage.blobs import Blob
from exporters.storage.memory import MemoryBlobStore
from tests.world import START, World

WEEKLY = {"kind": "weekly", "days": ["monday"], "times": ["06:00"]}


class CountingStore(MemoryBlobStore):
    """Remembers which blobs were read."""

    def __init__(self) -> None:
        super().__init__(now=lambda: START)
        self.reads: list[str] = []
        self.before_replace = lambda: None

    def get(self, name: str) -> Blob | None:
        self.reads.append(name)
        return super().get(name)

    def replace(self, name: str, data: bytes, *, etag: str) -> str:
        if name == PATH:
            self.before_replace()
        return super().replace(name, data, etag=etag)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def counting(world: World) -> CountingStore:
    """The world's state in a store that counts; use it with `replace(world.parts, state=counting)`."""
    store = CountingStore()
    for blob in world.state.list(""):
        store.put(blob.name, world.state.get(blob.name).data)
    return store


def row_of(world: World, name: str = "newsletter") -> Row:
    return look(world.parts).rows[name]


def test_a_row_says_what_the_export_is(world: World):
    world.export(schedule=WEEKLY, mode="mirror")
    row = row_of(world)
    assert (row.name, row.connection, row.provider, row.list_id) == ("Newsletter", "main", "simulated", "list-1")
    assert row.segments == ("VIP",)
    assert row.mode == "mirror"
    assert row.schedule == Weekly(days=("monday",), times=("06:00",))
    assert row.fault == ""


def test_an_export_written_by_hand_is_scheduled_since_it_was_stored(world: World):
    assert row_of(world).scheduled_since == START
    since = datetime(2026, 3, 1, tzinfo=UTC)
    world.export(scheduled_since=since.isoformat(), updated={"at": "2026-04-01T00:00:00Z", "by": "Ann"})
    row = row_of(world)
    assert row.scheduled_since == since
    assert (row.updated, row.updated_by) == (datetime(2026, 4, 1, tzinfo=UTC), "Ann")


def test_a_row_says_what_the_last_run_came_to(world: World):
    world.people(3)
    run = world.export_now()
    row = row_of(world)
    assert row.active is None
    assert row.last_status is RunStatus.SUCCESSFUL
    assert set(row.read) == {"VIP"}
    assert run["status"] == "successful"


def test_a_row_names_the_run_at_work(world: World):
    world.people(3)
    run = world.run_id(world.start())
    assert row_of(world).active == run


def test_what_is_stored_reads_back_as_it_was(world: World):
    for number, schedule in enumerate([None, {"kind": "refresh"}, WEEKLY, {"cron": "0 6 * * *"}]):
        world.export(id=f"e{number}", schedule=schedule)
    seen = look(world.parts)
    overview._remembered.clear()  # as in another process
    assert look(world.parts) == seen
    assert seen.rows["e1"].schedule == EveryRefresh()


def test_a_second_look_reads_nothing(world: World, counting: CountingStore):
    parts = replace(world.parts, state=counting)
    look(parts)
    counting.reads.clear()
    look(parts)
    assert counting.reads == []


def test_only_what_has_changed_is_read_again(world: World, counting: CountingStore):
    parts = replace(world.parts, state=counting)
    counting.put(
        paths.export("other"),
        json.dumps({**json.loads(counting.get(paths.export("newsletter")).data), "id": "other"}).encode(),
    )
    look(parts)
    counting.put(paths.export("other"), counting.get(paths.export("other")).data.replace(b"Newsletter", b"Renamed"))
    counting.reads.clear()
    assert look(parts).rows["other"].name == "Renamed"
    assert counting.reads == [paths.export("other")]


def test_an_export_that_was_removed_has_no_row(world: World):
    world.export(id="other")
    assert set(look(world.parts).rows) == {"newsletter", "other"}
    world.state.delete(paths.export("other"))
    assert set(look(world.parts).rows) == {"newsletter"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"not json", "config/exports/broken.json cannot be used"),
        (b'{"id": "other", "name": "x", "segments": ["VIP"], "list_id": "1", "mapping": {"email": "EMail"}}', "its id"),
    ],
)
def test_an_export_that_cannot_be_read_is_a_row_that_says_why(world: World, document: bytes, said: str):
    world.state.put(paths.export("broken"), document)
    rows = look(world.parts).rows
    assert said in rows["broken"].fault
    assert rows["newsletter"].fault == ""


def test_files_that_are_no_documents_have_no_row(world: World):
    world.state.put(f"{paths.EXPORTS}readme.txt", b"hello")
    assert set(look(world.parts).rows) == {"newsletter"}


def test_the_provider_is_that_of_the_connection_now(world: World):
    world.export(id="detached", connection=None)
    world.export(id="dangling", connection="gone")
    rows = look(world.parts).rows
    assert [rows[name].provider for name in ("newsletter", "detached", "dangling")] == ["simulated", None, None]
    world.connection(id="gone")
    assert look(world.parts).rows["dangling"].provider == "simulated"


@pytest.mark.usefixtures("many")
def test_a_removed_export_is_taken_out_by_a_refresh(world: World):
    world.export(id="other")
    look(world.parts)
    world.state.delete(paths.export("newsletter"))
    refresh(world.parts, "newsletter")
    assert set(current(world.parts).rows) == {"other"}


def test_a_refresh_loses_nothing_of_what_another_one_writes_meanwhile(world: World, counting: CountingStore):
    parts = replace(world.parts, state=counting)
    look(parts)
    other = json.loads(counting.get(paths.export("newsletter")).data) | {"id": "other"}
    counting.put(paths.export("other"), json.dumps(other).encode())
    counting.put(paths.export("newsletter"), counting.get(paths.export("newsletter")).data.replace(b"Newsletter", b"N"))

    def race() -> None:
        counting.before_replace = lambda: None
        refresh(parts, "other")

    counting.before_replace = race
    refresh(parts, "newsletter")
    rows = json.loads(counting.get(PATH).data)["rows"]
    assert set(rows) == {"newsletter", "other"}
    assert rows["newsletter"]["name"] == "N"


def test_a_look_that_another_one_overtakes_answers_what_it_saw(world: World, counting: CountingStore):
    parts = replace(world.parts, state=counting)
    look(parts)
    counting.put(paths.export("newsletter"), counting.get(paths.export("newsletter")).data.replace(b"Newsletter", b"N"))

    def lose() -> None:
        raise StorageConflictError("somebody was faster")

    counting.before_replace = lose
    assert look(parts).rows["newsletter"].name == "N"


def test_what_another_version_of_the_app_has_stored_is_made_anew(world: World):
    world.state.put(PATH, b'{"rows": {"x": 1}}')
    assert set(look(world.parts).rows) == {"newsletter"}


def test_rows_are_read_anew_for_a_page(world: World):
    world.people(3)
    seen = look(world.parts)
    run = world.run_id(world.start())
    assert [row.active for row in reread(world.parts, seen.rows.values())] == [run]


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two exports are many."""
    monkeypatch.setattr(overview, "LOOKED_AT_ANEW", 1)


def test_of_few_exports_nothing_is_missed(world: World):
    look(world.parts)
    world.export(name="Renamed")
    assert current(world.parts).rows["newsletter"].name == "Renamed"


@pytest.mark.usefixtures("many")
def test_of_many_exports_those_show_at_once_that_were_refreshed(world: World):
    world.export(id="other")
    look(world.parts)
    world.export(name="Renamed")
    world.export(id="other", name="Renamed")
    refresh(world.parts, "newsletter")
    assert {row.id: row.name for row in current(world.parts).rows.values()} == {
        "newsletter": "Renamed",
        "other": "Newsletter",
    }


@pytest.mark.usefixtures("many")
def test_who_may_use_a_connection_shows_at_once_for_many_exports_too(world: World):
    world.export(id="other")
    look(world.parts)
    world.connection(used_by="contributors", display_name="Shared")
    known = current(world.parts).connections["main"]
    assert (known.used_by, known.display_name) == (UsedBy.CONTRIBUTORS, "Shared")


def test_some_rows_are_read_without_a_look_at_all(world: World):
    world.export(id="other", connection=None)
    rows = rows_of(world.parts, ["newsletter", "none"])

    assert rows == {"newsletter": look(world.parts).rows["newsletter"]}
    assert rows["newsletter"].provider == "simulated"
