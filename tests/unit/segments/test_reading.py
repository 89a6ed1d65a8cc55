"""Parts on their way to local disk."""

from datetime import timedelta
from pathlib import Path

import pytest

from exporters.errors import SegmentError
from exporters.segments.reading import MAX_FAULTS, LocalSegment, fetch_segment
from exporters.segments.snapshots import newest_snapshot
from exporters.segments.text import CHUNK_BYTES, facts, to_utf8
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
    fetch({"people/..%2f..%2f'; drop.csv": b"EMail\n", "people/..\\x.csv": b"EMail\n"}, folder)
    assert len(list(folder.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [folder]


def test_faults_are_listed_up_to_a_cap(tmp_path: Path) -> None:
    blobs = {f"people/{number:03d}.csv": b"Mail\n" for number in range(MAX_FAULTS + 5)}
    with pytest.raises(SegmentError, match=r"And 5 more files have faults") as caught:
        fetch(blobs, tmp_path)
    assert str(caught.value).count("column EMail is missing") == MAX_FAULTS


def test_an_encoding_that_nobody_knows_is_named(tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    path.write_bytes(b"EMail\n")
    with pytest.raises(SegmentError, match=r"model\.json says its encoding is 'klingon'"):
        to_utf8(path, told="klingon", name="people.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_characters_across_chunks_survive(encoding: str, tmp_path: Path) -> None:
    text = "é" * (CHUNK_BYTES + 3) + "\n"
    path = tmp_path / "part.csv"
    path.write_bytes(text.encode(encoding))
    to_utf8(path, told=None, name="people.csv")
    assert path.read_text(encoding="utf-8") == text
    assert facts(path).clean


@pytest.mark.parametrize(
    ("data", "lines", "left"),
    [
        (b"", 0, b""),
        (b"\n\r\n\n", 0, b""),
        (b"a\nb", 2, b"a\nb"),
        (b"a\nb\r\n\r\n\n", 2, b"a\nb\r\n"),
        (b"a\n" + b"\n" * (CHUNK_BYTES + 1), 1, b"a\n"),
    ],
)
def test_blank_lines_at_the_end_are_cut_off(data: bytes, lines: int, left: bytes, tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    path.write_bytes(data)
    assert facts(path).lines == lines
    assert path.read_bytes() == left
