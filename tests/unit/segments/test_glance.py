"""The first profiles of a snapshot, and how many it has, without reading all of it."""

import gzip
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import duckdb
import pytest

from exporters.errors import SegmentError
from exporters.segments.glance import WINDOW_BYTES, Glance, glance
from exporters.segments.reading import fetch_segment
from exporters.segments.snapshots import newest_snapshot
from exporters.storage.memory import MemoryBlobStore

LATER = datetime(2100, 1, 1, tzinfo=UTC)
PLENTY = 1 << 28


class Container(MemoryBlobStore):
    """A container that counts the bytes that are read, and in how many requests."""

    def __init__(self, blobs: Mapping[str, bytes]) -> None:
        super().__init__()
        self.requests = self.bytes = 0
        for name, data in blobs.items():
            self.put(name, data)

    def read(self, name: str, *, offset: int, length: int) -> bytes:
        data = super().read(name, offset=offset, length=length)
        self.requests += 1
        self.bytes += len(data)
        return data


def look(container: MemoryBlobStore, *, rows: int = 100, budget: int = PLENTY, count: bool = True) -> Glance:
    snapshot = newest_snapshot(container, "people", now=LATER, settle=timedelta(0))
    return glance(container, snapshot, rows=rows, budget=budget, count=count)


def seen(blobs: Mapping[str, bytes], *, rows: int = 100) -> Glance:
    return look(Container(blobs), rows=rows)


def lines(count: int, *, text: str = "Ann") -> bytes:
    return "".join(f"p{number}@x.example,{text}\n" for number in range(count)).encode()


def parquet(folder: Path, query: str, options: str = "") -> bytes:
    path = folder / "part"
    with duckdb.connect() as database:
        database.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet{options})")
    return path.read_bytes()


def test_a_small_csv_is_counted_and_shown():
    found = seen({"people.csv": b"EMail,Name\na@x.example,Ann\nb@x.example,\n"})
    assert [(column.name, column.type) for column in found.columns] == [("EMail", None), ("Name", None)]
    assert found.rows == (("a@x.example", "Ann"), ("b@x.example", ""))
    assert (found.profiles, found.exact, found.certain) == (2, True, False)


@pytest.mark.parametrize(
    "text",
    [
        "EMail;Name\r\na@x.example;Ann\r\n",
        "EMail\tName\na@x.example\tAnn\n\n\n",
        "sep=|\nEMail|Name\na@x.example|Ann",
        '"EMail","Name"\n"a@x.example","Ann"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_shown_is_what_a_run_reads(text, encoding, packed):
    data = text.encode(encoding)
    found = seen({"people.csv.gz": gzip.compress(data)} if packed else {"people.csv": data})
    assert ([column.name for column in found.columns], found.rows) == (["EMail", "Name"], (("a@x.example", "Ann"),))
    assert (found.profiles, found.exact) == (1, True)


def test_names_that_model_json_gives_are_certain():
    settings = {"columnHeaders": False, "delimiter": ","}
    entity = {
        "name": "people",
        "attributes": [{"name": "EMail"}, {"name": "Name"}],
        "partitions": [{"location": "people/1.csv", "fileFormatSettings": settings}],
    }
    found = seen({"model.json": json.dumps({"entities": [entity]}).encode(), "people/1.csv": b"a@x.example,Ann\n"})
    assert ([column.name for column in found.columns], found.certain) == (["EMail", "Name"], True)
    assert found.rows == (("a@x.example", "Ann"),)


def test_parts_are_joined_under_the_columns_of_the_first_that_has_any():
    found = seen(
        {
            "people/0.csv": b"",
            "people/1.csv": b"EMail,Name\na@x.example,Ann\n",
            "people/2.csv": b"Name,City,EMail\nBo,Graz,b@x.example\n",
            "people/3.csv": b"EMail\nc@x.example\n",
        }
    )
    assert found.rows == (("a@x.example", "Ann"), ("b@x.example", "Bo"), ("c@x.example", ""))
    assert (found.profiles, found.exact) == (3, True)


def test_broken_lines_are_counted_and_not_shown():
    data = b'EMail,Name\na@x.example,Ann\ntoo,many,values\nb@x.example,"Bo\nBert"\n\0,x\n'
    container = Container({"people.csv": data})
    found = look(container)
    assert found.rows == (("a@x.example", "Ann"), ("b@x.example", "Bo\nBert"))
    assert (found.profiles, found.exact) == (4, True)


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_csv_is_estimated_from_its_first_megabyte(packed):
    count = 200_000
    data = b"EMail,Name\n" + lines(count)
    container = Container({"people.csv": gzip.compress(data) if packed else data})
    found = look(container, rows=3)
    assert found.rows == tuple((f"p{number}@x.example", "Ann") for number in range(3))
    assert not found.exact
    assert found.profiles == pytest.approx(count, rel=0.1)
    assert (container.requests, container.bytes <= WINDOW_BYTES) == (1, True)


@pytest.mark.parametrize(
    ("count", "blobs"),
    [
        (400_000, {"people.csv": b"EMail\n" + b"a\n" * 400_000}),
        (5_000_000, {"people.csv.gz": gzip.compress(b"EMail\n" + b"a@b.c\n" * 5_000_000)}),
        (400_000, {f"people/{number}.csv": b"EMail\n" + b"a\n" * 100_000 for number in range(4)}),
    ],
    ids=["plain", "packed", "parts"],
)
def test_of_very_short_lines_the_first_ones_tell_how_many_there_are(count, blobs):
    found = seen(blobs, rows=2)
    assert not found.exact
    assert found.profiles == pytest.approx(count, rel=0.02)
    assert len(found.rows) >= 2


def test_the_estimate_is_for_all_parts():
    blobs = {f"people/{number:02d}.csv": b"EMail,Name\n" + lines(60_000) for number in range(30)}
    container = Container(blobs)
    found = look(container, rows=0)
    assert found.profiles == pytest.approx(30 * 60_000, rel=0.1)
    assert container.requests == 1


@pytest.mark.parametrize("spare", range(4))
def test_a_window_that_ends_within_a_letter_shows_whole_lines_only(spare):
    data = b"EMail,Name\n" + b"x" * spare + lines(100_000, text="Čepić 🙂")
    found = seen({"people.csv": data}, rows=100_000)
    assert not found.exact
    assert {row[1] for row in found.rows} == {"Čepić 🙂"}


def test_one_endless_line_has_no_columns_and_no_count():
    found = seen({"people.csv": b"x" * (WINDOW_BYTES + 1)})
    assert (found.columns, found.rows, found.profiles) == ((), (), None)


def test_an_empty_segment_has_no_profiles():
    assert (seen({"people.csv": b""}).profiles, seen({"people.csv": b""}).exact) == (0, True)
    assert seen({"people.csv": b"EMail\n"}).profiles == 0


def test_nothing_is_counted_that_is_known():
    container = Container({f"people/{number}.csv": b"EMail\na@x.example\n" for number in range(8)})
    found = look(container, rows=2, count=False)
    assert (len(found.rows), found.profiles, container.requests) == (2, None, 2)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gzip.compress(b"EMail\na@x.example\n")[:-4], "ends too early"),
        (b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 50, "gzip file is damaged"),
        (gzip.compress(b"EMail\n") + b"rubbish", "gzip file is damaged"),
    ],
    ids=["cut off", "nonsense", "rubbish behind"],  # gzip writes the time into what would be the names
)
def test_a_damaged_gzip_file_is_told_as_a_run_tells_it(data, words, tmp_path):
    container = Container({"people.csv.gz": data})
    snapshot = newest_snapshot(container, "people", now=LATER, settle=timedelta(0))
    with pytest.raises(SegmentError, match=words):
        look(container)
    with pytest.raises(SegmentError, match=words):
        fetch_segment(container, snapshot, columns=["EMail"], folder=tmp_path)


def test_gzip_members_follow_each_other_with_zeros_between():
    data = gzip.compress(b"EMail\na@x.example\n") + b"\0" * 9 + gzip.compress(b"b@x.example\n")
    assert seen({"people.csv.gz": data}).rows == (("a@x.example",), ("b@x.example",))


PEOPLE = """SELECT i AS id, 'p' || i || '@x.example' AS "EMail", CASE WHEN i % 2 = 0 THEN 'Ann' END AS "Name",
    {'a': i, 'b': [i]} AS nested, i * 1.5 AS points, DATE '2000-01-01' + i::INTEGER AS born"""


def test_a_parquet_file_is_counted_by_its_footer_and_shown_by_its_first_row_group(tmp_path):
    data = parquet(tmp_path, f"{PEOPLE} FROM range(300000) t(i)")
    container = Container({"people.parquet": data})
    found = look(container, rows=2)
    assert [(column.name, column.type) for column in found.columns] == [
        ("id", "BIGINT"),
        ("EMail", "VARCHAR"),
        ("Name", "VARCHAR"),
        ("nested", "STRUCT(a BIGINT, b BIGINT[])"),
        ("points", "DECIMAL(21,1)"),
        ("born", "DATE"),
    ]
    assert found.rows == (
        ("0", "p0@x.example", "Ann", None, "0.0", "2000-01-01"),
        ("1", "p1@x.example", "", None, "1.5", "2000-01-02"),
    )
    assert (found.profiles, found.exact, found.certain) == (300_000, True, True)
    assert container.bytes < len(data) / 2


def test_a_count_of_parquet_takes_one_request_a_part(tmp_path):
    data = parquet(tmp_path, f"{PEOPLE} FROM range(1000) t(i)")
    container = Container({f"people/part-{number}.parquet": data for number in range(10)})
    found = look(container, rows=0)
    assert (found.profiles, found.exact, container.requests) == (10_000, True, 10)


def test_more_parts_than_are_looked_at_are_estimated(tmp_path):
    data = parquet(tmp_path, f"{PEOPLE} FROM range(1000) t(i)")
    found = seen({f"people/part-{number:03d}.parquet": data for number in range(50)}, rows=0)
    assert (found.profiles, found.exact) == (50_000, False)


def test_rows_go_on_in_the_next_parquet_part(tmp_path):
    few = parquet(tmp_path, "SELECT 'a@x.example' AS EMail, 1 AS n")
    other = parquet(tmp_path, "SELECT 2 AS n, 'b@x.example' AS EMail")
    none = parquet(tmp_path, "SELECT 'c' AS EMail, 3 AS n WHERE false")
    found = seen({"people/0.parquet": none, "people/1.parquet": few, "people/2.parquet": other})
    assert found.rows == (("a@x.example", "1"), ("b@x.example", "2"))
    assert (found.profiles, found.exact) == (2, True)


def test_columns_that_are_too_large_are_left_out_the_smallest_are_shown(tmp_path):
    data = parquet(tmp_path, "SELECT md5(i::VARCHAR) AS large, i % 2 AS small FROM range(100000) t(i)")
    container = Container({"people.parquet": data})
    found = look(container, rows=2, budget=200_000)
    assert found.rows == ((None, "0"), (None, "1"))
    assert container.bytes < 400_000


def test_row_groups_below_the_first_one_are_not_needed(tmp_path):
    data = parquet(tmp_path, f"{PEOPLE} FROM range(10000) t(i)", ", ROW_GROUP_SIZE 2048")
    container = Container({"people.parquet": data})
    assert len(look(container, rows=100).rows) == 100
    assert container.bytes < len(data) / 2


def test_columns_that_are_alike_but_for_case_keep_their_values(tmp_path):
    path = tmp_path / "alike.parquet"
    with duckdb.connect() as database:
        database.execute(f'COPY (SELECT 1 AS a, 2 AS "A_1", \'x\' AS "say ""hi""") TO \'{path}\' (FORMAT parquet)')
    found = seen({"people.parquet": path.read_bytes()})
    assert ([column.name for column in found.columns], found.rows) == (["a", "A_1", 'say "hi"'], (("1", "2", "x"),))


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"EMail\n", b"PAR1" + b"\0" * 99 + b"PAR1", b"PAR1\xff\xff\xff\xffPAR1"]
)
def test_what_is_no_parquet_file_is_told(data):
    with pytest.raises(SegmentError, match=r"Segment people: people\.parquet"):
        seen({"people.parquet": data})


@pytest.mark.parametrize("seed", range(40))
def test_whatever_stands_in_a_file_is_shown_or_told(tmp_path, seed):
    chance = Random(seed)
    data = bytearray(parquet(tmp_path, f"{PEOPLE} FROM range(100) t(i)"))
    footer = int.from_bytes(data[-8:-4], "little")
    for _ in range(chance.choice([1, 2, 5])):
        data[-8 - chance.randrange(footer)] = chance.randrange(256)
    for name in ("people.parquet", "people.csv", "people.csv.gz"):
        with suppress(SegmentError):
            assert len(seen({name: bytes(data)}, rows=10).rows) <= 10


def test_a_part_that_changes_meanwhile_is_told_and_not_taken_for_damaged(tmp_path):
    data = parquet(tmp_path, f"{PEOPLE} FROM range(300000) t(i)")

    class Changing(Container):
        def read(self, name: str, *, offset: int, length: int) -> bytes:
            found = super().read(name, offset=offset, length=length)
            self.put(name, b"PAR1" + bytes(len(data)))
            return found

    with pytest.raises(SegmentError, match="was changed while it was read"):
        look(Changing({"people.parquet": data}), rows=1)
