"""Parquet parts: their columns, and their values as text."""

from collections.abc import Sequence
from decimal import Decimal
from math import isinf, isnan
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporters.segments import parquet
from exporters.segments.faults import PartFault


def written(folder: Path, query: str, options: str = "") -> Path:
    path = folder / "part"
    with duckdb.connect() as database:
        database.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet{options})")
    return path


def look(path: Path, columns: Sequence[str]) -> parquet.ParquetFacts:
    with parquet.connect() as database:
        return parquet.look_at(database, path, columns, name="people.parquet")


def read(path: Path, column: str, *, time_zone: str = "UTC") -> list[Any]:
    """Texts of a column, as the planner would read them."""
    facts = look(path, [column])
    with duckdb.connect(config={"autoload_known_extensions": False}) as database:
        database.execute(f"SET TimeZone = '{time_zone}'")
        statement = f"FROM {parquet.ROWS} SELECT {facts.texts[column]}"
        return [text for (text,) in database.execute(statement, {"path": str(path)}).fetchall()]


def fault(path: Path, *columns: str) -> str:
    with pytest.raises(PartFault) as caught:
        look(path, columns)
    return str(caught.value)


@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_instants_are_utc_in_any_time_zone(time_zone: str, tmp_path: Path) -> None:
    path = written(tmp_path, "SELECT unnest([TIMESTAMPTZ '2020-01-02 03:04:05.006+02', NULL]) AS at")
    assert read(path, "at", time_zone=time_zone) == ["2020-01-02T01:04:05.006Z", None]


def test_instants_keep_their_nanoseconds(tmp_path: Path) -> None:
    path = written(tmp_path, "SELECT make_timestamp_ns(1577934245123456789) AS at")
    assert read(path, "at") == ["2020-01-02T03:04:05.123456789"]


numbers = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([0.0, -0.0, 12.0, 0.1, 1e15, 1e16, -1e16, 1e22, 1e23, 1e-4, 1e-5, -1.5e-7, 5e-324, 1.7976931348623157e308])
@given(st.lists(numbers, min_size=1, max_size=50))
def test_doubles_are_the_same_number_in_the_fewest_digits(tmp_path: Path, values: list[float]) -> None:
    rows = ", ".join(f"({value!r}::DOUBLE)" for value in values)
    texts = read(written(tmp_path, f"FROM (VALUES {rows}) people(n)"), "n")
    assert [Decimal(text) for text in texts] == [Decimal(repr(value)) for value in values]
    assert [text for text in texts if "e" in text.lower() or text.endswith((".0", "."))] == []


def test_doubles_that_are_no_numbers_have_a_text(tmp_path: Path) -> None:
    path = written(tmp_path, "SELECT unnest(['nan'::FLOAT, 'inf'::FLOAT, '-inf'::FLOAT]) AS n")
    nan, inf, minus = read(path, "n")
    assert isnan(float(nan))
    assert (isinf(float(inf)), float(minus)) == (True, float("-inf"))


def test_columns_are_found_by_the_rules_for_headers(tmp_path: Path) -> None:
    path = written(
        tmp_path, 'SELECT 1 AS "E-Mail  Address", 2 AS "say ""hi""", {\'a\': 3, \'b\': [4]} AS nested, 5 AS "last"'
    )
    facts = look(path, ["e-mail address", 'say "hi"', "LAST"])
    assert facts.columns == {"e-mail address": 0, 'say "hi"': 1, "LAST": 3}
    assert (facts.width, facts.rows, facts.clean) == (4, 1, True)
    assert read(path, 'say "hi"') == ["2"]
    assert fault(path, "lost") == (
        "people.parquet: column lost is missing (did you mean last?);"
        ' the file has the columns E-Mail  Address, say "hi", nested, last.'
    )


def test_columns_named_like_duckdbs_own_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "SELECT 'a' AS filename, 'b' AS file_row_number, 'c' AS \"NULL\"")
    assert [read(path, column) for column in ("filename", "file_row_number", "NULL")] == [["a"], ["b"], ["c"]]


def test_a_path_adds_no_columns(tmp_path: Path) -> None:
    folder = tmp_path / "year=2020" / "[a]*?"
    folder.mkdir(parents=True)
    path = written(tmp_path, "SELECT 1 AS n").rename(folder / "part")
    assert look(path, ["n"]).width == 1


def test_every_type_without_a_text_is_named(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """SELECT 'a'::BLOB AS bytes, [1] AS many, {'a': 1} AS nested, MAP {'a': 1} AS map, INTERVAL 1 DAY AS span,
            1 AS n""",
    )
    words = fault(path, "bytes", "many", "nested", "map", "span", "n")
    assert words.count("cannot be read as text") == 5
    assert "column bytes is of type BLOB (bytes that are not marked as text)" in words
    assert "column n " not in words


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_every_compression_is_read(codec: str, tmp_path: Path) -> None:
    path = written(tmp_path, "SELECT unnest(['a', NULL, '']) AS n", f", COMPRESSION {codec}")
    assert read(path, "n") == ["a", None, ""]


def test_a_file_that_ends_too_early_is_never_read(tmp_path: Path) -> None:
    path = written(tmp_path, "SELECT 'a@example.com' AS n")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert fault(path, "n").startswith("people.parquet")


def test_a_damaged_file_is_an_error_without_its_contents(tmp_path: Path) -> None:
    path = written(tmp_path, "SELECT 'secret@example.com' AS n FROM range(10)", ", COMPRESSION uncompressed")
    whole = path.read_bytes()
    messages = []
    for place in range(len(whole) - 200, len(whole) - 4, 5):
        path.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        try:
            look(path, ["n"])
        except PartFault as found:
            messages.append(str(found))
    assert messages
    assert [words for words in messages if "secret" in words or "duckdb" in words.lower() or "\n" in words] == []


def test_an_encrypted_footer_is_said(tmp_path: Path) -> None:
    path = tmp_path / "part"
    path.write_bytes(b"PARE" + bytes(80) + b"PARE")
    assert fault(path, "n") == "people.parquet: the Parquet file is encrypted; write it without encryption."


def test_broken_rows_are_found_wherever_they_stand(tmp_path: Path) -> None:
    rows = 300_000
    query = """FROM range(1, 300001) numbers(n) SELECT 'person' || n AS "E-Mail",
        CASE n WHEN 7 THEN 'Zo~~' WHEN 200000 THEN '?' || chr(0) ELSE 'Ana' END AS F,
        CASE n WHEN 300000 THEN '~~~' END AS G, n"""
    path = written(tmp_path, query, ", COMPRESSION uncompressed, ROW_GROUP_SIZE 50000")
    path.write_bytes(path.read_bytes().replace(b"Zo~~", b"Zo\xc3\x28").replace(b"~~~", b"\xed\xa0\x80"))
    facts = look(path, ["E-Mail", "F", "G", "n"])
    assert (facts.rows, facts.clean) == (rows, False)
    with duckdb.connect() as database:
        broken = database.execute(parquet.broken_rows(facts.texts.values()), {"path": str(path)}).fetchall()
    assert sorted(broken) == [(7, "encoding_broken"), (200_000, "nul_byte"), (rows, "encoding_broken")]
    assert look(path, ["E-Mail", "n"]).clean
