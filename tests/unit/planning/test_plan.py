"""What a plan is made of, one rule at a time."""

from pathlib import Path

import pytest

from exporters.model.fields import ContactShape, FieldType, TargetField
from exporters.model.reject import RejectKind, RejectReason
from exporters.planning.addresses import judge
from exporters.providers.base import BatchLimits
from tests.unit.planning.plans import EMAIL, ENVELOPE, Outcome, one_field, plan

HEADER = b"EMail,FirstName,City\n"


def converted(kind: FieldType, value: str, work: Path, **facts: str) -> tuple[object, list[str]]:
    """The value as it is sent (None: left out), and the reasons given."""
    data = f'EMail,Value\na@example.com,"{value}"\n'.encode()
    outcome = plan({"people.csv": data}, work, shape=one_field(kind, **facts))
    return outcome.contacts[0].get("custom", {}).get("f"), [reject["reason"] for reject in outcome.rejects]


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        (FieldType.NUMBER, "0042", 42),
        (FieldType.NUMBER, "+3.50", 3.5),
        (FieldType.NUMBER, "-.5", -0.5),
        (FieldType.BOOLEAN, "YES", True),
        (FieldType.BOOLEAN, "0", False),
        (FieldType.DATE, "2024-02-29", "2024-02-29"),
        (FieldType.DATE, "2024-02-29T23:30:00Z", "2024-02-29"),
        (FieldType.PHONE, "00385 (0)91 123-4567", "+385911234567"),
        (FieldType.PHONE, "+1 [212] 555.0100", "+12125550100"),
    ],
)
def test_values_become_what_the_field_takes(kind: FieldType, value: str, sent: object, tmp_path: Path) -> None:
    assert converted(kind, value, tmp_path / "work") == (sent, [])


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (FieldType.NUMBER, "1,234.5", RejectReason.NOT_A_NUMBER),
        (FieldType.NUMBER, "1e5", RejectReason.NOT_A_NUMBER),
        (FieldType.DATE, "2023-02-29", RejectReason.NOT_A_DATE),
        (FieldType.DATE, "0001-01-01", RejectReason.NOT_A_DATE),
        (FieldType.DATE, "31.01.2026", RejectReason.NOT_A_DATE),
        (FieldType.BOOLEAN, "maybe", RejectReason.NOT_A_BOOLEAN),
        (FieldType.PHONE, "091 1234567", RejectReason.NOT_A_PHONE),
        (FieldType.PHONE, "+12345678901234567", RejectReason.NOT_A_PHONE),
    ],
)
def test_values_that_do_not_fit_are_left_out_with_a_reason(
    kind: FieldType, value: str, reason: RejectReason, tmp_path: Path
) -> None:
    assert converted(kind, value, tmp_path / "work") == (None, [reason])


def test_dates_are_written_as_the_field_wants_them(tmp_path: Path) -> None:
    sent = converted(FieldType.DATE, "2026-01-31", tmp_path / "work", date_format="%m/%d/%Y")
    assert sent == ("01/31/2026", [])


def test_the_first_segment_wins_where_a_person_is_in_two(tmp_path: Path) -> None:
    blobs = {
        "a.csv": HEADER + b"x@example.com,FromA,\n",
        "b.csv": HEADER + b"X@EXAMPLE.COM,FromB,\ny@example.com,,\n",
    }
    outcome = plan(blobs, tmp_path / "work", segments=("b", "a"))
    assert [contact.get("first_name") for contact in outcome.contacts] == ["FromB", None]
    assert [(segment.segment, segment.profiles) for segment in outcome.planned.segments] == [("b", 2), ("a", 1)]
    (reason,) = outcome.planned.reasons
    assert (reason.kind, reason.count, reason.example.segment, reason.example.line) == (
        RejectKind.DUPLICATE,
        1,
        "a",
        2,
    )


def test_many_profiles_with_one_placeholder_address_are_one_contact(tmp_path: Path) -> None:
    data = HEADER + b"".join(b"No Name@example.com,,\nnone@example.com,A%d,\n" % n for n in range(5_000))
    outcome = plan({"people.csv": data}, tmp_path / "work")
    assert outcome.contacts == [{"email": "none@example.com", "first_name": "A0"}]
    assert [(reason.reason, reason.count, reason.example.line) for reason in outcome.planned.reasons] == [
        (RejectReason.EMAIL_MALFORMED, 5_000, 2),
        (RejectReason.DUPLICATE, 4_999, 5),
    ]


def test_contacts_settled_by_the_slow_judge_keep_their_place_in_the_order(tmp_path: Path) -> None:
    data = HEADER + "a@example.com,,\nb@bücher.example,,\nc@example.com,,\n".encode()
    outcome = plan({"people.csv": data}, tmp_path / "work", limits=BatchLimits(max_contacts=2, max_body_bytes=1000))
    assert outcome.staged == [
        b'{"email":"a@example.com"}\n{"email":"b@xn--bcher-kva.example"}\n',
        b'{"email":"c@example.com"}\n',
    ]


def test_a_contact_that_no_request_can_hold_is_a_reject_and_not_a_winner(tmp_path: Path) -> None:
    data = HEADER + b"a@example.com,,%s\na@example.com,,Rome\n" % (b"x" * 200)
    limits = BatchLimits(max_contacts=10, max_body_bytes=200)
    outcome = plan({"people.csv": data}, tmp_path / "work", limits=limits)
    assert outcome.contacts == [{"email": "a@example.com", "city": "Rome"}]
    assert [(reject["reason"], reject["line"]) for reject in outcome.rejects] == [(RejectReason.CONTACT_TOO_LARGE, 2)]
    assert outcome.planned.counts.closes


def test_a_contact_may_fill_a_request_to_the_last_byte(tmp_path: Path) -> None:
    data = HEADER + b"a@example.com,,\nb@example.com,,\n"
    exact = len(ENVELOPE.head) + len(ENVELOPE.tail) + len('{"email":"a@example.com"}')
    limits = BatchLimits(max_contacts=10, max_body_bytes=exact)
    outcome = plan({"people.csv": data}, tmp_path / "work", limits=limits)
    assert (outcome.planned.batches, outcome.planned.bytes) == ((1, 1), 2 * exact)


def test_hostile_names_and_values_are_only_text(tmp_path: Path) -> None:
    column, part = "a\"b;-- ' $1 {x}", "people/x'; DROP TABLE profiles; --_1.csv"
    shape = ContactShape(email=EMAIL, fields=(TargetField(column=column, path=("k'\"\\", "é")),))
    value = "'); DROP TABLE profiles; -- \\ \" \x07\u2028"
    data = (
        f'EMail,"{column.replace(chr(34), chr(34) * 2)}"\n"a@example.com","{value.replace(chr(34), chr(34) * 2)}"\nx,\n'
    )
    outcome = plan({part: data.encode()}, tmp_path / "work", shape=shape)
    assert outcome.contacts == [{"email": "a@example.com", "k'\"\\": {"é": value.strip("\u2028")}}]
    assert [(reject["part"], reject["value"]) for reject in outcome.rejects] == [(part, "x")]


def test_an_empty_nested_object_is_left_out(tmp_path: Path) -> None:
    outcome = plan({"people.csv": b"EMail,Value\na@example.com,\n"}, tmp_path / "work", shape=one_field(FieldType.TEXT))
    assert outcome.staged == [b'{"email":"a@example.com"}\n']


def test_an_export_may_map_the_address_alone(tmp_path: Path) -> None:
    shape = ContactShape(email=EMAIL, fields=())
    outcome = plan({"people.csv": b"EMail\na@example.com\n\nb@example.com\n"}, tmp_path / "work", shape=shape)
    assert [contact["email"] for contact in outcome.contacts] == ["a@example.com", "b@example.com"]
    assert [(reject["reason"], reject["line"]) for reject in outcome.rejects] == [(RejectReason.EMAIL_MISSING, 3)]


def sums(outcome: Outcome) -> tuple[int, int, int]:
    counts = outcome.planned.counts
    assert counts.closes
    return counts.unchanged, counts.planned, len(outcome.contacts)


def test_nobody_is_planned_who_was_delivered_in_this_form(tmp_path: Path) -> None:
    first = plan({"people.csv": HEADER + b"a@example.com,Ana,\nb@example.com,Bo,\n"}, tmp_path / "one")
    data = HEADER + b"b@example.com,Bob,\na@example.com,Ana,\nc@example.com,,\n"
    second = plan({"people.csv": data}, tmp_path / "two", ledger=first.planned.contacts)
    assert sums(second) == (1, 2, 2)
    assert [contact["email"] for contact in second.contacts] == ["b@example.com", "c@example.com"]


def test_what_was_left_out_counts_only_for_contacts_that_are_sent(tmp_path: Path) -> None:
    data = HEADER + b"a@example.com,%s,\n" % (b"x" * 60)
    first = plan({"people.csv": data}, tmp_path / "one")
    second = plan({"people.csv": data}, tmp_path / "two", ledger=first.planned.contacts)
    assert (first.planned.omitted, second.planned.omitted) == (1, 0)
    assert sums(second) == (1, 0, 0)


@pytest.mark.parametrize(
    "address",
    ["a@example.com", "o'neil+tag@sub.example.co.uk", "A_b-c.d@x1.de", "a@b--c.com", "a@host.test", "a@x.local"],
)
def test_the_fast_pattern_says_what_email_validator_says(address: str, tmp_path: Path) -> None:
    outcome = plan({"people.csv": HEADER + f"{address},,\n".encode()}, tmp_path / "work")
    email, _ = judge(address)
    assert [contact["email"] for contact in outcome.contacts] == ([] if email is None else [email])


def test_lines_above_the_header_are_counted(tmp_path: Path) -> None:
    for name, rest in {"fast": b"", "careful": b"a\n"}.items():
        data = b"\n\r\n" + HEADER + b"nobody,,\na@example.com,,\n" + rest
        outcome = plan({"people.csv": data}, tmp_path / name)
        assert [contact["email"] for contact in outcome.contacts] == ["a@example.com"]
        assert outcome.rejects[0]["line"] == 4


def test_a_line_of_many_quotes_and_an_endless_line_do_not_stop_the_plan(tmp_path: Path) -> None:
    quotes = b'a@example.com,"' + b'""' * 60_000 + b'",\n'
    data = HEADER + quotes + b"x" * 5_000_000 + b"\nb@example.com,,\n"
    shape = ContactShape(email=EMAIL, fields=(TargetField(column="FirstName", path=("f",)),))
    limits = BatchLimits(max_contacts=9, max_body_bytes=1_000_000)
    outcome = plan({"people.csv": data}, tmp_path / "work", shape=shape, limits=limits)
    assert [len(contact.get("f", "")) for contact in outcome.contacts] == [60_000, 0]
    assert [(reject["reason"], reject["line"]) for reject in outcome.rejects] == [(RejectReason.LINE_MALFORMED, 3)]
