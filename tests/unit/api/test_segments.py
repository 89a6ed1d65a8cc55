"""Segments over HTTP: what is shown to whom."""

import base64
import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import duckdb
import pytest

from exporters.api.answers import Answer
from exporters.api.masking import masked_example
from exporters.api.segments import MAX_COLUMNS, MAX_VALUE_CHARS
from exporters.exporter import Exporter
from exporters.model.caller import SignIn
from infra.local.host.front import claims_of, principal_header
from tests.world import START, World

ADDRESSES = ("/segments/detail", "/segments/members", "/segments/history")


@pytest.fixture
def world() -> World:
    return World()


def get(world: World, address: str, *, accept: str = "", **query: object) -> Answer:
    values = {name: str(value) for name, value in query.items()}
    return world.call("GET", address, query=values, headers={"accept": accept} if accept else {})


def data(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, str(json.loads(answer.body)["type"]).rpartition(":")[2]


def trail(world: World) -> list[dict[str, Any]]:
    blobs = [world.state.get(info.name) for info in world.state.list("audit/")]
    return [json.loads(line) for blob in blobs if blob is not None for line in blob.data.splitlines()]


class TestList:
    def test_it_has_each_segment_with_the_exports_that_use_it(self, world: World) -> None:
        world.people(3)
        world.segment("EMail\n", "other.csv")
        world.export(id="second", segments=["VIP", "elsewhere"])
        found = data(get(world, "/segments"))
        written = "2026-11-22T05:00:00Z"
        assert found == {
            "items": [
                {
                    "path": "VIP",
                    "layout": "single file",
                    "snapshot": "VIP.csv",
                    "written": written,
                    "refreshed": None,
                    "parts": 1,
                    "bytes": 73,
                    "exports": ["newsletter", "second"],
                },
                {
                    "path": "other",
                    "layout": "single file",
                    "snapshot": "other.csv",
                    "written": written,
                    "refreshed": None,
                    "parts": 1,
                    "bytes": 6,
                    "exports": [],
                },
            ],
            "next": None,
            "total": None,
        }

    def test_an_empty_container_has_none(self, world: World) -> None:
        assert data(get(world, "/segments")) == {"items": [], "next": None, "total": None}

    def test_pages_are_linked_and_keep_the_search(self, world: World) -> None:
        for number in range(7):
            world.segment("EMail\n", f"größe & mehr/Vip {number}.csv")
            world.segment("EMail\n", f"größe & mehr/x{number * 'y'}.csv")
        paths, answer = list[str](), get(world, "/segments", search="vip", limit=3)
        while True:
            found = data(answer)
            paths += [item["path"] for item in found["items"]]
            if found["next"] is None:
                assert "Link" not in answer.headers
                break
            assert answer.headers["Link"] == f'<{found["next"]}>; rel="next"'
            address, _, query = found["next"].removeprefix("/api").partition("?")
            answer = world.call("GET", address, query=dict(parse_qsl(query)))
        assert paths == [f"größe & mehr/Vip {number}" for number in range(7)]

    @pytest.mark.parametrize(
        "query",
        [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"sort": "name"}, {"search": "a\nb"}, {"after": "x" * 8_001}],
    )
    def test_a_query_that_cannot_be_is_refused(self, world: World, query: dict[str, object]) -> None:
        assert code(get(world, "/segments", **query)) == (400, "request-query")

    @pytest.mark.parametrize("limit", [1, 3, 50])
    def test_names_that_no_query_can_hold_are_on_the_pages(self, world: World, limit: int) -> None:
        names = ["a", "b\n", "b\n/c", "d", *(f"x\u202e{letter}" for letter in "abcde"), "y", "z" * 900]
        for name in names:
            world.segment("EMail\n", f"{name}.csv")
        found, paths = data(get(world, "/segments", limit=limit)), list[str]()
        for _ in names:
            paths += [item["path"] for item in found["items"]]
            if found["next"] is None:
                break
            found = data(world.call("GET", "/segments", query=dict(parse_qsl(found["next"].partition("?")[2]))))
        assert paths == names
        assert found["next"] is None

    def test_a_page_may_begin_anywhere(self, world: World) -> None:
        world.people(1)
        for name in ("nowhere", "￾", "../..", "0" * 1024, "💣", ""):
            after = base64.urlsafe_b64encode(json.dumps([name]).encode()).decode()
            assert get(world, "/segments", after=after).status == 200

    @pytest.mark.parametrize("after", ["", "VIP", "💣", "e30=", "W10=", "WzFd", "WyJcdWQ4MDAiXQ==", "////"])
    def test_a_page_begins_where_another_has_ended_only(self, world: World, after: str) -> None:
        assert code(get(world, "/segments", after=after)) == (400, "request-query")


class TestDetail:
    def test_it_has_count_snapshots_and_masked_columns(self, world: World) -> None:
        world.segment(
            "CustomerId,EMail,Name,City,Note\n"
            "17,ann.smith@example.com,Anna Smith,Graz,\n"
            "18,bo@example.com,Bo,Graz,see cy@example.org\n"
            "19,cy@example.org,Cyril,Zagreb,\n"
            "20,di@example.org,Diana,Linz,\n",
            "crm/VIP/2026/11/21/0600/VIP_1.csv",
        )
        world.export(segments=["crm/VIP"])
        found = data(get(world, "/segments/detail", path="crm/VIP"))
        assert found == {
            "path": "crm/VIP",
            "fault": "",
            "snapshot": "crm/VIP/2026/11/21/0600",
            "written": "2026-11-22T05:00:00Z",
            "refreshed": "2026-11-21T06:00:00Z",
            "parts": 1,
            "bytes": 181,
            "profiles": 4,
            "counted": "exact",
            "columns": [
                {"name": "CustomerId", "type": None, "examples": ["##"]},
                {"name": "EMail", "type": None, "examples": ["a***@e***.com", "***@e***.com", "***@e***.org"]},
                {"name": "Name", "type": None, "examples": ["A*** S***", "***", "C***"]},
                {"name": "City", "type": None, "examples": ["G***", "Z***", "L***"]},
                {"name": "Note", "type": None, "examples": ["*** ***@e***.org"]},
            ],
            "more_columns": False,
            "columns_masked": False,
            "snapshots": [
                {
                    "snapshot": "crm/VIP/2026/11/21/0600",
                    "written": "2026-11-22T05:00:00Z",
                    "refreshed": "2026-11-21T06:00:00Z",
                    "parts": 1,
                    "bytes": 181,
                    "complete": True,
                    "waiting": "",
                }
            ],
            "more_snapshots": False,
            "exports": ["newsletter"],
        }

    def test_columns_of_parquet_have_types(self, world: World, tmp_path: Path) -> None:
        path = tmp_path / "vip"
        with duckdb.connect() as database:
            query = "SELECT 'ann@example.com' AS \"EMail\", 1.5::DOUBLE AS points, [1] AS many"
            database.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        world.segments.put("VIP.parquet", path.read_bytes())
        world.pass_time(hours=1)
        assert data(get(world, "/segments/detail", path="VIP"))["columns"] == [
            {"name": "EMail", "type": "VARCHAR", "examples": ["***@e***.com"]},
            {"name": "points", "type": "DOUBLE", "examples": ["#.#"]},
            {"name": "many", "type": "INTEGER[]", "examples": []},
        ]

    @pytest.mark.parametrize(
        "text", ["ann@example.com,Ann Smith\nbo@example.com,Bo\n", "Ann Smith,Salzburg\nBo Jones,Vienna\n"]
    )
    def test_words_of_a_first_line_that_may_be_a_person_are_masked(self, world: World, text: str) -> None:
        world.segment(text)
        answer = get(world, "/segments/detail", path="VIP")
        found = data(answer)
        assert found["columns_masked"]
        for word in (b"ann", b"Smith", b"Salzburg", b"Jones", b"Vienna"):
            assert word not in answer.body

    def test_nobody_can_be_read_out_of_it(self, world: World) -> None:
        world.segment(
            "EMail,FirstName,LastName,Phone,Born\n"
            + "".join(f"secret{n}@private.example,Johanna,Klammer,+43 664 12345{n},1990-01-0{n}\n" for n in range(9))
        )
        world.export_now()
        for address in ("/segments", "/segments/detail", "/segments/history"):
            body = get(world, address, **({} if address == "/segments" else {"path": "VIP"})).body
            for word in (b"secret", b"private", b"Johanna", b"Klammer", b"664", b"1990"):
                assert word not in body

    def test_a_fault_is_shown_where_a_run_would_fail(self, world: World) -> None:
        world.segment("x", "VIP/1.csv")
        world.segment("x", "VIP/2.parquet")
        found = data(get(world, "/segments/detail", path="VIP"))
        assert "Parquet and CSV at once" in found["fault"]
        assert (found["snapshot"], found["profiles"], found["counted"], found["columns"]) == (None, None, "unknown", [])
        assert len(found["snapshots"]) == 1

    def test_what_is_being_written_is_waited_for(self, world: World) -> None:
        world.segments.put("VIP.csv", b"EMail\n")
        found = data(get(world, "/segments/detail", path="VIP"))
        assert "changed less than 60 seconds ago" in found["fault"]
        assert not found["snapshots"][0]["complete"]
        assert found["columns"] == []

    def test_no_more_columns_are_shown_than_anybody_can_look_at(self, world: World) -> None:
        world.segment("EMail," + ",".join(f"c{number}" for number in range(3_000)) + "\n")
        found = data(get(world, "/segments/detail", path="VIP"))
        assert (len(found["columns"]), found["more_columns"]) == (MAX_COLUMNS, True)

    def test_a_long_value_is_a_short_example(self, world: World) -> None:
        world.segment("EMail,Note\na@x.example," + "word " * 500 + "\n")
        (_, note) = data(get(world, "/segments/detail", path="VIP"))["columns"]
        assert len(note["examples"][0]) <= 61


class TestMembers:
    def test_they_are_shown_as_they_are_and_that_goes_into_the_trail(self, world: World) -> None:
        world.segment('EMail,Name\nann@example.com,"Smith, Ann"\nbo@example.com,=1+1\n', "crm/Köln & Graz.csv")
        answer = get(world, "/segments/members", path="crm/Köln & Graz")
        assert data(answer) == {
            "path": "crm/Köln & Graz",
            "snapshot": "crm/Köln & Graz.csv",
            "columns": ["EMail", "Name"],
            "not_shown": [],
            "members": [["ann@example.com", "Smith, Ann"], ["bo@example.com", "=1+1"]],
        }
        assert answer.headers["Cache-Control"] == "no-store"
        assert [(line["action"], line["subject"], line["result"]) for line in trail(world)] == [
            ("people shown", "/segments/members?path=crm/K%C3%B6ln%20%26%20Graz", "wanted"),
            ("people shown", "/segments/members?path=crm/K%C3%B6ln%20%26%20Graz", "done"),
        ]
        assert "example.com" not in json.dumps(trail(world))

    def test_as_csv_they_are_a_file_that_spreadsheets_show_as_it_is(self, world: World) -> None:
        world.segment('EMail,Name\nann@example.com,"Smith, Ann"\nbo@example.com,=1+1\n', "crm/Köln & Graz.csv")
        answer = get(world, "/segments/members", path="crm/Köln & Graz", accept="text/csv")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="members-K-ln-Graz.csv"'
        rows = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"))))
        assert rows == [["EMail", "Name"], ["ann@example.com", "Smith, Ann"], ["bo@example.com", "'=1+1"]]
        assert get(world, "/segments/members", path="crm/Köln & Graz", format="csv").body == answer.body

    def test_there_are_a_hundred_at_most(self, world: World) -> None:
        world.people(150)
        assert len(data(get(world, "/segments/members", path="VIP"))["members"]) == 100
        assert len(data(get(world, "/segments/members", path="VIP", limit=7))["members"]) == 7
        for limit in (0, 101):
            assert code(get(world, "/segments/members", path="VIP", limit=limit)) == (400, "request-query")

    def test_long_values_are_cut(self, world: World) -> None:
        world.segment("EMail,Note\na@x.example," + "x" * 5_000 + "\n")
        ((_, note),) = data(get(world, "/segments/members", path="VIP"))["members"]
        assert note == "x" * MAX_VALUE_CHARS + "…"

    def test_columns_without_text_are_named(self, world: World, tmp_path: Path) -> None:
        path = tmp_path / "vip"
        with duckdb.connect() as database:
            database.execute(f"COPY (SELECT 'a@x.example' AS e, [1] AS many) TO '{path}' (FORMAT parquet)")
        world.segments.put("VIP.parquet", path.read_bytes())
        world.pass_time(hours=1)
        found = data(get(world, "/segments/members", path="VIP"))
        assert (found["members"], found["not_shown"]) == ([["a@x.example", ""]], ["many"])

    def test_what_a_run_would_say_is_the_answer_where_nobody_can_be_shown(self, world: World) -> None:
        world.segments.put("VIP.csv", b"EMail\n")
        assert code(get(world, "/segments/members", path="VIP")) == (503, "not-ready")
        world.segment("x", "VIP2.parquet")
        assert code(get(world, "/segments/members", path="VIP2")) == (422, "export-unusable")
        assert [line["result"] for line in trail(world)] == ["wanted", "not done"] * 2

    def test_a_viewer_sees_none_and_a_contributor_does(self, world: World) -> None:
        world.people(1)
        signed_in = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))
        statuses = {}
        for role in ("Viewer", "Contributor"):
            world.exporter = signed_in
            header = {"x-ms-client-principal": principal_header(claims_of("person", [role], "Ann"))}
            answers = [world.call("GET", address, query={"path": "VIP"}, headers=header) for address in ADDRESSES]
            statuses[role] = [answer.status for answer in answers]
        assert statuses == {"Viewer": [200, 403, 200], "Contributor": [200, 200, 200]}


class TestHistory:
    def test_it_is_the_count_over_time_with_the_runs_that_read_it(self, world: World) -> None:
        runs = []
        for days, count in enumerate((3, 5, 4)):
            world.time = START + timedelta(days=days)
            folder = f"{world.now():%Y/%m/%d/%H%M}"
            emails = "".join(f"p{number}@x.example\n" for number in range(count))
            world.segment(f"EMail,FirstName\n{emails}", f"VIP/{folder}/VIP_1.csv")
            runs.append(world.export_now())
        found = data(get(world, "/segments/history", path="VIP"))
        assert [(point["at"], point["profiles"], point["run"]) for point in found["points"]] == [
            ("2026-11-22T06:00:00Z", 3, f"/api/runs/newsletter/{runs[0]['id']}"),
            ("2026-11-23T06:00:00Z", 5, f"/api/runs/newsletter/{runs[1]['id']}"),
            ("2026-11-24T06:00:00Z", 4, f"/api/runs/newsletter/{runs[2]['id']}"),
        ]
        assert found["points"][0]["snapshot"] == "VIP/2026/11/22/0600"

    def test_a_segment_that_no_run_has_read_has_no_points(self, world: World) -> None:
        world.people(1)
        assert data(get(world, "/segments/history", path="VIP")) == {"path": "VIP", "points": []}

    def test_the_history_of_a_segment_that_is_gone_stays(self, world: World) -> None:
        world.people(2)
        world.export_now()
        world.segments.delete("VIP.csv")
        assert len(data(get(world, "/segments/history", path="VIP"))["points"]) == 1


@pytest.mark.parametrize("address", ADDRESSES)
class TestPaths:
    def test_one_is_needed(self, world: World, address: str) -> None:
        assert code(get(world, address)) == (400, "request-query")
        assert code(get(world, address, path="")) == (400, "request-query")

    @pytest.mark.parametrize("path", ["a\x00b", "a\nb", "\x7f", "a\u202eb", "x" * 901])
    def test_what_no_address_needs_is_refused(self, world: World, address: str, path: str) -> None:
        assert code(get(world, address, path=path)) == (400, "request-query")

    @pytest.mark.parametrize(
        "path",
        [
            *("..", ".", "../exporter-state/config/connections/main", "a/../VIP", "a/./VIP", "a/.."),
            *("/VIP", "VIP/", "//", "\\VIP", "%2e%2e/VIP", "VIP%2F", "VIP.csv", "vip", "x" * 900, "💣" * 900, "￾"),
        ],
    )
    def test_where_no_segment_can_be_there_is_none(self, world: World, address: str, path: str) -> None:
        world.people(1)
        assert code(get(world, address, path=path)) == (404, "no-such-segment")

    def test_names_that_look_like_it_are_told(self, world: World, address: str) -> None:
        world.people(1)
        assert "Did you mean VIP?" in json.loads(get(world, address, path="VIPs").body)["detail"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("ann.smith@example.com", "a***@e***.com"),
        ("<ann.smith@example.com>", "***@e***.com>"),
        ("Ann <ann@example.com>", "*** ***@e***.com>"),
        ("@home", "***"),
        ("1990-12-31", "####-##-##"),
        ("Johanna", "J***"),
        ("", ""),
    ],
)
def test_an_example_keeps_its_shape_only(value: str, shown: str) -> None:
    assert masked_example(value) == shown
