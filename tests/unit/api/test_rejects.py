"""Rejects over HTTP: what stands where, in both formats."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exporters.api import pages
from exporters.exporter import Exporter
from exporters.model.fields import StandardField
from exporters.providers.base import SuppressionKind
from exporters.segments.correction import REPORT_COLUMNS
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.typed_world import TypedWorld, listed, sheet
from tests.world import refusals


@pytest.fixture
def world() -> TypedWorld:
    return TypedWorld()


def problem(answer) -> tuple[int, str]:
    body = json.loads(answer.body)
    assert body["status"] == answer.status
    return answer.status, body["type"].removeprefix("urn:segment-exporter:problem:")


def test_each_reject_has_its_place_its_texts_and_the_contact(world):
    world.rows(("a@x.example", "Ann"), ("nope", "Bo", "Zagreb", "+385 91 234 5678", "1990-12-31", "12.50", "yes"))

    (reject,) = listed(world.rejects(world.export_now()))

    (fault,) = reject.pop("faults")
    assert reject == {
        "kind": "invalid",
        "provider_words": "",
        "segment": "VIP",
        "part": "VIP.csv",
        "line": 3,
        "contact": {
            "email": "nope",
            "first_name": "Bo",
            "city": "Zagreb",
            "phone": "+385912345678",
            "custom.born": "1990-12-31",
            "custom.points": "12.5",
            "custom.vip": "true",
        },
    }
    assert (fault["reason"], fault["column"], fault["value"]) == ("email_malformed", "EMail", "nope")
    assert fault["sentence"]
    assert fault["remedy"]


def test_refused_people_come_with_the_words_of_the_provider_and_what_was_sent(world):
    world.rows(("a@x.example", "Ann"), ("b@x.example", "Bo", "", "", "1990-01-02"))
    world.account.on_submit = lambda contacts: refusals("b@x.example")

    (reject,) = listed(world.rejects(world.export_now()))

    assert (reject["kind"], reject["line"], reject["provider_words"]) == ("refused", 3, "… is not wanted")
    assert reject["contact"] == {"email": "b@x.example", "first_name": "Bo", "custom.born": "1990-01-02"}


def test_values_that_were_left_out_stand_together_where_they_can_be_corrected(world):
    world.rows(("a@x.example", "Ann", "A city with a long name", "12", "31/31/1990", "many", "maybe"))

    (reject,) = listed(world.rejects(world.export_now()))

    assert [fault["column"] for fault in reject["faults"]] == ["City", "Phone", "Born", "Points", "Vip"]
    assert reject["contact"] == {
        "email": "a@x.example",
        "first_name": "Ann",
        "city": "A city with a long name",
        "phone": "12",
        "custom.born": "31/31/1990",
        "custom.points": "many",
        "custom.vip": "maybe",
    }


def test_a_value_that_is_kept_only_in_part_is_not_put_where_it_could_be_sent(world):
    world.rows(("a@x.example", "Ann", "x" * 600))

    (reject,) = listed(world.rejects(world.export_now()))

    assert reject["contact"] == {"email": "a@x.example", "first_name": "Ann"}
    assert reject["faults"][0]["value"] == "x" * 500


def test_of_two_fields_from_one_column_only_the_one_at_fault_shows_the_rejected_value(world):
    mapping = {"email": "EMail", "first_name": "FirstName", "city": "FirstName"}
    world.export(mapping=mapping)
    world.rows(("a@x.example", "Bartholomew the Second"))

    (reject,) = listed(world.rejects(world.export_now()))

    assert reject["contact"]["first_name"] == reject["contact"]["city"] == "Bartholomew the Second"
    assert [contact["first_name"] for contact in world.account.contacts.values()] == ["Bartholomew the Second"]


def test_fields_from_one_place_show_each_its_own_rejected_value(world):
    templates = {"city": {"template": "{FirstName} from {City}"}, "phone": {"template": "{FirstName} {City}"}}
    world.export(mapping={"email": "EMail", **templates})
    world.rows(("a@x.example", "Ann", "Split"))

    (reject,) = listed(world.rejects(world.export_now()))

    assert reject["contact"] == {"email": "a@x.example", "city": "Ann from Split", "phone": "Ann Split"}


def test_a_line_that_is_nobody_has_no_contact(world):
    world.segment("EMail,FirstName,City,Phone,Born,Points,Vip\na@x.example,,,,,,\nb@x.example,too,few\n")

    (reject,) = listed(world.rejects(world.export_now()))

    assert (reject["kind"], reject["line"], reject["contact"]) == ("invalid", 3, {})


def test_the_csv_is_what_spreadsheets_read(world):
    world.rows(("a@x.example",), ("=cmd()", 'O"Neil, "Sue"', "", "+385912345678", "", "-5"))
    run = world.export_now()

    answer = world.rejects(run, format="csv")

    assert answer.headers["Content-Type"] == "text/csv"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="rejects-newsletter-{run["id"]}.csv"'
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert answer.body.startswith(b"\xef\xbb\xbfkind,reason,")
    assert answer.body.count(b"\r\n") == answer.body.count(b"\n") == 2
    (row,) = sheet(answer)
    assert list(row) == [
        *REPORT_COLUMNS,
        *("email", "first_name", "city", "phone", "custom.born", "custom.points", "custom.vip"),
    ]
    assert (row["email"], row["first_name"], row["phone"]) == ("'=cmd()", 'O"Neil, "Sue"', "'+385912345678")
    assert (row["value"], row["custom.points"]) == ("'=cmd()", "'-5")


@pytest.mark.parametrize(
    ("accept", "query", "media_type"),
    [
        ("", {}, "application/json"),
        ("*/*", {}, "application/json"),
        ("text/csv", {}, "text/csv"),
        ("text/html, text/csv;q=0.5", {}, "text/csv"),
        ("application/json, text/csv", {}, "application/json"),
        ("text/csv", {"format": "json"}, "application/json"),
        ("application/json", {"format": "csv"}, "text/csv"),
    ],
)
def test_the_format_is_asked_for_by_query_or_by_header(world, accept, query, media_type):
    world.rows(("nope",))

    assert world.rejects_as(accept, world.export_now(), **query).headers["Content-Type"] == media_type


def test_kind_and_reason_narrow_what_is_shown_but_not_the_totals(world):
    world.rows(("nope",), ("",), ("a@x.example", "", "too long a city", "12"), ("a@x.example",))
    run = world.export_now()

    assert [reject["line"] for reject in listed(world.rejects(run, kind="invalid"))] == [2, 3]
    assert [reject["line"] for reject in listed(world.rejects(run, reason="email_missing"))] == [3]
    (omitted,) = listed(world.rejects(run, reason="not_a_phone"))
    assert [fault["reason"] for fault in omitted["faults"]] == ["value_too_long", "not_a_phone"]
    assert listed(world.rejects(run, kind="refused")) == []
    shown = json.loads(world.rejects(run, kind="duplicate").body)
    assert shown["totals"] == {"duplicate": 1, "invalid": 2, "omitted": 1}
    assert shown["total"] == 1


def follow(world, run, **query) -> list[list[int]]:
    """The lines of each page, by its links."""
    pages = []
    while True:
        answer = world.rejects(run, **query)
        pages.append([reject["line"] for reject in listed(answer)])
        link = answer.headers.get("Link")
        assert json.loads(answer.body)["next"] == (None if link is None else link[1:].removesuffix('>; rel="next"'))
        if link is None:
            return pages
        address, _, rest = link[1:].partition("?")
        assert address == f"/api/runs/newsletter/{run['id']}/rejects"
        query = dict(pair.split("=") for pair in rest.removesuffix('>; rel="next"').split("&"))


def test_pages_follow_each_other_by_their_links(world):
    world.rows(*[("nope",)] * 7, ("",))
    run = world.export_now()

    assert follow(world, run, limit="3") == [[2, 3, 4], [5, 6, 7], [8, 9]]
    assert follow(world, run, limit="3", reason="email_malformed") == [[2, 3, 4], [5, 6, 7], [8]]
    assert follow(world, run) == [[2, 3, 4, 5, 6, 7, 8, 9]]
    assert follow(world, run, offset="8") == [[]]


def test_a_page_of_the_csv_says_where_it_begins(world):
    world.rows(*[("nope",)] * 3)
    run = world.export_now()

    answer = world.rejects(run, format="csv", limit="1", offset="1")

    assert [row["line"] for row in sheet(answer)] == ["3"]
    assert f"rejects-newsletter-{run['id']}-from-2.csv" in answer.headers["Content-Disposition"]
    assert "format=csv" in answer.headers["Link"]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_large_answer_ends_early_and_says_where_it_goes_on(world, form):
    long = "x" * 120_000
    rows = pages.MAX_ANSWER_BYTES // len(long) + 10
    world.rows(*[("nope", long)] * rows)
    run = world.export_now()

    answer = world.rejects(run, format=form)

    assert len(answer.body) < pages.MAX_ANSWER_BYTES + 2_000
    shown = len(sheet(answer)) if form == "csv" else len(listed(answer))
    assert 0 < shown < rows
    assert f"offset={shown}" in answer.headers["Link"]
    rest = listed(world.rejects(run, offset=str(shown)))
    assert len(rest) == rows - shown


@pytest.mark.parametrize(
    "query",
    [
        {"format": "xml"},
        {"kind": "bad"},
        {"reason": "x"},
        {"limit": "0"},
        {"limit": str(pages.MAX_LIMIT + 1)},
        {"offset": "-1"},
        {"offset": "x"},
    ],
)
def test_a_query_that_cannot_be_used_is_refused_by_name(world, query):
    world.rows(("nope",))

    answer = world.rejects(world.export_now(), **query)

    assert problem(answer) == (400, "request-query")
    assert json.loads(answer.body)["detail"].startswith(next(iter(query)))


@pytest.mark.parametrize("run", ["79738877939999999-00000000", "x"])
def test_an_unknown_run_is_not_found(world, run):
    assert problem(world.rejects({"export": "newsletter", "id": run})) == (404, "no-such-run")


def test_a_run_at_work_has_none_yet(world):
    world.rows(("a@x.example",))
    started = world.start()

    answer = world.rejects({"export": "newsletter", "id": world.run_id(started)})

    assert problem(answer) == (409, "rejects-not-yet")
    assert answer.headers["Retry-After"] == "5"


def test_a_held_run_shows_the_rejects_of_its_plan(world):
    world.export(mapping={"email": "EMail"}, brakes={"max_profiles": 1})
    world.rows(("a@x.example",), ("nope",))
    started = world.start()
    world.pump()
    assert world.show(started)["status"] == "held"

    (reject,) = listed(world.rejects({"export": "newsletter", "id": world.run_id(started)}))

    assert (reject["kind"], reject["contact"]) == ("invalid", {"email": "nope"})


class BetweenReadAndDownload:
    """A store before whose first download of rejects something happens."""

    def __init__(self, store: MemoryBlobStore, happens: Callable[[], object]) -> None:
        self.store = store
        self.happens = [happens]

    def download(self, name: str, target: Path, *, etag: str | None = None) -> None:
        if name.endswith("rejects.parquet") and self.happens:
            self.happens.pop()()
        self.store.download(name, target, etag=etag)

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


@pytest.mark.parametrize("word", ["approve", "reject"])
def test_rejects_are_found_though_the_held_run_ends_while_they_are_asked_for(world, word):
    world.export(mapping={"email": "EMail"}, brakes={"max_profiles": 1})
    world.rows(("a@x.example",), ("nope",))
    started = world.start()
    world.pump()
    held = world.show(started)

    usual = world.exporter

    def end() -> None:
        world.exporter = usual
        getattr(world, word)(started)
        world.pump()

    world.exporter = Exporter(replace(world.parts, state=BetweenReadAndDownload(world.state, end)))

    (reject,) = listed(world.rejects(held))
    assert (reject["kind"], reject["contact"]) == ("invalid", {"email": "nope"})


def test_rejects_that_somebody_has_deleted_are_told_with_a_remedy(world):
    world.rows(("a@x.example",), ("nope",))
    run = world.export_now()
    world.state.delete(paths.rejects("newsletter", run["id"]))

    answer = world.rejects(run)

    assert problem(answer) == (404, "no-rejects")
    assert "deleted from the state container: start the export again" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize(
    "query", [{"kind": "withheld"}, *({"reason": reason} for reason in ("unsubscribed", "bounced", "blocked"))]
)
def test_withheld_people_are_no_rejects_and_the_answer_says_where_they_are(world, query):
    world.export(mapping={"email": "EMail"}, withhold=True)
    world.account.suppressed = {"a@x.example": SuppressionKind.BOUNCED}
    world.rows(("a@x.example",))
    run = world.export_now()

    answer = world.rejects(run, **query)

    assert problem(answer) == (400, "request-query")
    assert "withheld/<export>.csv of the state container" in json.loads(answer.body)["detail"]
    assert b"a@x.example" in world.state.get("withheld/newsletter.csv").data


def test_words_for_withheld_people_are_not_offered(world):
    world.rows(("nope",))
    run = world.export_now()

    assert json.loads(world.rejects(run, kind="x").body)["detail"] == (
        "kind: use one of invalid, duplicate, omitted, refused, unknown"
    )


def test_a_run_that_failed_before_its_end_says_why_there_are_none(world):
    world.account.key = "other"
    world.rows(("nope",))
    run = world.export_now()
    assert run["status"] == "failed"

    answer = world.rejects(run)

    assert problem(answer) == (404, "no-rejects")
    assert run["reason"] in json.loads(answer.body)["detail"]


def test_columns_of_the_report_and_fields_have_different_names():
    fields = {"email", *StandardField}
    assert fields.isdisjoint(REPORT_COLUMNS)
    assert not any(name.startswith("custom.") for name in REPORT_COLUMNS)


def test_a_run_without_rejects_answers_the_header_alone(world):
    world.rows(("a@x.example",))
    run = world.export_now()

    assert sheet(world.rejects(run, format="csv")) == []
    assert listed(world.rejects(run)) == []
    assert world.state.get(paths.rejects("newsletter", run["id"])) is not None


def test_ids_that_are_no_ids_reach_no_path(world):
    answer = world.call("GET", "/runs/../../rejects")

    assert problem(answer) == (404, "no-such-address")
