"""Broken lines cost themselves and nobody else, however they are mixed."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from exporters.model.reject import RejectReason
from exporters.segments.lines import MAX_RECORD_LINES, BrokenLine, Record, read_records
from exporters.segments.text import MAX_LINE_BYTES


def read(data: bytes, *, width: int = 3, header_lines: int = 0) -> list[Record | BrokenLine]:
    return list(read_records(io.BytesIO(data), delimiter=",", width=width, header_lines=header_lines))


def test_an_open_quote_is_not_closed_by_a_far_away_one() -> None:
    rows = b"".join(b"%d,x,y\n" % n for n in range(2, MAX_RECORD_LINES + 3))
    found = read(b'1,"x,y\n' + rows + b'far,away",z\n')
    assert found[0] == BrokenLine(1, RejectReason.LINE_MALFORMED)
    assert [record.line for record in found[1:] if isinstance(record, Record)] == list(range(2, MAX_RECORD_LINES + 4))


def test_a_file_without_line_breaks_does_not_fill_the_memory() -> None:
    overlong = b"x" * (3 * MAX_LINE_BYTES) + b"\n"
    assert read(b"1,2,3\n" + overlong + b"4,5,6\n") == [
        Record(1, ["1", "2", "3"]),
        BrokenLine(2, RejectReason.LINE_MALFORMED),
        Record(3, ["4", "5", "6"]),
    ]


def test_a_line_that_begins_with_a_broken_byte_is_not_called_overlong() -> None:
    assert read(b"\xff,b,c\n1,2,3\n") == [BrokenLine(1, RejectReason.ENCODING_BROKEN), Record(2, ["1", "2", "3"])]


def test_blank_lines_count_only_where_there_is_one_column() -> None:
    assert read(b"1,2,3\n\n4,5,6\n") == [Record(1, ["1", "2", "3"]), Record(3, ["4", "5", "6"])]
    assert read(b"1\n\n4\n", width=1) == [Record(1, ["1"]), Record(2, [""]), Record(3, ["4"])]


good = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5), min_size=3, max_size=3)
bad = st.sampled_from([b'a,"b,c\n', b"a\n", b"a,b,c,d\n", b'"a"b,c,d\n', b"a,\xff,c\n", b"a,\0,c\n"])


@given(st.lists(st.one_of(good, bad), max_size=12))
def test_broken_lines_never_shift_their_neighbours(pieces: list[list[str] | bytes]) -> None:
    data, line, expected = b"", 1, []
    for piece in pieces:
        if isinstance(piece, bytes):
            text = piece
        else:
            text = quoted(piece)
            expected.append(Record(line, piece))
        line += text.count(b"\n")
        data += text
    found = read(data)
    assert [record for record in found if isinstance(record, Record)] == expected
    assert len(found) == len(pieces)


def quoted(values: list[str]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(values)
    return buffer.getvalue().encode()
