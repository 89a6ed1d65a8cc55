"""Ledger and rejects, once the batches have their verdicts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from exporters.errors import StorageConflictError
from exporters.model.batch import Tally
from exporters.planning.leavers import write_gone
from exporters.planning.ledger import merge_ledger
from exporters.planning.rejects import write_rejects
from exporters.providers.base import BatchLimits
from tests.unit.planning.plans import Outcome, plan, rows

HEADER = b"EMail,FirstName,City\n"
TWO_A_BATCH = BatchLimits(max_contacts=2, max_body_bytes=10_000)
LIMITS: Mapping[str, Any] = {"memory_mb": 100, "threads": 2}


def people(work: Path, *names: str, ledger: Path | None = None) -> Outcome:
    """A plan of contacts, two a batch: "a" is a@example.com, "a:Ana" has a name too."""
    lines = "".join(f"{name.partition(':')[0]}@example.com,{name.partition(':')[2]},\n" for name in names)
    data = HEADER + b"nobody,,\n" + lines.encode()
    return plan({"people.csv": data}, work, limits=TWO_A_BATCH, ledger=ledger)


def merge(previous: Path | None, outcome: Outcome, verdicts: Mapping[int, Tally], target: Path) -> Path:
    merge_ledger(previous, outcome.planned.contacts, verdicts, target, work=target.parent, **LIMITS)
    return target


def emails(ledger: Path) -> list[str]:
    return [row["email"].partition("@")[0] for row in rows(ledger)]


def test_the_ledger_holds_who_was_delivered(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", "d", "c", "b", "a", "f", "e")
    verdicts = {
        0: Tally(delivered=2),
        1: Tally(delivered=1, refused={0: "no"}),
        2: Tally(refused_ranges=(((0, 1), "no"),), unknown=1, unknown_ranges=((1, 2),)),
    }
    ledger = merge(None, outcome, verdicts, tmp_path / "ledger")
    assert emails(ledger) == ["a", "c", "d", "e"]
    assert [row["fingerprint"] is None for row in rows(ledger)] == [False, False, False, True]


def test_people_of_a_batch_without_outcome_are_remembered_and_match_nothing(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", "a", "b", "c")
    ledger = merge(None, outcome, {1: Tally(delivered=1)}, tmp_path / "ledger")
    assert emails(ledger) == ["a", "b", "c"]
    assert [row["fingerprint"] is None for row in rows(ledger)] == [True, True, False]


def test_people_outside_the_run_and_refused_ones_keep_their_entry(tmp_path: Path) -> None:
    first = people(tmp_path / "one", "gone", "same", "new")
    before = merge(None, first, {0: Tally(delivered=2), 1: Tally(delivered=1)}, tmp_path / "before")
    second = people(tmp_path / "two", "same", "new:Nina", "other", ledger=before)
    after = merge(before, second, {0: Tally(delivered=1, refused={0: "no"})}, tmp_path / "after")
    entries = {row["email"]: row["fingerprint"] for row in rows(before)}
    found = {row["email"]: row["fingerprint"] for row in rows(after)}
    assert list(found) == ["gone@example.com", "new@example.com", "other@example.com", "same@example.com"]
    assert [email for email in entries if found[email] != entries[email]] == []


def test_someone_without_verdict_is_sent_again_even_as_before(tmp_path: Path) -> None:
    first = people(tmp_path / "one", "a", "b")
    before = merge(None, first, {0: Tally(delivered=2)}, tmp_path / "before")
    second = people(tmp_path / "two", "a:Ana", "b", ledger=before)
    after = merge(before, second, {0: Tally(unknown=1, unknown_ranges=((0, 1),))}, tmp_path / "after")
    third = people(tmp_path / "three", "a", "b", ledger=after)
    assert emails(after) == ["a", "b"]
    assert [contact["email"] for contact in third.contacts] == ["a@example.com"]


Entry = tuple[str, int | None, int | None]


def parquet(file: Path, columns: str, *values: tuple[object, ...]) -> Path:
    """A Parquet file with these columns, as in CREATE TABLE, and rows."""
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE made ({columns})")
        for row in values:
            database.table("made").insert(row)
        database.execute(f"COPY made TO '{file}' (FORMAT parquet)")
    return file


def ledger_of(folder: Path, *entries: Entry) -> Path:
    return parquet(folder / "previous", "email VARCHAR, fingerprint UBIGINT, source UBIGINT", *entries)


def batch_of(folder: Path, *contacts: Entry) -> Path:
    """The planned contacts of one batch."""
    columns = "batch BIGINT, row BIGINT, email VARCHAR, fingerprint UBIGINT, source UBIGINT"
    return parquet(folder / "contacts", columns, *((0, row, *contact) for row, contact in enumerate(contacts)))


def emails_of(folder: Path, name: str, *addresses: str) -> Path:
    return parquet(folder / name, "email VARCHAR", *((address,) for address in addresses))


def entries(
    folder: Path, previous: Path | None, contacts: Path, verdicts: Mapping[int, Tally], **files: Path
) -> list[Entry]:
    """The new ledger."""
    target = folder / "ledger"
    merge_ledger(previous, contacts, verdicts, target, work=folder, **LIMITS, **files)
    return [(row["email"], row["fingerprint"], row["source"]) for row in rows(target)]


def test_an_entry_has_the_source_of_the_delivered_contact_and_loses_it_without_verdict(tmp_path: Path) -> None:
    previous = ledger_of(tmp_path, ("kept", 1, 10), ("refused", 2, 20), ("taken", 3, 30), ("unknown", 4, 40))
    contacts = batch_of(
        tmp_path, ("taken", 33, 330), ("refused", 22, 220), ("unknown", 44, 440), ("new", 5, None), ("lost", 6, 60)
    )
    verdicts = {0: Tally(delivered=2, refused={1: "no"}, unknown=2, unknown_ranges=((2, 3), (4, 5)))}
    assert entries(tmp_path, previous, contacts, verdicts) == [
        ("kept", 1, 10),
        ("lost", None, None),  # perhaps on the list
        ("new", 5, None),
        ("refused", 2, 20),
        ("taken", 33, 330),
        ("unknown", None, None),
    ]


def test_a_renewed_source_changes_nothing_else_and_only_of_people_in_the_ledger(tmp_path: Path) -> None:
    previous = ledger_of(tmp_path, ("a", 1, 10), ("b", 2, 20), ("c", 3, 30))
    contacts = batch_of(tmp_path, ("b", 22, 220))
    renewed = parquet(
        tmp_path / "renewed", "email VARCHAR, source UBIGINT", ("a", 11), ("b", 99), ("c", None), ("stranger", 9)
    )
    verdicts = {0: Tally(refused={0: "no"})}
    assert entries(tmp_path, previous, contacts, verdicts, renewed=renewed) == [
        ("a", 1, 11),
        ("b", 2, 20),
        ("c", 3, None),
    ]


def test_people_who_are_gone_lose_their_entry_and_those_who_perhaps_are_match_nothing(tmp_path: Path) -> None:
    previous = ledger_of(tmp_path, ("gone", 1, 10), ("perhaps", 2, 20), ("refused", 3, 30))
    gone, unsure = emails_of(tmp_path, "gone", "gone"), emails_of(tmp_path, "unsure", "perhaps")
    found = entries(tmp_path, previous, batch_of(tmp_path), {}, gone=gone, unsure=unsure)
    assert found == [("perhaps", None, None), ("refused", 3, 30)]


def test_a_ledger_without_sources_can_still_be_read(tmp_path: Path) -> None:
    previous = parquet(tmp_path / "previous", "email VARCHAR, fingerprint UBIGINT", ("a", 1), ("b", 2))
    contacts = batch_of(tmp_path, ("b", 22, 220))
    assert entries(tmp_path, previous, contacts, {0: Tally(delivered=1)}) == [("a", 1, None), ("b", 22, 220)]


def test_leavers_are_gone_unless_they_were_refused_or_have_no_verdict(tmp_path: Path) -> None:
    leavers = emails_of(tmp_path, "leavers", "a", "b", "c", "d", "e")
    gone, unsure = tmp_path / "gone", tmp_path / "unsure"
    verdicts = {
        0: Tally(delivered=1, absent=1),
        1: Tally(refused={0: "no"}, unknown=1, unknown_ranges=((1, 2),)),
    }
    write_gone(leavers, [2, 2, 1], verdicts, gone=gone, unsure=unsure, work=tmp_path, **LIMITS)
    assert [row["email"] for row in rows(gone)] == ["a", "b"]
    assert [row["email"] for row in rows(unsure)] == ["d", "e"]


def test_a_repeated_finish_writes_the_same(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", *(f"p{n}" for n in range(50)))
    verdicts = {number: Tally(delivered=1, refused={1: "no"}) for number in range(25)}
    one, two = (merge(None, outcome, verdicts, tmp_path / name) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def write(outcome: Outcome, verdicts: Mapping[int, Tally], target: Path, **changes: Any) -> list[dict[str, Any]]:
    """The final rejects of an outcome, as they stand in the file."""
    staged = {"staged_lines": lambda batch: outcome.staged[batch].splitlines()} | changes
    write_rejects(
        outcome.planned.rejects, outcome.planned.contacts, verdicts, target, work=target.parent, **LIMITS, **staged
    )
    return rows(target)


def test_the_rejects_file_has_refused_and_unknown_people_after_those_of_the_plan(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", "a", "b", "c", "d", "e")
    verdicts = {
        0: Tally(delivered=1, refused={1: "blocked domain"}),
        1: Tally(refused_ranges=(((0, 2), "bad request"),)),
    }
    found = write(outcome, verdicts, tmp_path / "rejects")
    assert [tuple(row[key] for key in ("kind", "reason", "line", "email", "words")) for row in found] == [
        ("invalid", "email_malformed", 2, "", ""),
        ("refused", "refused", 4, "b@example.com", "blocked domain"),
        ("refused", "refused", 5, "c@example.com", "bad request"),
        ("refused", "refused", 6, "d@example.com", "bad request"),
        ("unknown", "unknown", 7, "e@example.com", ""),
    ]
    assert {(row["segment"], row["part"]) for row in found} == {("people", "people.csv")}


def test_a_refused_row_inside_an_unknown_range_is_refused_once(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", "a", "b")
    verdicts = {0: Tally(refused={0: "no"}, unknown=1, unknown_ranges=((0, 2),))}
    found = write(outcome, verdicts, tmp_path / "rejects")
    assert [(row["kind"], row["line"]) for row in found][1:] == [("refused", 3), ("unknown", 4)]


def test_refused_people_carry_what_was_sent_of_them_and_unknown_ones_nothing(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", "a:Ana", "b:Bo", "c:Cy", "d:Di")
    verdicts = {0: Tally(refused={1: "no"}, delivered=1), 1: Tally(refused={0: "no"}, unknown_ranges=((0, 2),))}
    contacts = {row["line"]: row["contact"] for row in write(outcome, verdicts, tmp_path / "rejects")}
    assert contacts == {
        2: '{"email":"nobody"}',
        4: '{"email":"b@example.com","first_name":"Bo"}',
        5: '{"email":"c@example.com","first_name":"Cy"}',
        6: None,
    }


def test_only_batches_with_refusals_are_read(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", "a", "b", "c", "d", "e", "f")
    asked: list[int] = []

    def staged_lines(batch: int) -> list[bytes]:
        asked.append(batch)
        return outcome.staged[batch].splitlines()

    verdicts = {0: Tally(delivered=2), 1: Tally(delivered=1, refused={1: "no"}), 2: Tally(unknown_ranges=((0, 2),))}
    write(outcome, verdicts, tmp_path / "rejects", staged_lines=staged_lines)
    assert asked == [1]


def test_once_batches_are_gone_no_poorer_file_takes_the_place_of_the_one_that_was_written(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", "a", "b")
    target = tmp_path / "rejects"
    with pytest.raises(StorageConflictError):
        write(outcome, {0: Tally(delivered=1, refused={1: "no"})}, target, staged_lines=lambda batch: None)
    assert not target.exists()
