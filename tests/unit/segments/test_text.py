"""Parts become UTF-8, whatever they were written in."""

from pathlib import Path

import pytest

from exporters.errors import SegmentError
from exporters.segments.text import CHUNK_BYTES, MAX_LINE_BYTES, SCAN_BYTES, TextFacts, is_utf8, to_utf8


def written(folder: Path, data: bytes) -> Path:
    path = folder / "part"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("told", ["klingon", "base64", "undefined", "rot13", ""])
def test_an_encoding_that_nobody_knows_is_named(told: str, tmp_path: Path) -> None:
    path = written(tmp_path, b"EMail\n")
    with pytest.raises(SegmentError, match=rf"model\.json says its encoding is '{told}'"):
        to_utf8(path, told=told, name="people.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_characters_across_chunks_survive(encoding: str, tmp_path: Path) -> None:
    text = "é" * (CHUNK_BYTES + 3) + "\n"
    path = written(tmp_path, text.encode(encoding))
    assert to_utf8(path, told=None, name="people.csv") == TextFacts(lines=1, utf8=True, nul=False)
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("told", ["utf-8", "US-ASCII", " UTF-8 "])
def test_broken_utf8_stays_as_it_is_where_model_json_says_utf8(told: str, tmp_path: Path) -> None:
    path = written(tmp_path, b"Zo\xeb\n")
    assert to_utf8(path, told=told, name="people.csv") == TextFacts(lines=1, utf8=False, nul=False)
    assert path.read_bytes() == b"Zo\xeb\n"


@pytest.mark.parametrize(
    ("data", "utf8", "nul"),
    [
        (b"x" * (SCAN_BYTES - 1) + "é".encode(), True, False),
        (b"x" * (SCAN_BYTES - 1) + b"\xc3", False, False),
        (b"x" * (SCAN_BYTES - 1) + b"\xc3x", False, False),
        (b"x" * SCAN_BYTES + b"\xa9", False, False),
        (b"x" * (3 * SCAN_BYTES) + b"\0", True, True),
    ],
)
def test_bytes_that_need_care_are_seen_at_the_edges_of_what_is_read_at_once(
    data: bytes, utf8: bool, nul: bool, tmp_path: Path
) -> None:
    assert to_utf8(written(tmp_path, data), told="utf-8", name="people.csv") == TextFacts(lines=1, utf8=utf8, nul=nul)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"a\n\x00\xd8b\x00\n\x00c\x00\n\x00"[2:], "utf-16-le"),  # half a pair
        (b"\xff\xff\xff\x7fb\0\0\0\n\0\0\0c\0\0\0\n\0\0\0", "utf-32-le"),  # beyond Unicode
        (b"\x81\x20b\nc\n", "shift_jis"),  # half a character
        (b"+2AA-b\nc\n", "utf-7"),  # half a pair
    ],
)
def test_text_that_cannot_be_decoded_breaks_its_own_line_only(data: bytes, encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path, data)
    assert not to_utf8(path, told=encoding, name="people.csv").utf8
    first, second = path.read_bytes().splitlines()
    assert not is_utf8(first)
    assert second == b"c"


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
    path = written(tmp_path, data)
    assert to_utf8(path, told=None, name="people.csv").lines == lines
    assert path.read_bytes() == left


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (b"a\rb\r", b"a\nb\n"),
        (b"a\r\r\rb", b"a\n\n\nb"),
        (b'"a\nA"\rb\r"c\r\nC"\r', b'"a\nA"\nb\n"c\nC"\n'),
        (b"Zo\xc3\xab\rb\xff\r", b"Zo\xc3\xab\nb\xff\n"),
        (b"a\r" + b"x" * CHUNK_BYTES + b'\r"\n"\r', b"a\n" + b"x" * CHUNK_BYTES + b'\n"\n"\n'),
    ],
)
def test_cr_alone_becomes_lf(data: bytes, left: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, data)
    assert to_utf8(path, told="utf-8", name="people.csv").lines == left.count(b"\n") + (not left.endswith(b"\n"))
    assert path.read_bytes() == left


@pytest.mark.parametrize(
    "data",
    [
        b"a\r\r\nb\r\r\n",
        b'"a\rA"\nb\n',
        b"a\rb\nc\n",
        b"a\r" + b"x" * CHUNK_BYTES + b'\r"q"\n',
        b"x" * MAX_LINE_BYTES + b"\ra",
    ],
)
def test_cr_stays_where_lf_ends_a_line_or_none_ends_the_first(data: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, data)
    to_utf8(path, told=None, name="people.csv")
    assert path.read_bytes() == data
