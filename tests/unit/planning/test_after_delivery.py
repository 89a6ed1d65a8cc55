"""Ledger and rejects, once the batches have their verdicts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from exporters.model.batch import Tally
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
    assert emails(merge(None, outcome, verdicts, tmp_path / "ledger")) == ["a", "c", "d"]


def test_a_batch_without_outcome_was_not_delivered(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", "a", "b", "c")
    assert emails(merge(None, outcome, {1: Tally(delivered=1)}, tmp_path / "ledger")) == ["c"]


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


def test_a_repeated_finish_writes_the_same(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", *(f"p{n}" for n in range(50)))
    verdicts = {number: Tally(delivered=1, refused={1: "no"}) for number in range(25)}
    one, two = (merge(None, outcome, verdicts, tmp_path / name) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_the_rejects_file_has_refused_and_unknown_people_after_those_of_the_plan(tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", "a", "b", "c", "d", "e")
    verdicts = {
        0: Tally(delivered=1, refused={1: "blocked domain"}),
        1: Tally(refused_ranges=(((0, 2), "bad request"),)),
    }
    target = tmp_path / "rejects"
    write_rejects(outcome.planned.rejects, outcome.planned.contacts, verdicts, target, work=tmp_path, **LIMITS)
    found = [tuple(row[key] for key in ("kind", "reason", "line", "email", "words")) for row in rows(target)]
    assert found == [
        ("invalid", "email_malformed", 2, "", ""),
        ("refused", "refused", 4, "b@example.com", "blocked domain"),
        ("refused", "refused", 5, "c@example.com", "bad request"),
        ("refused", "refused", 6, "d@example.com", "bad request"),
        ("unknown", "unknown", 7, "e@example.com", ""),
    ]
    assert {(row["segment"], row["part"]) for row in rows(target)} == {("people", "people.csv")}


@pytest.mark.parametrize("verdicts", [{0: Tally(refused={0: "no"}, unknown=1, unknown_ranges=((0, 2),))}])
def test_a_refused_row_inside_an_unknown_range_is_refused_once(verdicts: Mapping[int, Tally], tmp_path: Path) -> None:
    outcome = people(tmp_path / "plan", "a", "b")
    target = tmp_path / "rejects"
    write_rejects(outcome.planned.rejects, outcome.planned.contacts, verdicts, target, work=tmp_path, **LIMITS)
    assert [(row["kind"], row["line"]) for row in rows(target)][1:] == [("refused", 3), ("unknown", 4)]
