"""What a plan is made of, one rule at a time."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exporters.errors import ConfigError
from exporters.model.fields import ContactShape, DateOrder, FieldType, Formats
from exporters.model.reject import RejectKind, RejectReason
from exporters.model.run import PlanCounts
from exporters.planning import changes, loading, values, verdicts
from exporters.planning.addresses import judge
from exporters.planning.database import open_database
from exporters.providers.base import BatchLimits
from exporters.segments.reading import fetch_segment
from exporters.segments.snapshots import newest_snapshot
from tests.unit.planning.plans import (
    EMAIL,
    ENVELOPE,
    LATER,
    SHAPE,
    Outcome,
    container,
    one_field,
    parquet,
    plan,
    rows,
    target,
)

HEADER = b"EMail,FirstName,City\n"


def converted(kind: FieldType, value: str, work: Path, **facts: Any) -> tuple[object, list[str]]:
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
        (FieldType.NUMBER, "€ 1,234.50", 1234.5),
        (FieldType.NUMBER, "1e5", 100000),
        (FieldType.BOOLEAN, "YES", True),
        (FieldType.BOOLEAN, "0", False),
        (FieldType.DATE, "2024-02-29", "2024-02-29"),
        (FieldType.DATE, "2024-02-29T23:30:00Z", "2024-02-29"),
        (FieldType.DATE, "29.2.2024.", "2024-02-29"),
        (FieldType.PHONE, "00385 (0)91 123-4567", "+385911234567"),
        (FieldType.PHONE, "+1 [212] 555.0100", "+12125550100"),
    ],
)
def test_values_become_what_the_field_takes(kind: FieldType, value: str, sent: object, tmp_path: Path) -> None:
    assert converted(kind, value, tmp_path / "work") == (sent, [])


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (FieldType.NUMBER, "1,23,4", RejectReason.NOT_A_NUMBER),
        (FieldType.NUMBER, "45 %", RejectReason.NOT_A_NUMBER),
        (FieldType.DATE, "2023-02-29", RejectReason.NOT_A_DATE),
        (FieldType.DATE, "0001-01-01", RejectReason.NOT_A_DATE),
        (FieldType.DATE, "31.01.26", RejectReason.NOT_A_DATE),
        (FieldType.DATE, "03/04/2026", RejectReason.DATE_AMBIGUOUS),
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


@pytest.mark.parametrize(
    ("kind", "value", "formats", "sent"),
    [
        (FieldType.DATE, "03/04/2026", Formats(date_order=DateOrder.DAY_FIRST), "2026-04-03"),
        (FieldType.DATE, "03/04/2026", Formats(date_order=DateOrder.MONTH_FIRST), "2026-03-04"),
        (FieldType.NUMBER, "1,234", Formats(decimal_mark="."), 1234),
        (FieldType.NUMBER, "1,234", Formats(decimal_mark=","), 1.234),
        (FieldType.NUMBER, "1234.5", Formats(decimal_mark=","), 1234.5),
        (FieldType.PHONE, "091/123-4567", Formats(phone_country="HR"), "+385911234567"),
        (FieldType.PHONE, "+1 212 555 0100", Formats(phone_country="HR"), "+12125550100"),
    ],
)
def test_the_formats_of_the_mapping_say_how_values_are_read(
    kind: FieldType, value: str, formats: Formats, sent: object, tmp_path: Path
) -> None:
    assert converted(kind, value, tmp_path / "work", formats=formats) == (sent, [])


@pytest.mark.parametrize(
    ("template", "first", "city", "sent"),
    [
        ("{FirstName} of {City}", "Ana", "Split", "Ana of Split"),
        ("{FirstName} {City}", "Ana", "", "Ana"),
        ("{City} {FirstName}", "Ana", " ", "Ana"),
        ("{FirstName}, {City}", "", "", None),
        ("{{{FirstName}}}", "Ana", "", "{Ana}"),
        (" {FirstName}  -\u2003{City} ", "A  na", "Split", "A na - Split"),
        ("{FirstName}\u0301{City}", "Zoe", "", "Zoé"),
        ('"{FirstName}"', "\\", "", '"\\"'),
    ],
)
def test_a_template_leaves_no_gaps_and_says_nothing_where_all_its_columns_are_empty(
    template: str, first: str, city: str, sent: str | None, tmp_path: Path
) -> None:
    shape = ContactShape(email=EMAIL, fields=(target({"template": template}, ("f",)),))
    outcome = plan({"people.csv": HEADER + f"a@example.com,{first},{city}\n".encode()}, tmp_path / "work", shape=shape)
    assert [contact.get("f") for contact in outcome.contacts] == [sent]


def test_a_value_of_several_columns_that_does_not_fit_names_them_all(tmp_path: Path) -> None:
    shape = ContactShape(email=EMAIL, fields=(target({"template": "{FirstName} {City}"}, ("f",), max_chars=5),))
    outcome = plan({"people.csv": HEADER + b"a@example.com,Ana,Split\n"}, tmp_path / "work", shape=shape)
    assert [(reject["reason"], reject["column"], reject["value"]) for reject in outcome.rejects] == [
        (RejectReason.VALUE_TOO_LONG, "FirstName, City", "Ana Split")
    ]


def test_a_constant_is_for_everyone_and_read_as_its_field_wants_it(tmp_path: Path) -> None:
    shape = ContactShape(
        email=EMAIL,
        fields=(
            target({"constant": ' say "hi" '}, ("f",)),
            target({"constant": "1,5"}, ("n",), type=FieldType.NUMBER),
            target({"constant": "31.1.2026."}, ("d",), type=FieldType.DATE, date_format="%m/%d/%Y"),
        ),
    )
    outcome = plan({"people.csv": b"EMail\na@example.com\nb@example.com\n"}, tmp_path / "work", shape=shape)
    assert [contact.pop("email") for contact in outcome.contacts] == ["a@example.com", "b@example.com"]
    assert [contact | {"email": ""} for contact in outcome.contacts] == [
        {"email": "", "f": 'say "hi"', "n": 1.5, "d": "01/31/2026"}
    ] * 2


def test_constants_that_do_not_fit_stop_the_plan_and_are_all_named(tmp_path: Path) -> None:
    wrong = {
        "born": ("soon", {"type": FieldType.DATE}),
        "points": ("many", {"type": FieldType.NUMBER}),
        "vip": ("maybe", {"type": FieldType.BOOLEAN}),
        "phone": ("091 1234567", {"type": FieldType.PHONE}),
        "tier": ("Platinum", {"max_chars": 7}),
    }
    fields = [target({"constant": value}, (name,), **facts) for name, (value, facts) in wrong.items()]
    shape = ContactShape(email=EMAIL, fields=(*fields, target({"constant": "Gold"}, ("level",), max_chars=4)))
    with pytest.raises(ConfigError) as caught:
        plan({"people.csv": HEADER}, tmp_path / "work", shape=shape)
    assert "A constant of the mapping does not fit its field." in str(caught.value)
    assert [name for name in wrong if f"{name}: The value is" not in str(caught.value)] == []
    assert "level" not in str(caught.value)


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
    shape = ContactShape(email=EMAIL, fields=(target(column, ("k'\"\\", "é")),))
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


def test_an_entry_without_fingerprint_is_sent_again_whatever_the_segment_says(tmp_path: Path) -> None:
    first = plan({"people.csv": HEADER + b"a@example.com,Ana,\n"}, tmp_path / "one")
    columns = "email VARCHAR, fingerprint UBIGINT, source UBIGINT"
    ledger = parquet(tmp_path / "ledger", columns, [("a@example.com", None, None)])
    second = plan({"people.csv": HEADER + b"a@example.com,Ana,\n"}, tmp_path / "two", ledger=ledger)
    assert second.staged == first.staged
    assert (second.planned.counts.added, second.planned.counts.changed) == (0, 1)


def test_a_full_run_sends_those_too_who_are_known_in_this_form(tmp_path: Path) -> None:
    data = HEADER + b"a@example.com,Ana,\nb@example.com,Bo,\n"
    first = plan({"people.csv": data}, tmp_path / "one")
    second = plan({"people.csv": data}, tmp_path / "two", ledger=first.planned.contacts, full=True)
    assert second.staged == first.staged
    assert (second.planned.counts.unchanged, second.planned.counts.changed) == (0, 2)


def test_someone_whose_contact_stays_the_same_is_renewed_and_not_sent(tmp_path: Path) -> None:
    first = plan({"people.csv": HEADER + b"a@example.com,Ana,\n"}, tmp_path / "one")
    second = plan({"people.csv": HEADER + b"A@example.com , Ana,\n"}, tmp_path / "two", ledger=first.planned.contacts)
    assert (sums(second), second.planned.renewed) == ((1, 0, 0), 1)
    (before,), (now,) = rows(first.planned.contacts), rows(second.planned.renewed_sources)
    assert now["email"] == before["email"]
    assert now["source"] != before["source"]


def test_withheld_people_are_neither_sent_nor_leavers(tmp_path: Path) -> None:
    data = HEADER + b"a@example.com,,\nB@example.com,,\nb@example.com,,\nc@example.com,,\n"
    known = plan({"people.csv": data}, tmp_path / "one").planned.contacts
    columns = "email VARCHAR, kind VARCHAR, since VARCHAR"
    suppressed = parquet(tmp_path / "suppressed", columns, [("b@example.com", "bounced", "2026-11-20T10:00:00Z")])
    outcome = plan({"people.csv": data}, tmp_path / "two", suppressed=suppressed, ledger=known, full=True)
    assert [contact["email"] for contact in outcome.contacts] == ["a@example.com", "c@example.com"]
    assert rows(outcome.planned.withheld) == [
        {
            "email": "b@example.com",
            "kind": "bounced",
            "since": "2026-11-20T10:00:00Z",
            "segment": "people",
            "part": "people.csv",
            "line": 3,
        }
    ]
    assert (outcome.planned.counts.withheld, outcome.planned.counts.duplicate) == (1, 1)
    assert rows(outcome.planned.leavers) == []


def test_placeholder_addresses_that_the_export_excludes_are_nobodys(tmp_path: Path) -> None:
    lines = ("none@example.com", "NONE@example.com", "x@example.org", "x@sub.example.org", "a@example.com")
    data = HEADER + "".join(f"{address},,\n" for address in lines).encode()
    outcome = plan({"people.csv": data}, tmp_path / "work", exclude=("none@example.com", "@example.org"))
    assert [contact["email"] for contact in outcome.contacts] == ["x@sub.example.org", "a@example.com"]
    assert [(reject["reason"], reject["line"]) for reject in outcome.rejects] == [
        (RejectReason.EMAIL_EXCLUDED, line) for line in (2, 3, 4)
    ]


def test_people_who_stand_in_the_segment_are_no_leavers_even_if_they_cannot_be_sent(tmp_path: Path) -> None:
    data = HEADER + b"a@example.com,,\nb@example.com,,\nc@example.com,,\n"
    known = plan({"people.csv": data}, tmp_path / "one").planned.contacts
    data = HEADER + b"a@example.com,,\nb@example.com,,%s\n" % (b"x" * 200)
    limits = BatchLimits(max_contacts=9, max_body_bytes=200)
    outcome = plan({"people.csv": data}, tmp_path / "two", ledger=known, limits=limits, exclude=("a@example.com",))
    assert [reject["reason"] for reject in outcome.rejects] == [
        RejectReason.EMAIL_EXCLUDED,
        RejectReason.CONTACT_TOO_LARGE,
    ]
    assert [row["email"] for row in rows(outcome.planned.leavers)] == ["c@example.com"]
    assert outcome.planned.counts.leavers == 1


@pytest.mark.parametrize(
    "address",
    ["a@example.com", "o'neil+tag@sub.example.co.uk", "A_b-c.d@x1.de", "a@b--c.com", "a@host.test", "a@x.local"],
)
def test_the_fast_pattern_says_what_email_validator_says(address: str, tmp_path: Path) -> None:
    outcome = plan({"people.csv": HEADER + f"{address},,\n".encode()}, tmp_path / "work")
    email = judge(address)
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
    shape = ContactShape(email=EMAIL, fields=(target("FirstName", ("f",)),))
    limits = BatchLimits(max_contacts=9, max_body_bytes=1_000_000)
    outcome = plan({"people.csv": data}, tmp_path / "work", shape=shape, limits=limits)
    assert [len(contact.get("f", "")) for contact in outcome.contacts] == [60_000, 0]
    assert [(reject["reason"], reject["line"]) for reject in outcome.rejects] == [(RejectReason.LINE_MALFORMED, 3)]


def test_people_who_differ_in_a_few_digits_only_are_not_taken_for_each_other(tmp_path: Path) -> None:
    emails = [f"sales.{a}@branch{b}.example.com" for a in range(10) for b in range(10)]
    data = HEADER + "".join(f"{email},Ana,Split\n" for email in emails).encode()
    ledger = parquet(tmp_path / "ledger", "email VARCHAR, fingerprint UBIGINT, source UBIGINT", [("x@y.example", 1, 1)])
    outcome = plan({"people.csv": data}, tmp_path / "work", ledger=ledger)
    assert [contact["email"] for contact in outcome.contacts] == emails


LINES = {
    "more cells than columns, with nothing in them": b"a@example.com,Ana,Split,,,",
    "blanks around quotes": b'"a@example.com" , "Ana"  ,"Split"',
    "quotes and commas inside": b'"a@example.com","A ""n"" , a" ,Split',
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_line_means_the_same_whatever_stands_elsewhere_in_its_file(line: bytes, tmp_path: Path) -> None:
    alone = plan({"people.csv": HEADER + line + b"\n"}, tmp_path / "alone")
    beside = plan({"people.csv": HEADER + line + b"\nb@example.com,\0,\n"}, tmp_path / "beside")
    assert len(alone.contacts) == 1
    assert beside.contacts == alone.contacts


def test_a_number_of_a_parquet_file_has_a_point_whatever_the_decimal_mark_is(tmp_path: Path) -> None:
    columns = '"EMail" VARCHAR, "Value" DECIMAL(9, 3)'
    typed = parquet(tmp_path / "typed", columns, [("a@example.com", "12.345")]).read_bytes()
    written = parquet(
        tmp_path / "written", '"EMail" VARCHAR, "Value" VARCHAR', [("b@example.com", "12.345")]
    ).read_bytes()
    shape = one_field(FieldType.NUMBER, formats=Formats(decimal_mark=","))
    outcome = plan({"people/1.parquet": typed, "people/2.parquet": written}, tmp_path / "work", shape=shape)
    assert [contact["custom"]["f"] for contact in outcome.contacts] == [12.345, 12345]


def test_a_person_lost_between_two_tables_shows_in_the_sum(tmp_path: Path) -> None:
    data = HEADER + b"a@example.com,Ana,\nb@example.com,Bo,\n"
    store = container({"people.csv": data})
    snapshot = newest_snapshot(store, "people", now=LATER, settle=timedelta(minutes=5))
    (part,) = fetch_segment(store, snapshot, columns=SHAPE.columns, folder=tmp_path).parts
    ledger = parquet(
        tmp_path / "ledger", "email VARCHAR, fingerprint UBIGINT, source UBIGINT", [("a@example.com", 1, 1)]
    )
    others = {name: tmp_path / name for name in ("renewed", "withheld", "leavers")}

    def counted(damage: str) -> PlanCounts:
        work = tmp_path / f"work {len(damage)}"
        work.mkdir()
        with open_database(work, memory_mb=200, threads=1) as database:
            values.prepare(database, SHAPE.formats)
            for statement in loading.CREATE_TABLES:
                database.execute(statement)
            facts = {"number": 0, "segment": "people", "shape": SHAPE, "work": work, "with_contacts": False}
            table = loading.load_part(database, part, **facts)

            def make() -> None:
                loading.make_contacts(database, [table], SHAPE)
                database.execute(damage)

            limits = {"exclude": (), "full": False, "max_bytes": 1_000}
            changes.compare(database, ledger=ledger, suppressed=None, make_contacts=make, **limits)
            changes.write_others(database, **others)
            verdicts.collect(database, SHAPE)
            return verdicts.count(database)

    assert counted("SELECT 1").closes
    assert not counted("DELETE FROM made WHERE email = 'a@example.com'").closes
