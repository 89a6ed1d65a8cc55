"""Lists held against ledgers, in files of any content."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.model.drift import Drift, DriftCounts, DriftKind
from exporters.planning.drift import CHUNK, doubt_missing, find_drift, open_drift
from exporters.planning.members import encode_members
from exporters.planning.way_back import WayBack, find_way_back
from exporters.providers.base import Member
from tests.unit.planning.plans import parquet, rows

PEOPLE = st.sampled_from([f"{name}@example.com" for name in "abcdefgh"])
#: Address -> fingerprint.
LEDGERS = st.dictionaries(PEOPLE, st.none() | st.integers(1, 3))
FAST = {"memory_mb": 64, "threads": 1}
SOME = settings(max_examples=30, deadline=None)


def ledger(work: Path, name: str, entries: Mapping[str, int | None], *, sources: bool = True) -> Path:
    if not sources:
        return parquet(work / name, "email VARCHAR, fingerprint UBIGINT", sorted(entries.items()))
    made = [(email, fingerprint, 7) for email, fingerprint in sorted(entries.items())]
    return parquet(work / name, "email VARCHAR, fingerprint UBIGINT, source UBIGINT", made)


def answers(work: Path, *pages: Sequence[str]) -> list[Path]:
    files = []
    for number, page in enumerate(pages):
        files.append(work / f"{number}.csv")
        files[-1].write_bytes(encode_members(Member(email=email) for email in page))
    return files


def drift_of(work: Path, entries: Mapping[str, int | None], *pages: Sequence[str]) -> tuple[DriftCounts, Path]:
    (work / "db").mkdir()
    target = work / "drift.parquet"
    found = find_drift(ledger(work, "ledger.parquet", entries), answers(work, *pages), target, work=work / "db", **FAST)
    return found, target


@SOME
@given(entries=LEDGERS, pages=st.lists(st.lists(PEOPLE, min_size=1), max_size=3))
def test_everyone_is_counted_once_and_written_where_they_differ(entries, pages):
    listed = {email for page in pages for email in page}
    sure = {email for email, fingerprint in entries.items() if fingerprint is not None}
    with TemporaryDirectory() as folder:
        found, target = drift_of(Path(folder), entries, *pages)
        written = [(row["email"], row["kind"]) for row in rows(target)]

    assert found == DriftCounts(
        known=len(entries),
        listed=len(listed),
        both=len(sure & listed),
        missing=len(sure - listed),
        strangers=len(listed - entries.keys()),
        unsure=len(entries.keys() - sure),
    )
    assert found.closes
    missing = [(email, "missing") for email in sorted(sure - listed)]
    assert written == missing + [(email, "stranger") for email in sorted(listed - entries.keys())]


@SOME
@given(entries=LEDGERS, missing=st.sets(PEOPLE), strangers=st.sets(PEOPLE))
def test_missing_people_count_as_not_delivered_and_nobody_else_changes(entries, missing, strangers):
    kinds = dict.fromkeys(strangers, "stranger") | dict.fromkeys(missing, "missing")
    with TemporaryDirectory() as folder:
        work = Path(folder)
        drift = parquet(work / "drift.parquet", "email VARCHAR, kind VARCHAR", list(kinds.items()))
        doubt_missing(ledger(work, "l.parquet", entries), drift, work / "target.parquet", work=work, **FAST)
        after = rows(work / "target.parquet")

    assert after == [
        {
            "email": email,
            "fingerprint": None if email in missing else fingerprint,
            "source": None if email in missing else 7,
        }
        for email, fingerprint in sorted(entries.items())
    ]


def test_a_ledger_of_an_older_version_has_no_source(tmp_path):
    drift = parquet(tmp_path / "drift.parquet", "email VARCHAR, kind VARCHAR", [("a@x.example", "missing")])
    old = ledger(tmp_path, "l.parquet", {"a@x.example": 1, "b@x.example": 2}, sources=False)

    doubt_missing(old, drift, tmp_path / "target.parquet", work=tmp_path, **FAST)

    assert [tuple(row.values()) for row in rows(tmp_path / "target.parquet")] == [
        ("a@x.example", None, None),
        ("b@x.example", 2, None),
    ]


@SOME
@given(now=LEDGERS, then=LEDGERS)
def test_the_way_back_leads_to_the_people_of_then(now, then):
    with TemporaryDirectory() as folder:
        work = Path(folder)
        found = find_way_back(
            ledger(work, "now.parquet", now),
            ledger(work, "then.parquet", then),
            put_back=work / "back.csv",
            leavers=work / "leavers.parquet",
            work=work,
            **FAST,
        )
        header, *back = (work / "back.csv").read_text().splitlines()
        leavers = [row["email"] for row in rows(work / "leavers.parquet")]

    assert header.strip('"') == "email"
    assert [line.strip('"') for line in back] == sorted(then.keys() - now.keys())
    assert leavers == sorted(now.keys() - then.keys())
    same = {email for email in now.keys() & then.keys() if now[email] is not None and now[email] == then[email]}
    assert found == WayBack(
        put_back=len(back),
        leavers=len(leavers),
        changed_since=len(now.keys() & then.keys()) - len(same),
        known=len(now),
    )


def test_addresses_with_commas_quotes_and_letters_of_any_script_survive_both_files(tmp_path):
    odd = ['"a,b"@x.example', "o'neil@x.example", "žana@x.example", "#tag@x.example"]
    found, target = drift_of(tmp_path, {}, odd)
    assert {row["email"] for row in rows(target)} == set(odd)
    assert found.strangers == 4


def test_a_page_begins_and_ends_where_it_is_wanted(tmp_path):
    strangers = [f"p{number:05d}@x.example" for number in range(CHUNK * 2 + 3)]
    _, file = drift_of(tmp_path, {"gone@x.example": 1}, strangers)
    (tmp_path / "page").mkdir()

    with open_drift(file, kind=DriftKind.STRANGER, work=tmp_path / "page") as page:
        assert page.totals() == {DriftKind.MISSING: 1, DriftKind.STRANGER: len(strangers)}
        shown = [email for email, _ in page.people(offset=1, limit=CHUNK + 1)]
        assert shown == strangers[1 : CHUNK + 2]
        assert list(page.people(offset=len(strangers), limit=5)) == []


@pytest.mark.parametrize(
    ("counts", "closes"),
    [
        (DriftCounts(), True),
        (DriftCounts(known=3, listed=3, both=1, missing=1, strangers=1, unsure=1), True),
        (DriftCounts(known=3, listed=2, both=1, missing=1, strangers=1, unsure=1), True),
        (DriftCounts(known=3, listed=4, both=1, missing=1, strangers=1, unsure=1), False),
        (DriftCounts(known=3, listed=1, both=1, missing=1, strangers=1, unsure=1), False),
        (DriftCounts(known=2, listed=2, both=1, missing=1, strangers=1, unsure=1), False),
    ],
)
def test_the_sums_hold_or_not(counts, closes):
    assert counts.closes is closes


def test_what_was_found_comes_back_from_the_metadata_of_its_file():
    drift = Drift(ledger="79738868947999999-0123abcd", known=3, listed=2, both=1, missing=1, strangers=1, unsure=1)

    assert Drift.model_validate(drift.metadata()) == drift
