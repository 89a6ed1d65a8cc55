"""What is known of a segment without reading all of it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from exporters.errors import NotCompleteError
from exporters.parts import Parts
from exporters.segments import catalogue
from exporters.segments.catalogue import Counted, Row
from exporters.segments.snapshots import NoSuchSegmentError
from exporters.segments.walk import Layout, Mark
from exporters.storage.blobs import Blob, BlobInfo
from exporters.storage.memory import MemoryBlobStore
from tests.world import START, World

TABLE = "CustomerInsights_abcd/BlobExport/HighValue"


class Container(MemoryBlobStore):
    """A container that counts requests."""

    requests = 0

    def get(self, name: str) -> Blob | None:
        self.requests += 1
        return super().get(name)

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        self.requests += 1
        return super().list(prefix)

    def folders(self, prefix: str) -> Iterator[str]:
        before, found = self.requests, list(super().folders(prefix))
        self.requests = before + 1
        return iter(found)

    def page(self, prefix: str, *, after: str, size: int) -> Sequence[BlobInfo]:
        before, found = self.requests, super().page(prefix, after=after, size=size)
        self.requests = before + 1
        return found

    def read(self, name: str, *, offset: int, length: int) -> bytes:
        self.requests += 1
        return super().read(name, offset=offset, length=length)


class Shop:
    """A world whose segments can be written at any time."""

    def __init__(self) -> None:
        self.world = World()
        self.container = Container(now=self.world.now)
        self.parts: Parts = replace(self.world.parts, segments=self.container)

    def write(self, name: str, data: bytes = b"EMail\na@x.example\n", *, minutes_ago: float = 60) -> None:
        now, self.world.time = self.world.time, START - timedelta(minutes=minutes_ago)
        self.container.put(name, data)
        self.world.time = now

    def listed(self, *, search: str = "", limit: int = 50, named: Sequence[str] = ()) -> list[Row]:
        """All pages."""
        rows, start = list[Row](), Mark()
        for _ in range(1_000):
            page = catalogue.listed(self.parts, start=start, search=search, limit=limit, named=frozenset(named))
            assert len(page.rows) <= limit
            rows += page.rows
            if page.mark is None:
                return rows
            start = page.mark
        raise AssertionError("there is no end")


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize("ask", [catalogue.detail, catalogue.require])
def test_a_segment_that_is_not_there_is_told_with_those_like_it(shop, ask):
    shop.write(f"{TABLE}/2026/11/21/0600/HighValue_1.csv")
    with pytest.raises(NoSuchSegmentError, match=f"Did you mean {TABLE}"):
        ask(shop.parts, f"{TABLE}s")


def test_a_detail_has_snapshots_newest_first_and_the_columns_of_the_newest_complete_one(shop):
    for day in range(1, 21):
        shop.write(f"{TABLE}/2026/11/{day:02d}/0600/HighValue_1.csv", b"EMail\n" + b"a@x.example\n" * day)
    shop.write(f"{TABLE}/2026/11/22/0600/HighValue_1.csv", minutes_ago=0)
    found = catalogue.detail(shop.parts, TABLE)
    names = [snapshot.name.removeprefix(TABLE) for snapshot in found.snapshots]
    assert names == ["/2026/11/22/0600", *(f"/2026/11/{day:02d}/0600" for day in range(20, 7, -1))]
    assert [bool(snapshot.unfinished) for snapshot in found.snapshots] == [True] + [False] * 13
    assert found.more
    assert found.summary is not None
    assert (found.summary.snapshot, found.summary.profiles) == (f"{TABLE}/2026/11/20/0600", 20)
    assert found.glance is not None
    assert (len(found.glance.rows), found.fault) == (20, "")


@pytest.mark.parametrize(
    ("blobs", "words"),
    [
        ({"vip/1.csv": b"EMail\n", "vip/2.parquet": b"x"}, "Parquet and CSV at once"),
        ({"vip/1.csv.zip": b"x"}, "packed in a way that is not read"),
        ({"vip/_delta_log/0.json": b"{}", "vip/1.parquet": b"x"}, "Delta Lake table"),
        ({"vip.parquet": b"PAR1" + bytes(9)}, "ends too early"),
        ({"vip.csv": b'"EMail\n'}, "quotes of the first line do not add up"),
        ({"vip.csv": b"EMail\n", "model.json": b"{"}, "model.json cannot be read"),
    ],
)
def test_a_detail_says_what_a_run_would_fail_with(shop, blobs, words):
    for name, data in blobs.items():
        shop.write(name, data)
    found = catalogue.detail(shop.parts, "vip")
    assert words in found.fault
    assert found.glance is None


def test_a_large_file_is_estimated_until_a_run_has_counted_it():
    world = World()
    world.segment("EMail,FirstName\n" + "".join(f"nobody {number},Ann\n" for number in range(100_000)))
    before = catalogue.detail(world.parts, "VIP").summary
    assert before is not None
    assert before.counted is Counted.ESTIMATED
    assert before.profiles == pytest.approx(100_000, rel=0.1)
    world.export_now()
    after = catalogue.detail(world.parts, "VIP").summary
    assert after is not None
    assert (after.profiles, after.counted) == (100_000, Counted.EXACT)


def test_an_older_snapshot_stands_in_for_one_that_is_being_written(shop):
    shop.write(f"{TABLE}/2026/11/21/0600/HighValue_1.csv")
    shop.write(f"{TABLE}/2026/11/22/0600/HighValue_1.csv", minutes_ago=0)
    found = catalogue.detail(shop.parts, TABLE)
    assert found.summary is not None
    assert (found.summary.snapshot, found.summary.complete) == (f"{TABLE}/2026/11/21/0600", True)
    assert "changed less than 60 seconds ago" in found.summary.waiting


def test_a_snapshot_of_which_nothing_is_there_yet_is_waited_for(shop):
    location = "HighValue/2026/11/22/0600/HighValue_1.csv"
    entity = {"name": "HighValue", "attributes": [{"name": "EMail"}], "partitions": [{"location": location}]}
    shop.write(f"{TABLE.rpartition('/')[0]}/model.json", json.dumps({"entities": [entity]}).encode())
    shop.write(f"{TABLE}/2026/11/22/0600/_started")
    found = catalogue.detail(shop.parts, TABLE).summary
    assert found is not None
    assert (found.complete, found.written, found.parts) == (False, None, 0)
    assert "HighValue_1.csv, which is not there yet" in found.waiting


def test_a_detail_says_what_a_run_would_wait_for(shop):
    shop.write("vip.csv", minutes_ago=0)
    found = catalogue.detail(shop.parts, "vip")
    assert "changed less than 60 seconds ago" in found.fault
    assert (found.summary is None, found.glance) == (False, None)


def test_members_are_those_of_the_snapshot_that_a_run_would_read(shop):
    shop.write(f"{TABLE}/2026/11/21/0600/HighValue_1.csv")
    shop.write(f"{TABLE}/2026/11/22/0600/HighValue_1.csv", b"EMail\nb@x.example\n", minutes_ago=0)
    snapshot, found = catalogue.members(shop.parts, TABLE, limit=5)
    assert (snapshot.name, found.rows) == (f"{TABLE}/2026/11/21/0600", (("a@x.example",),))


def test_members_wait_for_the_first_snapshot(shop):
    shop.write("vip.csv", minutes_ago=0)
    with pytest.raises(NotCompleteError):
        catalogue.members(shop.parts, "vip", limit=5)


def test_a_list_shows_the_newest_snapshot_of_each_segment(shop):
    for table, days in (("A", (20, 21)), ("B", (21,)), ("C", (3, 4)), ("D", (21, 22))):
        for day in days:
            for part in (1, 2):
                shop.write(f"x/{table}/2026/11/{day:02d}/0600/{table}_{part}.csv", b"EMail\n" * day, minutes_ago=part)
    shop.write("x/E/2026/11/21/0600/_SUCCESS")
    shop.write("x/E/2026/11/20/0600/E_1.csv")
    shop.write("vip/vip_1.csv", minutes_ago=7)
    shop.write("vip/vip_2.csv", minutes_ago=9)
    shop.write("vip/old/notes.txt")
    shop.write("two.csv", minutes_ago=9)
    shop.write("two.parquet", minutes_ago=8)
    rows = {row.path: row for row in shop.listed()}
    assert {path: row.snapshot for path, row in rows.items()} == {
        "x/A": "x/A/2026/11/21/0600",
        "x/B": "x/B/2026/11/21/0600",
        "x/C": "x/C/2026/11/04/0600",
        "x/D": "x/D/2026/11/22/0600",
        "x/E": "x/E/2026/11/20/0600",
        "vip": "vip",
        "two": "two.parquet",
    }
    assert (rows["x/D"].bytes, rows["x/D"].parts, rows["x/D"].layout) == (2 * 22 * 6, 2, Layout.DATED)
    assert rows["x/D"].written == START - timedelta(minutes=1)
    assert rows["vip"].written == START - timedelta(minutes=7)
    assert rows["two"].written == START - timedelta(minutes=8)


def test_a_list_leaves_sums_out_where_there_are_too_many_parts(shop):
    for number in range(300):
        shop.write(f"vip/part-{number:04d}.csv")
    (row,) = shop.listed()
    assert (row.path, row.parts, row.bytes, row.written) == ("vip", None, None, None)


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_pages_follow_each_other_and_a_search_finds_letters_in_any_case(shop, limit):
    for number in range(20):
        shop.write(f"x/Table{number}/2026/11/22/0600/1.csv")
        shop.write(f"segment{number}.csv")
        shop.write(f"y/Folder{number}/part-1.csv")
    assert len(shop.listed(limit=limit)) == 60
    assert [row.path for row in shop.listed(limit=limit, search="tAbLe1")] == [
        "x/Table1",
        *(f"x/Table{number}" for number in range(10, 20)),
    ]
    assert shop.listed(limit=limit, search="nowhere") == []


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_a_page_that_is_full_loses_nothing(shop, limit):
    for name in ("VIP/VIP.csv", "VIP/x.csv", "two/two_1.csv", "two/two_2.csv"):
        shop.write(name)
    rows = shop.listed(limit=limit, named=["VIP", "two", "two/two_1"])
    assert [row.path for row in rows] == ["VIP", "VIP/VIP", "VIP/x", "two", "two/two_1"]


def test_a_page_takes_few_requests_however_many_segments_there_are(shop):
    for number in range(300):
        for day in range(1, 21):
            shop.container.put(f"x/Table{number:04d}/2026/11/{day:02d}/0600/1.csv", b"EMail\n")
    shop.container.requests = 0
    page = catalogue.listed(shop.parts, start=Mark(), search="", limit=50, named=frozenset())
    assert (len(page.rows), page.mark is not None) == (50, True)
    assert shop.container.requests <= 20
    shop.container.requests = 0
    page = catalogue.listed(shop.parts, start=Mark(), search="nowhere", limit=50, named=frozenset())
    assert (page.rows, page.mark is not None) == ((), True)
    assert shop.container.requests <= 20


def test_a_page_of_segments_with_many_files_takes_two_requests_each(shop):
    for number in range(60):
        for part in range(300):
            shop.container.put(f"x/Table{number:04d}/2026/11/{part % 28 + 1:02d}/0600/{part}.csv", b"EMail\n")
    shop.container.requests = 0
    page = catalogue.listed(shop.parts, start=Mark(), search="", limit=50, named=frozenset())
    assert (len(page.rows), {row.snapshot[-15:] for row in page.rows}) == (50, {"2026/11/28/0600"})
    assert shop.container.requests <= 2 * 50 + 15


def test_a_table_in_dated_folders_does_not_spoil_the_list(shop):
    shop.write("vip/2026/11/22/0600/_delta_log/0.json")
    shop.write("vip/2026/11/22/0600/1.parquet")
    shop.write("well.csv")
    assert [row.path for row in shop.listed()] == ["vip", "well"]


def test_what_is_shown_never_leaves_files_behind(shop, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shop.write("vip.csv", b"EMail\n" + b"a@x.example\n" * 10)
    catalogue.detail(shop.parts, "vip")
    assert list(Path(tmp_path).iterdir()) == []
