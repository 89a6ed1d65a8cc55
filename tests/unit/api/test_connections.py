"""Connections over HTTP: what each role sees, what goes in and what never comes out again."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exporters.api.answers import Answer
from exporters.errors import ThrottledError, TransientError
from exporters.exporter import Exporter
from exporters.model.caller import SignIn
from exporters.model.consent import CONSENT_VERSION
from exporters.model.fields import FieldType
from exporters.storage import paths
from infra.local.host.front import claims_of, principal_header
from tests.world import World

KEY = "good"
NEW = {
    "provider": "simulated",
    "display_name": "Second account",
    "key": KEY,
    "consent": {"accepted": True, "version": CONSENT_VERSION},
}
SETTINGS = {"provider": "simulated", "display_name": "Main", "used_by": "contributors"}

Call = Callable[..., Answer]


@pytest.fixture
def world() -> World:
    world = World()
    world.account.lists |= {f"list-{number}": f"Other {number}" for number in range(2, 8)}
    return world


def sent(world: World, method: str, path: str, body: object = None, **options: Any) -> Answer:
    return world.call(method, path, body=b"" if body is None else json.dumps(body).encode(), **options)


def data(answer: Answer) -> dict[str, Any]:
    return dict(json.loads(answer.body))


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, str(data(answer)["type"]).rpartition(":")[2]


def signed_in(world: World, role: str) -> Call:
    """How somebody with this role calls."""
    exporter = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))
    header = {"x-ms-client-principal": principal_header(claims_of("person", [role], "Ann"))}

    def call(method: str, path: str, body: object = None, **options: Any) -> Answer:
        world.exporter, before = exporter, world.exporter
        try:
            return sent(world, method, path, body, **{**options, "headers": header | options.get("headers", {})})
        finally:
            world.exporter = before

    return call


def etag(world: World, connection: str = "main") -> dict[str, str]:
    return {"if-match": world.call("GET", f"/connections/{connection}").headers["ETag"]}


class TestCreating:
    def test_it_answers_the_connection_and_where_it_is(self, world: World) -> None:
        answer = sent(world, "POST", "/connections", NEW)
        assert answer.status == 201
        assert answer.headers["Location"] == "/api/connections/second-account"
        shown = world.call("GET", "/connections/second-account")
        assert data(answer) == data(shown)
        assert answer.headers["ETag"] == shown.headers["ETag"]
        details = data(answer)["details"]
        assert (details["connected_by"], details["secret_readable"]) == ("this machine", True)
        assert details["consent"]["version"] == CONSENT_VERSION

    @pytest.mark.parametrize(
        "change",
        [
            {"key": None},
            {"secret": "main-key"},
            {"key": ""},
            {"key": "k" * 1001},
            {"consent": None},
            {"consent": {"accepted": False, "version": CONSENT_VERSION}},
            {"consent": {"accepted": True}},
            {"id": "../main"},
            {"id": "Main"},
            {"display_name": ""},
            {"display_name": "   "},
            {"display_name": "two\nlines"},
            {"display_name": "n" * 201},
            {"used_by": "everybody"},
            {"field_names": {"shoe_size": "SHOE"}},
            {"plan_contacts": 0},
            {"created": None},
            {"more": 1},
        ],
    )
    def test_a_body_that_does_not_fit_is_refused_without_a_trace(self, world: World, change: dict[str, object]) -> None:
        before = [blob.name for blob in world.state.list("")]
        answer = sent(world, "POST", "/connections", NEW | change)
        assert code(answer) == (400, "request-body")
        assert [blob.name for blob in world.state.list("")] == before
        assert set(world.secrets.values) == {"main-key"}

    def test_another_consent_than_the_newest_is_refused(self, world: World) -> None:
        old = NEW | {"consent": {"accepted": True, "version": "2020-01-01"}}
        answer = sent(world, "POST", "/connections", old)
        assert code(answer) == (422, "consent-outdated")
        assert CONSENT_VERSION in data(answer)["detail"]

    def test_an_id_that_is_taken_is_refused(self, world: World) -> None:
        assert code(sent(world, "POST", "/connections", NEW | {"id": "main"})) == (409, "connection-exists")

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"provider": "mailchimp"}, "There is no provider mailchimp"),
            ({"key": "wrong"}, "refuses the key"),
            ({"key": None, "secret": "nothing"}, "no secret named nothing"),
        ],
    )
    def test_what_cannot_be_used_is_not_stored(self, world: World, change: dict[str, object], words: str) -> None:
        answer = sent(world, "POST", "/connections", NEW | change)
        assert code(answer) == (422, "connection-unusable")
        assert words in data(answer)["detail"]
        assert world.state.get(paths.connection("second-account")) is None
        assert set(world.secrets.values) == {"main-key"}

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (ThrottledError("The provider wants a pause", wait_s=12.5), (503, "throttled")),
            (TransientError("The provider did not answer"), (503, "not-ready")),
        ],
    )
    def test_what_may_pass_is_answered_with_a_time_to_come_back(
        self, world: World, error: Exception, expected: tuple[int, str]
    ) -> None:
        def fail() -> None:
            raise error

        world.account.on_question = fail
        answer = sent(world, "POST", "/connections", NEW)
        assert code(answer) == expected
        assert int(answer.headers["Retry-After"]) >= 10
        assert world.state.get(paths.connection("second-account")) is None


class TestShowing:
    def test_administrators_see_everything_but_the_key(self, world: World) -> None:
        world.connection(plan_contacts=500, field_names={"first_name": "PRENOM"})
        shown = data(world.call("GET", "/connections/main"))
        assert shown["details"] == {
            "account": None,
            "field_names": {"first_name": "PRENOM"},
            "plan_contacts": 500,
            "secret": "main-key",
            "consent": None,
            "created_by": None,
            "connected_by": None,
            "updated": None,
            "updated_by": None,
            "secret_readable": True,
            "trouble": "",
        }

    @pytest.mark.parametrize("role", ["Viewer", "Contributor"])
    @pytest.mark.parametrize("path", ["/connections/main", "/connections"])
    def test_others_see_what_is_needed_to_choose_one(self, world: World, role: str, path: str) -> None:
        world.connection(used_by="contributors", account="shared", field_names={"first_name": "PRENOM"})
        answer = signed_in(world, role)("GET", path)
        shown = data(answer)["items"][0] if path == "/connections" else data(answer)
        assert shown == {
            "id": "main",
            "display_name": "Main",
            "provider": "simulated",
            "used_by": "contributors",
            "created": None,
            "connected": None,
            "exports": 1,
            "details": None,
            "fault": "",
        }
        assert not any(word in answer.body for word in (b"main-key", b"shared", b"PRENOM"))

    def test_a_secret_that_became_unreachable_is_a_notice(self, world: World) -> None:
        world.call("GET", "/connections/main")
        del world.secrets.values["main-key"]
        details = data(world.call("GET", "/connections/main"))["details"]
        assert details["secret_readable"] is False
        assert "no secret named main-key" in details["trouble"]

    @pytest.mark.parametrize("name", ["nothing", "Main", "main.json", "-"])
    def test_a_connection_that_is_not_there_is_not_found(self, world: World, name: str) -> None:
        answer = world.call("GET", f"/connections/{name}")
        assert answer.status == 404

    def test_one_whose_document_is_damaged_says_so_in_the_list(self, world: World) -> None:
        world.state.put(paths.connection("broken"), b'{"id": "broken", "secret": "sk"}')
        broken, main = data(world.call("GET", "/connections"))["items"]
        assert (broken["id"], main["fault"]) == ("broken", "")
        assert "config/connections/broken.json cannot be used: provider" in broken["fault"]
        (seen, _) = data(signed_in(world, "Viewer")("GET", "/connections"))["items"]
        assert seen["fault"] == "Its document cannot be used"

    @pytest.mark.parametrize("role", ["Viewer", "Administrator"])
    def test_by_itself_it_says_what_it_says_in_the_list(self, world: World, role: str) -> None:
        world.export(connection="broken")
        world.state.put(paths.connection("broken"), b'{"id": "broken", "secret": "sk"}')
        call = signed_in(world, role)
        answer = call("GET", "/connections/broken")
        assert (answer.status, data(answer)) == (200, data(call("GET", "/connections"))["items"][0])
        assert (data(answer)["exports"], "ETag" in answer.headers) == (1, False)
        assert code(call("GET", "/connections/none")) == (404, "no-such-connection")


class TestBrowsing:
    @pytest.fixture
    def world(self) -> World:
        world = World()
        for number, (name, used_by) in enumerate([("Beta", "contributors"), ("alpha", "administrators")]):
            world.pass_time(hours=1)
            stamp = {"at": world.now().isoformat(), "by": "Ann"}
            world.connection(id=f"c{number}", display_name=name, used_by=used_by, created=stamp, connected=stamp)
        return world

    def names(self, world: World, **query: str) -> list[str]:
        return [item["display_name"] for item in data(world.call("GET", "/connections", query=query))["items"]]

    @pytest.mark.parametrize(
        ("sort", "names"),
        [
            ("name", ["alpha", "Beta", "Main"]),
            ("-name", ["Main", "Beta", "alpha"]),
            ("id", ["Beta", "alpha", "Main"]),
            ("created", ["Main", "Beta", "alpha"]),
            ("-connected", ["alpha", "Beta", "Main"]),
            ("-exports", ["Main", "alpha", "Beta"]),
            ("used_by", ["alpha", "Main", "Beta"]),
            ("provider", ["Beta", "alpha", "Main"]),
        ],
    )
    def test_every_column_sorts(self, world: World, sort: str, names: list[str]) -> None:
        assert self.names(world, sort=sort) == names

    def test_a_search_looks_into_names_without_regard_to_case(self, world: World) -> None:
        assert self.names(world, search="ALPH") == ["alpha"]
        assert self.names(world, search="simul") == ["alpha", "Beta", "Main"]
        assert self.names(world, search="key") == []

    def test_pages_lead_to_each_other(self, world: World) -> None:
        first = world.call("GET", "/connections", query={"limit": "2", "sort": "-name", "search": "a"})
        assert (len(data(first)["items"]), data(first)["total"]) == (2, 3)
        following = data(first)["next"]
        assert first.headers["Link"] == f'<{following}>; rel="next"'
        assert following == "/api/connections?limit=2&search=a&sort=-name&offset=2"
        query = dict(pair.split("=") for pair in following.partition("?")[2].split("&"))
        last = data(world.call("GET", "/connections", query=query))
        assert ([item["display_name"] for item in last["items"]], last["next"]) == (["alpha"], None)

    @pytest.mark.parametrize(
        "query",
        [{"limit": "0"}, {"limit": "201"}, {"offset": "-1"}, {"sort": "key"}, {"search": "x" * 201}, {"secret": "x"}],
    )
    def test_a_query_that_does_not_fit_is_refused(self, world: World, query: dict[str, str]) -> None:
        assert code(world.call("GET", "/connections", query=query)) == (400, "request-query")


class TestEditing:
    def test_settings_change_and_the_key_stays(self, world: World) -> None:
        answer = sent(world, "PUT", "/connections/main", SETTINGS, headers=etag(world))
        assert answer.status == 200
        assert (data(answer)["used_by"], data(answer)["details"]["secret"]) == ("contributors", "main-key")
        assert data(answer)["details"]["updated_by"] == "this machine"
        assert answer.headers["ETag"] == world.call("GET", "/connections/main").headers["ETag"]

    def test_a_version_has_to_be_named(self, world: World) -> None:
        assert code(sent(world, "PUT", "/connections/main", SETTINGS)) == (428, "if-match-missing")

    def test_of_two_who_edit_at_once_the_later_one_is_told(self, world: World) -> None:
        both = etag(world)
        assert sent(world, "PUT", "/connections/main", SETTINGS, headers=both).status == 200
        assert code(sent(world, "PUT", "/connections/main", SETTINGS, headers=both)) == (412, "changed-meanwhile")

    def test_the_provider_never_changes(self, world: World) -> None:
        other = SETTINGS | {"provider": "brevo"}
        answer = sent(world, "PUT", "/connections/main", other, headers=etag(world))
        assert code(answer) == (422, "connection-unusable")

    @pytest.mark.parametrize("more", [{"key": "good"}, {"secret": "x"}, {"id": "main"}, {"consent": None}])
    def test_key_id_and_consent_are_no_settings(self, world: World, more: dict[str, object]) -> None:
        answer = sent(world, "PUT", "/connections/main", SETTINGS | more, headers=etag(world))
        assert code(answer) == (400, "request-body")


class TestKey:
    def test_connecting_stamps_who_has_proved_the_key_and_when(self, world: World) -> None:
        world.pass_time(days=1)
        shown = data(sent(world, "POST", "/connections/main/connect"))
        assert shown["connected"] == "2026-11-23T06:00:00Z"
        assert shown["details"]["connected_by"] == "this machine"

    def test_connecting_takes_the_consent_for_a_connection_that_has_none(self, world: World) -> None:
        accepted = {"consent": {"accepted": True, "version": CONSENT_VERSION}}
        assert data(world.call("GET", "/connections/main"))["details"]["consent"] is None
        shown = data(sent(world, "POST", "/connections/main/connect", accepted))
        consent = shown["details"]["consent"]
        assert (consent["version"], consent["by"]) == (CONSENT_VERSION, "this machine")
        outdated = {"consent": {"accepted": True, "version": "2001-01-01"}}
        assert code(sent(world, "POST", "/connections/main/connect", outdated)) == (422, "consent-outdated")
        assert data(sent(world, "POST", "/connections/main/connect")) == shown | {"connected": shown["connected"]}

    def test_connecting_reads_the_key_afresh(self, world: World) -> None:
        world.call("GET", "/connections/main/lists")
        world.account.key = world.secrets.values["main-key"] = "newer"
        assert sent(world, "POST", "/connections/main/connect").status == 200

    def test_a_key_that_is_refused_leaves_the_stamp_as_it_was(self, world: World) -> None:
        sent(world, "POST", "/connections/main/connect")
        world.pass_time(days=1)
        world.account.key = "another"
        assert code(sent(world, "POST", "/connections/main/connect")) == (422, "connection-unusable")
        assert data(world.call("GET", "/connections/main"))["connected"] == "2026-11-22T06:00:00Z"

    def test_a_new_key_is_used_from_then_on(self, world: World) -> None:
        world.account.key = "newer"
        shown = data(sent(world, "PUT", "/connections/main/key", {"key": " newer\n"}))
        secret = shown["details"]["secret"]
        assert secret.startswith("connection-main-")
        assert world.secrets.values == {"main-key": "good", secret: "newer"}
        assert world.call("GET", "/connections/main/lists").status == 200

    def test_a_key_may_be_one_that_lies_in_the_vault(self, world: World) -> None:
        world.secrets.values["ours"] = "good"
        shown = data(sent(world, "PUT", "/connections/main/key", {"secret": "ours"}))
        assert shown["details"]["secret"] == "ours"

    def test_a_key_of_another_account_is_refused(self, world: World) -> None:
        world.account.id = "first"
        sent(world, "POST", "/connections/main/connect")
        world.account.id = "second"
        answer = sent(world, "PUT", "/connections/main/key", {"key": KEY})
        assert code(answer) == (409, "other-account")
        assert world.secrets.values == {"main-key": "good"}

    @pytest.mark.parametrize("pasted", ["xkeysib-0123abcd-x", "xsmtpsib-0123abcd", "SG.0123.abcd"])
    def test_a_key_in_place_of_the_name_of_a_secret_is_refused_and_not_repeated(
        self, world: World, pasted: str
    ) -> None:
        settings = {name: value for name, value in NEW.items() if name != "key"}
        for answer in (
            sent(world, "PUT", "/connections/main/key", {"secret": pasted}),
            sent(world, "POST", "/connections", settings | {"secret": pasted}),
        ):
            assert code(answer) == (400, "request-body")
            assert "0123" not in answer.body.decode()
            assert "secret: " in data(answer)["detail"]

    @pytest.mark.parametrize("body", [{}, {"key": "a", "secret": "b"}, {"key": 1}, {"secret": "no blanks"}, []])
    def test_a_body_without_just_one_of_both_is_refused(self, world: World, body: object) -> None:
        assert code(sent(world, "PUT", "/connections/main/key", body)) == (400, "request-body")


class TestRemoving:
    def test_one_in_use_stays_until_something_is_decided_of_each_export(self, world: World) -> None:
        world.export(id="second", name="Second")
        answer = sent(world, "POST", "/connections/main/remove", {"exports": {"second": "remove"}})
        assert code(answer) == (409, "connection-in-use")
        assert data(answer)["exports"] == [{"id": "newsletter", "name": "Newsletter"}]
        assert world.state.get(paths.export("second")) is not None

    def test_each_export_is_removed_or_detached(self, world: World) -> None:
        world.export(id="second", name="Second")
        decisions = {"exports": {"second": "remove", "newsletter": "detach", "gone": "remove"}}
        assert sent(world, "POST", "/connections/main/remove", decisions).status == 204
        assert world.call("GET", "/connections/main").status == 404
        assert world.state.get(paths.export("second")) is None
        found = world.state.get(paths.export("newsletter"))
        assert found is not None
        assert json.loads(found.data)["connection"] is None

    def test_what_is_at_work_keeps_its_connection(self, world: World) -> None:
        world.people(2)
        run = world.run_id(world.start())
        answer = sent(world, "POST", "/connections/main/remove", {"exports": {"newsletter": "detach"}})
        assert code(answer) == (409, "run-active")
        assert answer.headers["Location"] == data(answer)["run"] == f"/api/runs/newsletter/{run}"
        world.pump()
        assert sent(world, "POST", "/connections/main/remove", {"exports": {"newsletter": "detach"}}).status == 204

    @pytest.mark.parametrize("document", [b"{", b'{"id": "main", "secret": "sk"}', b'{"id": "other"}'])
    def test_one_whose_document_is_damaged_is_removed_like_any_other(self, world: World, document: bytes) -> None:
        world.people(2)
        world.start()
        world.state.put(paths.connection("main"), document)
        decisions = {"exports": {"newsletter": "detach"}}
        assert code(sent(world, "POST", "/connections/main/remove", {})) == (409, "connection-in-use")
        assert code(sent(world, "POST", "/connections/main/remove", decisions)) == (409, "run-active")
        world.pump()
        assert sent(world, "POST", "/connections/main/remove", decisions).status == 204
        assert world.call("GET", "/connections/main").status == 404
        assert world.call("GET", "/configuration").status == 200
        trail = data(world.call("GET", "/audit", query={"subject": "/connections/main"}))["items"][0]
        assert "could not be read" in json.dumps(trail)

    def test_one_that_nothing_uses_needs_no_body(self, world: World) -> None:
        sent(world, "POST", "/connections", NEW)
        assert world.call("POST", "/connections/second-account/remove").status == 204
        assert world.secrets.values == {"main-key": "good"}
        assert world.call("POST", "/connections/second-account/remove").status == 404


class TestLists:
    def test_all_lists_are_told_page_by_page(self, world: World) -> None:
        names: list[str] = []
        query: dict[str, str] = {"limit": "2"}
        while True:
            page = data(world.call("GET", "/connections/main/lists", query=query))
            names += [item["name"] for item in page["items"]]
            if page["next"] is None:
                break
            after = page["next"].partition("after=")[2].replace("%3D", "=")
            query = {"limit": "2", "after": after}
        assert names == list(world.account.lists.values())

    def test_a_search_goes_through_the_pages_of_the_provider(self, world: World) -> None:
        page = data(world.call("GET", "/connections/main/lists", query={"search": "OTHER 7"}))
        assert page == {"items": [{"id": "list-7", "name": "Other 7", "count": 0}], "next": None, "total": None}

    def test_a_search_ends_after_some_questions_and_says_where_to_go_on(self, world: World) -> None:
        world.account.lists |= {f"more-{number}": f"More {number}" for number in range(20)}
        first = data(world.call("GET", "/connections/main/lists", query={"search": "more 19"}))
        assert first["items"] == []
        assert "search=more+19" in first["next"]
        for _ in range(3):
            after = first["next"].partition("after=")[2].replace("%3D", "=")
            first = data(world.call("GET", "/connections/main/lists", query={"search": "more 19", "after": after}))
            if first["items"]:
                break
        assert [item["id"] for item in first["items"]] == ["more-19"]

    @pytest.mark.parametrize("after", ["", "x", "e30", "eyJyb3ciOiAtMX0=", "é", "e3sie30="])
    def test_a_place_that_we_have_not_named_is_refused(self, world: World, after: str) -> None:
        answer = world.call("GET", "/connections/main/lists", query={"after": after})
        assert code(answer) == (400, "request-query")

    def test_a_new_list_can_be_used_at_once(self, world: World) -> None:
        answer = sent(world, "POST", "/connections/main/lists", {"name": " New "})
        assert (answer.status, data(answer)) == (201, {"id": "list-8", "name": "New", "count": 0})
        assert world.account.lists["list-8"] == "New"

    def test_a_name_that_is_there_is_answered_with_its_list(self, world: World) -> None:
        answer = sent(world, "POST", "/connections/main/lists", {"name": "Other 7"})
        assert code(answer) == (409, "list-exists")
        assert data(answer)["id"] == "list-7"
        assert len(world.account.lists) == 7

    def test_what_the_provider_refuses_is_told_in_its_words(self, world: World) -> None:
        world.account.max_lists = 7
        answer = sent(world, "POST", "/connections/main/lists", {"name": "One more"})
        assert code(answer) == (422, "list-refused")
        assert "no room for one more" in data(answer)["detail"]

    def test_a_name_that_is_too_long_is_refused_unasked(self, world: World) -> None:
        answer = sent(world, "POST", "/connections/main/lists", {"name": "n" * 41})
        assert code(answer) == (422, "list-refused")
        assert "40 are allowed" in data(answer)["detail"]

    def test_fields_are_told_with_their_types(self, world: World) -> None:
        world.account.custom_fields = {"Tier": FieldType.NUMBER}
        items = data(world.call("GET", "/connections/main/fields"))["items"]
        assert items[-1] == {"name": "Tier", "type": "number", "standard": None, "max_chars": None}
        assert items[0] == {"name": "first_name", "type": "text", "standard": "first_name", "max_chars": None}

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/connections/main/lists", None),
            ("POST", "/connections/main/lists", {"name": "New"}),
            ("GET", "/connections/main/fields", None),
            ("POST", "/connections/main/connect", None),
            ("PUT", "/connections/main/key", {"key": KEY}),
        ],
    )
    def test_pauses_of_the_provider_are_kept_to(self, world: World, method: str, path: str, body: object) -> None:
        def throttle() -> None:
            raise ThrottledError("The provider wants a pause", wait_s=30)

        world.account.on_question = throttle
        assert code(sent(world, method, path, body)) == (503, "throttled")
        asked: list[str] = []
        world.account.on_question = lambda: asked.append("asked")
        answer = sent(world, method, path, body)
        assert (code(answer), asked) == ((503, "throttled"), [])
        assert 0 < int(answer.headers["Retry-After"]) <= 30
        world.time += timedelta(seconds=31)
        assert sent(world, method, path, body).status in {200, 201}

    @pytest.mark.parametrize("path", ["/connections/main/lists", "/connections/main/fields"])
    def test_a_refused_key_is_told_as_such(self, world: World, path: str) -> None:
        world.account.key = "another"
        assert code(world.call("GET", path)) == (422, "connection-unusable")

    def test_contributors_browse_the_lists_of_connections_that_are_shared_with_them(self, world: World) -> None:
        call = signed_in(world, "Contributor")
        assert call("GET", "/connections/main/lists").status == 403
        assert call("POST", "/connections/main/lists", {"name": "Mine"}).status == 403
        world.connection(used_by="contributors")
        assert call("GET", "/connections/main/lists").status == 200
        assert call("POST", "/connections/main/lists", {"name": "Mine"}).status == 201
        assert call("GET", "/connections/main/fields").status == 200


class TestProviders:
    def test_they_are_told_with_fields_limits_and_consent(self, world: World) -> None:
        answer = data(signed_in(world, "Viewer")("GET", "/providers"))
        brevo, sendgrid = answer["items"]
        assert (brevo["id"], brevo["aliases"], sendgrid["id"]) == ("brevo", ["sendinblue"], "sendgrid")
        assert brevo["standard_fields"]["phone"] == "SMS"
        assert "phone" not in sendgrid["standard_fields"]
        assert sendgrid["limits"]["contacts_per_request"] == 30_000
        assert answer["consent"]["version"] == CONSENT_VERSION
        assert "personal data" in answer["consent"]["text"]


def test_only_administrators_change_connections(world: World) -> None:
    world.connection(used_by="contributors")
    for role in ("Viewer", "Contributor"):
        call = signed_in(world, role)
        assert call("POST", "/connections", NEW).status == 403
        assert call("PUT", "/connections/main", SETTINGS, headers=etag(world)).status == 403
        assert call("PUT", "/connections/main/key", {"key": KEY}).status == 403
        assert call("POST", "/connections/main/connect").status == 403
        assert call("POST", "/connections/main/remove").status == 403


def test_no_key_is_ever_in_an_answer_a_blob_a_log_or_an_error(world: World, caplog: pytest.LogCaptureFixture) -> None:
    keys = [f"SG.the-key-number-{number}" for number in range(4)]
    world.account.key = keys[0]
    answers: list[Answer] = []
    with caplog.at_level(logging.DEBUG):
        answers.append(sent(world, "POST", "/connections", NEW | {"key": keys[0]}))
        answers.append(sent(world, "POST", "/connections", NEW | {"key": keys[1]}))  # refused
        answers.append(sent(world, "POST", "/connections", NEW | {"key": keys[1], "secret": "main-key"}))
        answers.append(sent(world, "POST", "/connections", NEW | {"key": keys[1], "more": keys[1]}))
        world.account.key = keys[2]
        answers.append(sent(world, "PUT", "/connections/second-account/key", {"key": keys[2]}))
        answers.append(sent(world, "PUT", "/connections/second-account/key", {"key": keys[3]}))  # refused
        answers.append(sent(world, "POST", "/connections/second-account/connect"))
        answers.append(world.call("GET", "/connections/second-account"))
        answers.append(world.call("GET", "/connections"))
        answers.append(world.call("GET", "/connections/second-account/lists"))
        answers.append(world.call("POST", "/connections/second-account/remove"))
    assert [answer.status for answer in answers] == [201, 422, 400, 400, 200, 422, 200, 200, 200, 200, 204]
    blobs = [world.state.get(blob.name) for blob in world.state.list("")]
    everything = [
        *(answer.body.decode() + repr(answer.headers) for answer in answers),
        *(blob.data.decode() for blob in blobs if blob is not None),
        *(blob.name for blob in world.state.list("")),
        *(repr(record.__dict__) for record in caplog.records),
    ]
    assert not [text for text in everything if any(key in text for key in keys)]
