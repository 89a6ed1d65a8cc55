"""Person by person: the truth about the sample, what a run claims, and what the provider holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from infra.local.sample.accounts import Account, Contact
from infra.local.sample.truth import Truth, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectRow:
    """One row of a run's rejects file."""

    kind: str
    reason: str
    column: str
    email: str
    part: str  #: name of the file, without folders
    line: int


def list_faults(
    account: Account, contacts: Iterable[Contact], people: Mapping[str, Truth], refused: AbstractSet[str]
) -> Iterator[str]:
    """Where the list differs from what it should hold: everyone of `people` but the refused, with every value.

    `people` are the planned ones, by address.
    """
    missing = people.keys() - refused
    strangers, wrong, twice = [], [], []
    seen: set[str] = set()
    for contact in contacts:
        email = str(contact["email"])
        if email in seen:
            twice.append(email)
        elif email not in people or email in refused:
            strangers.append(email)
        elif account.expected(people[email]) != {account.nested: {}, **contact}:
            wrong.append(email)
        seen.add(email)
    missing -= seen
    for emails, fault in (
        (strangers, "people on the list who must not be"),
        (twice, "people on the list more than once"),
        (sorted(missing), "people missing from the list"),
        (wrong, "people on the list with other values than in the segment"),
    ):
        if emails:
            yield f"{fault}: {len(emails):,}{_example(people.get(emails[0]))}"


def count_faults(truth: Sequence[Truth], sums: Mapping[str, int], refused: int) -> Iterator[str]:
    """Where the sums of a first run differ from the truth, or do not close."""
    counted = {verdict: sum(row.verdict is verdict for row in truth) for verdict in Verdict}
    planned = counted[Verdict.PLANNED]
    expected = {
        "read": len(truth),
        "invalid": counted[Verdict.INVALID],
        "duplicate": counted[Verdict.DUPLICATE],
        "withheld": 0,
        "unchanged": 0,
        "planned": planned,
        "delivered": planned - refused,
        "refused": refused,
        "unknown": 0,
    }
    for name, count in expected.items():
        if sums[name] != count:
            yield f"{name} should be {count:,} and is {sums[name]:,}"
    yield from sum_faults(sums)


def sum_faults(sums: Mapping[str, int]) -> Iterator[str]:
    """Whether the two sums of a run close."""
    terms = ("invalid", "duplicate", "withheld", "unchanged", "planned")
    if sums["read"] != sum(sums[term] for term in terms):
        yield f"read is not {' + '.join(terms)}"
    if sums["planned"] != sums["delivered"] + sums["refused"] + sums["unknown"]:
        yield "planned is not delivered + refused + unknown"


def reject_faults(
    account: Account, truth: Sequence[Truth], rejects: Sequence[RejectRow], refused: AbstractSet[str]
) -> Iterator[str]:
    """Where the rejects file differs from the truth: every reject with its reason, file and line, and no other."""
    expected: set[tuple[str, int, str, str]] = set()
    for row in truth:
        if row.verdict is not Verdict.PLANNED:
            expected.add((row.part, row.line, row.verdict, row.reason))
            continue
        if row.email in refused:
            expected.add((row.part, row.line, "refused", "refused"))
        expected |= {(row.part, row.line, "omitted", column) for column in account.omitted(row)}
    told = [_told(reject) for reject in rejects]
    for rows, fault in ((expected - set(told), "missing"), (set(told) - expected, "wrong")):
        if rows:
            part, line, kind, what = min(rows)
            yield f"{fault} in rejects.parquet: {len(rows):,}, such as line {line:,} of {part} ({kind}: {what})"
    if len(told) != len(set(told)):
        yield f"twice in rejects.parquet: {len(told) - len(set(told)):,}"


def _told(reject: RejectRow) -> tuple[str, int, str, str]:
    what = reject.column if reject.kind == "omitted" else reject.reason
    return reject.part, reject.line, reject.kind, what


def _example(person: Truth | None) -> str:
    """Where a person stands in the segment, as nobody's address belongs into a message."""
    return "" if person is None else f", such as line {person.line:,} of {person.part}"
