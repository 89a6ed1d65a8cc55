"""Exports over HTTP: set up, edited, copied, attached, detached, removed, listed and started together."""

import json
from dataclasses import replace
from typing import Any

import pytest

from exporters.api.answers import Answer
from exporters.audit.trail import Entry, Result
from exporters.configuration import overview
from exporters.errors import TransientError
from exporters.exporter import Exporter
from exporters.model.caller import Role, SignIn
from exporters.storage import paths
from infra.local.host.front import claims_of, principal_header
from tests.world import EXPORT, START, World

SETTINGS = {name: value for name, value in EXPORT.items() if name != "id"} | {"withhold": True, "name": "Win back"}
CONSENT = {"version": "1", "at": "2026-11-01T00:00:00Z", "by": "Ann"}
OTHER_LIST = {"list_id": "list-2"}


@pytest.fixture
def world() -> World:
    world = World()
    world.account.lists["list-2"] = "Other"
    world.connection(consent=CONSENT)
    world.people(10)
    return world


class Person:
    """Somebody with a role, who sends JSON."""

    def __init__(self, world: World, role: Role | None = Role.ADMINISTRATOR, *, kind: str = "person") -> None:
        self._exporter = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))
        self._world = world
        roles = [] if role is None else [role.value]
        self._header = principal_header(claims_of(kind, roles, f"{role}@example.com"))

    def __call__(self, method: str, path: str, body: Any = None, *, match: str | None = None, **query: str) -> Answer:
        before, self._world.exporter = self._world.exporter, self._exporter
        headers = {"x-ms-client-principal": self._header} | ({} if match is None else {"if-match": match})
        try:
            data = b"" if body is None else json.dumps(body).encode()
            return self._world.call(method, path, headers=headers, body=data, query=query)
        finally:
            self._world.exporter = before


@pytest.fixture
def administrator(world: World) -> Person:
    return Person(world)


@pytest.fixture
def contributor(world: World) -> Person:
    return Person(world, Role.CONTRIBUTOR)


@pytest.fixture
def viewer(world: World) -> Person:
    return Person(world, Role.VIEWER)


def said(answer: Answer) -> Any:
    return json.loads(answer.body)


def faults(answer: Answer) -> dict[str, str]:
    assert (answer.status, said(answer)["type"]) == (422, "urn:segment-exporter:problem:export-unusable")
    return {fault["field"]: fault["message"] for fault in said(answer)["faults"]}


def warned(answer: Answer) -> set[str]:
    return {warning["field"] for warning in said(answer)["warnings"]}


def problem_of(answer: Answer) -> tuple[int, str]:
    return answer.status, said(answer)["type"].rpartition(":")[2]


def trail(world: World, action: str) -> list[Entry]:
    lines = [line for blob in world.state.list(paths.AUDIT) for line in world.state.get(blob.name).data.splitlines()]
    return [entry for line in lines if (entry := Entry.model_validate_json(line)).action == action]


def stored(world: World, name: str) -> dict[str, Any]:
    return dict(json.loads(world.state.get(paths.export(name)).data))


# Create


def test_a_new_export_gets_an_id_made_of_its_name_and_runs_with_every_refresh(administrator: Person, world: World):
    answer = administrator("POST", "/exports", SETTINGS | OTHER_LIST)

    assert answer.status == 201
    assert answer.headers["Location"] == "/api/exports/win-back"
    assert said(answer)["settings"]["schedule"] == {"kind": "refresh"}
    assert stored(world, "win-back")["created"] == {"at": "2026-11-22T06:00:00Z", "by": "Administrator@example.com"}
    assert stored(world, "win-back")["scheduled_since"] == "2026-11-22T06:00:00Z"


def test_what_was_created_reads_back_under_its_etag(administrator: Person):
    made = administrator("POST", "/exports", SETTINGS | OTHER_LIST)
    shown = administrator("GET", made.headers["Location"].removeprefix("/api"))

    assert shown.headers["ETag"] == made.headers["ETag"]
    assert said(shown)["settings"] == said(made)["settings"]


def test_two_exports_of_one_name_get_two_ids(administrator: Person):
    ids = [said(administrator("POST", "/exports", SETTINGS))["id"] for _ in range(3)]

    assert ids == ["win-back", "win-back-2", "win-back-3"]


def test_an_id_of_ones_own_makes_repeating_safe(administrator: Person, world: World):
    first = administrator("POST", "/exports", SETTINGS | {"id": "mine"})
    second = administrator("POST", "/exports", SETTINGS | {"id": "mine", "name": "Other"})

    assert first.status == 201
    assert problem_of(second) == (409, "export-exists")
    assert stored(world, "mine")["name"] == "Win back"


def test_a_new_export_shows_in_the_list_at_once(administrator: Person, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(overview, "LOOKED_AT_ANEW", 0)
    administrator("GET", "/exports")
    administrator("POST", "/exports", SETTINGS)

    assert [row["id"] for row in said(administrator("GET", "/exports"))["items"]] == ["newsletter", "win-back"]


def test_a_creation_is_in_the_audit_trail_with_what_was_created(administrator: Person, world: World):
    administrator("POST", "/exports", SETTINGS)

    wanted, done = trail(world, "export created")
    assert (wanted.result, done.result, wanted.subject) == (Result.WANTED, Result.DONE, "/exports/win-back")
    assert wanted.after is not None
    assert wanted.after["name"] == "Win back"


def test_a_dry_run_answers_the_same_and_saves_nothing(administrator: Person, world: World):
    before = {blob.name: blob.etag for blob in world.state.list("config/")}
    dry = administrator("POST", "/exports", SETTINGS, **{"dry-run": "true"})
    broken = administrator("POST", "/exports", SETTINGS | {"list_id": "none"}, **{"dry-run": "true"})

    assert dry.status == 200
    assert (said(dry)["id"], warned(dry)) == ("win-back", {"list_id"})
    assert "Location" not in dry.headers
    assert set(faults(broken)) == {"list_id"}
    assert {blob.name: blob.etag for blob in world.state.list("config/")} == before
    assert trail(world, "export created") == []


# Checks


def test_every_fault_is_told_with_its_field(administrator: Person, world: World):
    mapping = {"email": "E_Mail", "first_name": "FirstName", "custom": {"Tier": "Tier"}}
    answer = administrator("POST", "/exports", SETTINGS | {"mapping": mapping, "list_id": "none"})

    assert set(faults(answer)) == {"mapping.email", "mapping.custom.Tier", "list_id"}
    assert "did you mean EMail?" in faults(answer)["mapping.email"]
    assert [blob.name for blob in world.state.list(paths.EXPORTS)] == [paths.export("newsletter")]


def test_the_answer_tells_how_large_each_segment_is(administrator: Person):
    answer = administrator("POST", "/exports", SETTINGS)

    assert said(answer)["profiles"] == [{"segment": "VIP", "profiles": 10, "exact": True}]


def test_a_provider_that_does_not_answer_is_a_warning(administrator: Person, world: World):
    class Silent(world.provider):  # type: ignore[name-defined,misc]
        def check_access(self, *_: Any, **__: Any) -> Any:
            raise TransientError("the connection was lost")

    world.provider = Silent
    answer = administrator("POST", "/exports", SETTINGS | OTHER_LIST)

    assert answer.status == 201
    assert warned(answer) == {"connection"}


# Edit


def test_an_edit_under_the_newest_etag_changes_the_export(administrator: Person, world: World):
    etag = administrator("GET", "/exports/newsletter").headers["ETag"]
    answer = administrator("PUT", "/exports/newsletter", SETTINGS | {"mode": "mirror"}, match=etag)

    assert answer.status == 200
    assert answer.headers["ETag"] == administrator("GET", "/exports/newsletter").headers["ETag"] != etag
    assert (stored(world, "newsletter")["name"], stored(world, "newsletter")["mode"]) == ("Win back", "mirror")
    [wanted, _] = trail(world, "export edited")
    assert (wanted.before or {})["name"] == "Newsletter"
    assert (wanted.after or {})["name"] == "Win back"


def test_of_two_who_edit_at_once_the_second_is_told(administrator: Person, world: World):
    etag = administrator("GET", "/exports/newsletter").headers["ETag"]
    first = administrator("PUT", "/exports/newsletter", SETTINGS, match=etag)
    second = administrator("PUT", "/exports/newsletter", SETTINGS | {"name": "Mine"}, match=etag)

    assert first.status == 200
    assert problem_of(second) == (412, "changed-meanwhile")
    assert stored(world, "newsletter")["name"] == "Win back"


def test_an_edit_names_the_version_that_it_changes(administrator: Person):
    assert problem_of(administrator("PUT", "/exports/newsletter", SETTINGS)) == (428, "if-match-missing")


def test_settings_of_a_view_can_be_sent_back_as_they_are(administrator: Person, world: World):
    shown = administrator("GET", "/exports/newsletter")
    answer = administrator("PUT", "/exports/newsletter", said(shown)["settings"], match=shown.headers["ETag"])

    assert (answer.status, answer.headers["ETag"]) == (200, shown.headers["ETag"])
    assert trail(world, "export edited") == []


def test_an_edit_that_does_not_name_the_schedule_keeps_it(administrator: Person, world: World):
    daily = {"kind": "daily", "times": ["06:00"], "time_zone": "UTC"}
    world.export(schedule=daily, scheduled_since="2026-11-01T00:00:00Z")
    answer = administrator("PUT", "/exports/newsletter", SETTINGS, match="*")

    assert said(answer)["settings"]["schedule"] == daily
    assert stored(world, "newsletter")["scheduled_since"] == "2026-11-01T00:00:00Z"


def test_another_schedule_is_in_force_from_then_on(administrator: Person, world: World):
    world.export(scheduled_since="2026-11-01T00:00:00Z")
    administrator("PUT", "/exports/newsletter", SETTINGS | {"schedule": {"kind": "refresh"}}, match="*")

    assert stored(world, "newsletter")["scheduled_since"] == "2026-11-22T06:00:00Z"


def test_an_export_written_by_hand_keeps_when_its_schedule_came_into_force(administrator: Person, world: World):
    world.export(schedule={"kind": "refresh"})
    world.pass_time(days=1)
    administrator("PUT", "/exports/newsletter", SETTINGS, match="*")

    assert stored(world, "newsletter")["scheduled_since"] == START.isoformat().replace("+00:00", "Z")


def test_a_run_at_work_keeps_its_copy(administrator: Person, world: World):
    run = world.start()
    administrator("PUT", "/exports/newsletter", SETTINGS, match="*")
    world.pump()

    assert (world.show(run)["name"], world.show(run)["status"]) == ("Newsletter", "successful")


def test_a_dry_run_of_an_edit_changes_nothing(administrator: Person, world: World):
    shown = administrator("GET", "/exports/newsletter")
    query = {"dry-run": "true"}
    answer = administrator("PUT", "/exports/newsletter", SETTINGS, match=shown.headers["ETag"], **query)

    assert (answer.status, answer.headers["ETag"]) == (200, shown.headers["ETag"])
    assert said(answer)["settings"]["name"] == "Win back"
    assert stored(world, "newsletter")["name"] == "Newsletter"


@pytest.mark.parametrize(
    "body",
    [
        {"unknown": 1},
        {"name": "two\nlines"},
        {"name": "\u202etxt.exe"},
        {"name": ""},
        {"name": "x" * 201},
        {"segments": []},
        {"segments": [f"s{number}" for number in range(51)]},
        {"segments": ["../other"]},
        {"segments": ["a/../b"]},
        {"segments": ["/rooted"]},
        {"segments": ["VIP", "VIP"]},
        {"segments": "VIP"},
        {"list_id": "1\r\nX-Header: 1"},
        {"mapping": {}},
        {"mapping": {"email": {"constant": "a@example.com"}}},
        {"mapping": {"email": "EMail", "custom": {f"f{number}": "x" for number in range(501)}}},
        {"mapping": {"email": "EMail", "custom": {"": "x"}}},
        {"connection": "../main"},
        {"connection": "Main"},
        {"schedule": {"kind": "daily", "times": ["25:00"]}},
        {"schedule": {"cron": "every day"}},
        {"brakes": {"min_share_of_last": 2}},
        {"brakes": {"max_profiles": "100"}},
        {"brakes": {"max_profiles": 0}},
        {"withhold": "yes"},
        {"exclude": ["everyone"]},
        {"notify": {"url": "http://hooks.example.com", "secret": "s"}},
        {"created": {"at": "2026-11-22T06:00:00Z", "by": "somebody else"}},
        {"scheduled_since": "2020-01-01T00:00:00Z"},
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_looked_up(administrator: Person, world: World, body: Any):
    for answer in (
        administrator("POST", "/exports", SETTINGS | body),
        administrator("PUT", "/exports/newsletter", SETTINGS | body, match="*"),
    ):
        assert problem_of(answer) == (400, "request-body")
    assert [blob.name for blob in world.state.list("config/exports/")] == [paths.export("newsletter")]


@pytest.mark.parametrize("name", ["Newsletter", "no_such", "a" * 64, "-x", "..", "%2E%2E", "x%2Fy", "none"])
@pytest.mark.parametrize(
    ("method", "action"),
    [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/duplicate"), ("POST", "/attach"), ("POST", "/detach")],
)
def test_an_export_that_there_is_not_is_not_found(administrator: Person, name: str, method: str, action: str):
    answer = administrator(method, f"/exports/{name}{action}", SETTINGS if method == "PUT" else None, match="*")

    assert answer.status == 404


# Who may


@pytest.mark.parametrize("role", [Role.VIEWER, None])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/exports"),
        ("PUT", "/exports/newsletter"),
        ("DELETE", "/exports/newsletter"),
        ("POST", "/exports/newsletter/duplicate"),
        ("POST", "/exports/newsletter/attach"),
        ("POST", "/exports/newsletter/detach"),
        ("POST", "/exports/runs"),
    ],
)
def test_whoever_may_not_change_exports_changes_nothing(world: World, role: Role | None, method: str, path: str):
    before = {blob.name: blob.etag for blob in world.state.list("")}

    assert Person(world, role)(method, path, SETTINGS, match="*").status == 403
    assert {blob.name: blob.etag for blob in world.state.list("")} == before


def test_a_contributor_manages_exports_of_connections_that_are_shared(contributor: Person, world: World):
    world.connection(consent=CONSENT, used_by="contributors")
    made = contributor("POST", "/exports", SETTINGS)

    assert made.status == 201
    assert said(made)["permission"] == "edit"
    assert contributor("DELETE", "/exports/win-back", match="*").status == 204


def test_a_contributor_cannot_reach_a_connection_that_is_not_shared(contributor: Person, world: World):
    world.export(id="free", connection=None)

    assert problem_of(contributor("POST", "/exports", SETTINGS)) == (403, "forbidden")
    assert problem_of(contributor("PUT", "/exports/free", SETTINGS, match="*")) == (403, "forbidden")
    attached = contributor("POST", "/exports/free/attach", {"connection": "main"}, match="*")
    assert problem_of(attached) == (403, "forbidden")
    assert problem_of(contributor("POST", "/exports", SETTINGS | {"connection": "none"})) == (403, "forbidden")
    assert contributor("POST", "/exports", SETTINGS | {"connection": None}).status == 201
    assert stored(world, "free")["connection"] is None


def test_the_view_says_what_the_caller_may_do(world: World, viewer: Person, contributor: Person):
    assert said(viewer("GET", "/exports/newsletter"))["permission"] == "view"
    assert said(contributor("GET", "/exports/newsletter"))["permission"] == "view"
    world.connection(consent=CONSENT, used_by="contributors")
    assert said(contributor("GET", "/exports/newsletter"))["permission"] == "edit"


# Copy, detach, attach


def test_a_copy_has_its_schedule_off_and_no_ledger(administrator: Person, world: World):
    world.export(schedule={"kind": "refresh"})
    world.export_now()
    made = administrator("POST", "/exports/newsletter/duplicate")

    assert made.status == 201
    assert made.headers["Location"] == "/api/exports/newsletter-copy"
    settings = said(made)["settings"]
    assert (settings["name"], settings["schedule"], settings["connection"]) == (
        "Newsletter (copy)",
        {"kind": "off"},
        "main",
    )
    assert said(made)["status"] == "Not started"
    assert not list(world.state.list("ledgers/newsletter-copy/"))


def test_the_copy_of_a_mirror_export_does_not_keep_it_from_running(administrator: Person, world: World):
    world.export(mode="mirror")
    made = administrator("POST", "/exports/newsletter/duplicate")

    assert said(made)["connection_name"] == "No connection"
    assert world.export_now()["status"] == "successful"


def test_a_detached_export_keeps_its_settings_and_does_not_run(administrator: Person, world: World):
    world.export(schedule={"kind": "refresh"})
    answer = administrator("POST", "/exports/newsletter/detach")
    again = administrator("POST", "/exports/newsletter/detach")

    assert said(answer)["connection_name"] == "No connection"
    assert said(answer)["settings"]["schedule"] == {"kind": "refresh"}
    assert answer.headers["ETag"] == again.headers["ETag"]
    assert len(trail(world, "export detached")) == 2
    assert problem_of(world.start()) == (422, "export-unusable")


def test_an_attached_export_runs_on_its_new_list(administrator: Person, world: World):
    world.export(connection=None)
    body = {"connection": "main", "list_id": "list-2", "mapping": {"email": "EMail"}}
    answer = administrator("POST", "/exports/newsletter/attach", body, match="*")

    assert answer.status == 200
    settings = said(answer)["settings"]
    assert (settings["connection"], settings["list_id"], settings["mapping"]["first_name"]) == ("main", "list-2", None)
    assert world.export_now()["list_id"] == "list-2"
    assert len(trail(world, "export attached")) == 2


def test_an_export_is_attached_only_where_it_fits(administrator: Person, world: World):
    world.export(connection=None, list_id="elsewhere")

    answer = administrator("POST", "/exports/newsletter/attach", {"connection": "main"}, match="*")
    assert set(faults(answer)) == {"list_id"}
    assert stored(world, "newsletter")["connection"] is None


# Remove


def test_a_removed_export_leaves_its_runs_and_nothing_else(administrator: Person, world: World):
    run = world.export_now()
    etag = administrator("GET", "/exports/newsletter").headers["ETag"]

    assert administrator("DELETE", "/exports/newsletter", match=etag).status == 204
    left = [blob.name for blob in world.state.list("") if "newsletter" in blob.name]
    assert {name.split("/")[0] for name in left} == {"runs", "journal", "rejects"}
    assert administrator("GET", f"/runs/newsletter/{run['id']}").status == 200
    assert administrator("GET", "/exports/newsletter").status == 404
    assert administrator("DELETE", "/exports/newsletter", match=etag).status == 404
    assert said(administrator("GET", "/exports"))["total"] == 0


def test_an_export_with_a_run_at_work_is_not_removed(administrator: Person, world: World):
    run = world.start()
    answer = administrator("DELETE", "/exports/newsletter", match="*")

    assert problem_of(answer) == (409, "run-active")
    assert answer.headers["Location"] == run.headers["Location"]
    world.pump()
    assert administrator("DELETE", "/exports/newsletter", match="*").status == 204


def test_an_id_whose_former_export_has_a_run_at_work_leads_to_that_run(administrator: Person, world: World):
    run = world.start()
    world.state.delete(paths.export("newsletter"))
    answer = administrator("POST", "/exports", SETTINGS | {"id": "newsletter"})

    assert problem_of(answer) == (409, "run-active")
    assert answer.headers["Location"] == said(answer)["run"] == run.headers["Location"]


def test_an_export_is_not_removed_by_whoever_has_not_seen_it_as_it_is(administrator: Person, world: World):
    etag = administrator("GET", "/exports/newsletter").headers["ETag"]
    world.export(name="Renamed")

    assert problem_of(administrator("DELETE", "/exports/newsletter", match=etag)) == (412, "changed-meanwhile")
    assert problem_of(administrator("DELETE", "/exports/newsletter")) == (428, "if-match-missing")


def test_a_new_export_inherits_nothing_from_one_that_had_its_id(administrator: Person, world: World):
    world.export_now()
    world.state.delete(paths.export("newsletter"))  # by hand, so state and ledger are still there
    administrator("POST", "/exports", SETTINGS | {"id": "newsletter"})

    assert said(administrator("GET", "/exports/newsletter"))["status"] == "Not started"
    assert world.export_now()["sums"]["added"] == 10


# List


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [row["id"] for row in said(answer)["items"]]


@pytest.fixture
def several(world: World) -> None:
    world.connection(id="second", secret="main-key", display_name="Another", used_by="contributors")
    world.export(
        id="b-mail", name="Alpha", connection="second", segments=["Other", "VIP"], schedule={"kind": "refresh"}
    )
    world.export(id="c-mail", name="beta", connection=None, list_id="list-2", segments=["Third"])


@pytest.mark.usefixtures("several")
def test_a_list_is_searched_in_all_that_a_row_shows(administrator: Person):
    assert names(administrator("GET", "/exports", search="ALPHA")) == ["b-mail"]
    assert names(administrator("GET", "/exports", search="c-mail")) == ["c-mail"]
    assert names(administrator("GET", "/exports", search="another")) == ["b-mail"]
    assert names(administrator("GET", "/exports", search="no connection")) == ["c-mail"]
    assert names(administrator("GET", "/exports", search="third")) == ["c-mail"]
    assert names(administrator("GET", "/exports", search="list-2")) == ["c-mail"]
    assert names(administrator("GET", "/exports", search="nothing like it")) == []


@pytest.mark.usefixtures("several")
def test_a_list_shows_the_exports_of_a_segment_or_of_a_connection(administrator: Person):
    assert names(administrator("GET", "/exports", segment="VIP")) == ["b-mail", "newsletter"]
    assert names(administrator("GET", "/exports", connection="second")) == ["b-mail"]


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["b-mail", "c-mail", "newsletter"]),
        ("-name", ["newsletter", "c-mail", "b-mail"]),
        ("connection", ["b-mail", "newsletter", "c-mail"]),
        ("-connection", ["newsletter", "b-mail", "c-mail"]),
        ("provider", ["b-mail", "newsletter", "c-mail"]),
        ("schedule", ["c-mail", "newsletter", "b-mail"]),
        ("refreshed", ["newsletter", "b-mail", "c-mail"]),
        ("-status", ["newsletter", "b-mail", "c-mail"]),
        ("next_run", ["b-mail", "c-mail", "newsletter"]),
        ("-updated", ["c-mail", "b-mail", "newsletter"]),
    ],
)
def test_a_list_is_sorted_by_each_column(administrator: Person, world: World, sort: str, expected: list[str]):
    world.export_now()
    world.export(
        id="b-mail", name="Alpha", connection="second", segments=["Other", "VIP"], schedule={"kind": "refresh"}
    )
    world.pass_time(minutes=1)
    world.export(id="c-mail", name="beta", connection=None, list_id="list-2", segments=["Third"])

    assert names(administrator("GET", "/exports", sort=sort)) == expected


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("document", [None, b"{"])
def test_where_no_run_can_start_a_list_tells_no_next_one(administrator: Person, world: World, document: bytes | None):
    world.export(id="b-mail", name="Alpha", connection="second", schedule={"cron": "0 7 * * *"})
    world.export(id="c-mail", name="beta", schedule={"cron": "0 8 * * *"})
    world.state.delete(paths.connection("second"))
    if document is not None:
        world.state.put(paths.connection("second"), document)

    rows = said(administrator("GET", "/exports", sort="next_run"))["items"]
    assert [row["id"] for row in rows] == ["c-mail", "b-mail", "newsletter"]
    assert [row["next_run"]["kind"] for row in rows] == ["time", "none", "none"]
    assert "connection second" in rows[1]["next_run"]["text"]


def test_pages_lead_from_one_to_the_next_until_all_exports_were_seen(administrator: Person, world: World):
    for number in range(6):
        world.export(id=f"e{number}", name=f"E & {number}")
    seen, address = [], "/api/exports?search=E+%26&limit=4&sort=-name"
    while address:
        query = dict(pair.split("=") for pair in address.partition("?")[2].split("&"))
        page = administrator(
            "GET", "/exports", **{name: value.replace("+", " ").replace("%26", "&") for name, value in query.items()}
        )
        seen += names(page)
        address = said(page)["next"]
        assert said(page)["total"] == 6
        assert page.headers.get("Link") == (f'<{address}>; rel="next"' if address else None)

    assert seen == [f"e{number}" for number in reversed(range(6))]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "many"},
        {"offset": "-1"},
        {"sort": "color"},
        {"sort": "--name"},
        {"search": "x" * 201},
        {"connection": "../x"},
        {"page": "2"},
    ],
)
def test_a_query_that_does_not_fit_is_refused(administrator: Person, query: dict[str, str]):
    assert problem_of(administrator("GET", "/exports", **query)) == (400, "request-query")


def test_a_row_shows_how_the_export_does(administrator: Person, world: World):
    assert said(administrator("GET", "/exports"))["items"][0]["status"] == "Not started"
    world.export_now()
    [row] = said(administrator("GET", "/exports"))["items"]

    assert (row["status"], row["active"]) == ("Successful", None)
    assert row["last_run"].startswith("/api/runs/newsletter/")
    assert row["refreshed"] is not None


def test_of_many_exports_a_page_shows_how_they_do_now(
    administrator: Person, world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(overview, "LOOKED_AT_ANEW", 0)
    administrator("GET", "/exports")
    run = world.start()
    [row] = said(administrator("GET", "/exports"))["items"]

    assert (row["status"], row["active"]) == ("Queued", run.headers["Location"])


def test_an_export_that_cannot_be_read_stands_in_the_list_and_says_why(
    administrator: Person, contributor: Person, world: World
):
    world.state.put(paths.export("broken"), b"{}")
    row = said(administrator("GET", "/exports", search="broken"))["items"][0]

    assert "config/exports/broken.json cannot be used" in row["fault"]
    assert said(contributor("GET", "/exports", search="broken"))["items"][0]["permission"] == "view"
    assert administrator("GET", "/exports/broken").status == 500


@pytest.mark.usefixtures("several")
def test_rows_say_what_the_caller_may_do(contributor: Person, viewer: Person):
    rows = {row["id"]: row["permission"] for row in said(contributor("GET", "/exports"))["items"]}

    assert rows == {"b-mail": "edit", "c-mail": "edit", "newsletter": "view"}
    assert {row["permission"] for row in said(viewer("GET", "/exports"))["items"]} == {"view"}


# Start all


def results(answer: Answer) -> dict[str, str]:
    assert answer.status == 200, answer.body
    return {item["export"]: item["result"] for item in said(answer)["items"]}


@pytest.mark.usefixtures("several")
def test_all_with_an_active_schedule_are_started(administrator: Person, world: World):
    world.export(schedule={"kind": "daily", "times": ["06:00"]})
    answer = administrator("POST", "/exports/runs")

    assert results(answer) == {"b-mail": "started", "newsletter": "started"}
    for item in said(answer)["items"]:
        assert administrator("GET", item["run"].removeprefix("/api")).status == 200
    assert {entry.subject for entry in trail(world, "run started")} == {"/exports/b-mail", "/exports/newsletter"}


@pytest.mark.usefixtures("several")
def test_a_contributor_starts_those_that_they_may_use(contributor: Person, world: World):
    world.export(schedule={"kind": "refresh"})

    assert results(contributor("POST", "/exports/runs")) == {"b-mail": "started"}


def test_one_that_is_at_work_or_cannot_run_says_so(administrator: Person, world: World):
    world.export(schedule={"kind": "refresh"})
    world.connection(id="unknown", provider="nothing", secret="main-key")
    world.export(id="other", schedule={"kind": "refresh"}, connection="unknown")
    run = world.start()
    answer = administrator("POST", "/exports/runs")

    assert results(answer) == {"newsletter": "at work", "other": "unusable"}
    at_work, unusable = said(answer)["items"]
    assert at_work["run"] == run.headers["Location"]
    assert "no provider nothing" in unusable["detail"]


def test_the_same_key_starts_each_export_once(world: World):
    world.export(schedule={"kind": "refresh"})
    headers = {"idempotency-key": "morning"}
    first = said(world.call("POST", "/exports/runs", headers=headers))
    world.pump()

    assert said(world.call("POST", "/exports/runs", headers=headers)) == first
    assert problem_of(world.call("POST", "/exports/runs", headers={"idempotency-key": "a b"})) == (
        422,
        "idempotency-key",
    )
