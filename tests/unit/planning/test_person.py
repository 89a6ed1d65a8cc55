"""One person in files: found however their address is written, and taken out of them."""

import csv
import json
from pathlib import Path

import duckdb
import pytest

from exporters.errors import ConfigError
from exporters.planning.person import (
    canonical,
    erase_from_csv,
    erase_from_table,
    find_in_lines,
    find_in_table,
    is_about,
    spellings,
)
from tests.unit.planning.plans import rows

ANN = spellings("ann@example.com")


def table(file: Path, select: str) -> Path:
    duckdb.connect().execute(f"COPY ({select}) TO '{file}' (FORMAT parquet)")
    return file


def erase(file: Path, of: tuple[str, ...], tmp_path: Path, *, memory_mb: int = 64) -> tuple[int, Path]:
    target, work = tmp_path / "others.parquet", tmp_path / "work"
    work.mkdir()
    return erase_from_table(file, of, target, work=work, memory_mb=memory_mb, threads=1), target


@pytest.mark.parametrize(
    ("given", "compared"),
    [
        (" Ann@Example.COM ", "ann@example.com"),
        ("ann@b\u00fccher.example", "ann@xn--bcher-kva.example"),
        ("ann@bu\u0308cher.example", "ann@xn--bcher-kva.example"),
        ("Ann@@example", "ann@@example"),
    ],
)
def test_addresses_are_compared_in_one_form(given, compared):
    assert canonical(given) == compared
    assert spellings(given)[0] == compared


@pytest.mark.parametrize(
    ("row", "about"),
    [
        ({"email": "Ann@Example.com"}, True),
        ({"email": "joann@example.com"}, False),
        ({"email": "ann@example.com.hr"}, False),
        ({"email": "", "value": "ann@example.com"}, True),
        ({"email": "", "value": "Write to ANN@example.com."}, True),
        ({"email": "", "value": "<ann@example.com>, ben@example.com"}, True),
        ({"email": "", "value": "'ann@example.com'"}, True),
        ({"email": "", "value": "mailto:ann@example.com?subject=x"}, True),
        ({"email": "", "value": "joann@example.com"}, False),
        ({"email": "", "value": "jo.ann@example.com"}, False),
        ({"email": "", "value": "jo+ann@example.com"}, False),
        ({"email": "", "value": "ann@example.com.hr"}, False),
        ({"email": "", "value": "ann@example.co"}, False),
        ({"email": "", "value": "annXexample.com"}, False),
        (
            {"email": "ben@example.com", "contact": json.dumps({"email": "ben@example.com", "of": "ann@example.com"})},
            True,
        ),
        ({"email": None, "value": None, "line": 7}, False),
    ],
)
def test_a_row_is_about_whoever_it_names(row, about, tmp_path):
    values = ", ".join(
        (
            "NULL::VARCHAR"
            if value is None
            else str(value)
            if isinstance(value, int)
            else "'" + value.replace("'", "''") + "'"
        )
        + f" AS {name}"
        for name, value in row.items()
    )
    file = table(tmp_path / "rows.parquet", f"SELECT {values}")

    assert is_about(row, ANN) == about
    assert erase(file, ANN, tmp_path)[0] == int(about)


def test_a_quoted_address_is_found_in_json_too():
    of = spellings('"a b"@example.com')

    assert is_about({"contact": json.dumps({"email": '"a b"@example.com'})}, of)
    assert is_about({"email": '"A b"@example.com'}, of)


def test_the_others_keep_their_order_types_and_values(tmp_path):
    select = """SELECT * FROM (VALUES
        ('b@example.com', 18446744073709551615::UBIGINT, 'x'), ('ann@example.com', 1, 'y'),
        ('a@example.com', NULL, NULL)
    ) AS rows(email, fingerprint, source)"""
    file = table(tmp_path / "ledger.parquet", select)

    count, others = erase(file, ANN, tmp_path)

    assert count == 1
    assert rows(others) == [
        {"email": "b@example.com", "fingerprint": 18446744073709551615, "source": "x"},
        {"email": "a@example.com", "fingerprint": None, "source": None},
    ]
    described = duckdb.connect().execute("DESCRIBE SELECT * FROM read_parquet($path)", {"path": str(others)}).fetchall()
    assert [column[1] for column in described] == ["VARCHAR", "UBIGINT", "VARCHAR"]


def test_a_file_of_nobody_else_becomes_an_empty_one(tmp_path):
    count, others = erase(table(tmp_path / "one.parquet", "SELECT 'ann@example.com' AS email, 1 AS n"), ANN, tmp_path)

    assert (count, rows(others)) == (1, [])


def test_a_ledger_of_a_million_people_is_cleaned_in_little_memory(tmp_path):
    select = """SELECT CASE i WHEN 0 THEN 'ann@example.com' ELSE printf('p%07d@example.com', i) END AS email,
        hash(i) AS fingerprint, hash(i + 1) AS source FROM range(1000000) AS people(i)"""
    file = table(tmp_path / "ledger.parquet", select)

    count, others = erase(file, ANN, tmp_path)

    assert count == 1
    assert find_in_table(others, ANN, limit=1, work=tmp_path, memory_mb=64, threads=1) == []
    told = duckdb.connect().execute(
        """SELECT count(*), count(*) FILTER (email > before) FROM (
            SELECT email, lag(email) OVER (ORDER BY file_row_number) AS before
            FROM read_parquet($path, file_row_number = true))""",
        {"path": str(others)},
    )
    assert told.fetchall() == [(999_999, 999_998)]


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"x" * 500])
def test_a_damaged_file_is_said_to_be_one(damage, tmp_path):
    file = table(tmp_path / "ledger.parquet", "SELECT 'ann@example.com' AS email")
    file.write_bytes(damage(file.read_bytes()))
    work = tmp_path / "find"
    work.mkdir()

    with pytest.raises(ConfigError, match="delete it"):
        find_in_table(file, ANN, limit=1, work=work, memory_mb=64, threads=1)
    with pytest.raises(ConfigError, match="delete it"):
        erase(file, ANN, tmp_path)


def test_so_many_rows_are_found_as_are_wanted(tmp_path):
    file = table(tmp_path / "r.parquet", "SELECT 'ann@example.com' AS email, i FROM range(50) AS n(i)")

    found = find_in_table(file, ANN, limit=3, work=tmp_path, memory_mb=64, threads=1)

    assert [row["i"] for row in found] == [0, 1, 2]


def test_a_csv_keeps_the_others_as_they_are(tmp_path):
    file, target = tmp_path / "withheld.csv", tmp_path / "others.csv"
    lines = [["email", "reason"], ["b@example.com", 'a "b", c'], ["ann@example.com", "x"], ["joann@example.com", ""]]
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(lines)

    assert erase_from_csv(file, ANN, target) == 1

    with target.open(newline="", encoding="utf-8") as out:
        assert list(csv.reader(out)) == [lines[0], lines[1], lines[3]]
    assert erase_from_csv(target, ANN, tmp_path / "again.csv") == 0
    assert (tmp_path / "again.csv").read_bytes() == target.read_bytes()


@pytest.mark.parametrize(
    "damaged", [b"email\n\xff\xfeann@example.com\n", b"email\n" + b"ann@example.com" * 20_000, b"\xff"]
)
def test_a_damaged_csv_is_said_to_be_one_without_what_it_holds(damaged, tmp_path):
    file = tmp_path / "withheld.csv"
    file.write_bytes(damaged)

    with pytest.raises(ConfigError, match="delete it") as raised:
        erase_from_csv(file, ANN, tmp_path / "others.csv")

    assert raised.value.__suppress_context__
    assert "ann@" not in str(raised.value)


def test_lines_are_found_in_text(tmp_path):
    file = tmp_path / "00000.ndjson"
    file.write_bytes(b'{"email":"ann@example.com"}\n{"email":"joann@example.com"}\n\xff{"of":"Ann@example.com"}\n')

    assert len(find_in_lines(file, ANN, limit=10)) == 2
    assert find_in_lines(file, ANN, limit=1) == ['{"email":"ann@example.com"}']
