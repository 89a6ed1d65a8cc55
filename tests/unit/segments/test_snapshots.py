"""Which snapshot of a segment is read."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from exporters.errors import NotCompleteError, SegmentError
from exporters.segments.snapshots import Snapshot, natural_order, newest_snapshot
from exporters.storage.blobs import BlobInfo
from exporters.storage.memory import MemoryBlobStore

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SETTLE = timedelta(minutes=5)
EXPORT = "CustomerInsights_abcd1234/BlobExport"
VALUE = f"{EXPORT}/HighValue"


class Container(MemoryBlobStore):
    """A container whose blobs were written some minutes ago, and that remembers what was listed."""

    def __init__(self) -> None:
        super().__init__(now=lambda: self.clock)
        self.clock = NOW
        self.listed: list[str] = []

    def write(self, name: str, data: bytes = b"EMail\n", *, minutes_ago: float = 60) -> None:
        self.clock = NOW - timedelta(minutes=minutes_ago)
        self.put(name, data)

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        self.listed.append(prefix)
        return super().list(prefix)


def find(container: Container, segment: str = VALUE) -> Snapshot:
    return newest_snapshot(container, segment, now=NOW, settle=SETTLE)


def model(*locations: str, table: str = "HighValue") -> bytes:
    settings = {"columnHeaders": False, "delimiter": ","}
    partitions = [{"location": location, "fileFormatSettings": settings} for location in locations]
    entity = {"name": table, "attributes": [{"name": "EMail"}], "partitions": partitions}
    return json.dumps({"entities": [entity]}).encode()


def names(snapshot: Snapshot) -> list[str]:
    return [part.name for part in snapshot.parts]


def test_the_newest_dated_folder_is_read() -> None:
    container = Container()
    for folder in ("2019/12/31/2359", "2020/08/24/1433", "2020/08/24/0900", "2020/02/28/2300"):
        container.write(f"{VALUE}/{folder}/HighValue_1.csv")
    snapshot = find(container)
    assert snapshot.name == f"{VALUE}/2020/08/24/1433"
    assert names(snapshot) == [f"{VALUE}/2020/08/24/1433/HighValue_1.csv"]


def test_older_snapshots_are_not_listed() -> None:
    container = Container()
    for year in range(2015, 2026):
        container.write(f"{VALUE}/{year}/01/01/0000/HighValue_1.csv")
    find(container)
    assert [prefix for prefix in container.listed if re.search(r"/20(1\d|2[0-4])/", prefix)] == []


def test_parts_are_read_in_the_order_of_their_numbers() -> None:
    container = Container()
    for number in (10, 2, 1):
        container.write(f"{VALUE}/2020/08/24/1433/HighValue_{number}.csv")
    assert [name[-6:] for name in names(find(container))] == ["_1.csv", "_2.csv", "10.csv"]


def test_numbers_sort_by_value_and_names_stay_apart() -> None:
    assert sorted(["a10", "a2", "a02", "b1", "1a"], key=natural_order) == ["1a", "a02", "a2", "a10", "b1"]


def test_a_snapshot_that_is_being_written_gives_way_to_the_one_before() -> None:
    container = Container()
    container.write(f"{VALUE}/2020/08/24/1433/HighValue_1.csv")
    container.write(f"{VALUE}/2020/08/25/1433/HighValue_1.csv")
    container.write(f"{VALUE}/2020/08/25/1433/HighValue_2.csv", minutes_ago=1)
    assert find(container).name == f"{VALUE}/2020/08/24/1433"


def test_a_snapshot_settles_after_the_time_that_was_set() -> None:
    container = Container()
    container.write(f"{VALUE}/2020/08/25/1433/HighValue_1.csv", minutes_ago=5)
    assert find(container).name == f"{VALUE}/2020/08/25/1433"


def test_no_complete_snapshot_at_all_is_said() -> None:
    container = Container()
    container.write(f"{VALUE}/2020/08/25/1433/HighValue_1.csv", minutes_ago=1)
    with pytest.raises(NotCompleteError, match="changed less than 300 seconds ago"):
        find(container)


def test_an_empty_dated_folder_is_passed_over() -> None:
    container = Container()
    container.write(f"{VALUE}/2020/08/24/1433/HighValue_1.csv")
    container.write(f"{VALUE}/2020/08/25/1433/_SUCCESS")
    assert find(container).name == f"{VALUE}/2020/08/24/1433"


@pytest.mark.parametrize(
    "location",
    [
        f"https://account.blob.core.windows.net/segments/{VALUE}/2020/08/25/1433/High%20Value_2.csv",
        f"http://127.0.0.1:10000/devstoreaccount1/segments/{VALUE}/2020/08/25/1433/High%20Value_2.csv",
        "HighValue/2020/08/25/1433/High%20Value_2.csv",
        "HighValue/2020/08/25/1433/High Value_2.csv",
    ],
)
def test_a_part_that_model_json_names_is_waited_for(location: str) -> None:
    container = Container()
    container.write(f"{EXPORT}/model.json", model(location))
    container.write(f"{VALUE}/2020/08/24/1433/HighValue_1.csv")
    container.write(f"{VALUE}/2020/08/25/1433/HighValue_1.csv")
    assert find(container).name == f"{VALUE}/2020/08/24/1433"
    container.write(f"{VALUE}/2020/08/25/1433/High Value_2.csv")
    assert find(container).name == f"{VALUE}/2020/08/25/1433"


def test_a_missing_part_is_named_when_there_is_nothing_older() -> None:
    container = Container()
    container.write(f"{EXPORT}/model.json", model("HighValue/2020/08/25/1433/HighValue_2.csv"))
    container.write(f"{VALUE}/2020/08/25/1433/HighValue_1.csv")
    with pytest.raises(NotCompleteError, match=r"HighValue_2\.csv, which is not there yet"):
        find(container)


def test_model_json_of_another_table_says_nothing() -> None:
    container = Container()
    container.write(f"{EXPORT}/model.json", model("HighValue/2020/08/25/1433/HighValue_2.csv", table="LowValue"))
    container.write(f"{VALUE}/2020/08/25/1433/HighValue_1.csv")
    assert find(container).table is None


def test_all_files_of_a_folder_are_one_snapshot() -> None:
    container = Container()
    container.write("crm/Kunden Köln/b.csv")
    container.write("crm/Kunden Köln/A.CSV")
    container.write("crm/Kunden Köln/readme.txt")
    container.write("crm/Kunden Köln/old/c.csv")
    snapshot = find(container, "crm/Kunden Köln")
    assert (snapshot.name, names(snapshot)) == ("crm/Kunden Köln", ["crm/Kunden Köln/A.CSV", "crm/Kunden Köln/b.csv"])


def test_a_single_file_is_a_snapshot() -> None:
    container = Container()
    container.write("newsletter.csv")
    container.write("newsletter.csv.bak")
    assert names(find(container, "newsletter")) == ["newsletter.csv"]


@pytest.mark.parametrize("ending", [".csv", ".CSV", ".csv.gz", ".Csv.Gz", ".parquet", ".PARQUET"])
def test_every_ending_is_read_in_any_case(ending: str) -> None:
    container = Container()
    container.write(f"people{ending}")
    container.write(f"folder/one{ending}")
    container.write(f"folder/two.snappy{ending}")
    container.write(f"dated/2020/08/24/1433/part{ending}")
    assert names(find(container, "people")) == [f"people{ending}"]
    assert names(find(container, "folder")) == [f"folder/one{ending}", f"folder/two.snappy{ending}"]
    assert names(find(container, "dated")) == [f"dated/2020/08/24/1433/part{ending}"]


def test_csv_files_may_be_compressed_in_part() -> None:
    container = Container()
    container.write("people/part_2.csv.gz")
    container.write("people/part_10.csv")
    container.write("people/part_1.csv")
    assert names(find(container, "people")) == ["people/part_1.csv", "people/part_2.csv.gz", "people/part_10.csv"]


def test_the_newest_of_several_single_files_is_read() -> None:
    container = Container()
    container.write("people.csv", minutes_ago=90)
    container.write("people.parquet", minutes_ago=80)
    container.write("people.csv.gz", minutes_ago=1)
    assert names(find(container, "people")) == ["people.parquet"]


def test_parquet_beside_csv_is_not_guessed_about() -> None:
    container = Container()
    container.write("people/one.parquet")
    container.write("people/two.csv.gz")
    with pytest.raises(SegmentError, match=r"Parquet and CSV at once \(people/one\.parquet, people/two\.csv\.gz\)"):
        find(container, "people")


@pytest.mark.parametrize("name", ["single.csv.zip", "people/two.csv.zst", "people/two.PARQUET.gz"])
def test_data_that_is_packed_otherwise_is_never_left_out_in_silence(name: str) -> None:
    container = Container()
    container.write("people/one.csv")
    container.write(name)
    with pytest.raises(SegmentError, match=f"{name} is packed in a way that is not read"):
        find(container, re.split("[/.]", name)[0])


@pytest.mark.parametrize(
    "name", ["_SUCCESS", "_committed_1.csv", ".hidden.csv", "._x.parquet", ".part-0.csv.crc", "manifest.json", "_.csv"]
)
def test_markers_and_hidden_files_are_no_parts(name: str) -> None:
    container = Container()
    container.write(f"people/{name}", minutes_ago=1)
    container.write("people/part.csv")
    assert names(find(container, "people")) == ["people/part.csv"]


def test_a_folder_with_nothing_to_read_is_said() -> None:
    container = Container()
    container.write("people/_SUCCESS")
    container.write("people/data.json")
    with pytest.raises(SegmentError, match=r"folder people/ of the segments container holds no CSV or Parquet files"):
        find(container, "people")


@pytest.mark.parametrize(
    ("log", "format_name"), [("_delta_log/0.json", "Delta Lake"), (".hoodie/hoodie.properties", "Hudi")]
)
def test_files_of_which_a_log_says_which_count_are_not_read(log: str, format_name: str) -> None:
    container = Container()
    container.write("people/part-0.snappy.parquet")
    container.write(f"people/{log}")
    with pytest.raises(SegmentError, match=f"people/ is a {format_name} table"):
        find(container, "people")


def test_blobs_that_stand_for_folders_are_no_parts() -> None:
    container = Container()
    container.clock = NOW - timedelta(minutes=60)
    container.create("people/old.csv", b"", metadata={"hdi_isfolder": "true"})
    container.create("people.parquet", b"", metadata={"hdi_isfolder": "true"})
    container.write("people/new.csv")
    assert names(find(container, "people")) == ["people/new.csv"]


def test_a_dated_snapshot_is_as_old_as_its_folder_says() -> None:
    container = Container()
    container.write(f"{VALUE}/2020/08/24/1433/HighValue_1.csv", minutes_ago=30)
    container.write(f"{VALUE}/2020/08/24/1433/HighValue_2.csv", minutes_ago=20)
    container.write(f"{VALUE}/2020/08/24/1433/_SUCCESS", minutes_ago=10)
    snapshot = find(container)
    assert snapshot.refreshed == datetime(2020, 8, 24, 14, 33, tzinfo=UTC)
    assert snapshot.written == NOW - timedelta(minutes=20)


@pytest.mark.parametrize("name", ["people.csv", "people/2020.csv", "people/2020/13/41/9999/part.csv"])
def test_any_other_snapshot_is_as_old_as_its_newest_part(name: str) -> None:
    container = Container()
    container.write(name, minutes_ago=30)
    snapshot = find(container, "people")
    assert snapshot.refreshed is None
    assert snapshot.written == NOW - timedelta(minutes=30)


def test_a_missing_segment_is_answered_with_those_that_look_like_it() -> None:
    container = Container()
    container.write(f"{VALUE}/2020/08/25/1433/HighValue_1.csv")
    container.write(f"{EXPORT}/Everyone/2020/08/25/1433/Everyone_1.csv")
    with pytest.raises(SegmentError, match=f"Did you mean {VALUE}") as caught:
        find(container, f"{EXPORT}/HighValues")
    assert f"no segment {EXPORT}/HighValues in the segments container" in str(caught.value)


def test_a_missing_folder_is_said_to_be_empty() -> None:
    with pytest.raises(SegmentError, match="Nothing is in folder nowhere"):
        find(Container(), "nowhere/people")


def test_unreadable_model_json_is_an_error_that_names_it() -> None:
    container = Container()
    container.write(f"{EXPORT}/model.json", b'{"entities": [{"attributes": []}]}')
    container.write(f"{VALUE}/2020/08/25/1433/HighValue_1.csv")
    with pytest.raises(SegmentError, match=r"BlobExport/model.json cannot be read: entities.0.name"):
        find(container)
