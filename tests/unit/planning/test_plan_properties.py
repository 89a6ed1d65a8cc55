"""Plans of generated segments, held against the plain model in `reference.py`."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporters.model.fields import ContactShape, FieldType, TargetField
from exporters.planning.values import untidy
from exporters.providers.base import BatchLimits, Envelope
from tests.unit.planning import reference
from tests.unit.planning.plans import EMAIL, ENVELOPE, LIMITS, plan, rows

COLUMNS = ("EMail", 'a"b;--', "Number", "Day", "Yes", "Phone")
SHAPE = ContactShape(
    email=EMAIL,
    fields=(
        TargetField(column='a"b;--', path=("custom", "it's"), max_chars=12),
        TargetField(column="Number", path=("custom", 'n"1')),
        TargetField(column="Number", path=("n",), type=FieldType.NUMBER),
        TargetField(column="Day", path=("custom", "d"), type=FieldType.DATE, date_format="%m/%d/%Y"),
        TargetField(column="Yes", path=("yes",), type=FieldType.BOOLEAN),
        TargetField(column="Phone", path=("phone",), type=FieldType.PHONE),
    ),
)

# Characters that Unicode knows for long: DuckDB and Python follow its versions at different times.
text = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cn", "Cs"), exclude_characters="\0", max_codepoint=0xFFFF)
)
emails = st.one_of(
    st.sampled_from(
        ["", "a@example.com", "A@Example.com ", "b@bücher.example", "x@y", "ü@example.com", "c@example.org"]
    ),
    st.from_regex(r"[a-z.+'-]{1,6}@[a-z-]{1,5}(\.[a-z-]{2,4}){1,2}", fullmatch=True),
    text,
)
numbers = st.one_of(
    st.from_regex(r"[+-]?[0-9]{0,4}\.?[0-9]{0,4}", fullmatch=True),
    st.sampled_from(["-0", "-0.0", "1e5", "٣", "9" * 31]),
)
days = st.one_of(
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.from_regex(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(Z|\+01:00)?)?", fullmatch=True),
)
phones = st.one_of(
    st.from_regex(r"(\+|00)? ?[0-9]{2} ?\(0\)?[ ./-]?[0-9]{2,6}-[0-9]{2,6}", fullmatch=True),
    st.sampled_from(["+1234567", "++12345678"]),
)
yes = st.sampled_from(["true", "FALSE", "1", "0", "Yes", "no", "maybe", ""])
profiles = st.fixed_dictionaries(dict(zip(COLUMNS, (emails, text, numbers, days, yes, phones), strict=True)))


def part(people: Sequence[dict[str, str]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(people)
    return buffer.getvalue().encode()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(profiles, max_size=30), st.lists(profiles, max_size=5))
def test_contacts_and_sums_are_those_of_the_model(first: list[dict[str, str]], second: list[dict[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        blobs = {"people/p_1.csv": part(first), "people/p_2.csv": part(second)}
        outcome = plan(blobs, Path(folder) / "work", shape=SHAPE)
    model = reference.expected([*first, *second], SHAPE)
    assert [line for batch in outcome.staged for line in batch.splitlines()] == [line for _, line in model.contacts]
    counts = outcome.planned.counts
    assert counts.closes
    assert (counts.read, counts.invalid, counts.duplicate) == (
        len(first) + len(second),
        model.invalid,
        model.duplicate,
    )
    assert (counts.planned, counts.unchanged, outcome.planned.omitted) == (len(model.contacts), 0, model.omitted)
    assert sum(reason.count for reason in outcome.planned.reasons) == model.invalid + model.duplicate + model.omitted


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=60),
    st.integers(1, 9),
    st.integers(150, 400),
    st.binary(max_size=20),
)
def test_batches_are_full_to_the_byte_and_in_order(names: list[int], most: int, room: int, head: bytes) -> None:
    limits = BatchLimits(max_contacts=most, max_body_bytes=room)
    envelope = Envelope(head=head, tail=b"]}")
    lines = "".join(f"a{n}@example.com,{'x' * length},\n" for n, length in enumerate(names))
    with TemporaryDirectory() as folder:
        blobs = {"people.csv": f"EMail,FirstName,City\n{lines}".encode()}
        shape = ContactShape(email=EMAIL, fields=(TargetField(column="FirstName", path=("first_name",)),))
        outcome = plan(blobs, Path(folder) / "work", shape=shape, limits=limits, envelope=envelope)
        contacts = rows(outcome.planned.contacts)
    expected = [
        json.dumps({"email": f"a{n}@example.com", "first_name": "x" * length}, separators=(",", ":")).encode()
        for n, length in enumerate(names)
    ]
    packed = reference.batches(expected, limits, envelope)
    assert [batch.splitlines() for batch in outcome.staged] == packed
    assert all(batch.endswith(b"\n") for batch in outcome.staged)
    bodies = [envelope.head + b",".join(batch) + envelope.tail for batch in packed]
    assert outcome.planned.bytes == sum(map(len, bodies))
    assert outcome.planned.batches == tuple(map(len, packed))
    assert [(row["batch"], row["row"]) for row in contacts] == [
        (number, row) for number, batch in enumerate(packed) for row in range(len(batch))
    ]
    assert [row["line"] for row in contacts] == list(range(2, len(names) + 2))


def test_characters_that_need_no_normalising_are_normal_with_any_neighbour() -> None:
    tidy = re.compile(untidy().partition("|")[0])
    safe = [chr(code) for code in range(0xA1, 0x10000) if not 0xD800 <= code < 0xE000 and not tidy.match(chr(code))]
    assert len(safe) > 50_000
    assert unicodedata.is_normalized("NFC", "".join(safe))
    # Only a character that may combine with the one before it could undo this; such a character is not among them.
    assert not [c for c in safe if unicodedata.combining(c)]
    bases = ("e", "A", "か", "가", "\u0415", "ᄀ")
    assert all(unicodedata.is_normalized("NFC", base + c) for base in bases for c in safe)


def test_the_same_segment_gives_the_same_bytes_twice(tmp_path: Path) -> None:
    people = [
        dict(
            zip(COLUMNS, (f"a{n % 40}@example.com", "Zoë", "1.50", "2026-01-31", "yes", "+385 91 1234567"), strict=True)
        )
        for n in range(200)
    ]
    blobs = {"people/p_1.csv": part(people[:90]), "people/p_2.csv": part(people[90:])}
    first, second = (plan(blobs, tmp_path / name, shape=SHAPE) for name in ("one", "two"))
    assert first.staged == second.staged
    assert rows(first.planned.rejects) == rows(second.planned.rejects)
    assert rows(first.planned.contacts) == rows(second.planned.contacts)
    assert first.contacts[0] == {
        "email": "a0@example.com",
        "custom": {"it's": "Zoë", 'n"1': "1.50", "d": "01/31/2026"},
        "n": 1.5,
        "yes": True,
        "phone": "+385911234567",
    }
    assert LIMITS.max_contacts > len(first.contacts) == 40
    assert first.planned.bytes == len(ENVELOPE.head) + len(ENVELOPE.tail) + len(first.staged[0]) - 1
