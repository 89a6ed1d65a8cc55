"""Leavers held against the people on the list, cut into batches, and taken out of the ledger."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from exporters.model.batch import Tally
from exporters.planning.leavers import find_ids, read_batches, write_gone
from exporters.planning.members import encode_members
from exporters.providers.base import Member

LIMITS: Any = {"memory_mb": 64, "threads": 1}


def leavers_of(folder: Path, *emails: str) -> Path:
    file = folder / "leavers.parquet"
    with duckdb.connect() as database:
        database.execute("CREATE TABLE leavers (email VARCHAR)")
        for email in emails:
            database.execute("INSERT INTO leavers VALUES (?)", [email])
        database.execute(f"COPY leavers TO '{file}' (FORMAT parquet)")
    return file


def found(folder: Path, leavers: Path, *answers: list[Member]) -> tuple[int, list[tuple[str, str]]]:
    """How many have an id, and the rows of the file."""
    files = []
    for number, answer in enumerate(answers):
        files.append(folder / f"{number}.csv")
        files[-1].write_bytes(encode_members(answer))
    target = folder / "removals.parquet"
    with_id = find_ids(leavers, iter(files), target, work=folder, **LIMITS)
    with duckdb.connect() as database:
        return with_id, database.execute("SELECT email, id FROM read_parquet(?)", [str(target)]).fetchall()


def member(name: str, contact_id: str = "") -> Member:
    return Member(email=name, id=contact_id)


def test_who_has_an_id_comes_first_and_strangers_do_not_matter(tmp_path: Path) -> None:
    leavers = leavers_of(tmp_path, "a", "b", "c", "d")
    answers = [member("d", "4"), member("x", "9")], [member("b", "2"), member('o"ne, two\n', "8")]
    assert found(tmp_path, leavers, *answers) == (2, [("b", "2"), ("d", "4"), ("a", ""), ("c", "")])


def test_members_without_an_id_come_with_those_who_are_not_on_the_list(tmp_path: Path) -> None:
    leavers = leavers_of(tmp_path, "a", "b", "c")
    assert found(tmp_path, leavers, [member("b"), member("c", "2")]) == (1, [("c", "2"), ("a", ""), ("b", "")])


def test_who_stands_in_the_answers_twice_is_one_member(tmp_path: Path) -> None:
    answers = [member("a", "2"), member("a")], [member("a", "1")]
    assert found(tmp_path, leavers_of(tmp_path, "a"), *answers) == (1, [("a", "1")])


@pytest.mark.parametrize("answers", [[], [[]], [[member("x", "9")]]])
def test_of_a_list_without_leavers_nobody_has_an_id(tmp_path: Path, answers: list[list[Member]]) -> None:
    assert found(tmp_path, leavers_of(tmp_path, "a", "b"), *answers) == (0, [("a", ""), ("b", "")])


def test_batches_follow_the_file_with_or_without_ids(tmp_path: Path) -> None:
    leavers = leavers_of(tmp_path, *"abcde")
    plain = list(read_batches(leavers, [2, 2, 1], work=tmp_path, **LIMITS))
    assert plain == [[member("a"), member("b")], [member("c"), member("d")], [member("e")]]
    found(tmp_path, leavers, [member("e", "5"), member("a"), member("c", "3")])
    batches = read_batches(tmp_path / "removals.parquet", [2, 2, 1], work=tmp_path, **LIMITS)
    assert list(batches) == [[member("c", "3"), member("e", "5")], [member("a"), member("b")], [member("d")]]


def test_who_is_gone_is_told_by_batches_of_any_size(tmp_path: Path) -> None:
    leavers = leavers_of(tmp_path, *"abcdef")
    gone, unsure = tmp_path / "gone", tmp_path / "unsure"
    verdicts = {
        0: Tally(delivered=2, unknown=1, unknown_ranges=((1, 2),)),
        1: Tally(refused={0: "no"}),
        2: Tally(absent=2),
    }
    write_gone(leavers, [3, 1, 2], verdicts, gone=gone, unsure=unsure, work=tmp_path, **LIMITS)
    with duckdb.connect() as database:
        assert database.execute("FROM read_parquet(?)", [str(gone)]).fetchall() == [("a",), ("c",), ("e",), ("f",)]
        assert database.execute("FROM read_parquet(?)", [str(unsure)]).fetchall() == [("b",)]


def test_a_batch_without_outcome_leaves_its_people_unsure(tmp_path: Path) -> None:
    leavers = leavers_of(tmp_path, *"abc")
    gone, unsure = tmp_path / "gone", tmp_path / "unsure"
    write_gone(leavers, [1, 2], {0: Tally(delivered=1)}, gone=gone, unsure=unsure, work=tmp_path, **LIMITS)
    with duckdb.connect() as database:
        assert database.execute("FROM read_parquet(?)", [str(unsure)]).fetchall() == [("b",), ("c",)]
