"""Parts on their way to local disk."""

import gzip
from datetime import timedelta
from pathlib import Path

import pytest

from exporters.errors import SegmentError
from exporters.segments.reading import MAX_FAULTS, LocalSegment, PartFormat, fetch_segment
from exporters.segments.snapshots import newest_snapshot
from tests.unit.planning.plans import LATER, container


def fetch(blobs: dict[str, bytes], folder: Path, *, columns: tuple[str, ...] = ("EMail",)) -> LocalSegment:
    store = container(blobs)
    snapshot = newest_snapshot(store, "people", now=LATER, settle=timedelta(0))
    return fetch_segment(store, snapshot, columns=columns, folder=folder)


def test_a_part_that_changes_between_listing_and_reading_stops_the_run(tmp_path: Path) -> None:
    store = container({"people.csv": b"EMail\na@example.com\n"})
    snapshot = newest_snapshot(store, "people", now=LATER, settle=timedelta(0))
    store.put("people.csv", b"EMail\nb@example.com\n")
    with pytest.raises(SegmentError, match=r"people.csv was changed while it was read"):
        fetch_segment(store, snapshot, columns=("EMail",), folder=tmp_path)


def test_parts_keep_the_name_etag_and_size_they_had(tmp_path: Path) -> None:
    (part,) = fetch({"people.csv": "\ufeffEMail\n".encode("utf-16-le")}, tmp_path).parts
    assert (part.read.name, part.read.bytes, part.lines, part.has_profiles) == ("people.csv", 14, 1, False)
    assert part.read.etag


def test_names_that_look_like_paths_stay_inside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    fetch({"people/%2e%2e%2f..%2f'; drop.csv": b"EMail\n", "people/x\\..\\..\\y.csv": b"EMail\n"}, folder)
    assert len(list(folder.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [folder]


def test_faults_are_listed_up_to_a_cap(tmp_path: Path) -> None:
    blobs = {f"people/{number:03d}.csv": b"Mail\n" for number in range(MAX_FAULTS + 5)}
    with pytest.raises(SegmentError, match=r"And 5 more files have faults") as caught:
        fetch(blobs, tmp_path)
    assert str(caught.value).count("column EMail is missing") == MAX_FAULTS


def test_names_in_other_scripts_are_read_and_named(tmp_path: Path) -> None:
    names = ["people/Kunden Köln 1.csv", "people/東京 の 顧客.csv.gz"]
    blobs = {names[0]: "EMail,Größe\na@example.com,1\n".encode(), names[1]: gzip.compress(b"EMail\n")}
    parts = fetch(blobs, tmp_path).parts
    assert [part.read.name for part in parts] == names
    with pytest.raises(
        SegmentError, match=r"Kunden Köln 1\.csv: column Grüße is missing \(did you mean Größe\?\)"
    ) as caught:
        fetch(blobs, tmp_path, columns=("EMail", "Grüße"))
    assert "people/東京 の 顧客.csv.gz" in str(caught.value)


def test_a_compressed_part_keeps_the_size_it_has_in_storage(tmp_path: Path) -> None:
    packed = gzip.compress(b"EMail\n" + b"a@example.com\n" * 1_000)
    (part,) = fetch({"people.csv.gz": packed}, tmp_path).parts
    assert (part.format, part.read.bytes, part.lines) == (PartFormat.CSV, len(packed), 1_001)
    assert part.path.read_bytes().startswith(b"EMail\na@")


def test_a_compressed_part_in_utf16_is_read(tmp_path: Path) -> None:
    (part,) = fetch({"people.csv.gz": gzip.compress("EMail\ré@example.com".encode("utf-16"))}, tmp_path).parts
    assert part.path.read_text(encoding="utf-8") == "EMail\né@example.com"


def test_a_header_may_span_lines_and_its_names_are_put_on_one(tmp_path: Path) -> None:
    data = b'\n"Name (first\r\n and last)",EMail\r\nAna,a@example.com\r\n'
    (part,) = fetch({"people.csv": data}, tmp_path, columns=("Name (first\nand last)", "EMail")).parts
    assert (part.columns, part.header_lines, part.lines) == (
        {"Name (first\nand last)": 0, "EMail": 1},
        3,
        4,
    )


def test_no_person_below_a_broken_header_reaches_the_message(tmp_path: Path) -> None:
    data = b'Id,"EMail,Name\n1,"secret@example.com",Ana\n2,"b@example.com",Bo\n'
    with pytest.raises(SegmentError) as caught:
        fetch({"people.csv": data}, tmp_path)
    assert "example.com" not in str(caught.value)
