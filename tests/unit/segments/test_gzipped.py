"""Compressed parts."""

import gzip
from pathlib import Path

import pytest

from exporters.segments.faults import PartFault
from exporters.segments.gzipped import CHUNK_BYTES, is_gzip, unpack

TEXT = b"1,a@example.com\n" * (CHUNK_BYTES // 8)
PACKED = gzip.compress(TEXT, mtime=0)


def packed(folder: Path, data: bytes = PACKED) -> Path:
    path = folder / "part"
    path.write_bytes(data)
    return path


def test_all_members_are_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path, PACKED + gzip.compress(b"") + gzip.compress(b"end\n"))
    assert is_gzip(path)
    unpack(path, name="people.csv.gz")
    assert path.read_bytes() == TEXT + b"end\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_ends_too_early_is_never_read(tmp_path: Path) -> None:
    for length in (0, *range(2, len(PACKED))):
        with pytest.raises(PartFault, match=r"^people\.csv\.gz: the gzip file ends too early"):
            unpack(packed(tmp_path, PACKED[:length]), name="people.csv.gz")


@pytest.mark.parametrize("place", [0, 2, 20, len(PACKED) // 2, len(PACKED) - 8, len(PACKED) - 1])
def test_a_damaged_file_is_never_read(place: int, tmp_path: Path) -> None:
    damaged = bytearray(PACKED)
    damaged[place] ^= 0x55
    with pytest.raises(PartFault, match=r"^people\.csv\.gz: the gzip file (is damaged|ends too early)"):
        unpack(packed(tmp_path, bytes(damaged)), name="people.csv.gz")


def test_a_file_that_would_fill_the_disk_is_not_unpacked_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(PartFault, match=r"people\.csv\.gz unpacks to more than 1,000 bytes"):
        unpack(packed(tmp_path), name="people.csv.gz", limit=1_000)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < len(PACKED) + 2 * CHUNK_BYTES


def test_a_file_as_large_as_the_limit_is_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path)
    unpack(path, name="people.csv.gz", limit=len(TEXT))
    assert path.read_bytes() == TEXT
