"""The comparison finds whatever is wrong, and nothing where all is well."""

from typing import Any

import pytest

from infra.local.demo.comparing import RejectRow, count_faults, list_faults, reject_faults, sum_faults
from infra.local.sample.truth import Verdict
from tests.unit.demo.examples import ACCOUNT, ANA, ANA_STORED, BO, BO_STORED, SUMS, person

PEOPLE = {ANA.email: ANA, BO.email: BO}
INVALID = person("", line=4, verdict=Verdict.INVALID, reason="email_missing")
DUPLICATE = person(line=5, verdict=Verdict.DUPLICATE, reason="duplicate")
TRUTH = (ANA, BO, INVALID, DUPLICATE)


def reject(kind: str, line: int, reason: str, column: str = "EMail") -> RejectRow:
    return RejectRow(kind=kind, reason=reason, column=column, email="", part="a.csv", line=line)


REJECTS = (
    reject("omitted", 3, "not_a_date", "DateOfBirth"),
    reject("invalid", 4, "email_missing"),
    reject("duplicate", 5, "duplicate"),
)


def test_a_list_as_it_should_be_has_no_faults() -> None:
    assert list(list_faults(ACCOUNT, [ANA_STORED, BO_STORED], PEOPLE, set())) == []


def test_refused_people_belong_off_the_list() -> None:
    assert list(list_faults(ACCOUNT, [ANA_STORED], PEOPLE, {BO.email})) == []
    assert list(list_faults(ACCOUNT, [ANA_STORED, BO_STORED], PEOPLE, {BO.email})) == [
        "people on the list who must not be: 1, such as line 3 of a.csv"
    ]


@pytest.mark.parametrize(
    ("contacts", "fault"),
    [
        ([ANA_STORED], "people missing from the list: 1, such as line 3 of a.csv"),
        ([ANA_STORED, BO_STORED, {"email": "eve@example.com"}], "people on the list who must not be: 1"),
        ([ANA_STORED, BO_STORED, BO_STORED], "people on the list more than once: 1, such as line 3 of a.csv"),
        (
            [ANA_STORED | {"first_name": "Anna"}, BO_STORED],
            "people on the list with other values than in the segment: 1, such as line 2 of a.csv",
        ),
        (
            [ANA_STORED, BO_STORED | {"city": "Zagreb"}],
            "people on the list with other values than in the segment: 1, such as line 3 of a.csv",
        ),
    ],
)
def test_a_difference_on_the_list_is_told_by_line(contacts: list[dict[str, Any]], fault: str) -> None:
    assert list(list_faults(ACCOUNT, contacts, PEOPLE, set())) == [fault]


def test_right_counts_have_no_faults() -> None:
    assert list(count_faults(TRUTH, SUMS, refused=1)) == []


def test_a_wrong_count_is_told_with_the_right_one() -> None:
    assert list(count_faults(TRUTH, SUMS | {"read": 5, "invalid": 2}, refused=1)) == [
        "read should be 4 and is 5",
        "invalid should be 1 and is 2",
    ]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("read", "read is not invalid + duplicate + withheld + unchanged + planned"),
        ("unknown", "planned is not delivered + refused + unknown"),
    ],
)
def test_a_sum_that_does_not_close_is_told(name: str, fault: str) -> None:
    assert list(sum_faults(SUMS)) == []
    assert list(sum_faults(SUMS | {name: SUMS[name] + 1})) == [fault]


def test_a_true_rejects_file_has_no_faults() -> None:
    assert list(reject_faults(ACCOUNT, TRUTH, REJECTS, set())) == []
    refused = reject("refused", 2, "refused", "")
    assert list(reject_faults(ACCOUNT, TRUTH, [*REJECTS, refused], {ANA.email})) == []


def test_a_missing_reject_is_told_by_line() -> None:
    assert list(reject_faults(ACCOUNT, TRUTH, REJECTS[:-1], set())) == [
        "missing in rejects.parquet: 1, such as line 5 of a.csv (duplicate: duplicate)"
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        reject("invalid", 4, "email_malformed"),
        reject("invalid", 6, "email_missing"),
        reject("duplicate", 4, "email_missing"),
    ],
)
def test_a_reject_with_another_line_kind_or_reason_is_told(wrong: RejectRow) -> None:
    faults = list(reject_faults(ACCOUNT, TRUTH, [REJECTS[0], wrong, REJECTS[2]], set()))
    assert [fault.partition(",")[0] for fault in faults] == [
        "missing in rejects.parquet: 1",
        "wrong in rejects.parquet: 1",
    ]


def test_a_reject_told_twice_is_a_fault() -> None:
    assert list(reject_faults(ACCOUNT, TRUTH, [*REJECTS, REJECTS[1]], set())) == ["twice in rejects.parquet: 1"]
