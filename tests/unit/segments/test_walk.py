"""Which segments a walk over a container finds."""

import json
from collections.abc import Sequence

import pytest

from exporters.segments.walk import MANY, NAMES_A_LOOK, PARTS_PASSED, Layout, Mark, Walk
from exporters.storage.blobs import BlobInfo
from exporters.storage.memory import MemoryBlobStore

ALL = 1_000_000


class Container(MemoryBlobStore):
    """A container that counts listings, and how many names they hold."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.listings = self.names = 0
        for name in names:
            self.put(name, b"EMail\n")

    def page(self, prefix: str, *, after: str, size: int) -> Sequence[BlobInfo]:
        found = super().page(prefix, after=after, size=size)
        self.listings += 1
        self.names += len(found)
        return found


def walk(
    container: MemoryBlobStore, *, start: Mark | None = None, named: Sequence[str] = (), max_looks: int = ALL
) -> Walk:
    return Walk(container, start=start or Mark(), named=frozenset(named), max_looks=max_looks)


def found(*names: str, named: Sequence[str] = ()) -> dict[str, Layout]:
    """What is found in a container of these blobs, and no place twice, however often the walk stops."""
    places = list(walk(Container(*names), named=named))
    paths = [place.path for place in places]
    assert len(set(paths)) == len(paths)
    assert in_steps(Container(*names), 1, named=named) == paths
    return {place.path: place.layout for place in places}


def in_steps(container: MemoryBlobStore, stop: int, *, named: Sequence[str] = ()) -> list[str]:
    """What walks find that stop after so many segments, each where the one before has stopped."""
    start, paths = Mark(), list[str]()
    while True:
        step = walk(container, start=start, named=named)
        taken = [place.path for _, place in zip(range(stop), step, strict=False)]
        paths += taken
        if len(taken) < stop:
            return paths
        start = step.mark


def dated(segment: str, *folders: str, parts: int = 1) -> list[str]:
    table = segment.rpartition("/")[2]
    return [f"{segment}/{folder}/{table}_{number + 1}.csv" for folder in folders for number in range(parts)]


def test_every_layout_is_found():
    names = [
        *dated("CustomerInsights_abcd/BlobExport/HighValue", "2026/11/21/0600", "2026/11/22/0600", parts=3),
        "CustomerInsights_abcd/BlobExport/model.json",
        "crm/Kunden Köln/Kunden Köln_1.csv",
        "crm/Kunden Köln/Kunden Köln_2.csv",
        "lake/vip/part-00000-0f7b1c52-6a8e-4f0e-9c39-0d6f7c1a2b3c-c000.snappy.parquet",
        "newsletter.csv",
        "newsletter.csv.bak",
        "packed.csv.gz",
    ]
    assert found(*names) == {
        "CustomerInsights_abcd/BlobExport/HighValue": Layout.DATED,
        "crm/Kunden Köln": Layout.FOLDER,
        "lake/vip": Layout.FOLDER,
        "newsletter": Layout.FILE,
        "packed": Layout.FILE,
    }


def test_segments_lie_at_any_depth_and_beside_folders():
    names = ["a/b/c/d/vip.csv", "a/b/other.csv", *dated("a/b/c/table", "2026/11/22/0600"), "a/top.parquet"]
    assert list(found(*names)) == ["a/b/c/d/vip", "a/b/c/table", "a/b/other", "a/top"]


@pytest.mark.parametrize(
    "names",
    [
        ("vip/part-0001.csv", "vip/part-0002.csv"),
        ("vip/vip_1.csv", "vip/vip_2.csv", "vip/vip_10.csv"),
        ("vip/vip.csv", "vip/vip_2.csv"),
        ("vip/VIP.csv",),
        ("vip/data.parquet",),
        ("vip/part-0.c000.snappy.parquet",),
        ("vip/0001.csv", "vip/0002.csv"),
        ("vip/tmp_0f7b1c526a8e4f0e.csv", "vip/tmp_9c390d6f7c1a2b3c.csv"),
    ],
)
def test_files_that_are_named_alike_are_parts_of_one_segment(names):
    assert found(*names) == {"vip": Layout.FOLDER}


@pytest.mark.parametrize("names", [("crm/vip.csv", "crm/lapsed.csv"), ("crm/vip.csv",), ("crm/partners.csv",)])
def test_other_files_of_a_folder_are_segments_of_their_own(names):
    assert sorted(found(*names)) == sorted(name.removesuffix(".csv") for name in names)


def test_a_table_of_model_json_is_one_segment_however_its_files_are_named():
    container = Container(
        "cdm/Account/europe.csv", "cdm/Account/asia.csv", "cdm/Other/europe.csv", "cdm/Other/asia.csv"
    )
    model = {"entities": [{"name": "Account", "attributes": [{"name": "EMail"}], "partitions": []}]}
    container.put("cdm/model.json", json.dumps(model).encode())
    assert [place.path for place in walk(container)] == ["cdm/Account", "cdm/Other/asia", "cdm/Other/europe"]


def test_a_model_json_that_cannot_be_read_tells_nothing():
    container = Container("cdm/Account/europe.csv", "cdm/Account/asia.csv")
    container.put("cdm/model.json", b"{")
    assert [place.path for place in walk(container)] == ["cdm/Account/asia", "cdm/Account/europe"]


def test_what_an_export_names_is_a_segment():
    crm = ("crm/vip.csv", "crm/lapsed.csv")
    parts = ("vip/vip_1.csv", "vip/vip_2.csv", "vip/vip_3.csv")
    assert list(found(*crm, named=["crm"])) == ["crm", "crm/lapsed", "crm/vip"]
    assert list(found(*parts, named=["vip/vip_2"])) == ["vip", "vip/vip_2"]
    assert list(found("crm/vip.csv", named=["crm"])) == ["crm"]


def test_a_name_with_several_files_or_a_folder_too_is_one_segment():
    names = ["people.csv", "people.old.csv", "people.parquet", *dated("twice", "2026/11/22/0600"), "twice.csv"]
    assert list(found(*names)) == ["people", "people.old", "twice"]
    people, *_ = walk(Container(*names))
    assert [blob.name for blob in people.blobs or ()] == ["people.csv", "people.parquet"]


@pytest.mark.parametrize(
    "names",
    [
        ("VIP.csv", "VIP.old/part-1.csv", "VIP/part-1.csv"),
        ("VIP.csv", "VIP.old.csv", "VIP.parquet", "VIP.x/2026/11/22/0600/1.csv", "VIP/2026/11/22/0600/1.csv"),
        ("crm/VIP.csv", "crm/VIP.old.csv", "crm/VIP/part-1.csv", "crm/other.csv"),
        ("VIP/0001.csv", "VIP/1/part-1.csv", "VIP/2026/11/22/0600/1.csv"),
    ],
)
def test_a_name_is_one_segment_also_where_others_lie_between(names):
    vip, *_ = paths = list(found(*names))
    assert vip.endswith("VIP")
    assert len(paths) > 1


def test_a_file_that_is_a_segment_and_the_first_part_of_one_gives_both():
    names = ("VIP/VIP_1.csv", "VIP/VIP_2.csv")
    assert list(found(*names, named=["VIP", "VIP/VIP_1"])) == ["VIP", "VIP/VIP_1"]
    assert list(found("VIP/VIP.csv", "VIP/x.csv", named=["VIP"])) == ["VIP", "VIP/VIP", "VIP/x"]


def test_folders_that_lie_between_the_parts_of_a_segment_are_found():
    parts = ("F/VIP_1.csv", "F/VIP_2.csv", "F/VIP_3.csv")
    folders = ("F/VIP_2024/part-1.csv", "F/VIP_hist/2024/01/01/0000/1.csv", "F/VIP_old/part-1.csv", "F/zz/part-1.csv")
    assert list(found(*parts, *folders)) == ["F", "F/VIP_2024", "F/VIP_hist", "F/VIP_old", "F/zz"]
    many = tuple(f"F/VIP_{number}.csv" for number in range(20 * PARTS_PASSED))
    assert {"F", "F/VIP_hist", "F/VIP_old", "F/zz"} <= set(found(*many, *folders))


@pytest.mark.parametrize("name", ["part-{:05d}.csv", "VIP_{}.csv", "tmp_{:08x}.csv", "tmp_{:08X}.csv"])
def test_of_many_parts_most_are_passed_over(name):
    container = Container(*(f"y/{name.format(number * 7919 * 97 % (1 << 32))}" for number in range(5_000)))
    assert len(list(walk(container))) == 1
    assert container.names < 2_500


@pytest.mark.parametrize(
    "name",
    [
        "_logs/2026/x.csv",
        ".trash/vip.csv",
        "crm/_temporary/vip.csv",
        "crm/.hidden.csv",
        "crm/_SUCCESS",
        "model.json",
        "readme.txt",
        "delta/_delta_log/00000.json",
        "hudi/.hoodie/hoodie.properties",
    ],
)
def test_hidden_folders_and_files_of_other_kinds_are_left_out(name):
    assert found(name, "vip.csv") == {"vip": Layout.FILE}


@pytest.mark.parametrize(
    ("log", "part"),
    [
        ("_delta_log/0.json", "part-0.parquet"),
        ("_delta_log/0.json", "PART-0.parquet"),
        (".hoodie/hoodie.properties", "part-0.parquet"),
        ("_delta_log/0.json", "Country=DE/part-0.parquet"),
    ],
)
def test_tables_whose_log_says_which_files_count_are_left_out(log, part):
    assert found(f"lake/t/{log}", f"lake/t/{part}", "vip.csv") == {"vip": Layout.FILE}


def test_blobs_that_stand_for_folders_are_no_segments():
    container = Container("vip.csv")
    container.create("crm.csv", b"", metadata={"hdi_isfolder": "true"})
    assert [place.path for place in walk(container)] == ["vip"]


NAMES = [
    *(name for number in range(30) for name in dated(f"x/T{number:02d}", "2026/11/21/0600", "2026/11/22/0600")),
    *(f"single{number:02d}.csv" for number in range(30)),
    *(f"y/F{number:02d}/part-{part}.csv" for number in range(30) for part in range(5)),
    "people.csv",
    "people.parquet",
    *dated("people", "2026/11/22/0600"),
    *(f"notes/{number}.txt" for number in range(300)),
]


@pytest.mark.parametrize("stop", [1, 2, 7, 50])
def test_a_walk_goes_on_where_one_has_stopped(stop):
    container = Container(*NAMES)
    paths = in_steps(container, stop)
    assert paths == [place.path for place in walk(container)]
    assert len(paths) == 91


def test_a_walk_ends_after_so_many_looks_and_goes_on_there():
    container, start, paths = Container(*NAMES), Mark(), list[str]()
    for _ in range(1_000):
        step = walk(container, start=start, max_looks=3)
        paths += [place.path for place in step]
        assert step.looks <= 3 + 3 * MANY / NAMES_A_LOOK
        if step.ended:
            break
        assert step.mark.after > start.after
        start = step.mark
    assert paths == [place.path for place in walk(container)]


def test_parts_and_old_snapshots_are_passed_over():
    days = [f"2026/{month:02d}/{day:02d}/0600" for month in range(1, 13) for day in range(1, 29)]
    container = Container(
        *(name for number in range(10) for name in dated(f"x/T{number}", *days, parts=3)),
        *(f"y/part-{number:05d}.csv" for number in range(5_000)),
    )
    assert len(list(walk(container))) == 11
    assert container.listings < 40
    assert container.names < 1_500


def test_segments_of_a_single_file_are_seen_many_at_once():
    container = Container(*(f"x/T{number:04d}/2026/11/22/0600/1.csv" for number in range(2_000)))
    assert len(list(walk(container))) == 2_000
    assert container.listings < 20


def test_what_the_walk_has_seen_of_a_segment_need_not_be_listed_again():
    names = dated("x/T", "2026/11/21/0600", "2026/11/22/0600", parts=2)
    (dated_place,) = walk(Container(*names))
    assert [blob.name for blob in dated_place.blobs or ()] == names
    (folder_place,) = walk(Container(*(f"y/part-{number}.csv" for number in range(5)), "y/z/readme.txt"))
    assert len(folder_place.blobs or ()) == 6
    (large,) = walk(Container(*(f"x/T/2026/11/22/0600/T_{number:05d}.csv" for number in range(1_000))))
    assert large.blobs is None
