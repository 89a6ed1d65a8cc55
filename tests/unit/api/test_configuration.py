"""The configuration as one file over HTTP: shown, planned, applied; all or nothing where the file is wrong."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporters.api import configuration as api
from exporters.api.answers import Answer, Request
from exporters.configuration import apply, overview
from exporters.configuration.apply import HaltedError, applied, path_of, planned, wanted_by
from exporters.configuration.as_code import Format, read
from exporters.errors import ConfigError, TransientError
from exporters.exporter import Exporter
from exporters.model.caller import LOCAL, SignIn
from exporters.model.connection import Connection
from exporters.model.consent import CONSENT_VERSION
from exporters.storage import paths
from infra.local.host.front import claims_of, principal_header
from tests.world import SimulatedProvider, World

SAMPLE = Path(__file__).parents[3] / "docs" / "samples" / "configuration.yaml"
YAML = {"content-type": "application/yaml"}
CONSENT = {"accepted": True, "version": CONSENT_VERSION}


@pytest.fixture
def world() -> World:
    world = World()
    world.people(10)
    return world


def shown(world: World, how: str = "json", **headers: str) -> Answer:
    answer = world.call("GET", "/configuration", query={"format": how}, headers=headers)
    assert answer.status == 200, answer.body
    return answer


def setup(world: World) -> dict[str, Any]:
    return dict(json.loads(shown(world).body))


def put(world: World, file: object, *, etag: str | None = None, **query: str) -> Answer:
    headers = {} if etag is None else {"if-match": etag}
    body = file if isinstance(file, bytes) else json.dumps(file).encode()
    named = YAML if isinstance(file, bytes) else {}
    query = {name.replace("_", "-"): value for name, value in query.items()}
    return world.call("PUT", "/configuration", headers={**named, **headers}, query=query, body=body)


def data(answer: Answer) -> dict[str, Any]:
    return dict(json.loads(answer.body))


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, str(data(answer)["type"]).rpartition(":")[2]


def changes(answer: Answer) -> list[tuple[str, str, str, str]]:
    return [(each["kind"], each["id"], each["change"], each["outcome"]) for each in data(answer)["changes"]]


def places(answer: Answer) -> list[str]:
    return [fault["place"] for fault in data(answer)["faults"]]


def contents(world: World) -> dict[str, bytes]:
    """What is set up."""
    blobs = {blob.name: world.state.get(blob.name) for blob in world.state.list("config/")}
    return {name: blob.data for name, blob in blobs.items() if blob is not None}


def new_connection(name: str, **changes: object) -> dict[str, object]:
    document = {"id": name, "provider": "simulated", "display_name": name, "secret": "main-key", "consent": CONSENT}
    return document | changes


def new_export(name: str, **changes: object) -> dict[str, object]:
    document = {"id": name, "name": name, "connection": "main", "segments": ["VIP"], "list_id": "list-1"}
    return document | {"mapping": {"email": "EMail"}} | changes


def test_what_is_shown_and_applied_again_changes_nothing(world):
    before = contents(world)
    answer = put(world, shown(world, "yaml").body, prune="true")

    assert changes(answer) == [
        ("connection", "main", "unchanged", "nothing to do"),
        ("export", "newsletter", "unchanged", "nothing to do"),
    ]
    assert contents(world) == before


def test_yaml_and_json_hold_the_same(world):
    in_yaml, in_json = shown(world, "yaml"), shown(world, "json")

    assert yaml.safe_load(in_yaml.body) == json.loads(in_json.body)
    assert in_yaml.headers["Content-Type"] == "application/yaml"
    assert in_yaml.headers["ETag"] != in_json.headers["ETag"]


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/yaml", "application/yaml"),
        ("application/json, application/yaml;q=0.5", "application/json"),
        ("text/html, application/yaml", "application/yaml"),
    ],
)
def test_the_accept_header_says_how_the_file_is_written(world, accept, media):
    answer = world.call("GET", "/configuration", headers={"accept": accept})

    assert answer.headers["Content-Type"] == media
    assert answer.headers["Vary"] == "Accept"


def test_a_file_makes_what_is_not_there_and_changes_what_is_different(world):
    file = setup(world)
    file["connections"][0]["display_name"] = "Renamed"
    file["connections"].append(new_connection("second"))
    file["exports"][0]["mapping"]["last_name"] = "FirstName"
    file["exports"].append(new_export("another", connection="second"))

    plan = put(world, file, dry_run="true")
    assert [state for *_, state in changes(plan)] == ["planned"] * 4
    assert setup(world) != file

    answer = put(world, file)
    assert changes(answer) == [
        ("connection", "main", "edit", "done"),
        ("connection", "second", "create", "done"),
        ("export", "another", "create", "done"),
        ("export", "newsletter", "edit", "done"),
    ]
    edited = data(plan)["changes"][3]["fields"]
    assert edited == [{"field": "mapping.last_name", "before": None, "after": "FirstName"}]
    assert {each["change"] for each in data(put(world, file))["changes"]} == {"unchanged"}


def test_consent_is_noted_as_given_by_whoever_applied_the_file(world):
    file = setup(world)
    file["connections"].append(new_connection("second"))
    assert put(world, file).status == 200

    made = world.parts.documents.read(Connection, paths.connection("second"))
    assert made is not None
    assert made.value.consent is not None
    assert (made.value.consent.by, made.value.consent.version) == (LOCAL.label, CONSENT_VERSION)


def test_what_is_not_in_the_file_stays_or_goes_as_the_caller_says(world):
    world.connection(id="old", display_name="Old")
    world.export(id="older", connection="old")
    file = setup(world)
    file["connections"] = [each for each in file["connections"] if each["id"] == "main"]
    file["exports"] = [each for each in file["exports"] if each["id"] == "newsletter"]

    assert {("connection", "old", "keep", "nothing to do"), ("export", "older", "keep", "nothing to do")} <= {
        *changes(put(world, file))
    }
    assert changes(put(world, file, prune="true"))[-2:] == [
        ("export", "older", "remove", "done"),
        ("connection", "old", "remove", "done"),
    ]
    assert setup(world) == file


@pytest.mark.parametrize("file", [b"", b"{}", b"version: 1", b"connections: []", b"exports: []"])
@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_a_file_that_names_nothing_removes_nothing(world, file, dry_run):
    before = contents(world)
    answer = put(world, file, prune="true", dry_run=dry_run)

    assert code(answer) == (400, "request-body")
    assert contents(world) == before


def test_a_file_that_says_so_removes_everything(world):
    assert put(world, b"connections: []\nexports: []", prune="true").status == 200
    assert contents(world) == {}


def test_a_new_secret_is_proved_and_taken(world):
    world.secrets.values["newer-key"] = "good"
    file = setup(world)
    file["connections"][0]["secret"] = "newer-key"

    assert put(world, file).status == 200
    assert setup(world)["connections"][0]["secret"] == "newer-key"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"connections": [new_connection("a", consent=None)]}, "connections[0].consent"),
        ({"connections": [new_connection("a", consent=CONSENT | {"version": "1"})]}, "connections[0].consent"),
        ({"connections": [new_connection("a", provider="none")]}, "connections[0].provider"),
        ({"connections": [new_connection("a", secret="missing")]}, "connections[0].secret"),
        ({"connections": [new_connection("a", secret="wrong-key")]}, "connections[0].secret"),
        ({"connections": [new_connection("main", provider="other")]}, "connections[0].provider"),
        ({"exports": [new_export("a", connection="nowhere")]}, "exports[0].connection"),
        ({"exports": [new_export("a", list_id="list-9")]}, "exports[0].list_id"),
        ({"exports": [new_export("a", mapping={"email": "Mail"})]}, "exports[0].mapping.email"),
        (
            {"exports": [new_export("a", mapping={"email": "EMail", "custom": {"a.b": "Nope"}})]},
            "exports[0].mapping.custom.a.b",
        ),
    ],
)
def test_where_anything_is_wrong_nothing_is_changed(world, change, place):
    world.secrets.values["wrong-key"] = "bad"
    world.parts = replace(world.parts, facts=lambda connection: FACTS[connection.provider])
    world.exporter = Exporter(world.parts)
    before = contents(world)
    good = {
        "connections": [*change.get("connections", []), new_connection("good")],
        "exports": change.get("exports", []),
    }

    for query in ({}, {"dry_run": "true"}):
        answer = put(world, good, **query)
        assert code(answer) == (422, "configuration-unusable")
        assert place in places(answer)
    assert contents(world) == before


class OtherProvider(SimulatedProvider):
    name = "other"


class Facts(dict[str, type[SimulatedProvider]]):
    def __missing__(self, name: str) -> type[SimulatedProvider]:
        raise ConfigError(f"There is no provider {name}")


FACTS = Facts({"simulated": SimulatedProvider, "other": OtherProvider})


def test_a_file_that_is_to_be_all_there_is_must_have_the_connections_of_its_exports(world):
    file = setup(world) | {"connections": []}

    answer = put(world, file, prune="true")
    assert (code(answer), places(answer)) == ((422, "configuration-unusable"), ["exports[0].connection"])
    assert put(world, file).status == 200


def test_form_faults_are_told_with_place_and_line_before_anything_is_looked_at(world):
    answer = put(world, b"exports:\n- id: a\n  name: A\n  segments: [VIP]\n  list_id: 7\n  mapping: {email: E}\n")

    assert code(answer) == (400, "request-body")
    assert data(answer)["faults"] == [{"place": "exports[0].list_id", "line": 5, "message": "must be a text"}]
    assert "exports[0].list_id (line 5): " in data(answer)["detail"]


def test_a_key_in_a_file_comes_back_nowhere(world, caplog):
    answer = put(world, {"connections": [new_connection("a", key="SG.very-secret", secret="SG.very-secret")]})

    assert code(answer) == (400, "request-body")
    assert b"very" not in answer.body
    assert "very" not in caplog.text
    assert not any(b"very" in blob for blob in contents(world).values())


def test_a_version_is_of_the_whole_configuration(world):
    file, read_at = setup(world), [shown(world, how).headers["ETag"] for how in Format]
    file["exports"][0]["name"] = "Mine"
    assert put(world, file, etag=read_at[0], dry_run="true").status == 200
    assert put(world, file, etag=read_at[1], dry_run="true").status == 200

    world.connection(display_name="Somebody else's")
    for etag in read_at:
        assert code(put(world, file, etag=etag)) == (412, "changed-meanwhile")
    assert setup(world)["exports"][0]["name"] == "Newsletter"
    assert put(world, file, etag="*").status == 200


def test_a_change_that_somebody_has_made_meanwhile_is_not_overwritten(world):
    file = setup(world)
    file["connections"][0]["display_name"] = "Mine"
    file["exports"][0]["name"] = "Mine"
    wanted = wanted_by(world.parts, read(json.dumps(file).encode(), Format.JSON), prune=False)
    steps = planned(world.parts, wanted)
    world.export(name="Somebody else's")

    with pytest.raises(HaltedError) as caught:
        applied(world.parts, LOCAL, wanted, steps)
    assert [(step.id, step.outcome.value, step.reason) for step in caught.value.changes] == [
        ("main", "done", ""),
        ("newsletter", "not done", apply.CHANGED),
    ]
    assert setup(world)["exports"][0]["name"] == "Somebody else's"


def test_a_run_at_work_keeps_its_export_and_what_comes_after_it(world):
    world.export(id="older")
    assert world.start("older").status == 202
    file = setup(world)
    file["exports"] = [each for each in file["exports"] if each["id"] == "newsletter"]

    answer = put(world, file, prune="true")
    assert code(answer) == (409, "configuration-not-applied")
    assert "older" in data(answer)["detail"]
    assert ("export", "older", "remove", "not done") in changes(answer)

    world.pump()
    assert put(world, file, prune="true").status == 200


def test_the_overview_is_written_once_for_a_whole_file_also_where_it_is_halted(world):
    overview.look(world.parts)
    written, replace_before = [], world.state.replace

    def count(name: str, data: bytes, *, etag: str) -> str:
        written.append(name)
        return replace_before(name, data, etag=etag)

    world.state.replace = count
    file = setup(world)
    file["connections"].append(new_connection("second"))
    file["exports"] += [new_export(name, connection="second") for name in ("a", "b", "c")]
    file["exports"][-1]["list_id"] = "list-none"

    assert code(put(world, file)) == (409, "configuration-not-applied")
    stored = overview.Overview.model_validate_json(world.state.get(overview.PATH).data)
    assert {*stored.rows} == {"a", "b", "newsletter"}
    assert written.count(overview.PATH) == 1


def test_two_exports_of_a_new_connection_do_not_take_people_off_each_others_list(world):
    file = setup(world)
    file["connections"].append(new_connection("second", secret="second-key"))
    world.secrets.values["second-key"] = "good"
    file["exports"] += [new_export("a", connection="second", mode="mirror"), new_export("b", connection="second")]

    before = contents(world)
    answer = put(world, file)
    assert code(answer) == (422, "configuration-unusable")
    assert "the export b is to fill the same list" in data(answer)["detail"]
    assert places(answer) == ["exports[1].list_id", "exports[2].list_id"]
    assert contents(world) == before


def test_two_exports_of_a_file_do_not_take_people_off_each_others_list(world):
    world.account.lists["list-2"] = "Two"
    mirrors = [new_export(name, list_id=list_id, mode="mirror") for name, list_id in (("a", "list-2"), ("b", "LIST-2"))]

    answer = put(world, {"exports": mirrors})
    assert code(answer) == (422, "configuration-unusable")
    assert {*places(answer)} == {"exports[0].list_id", "exports[1].list_id"}


def test_an_export_may_take_the_list_that_another_one_leaves(world):
    world.account.lists |= {"list-2": "Two", "list-3": "Three"}
    world.export(id="a", list_id="list-2", mode="mirror")
    moved = [new_export("a", list_id="list-3", mode="mirror"), new_export("b", list_id="list-2", mode="mirror")]

    assert put(world, {"exports": moved}).status == 200
    taken = {"connections": setup(world)["connections"], "exports": [new_export("c", list_id="list-2", mode="mirror")]}
    assert code(put(world, taken)) == (422, "configuration-unusable")
    assert put(world, taken, prune="true").status == 200


def test_keys_are_proved_and_changes_begun_only_while_somebody_waits(world):
    world.parts = replace(world.parts, uploaders=lambda _: ThreadPoolExecutor(1))
    world.exporter = Exporter(world.parts)
    world.account.on_question = lambda: world.pass_time(seconds=20)
    file = {"connections": [new_connection(f"c{number}") for number in range(4)]}
    answers = []
    while not answers or answers[-1].status == 503:
        began = world.time
        answers.append(put(world, file))
        assert world.time - began < timedelta(seconds=60 + 150)
        assert len(answers) < 10

    assert code(answers[0]) == (503, "configuration-unfinished")
    assert answers[-1].status == 200
    assert len(setup(world)["connections"]) == 5


def test_what_there_is_no_time_to_prove_is_said(world):
    world.parts = replace(world.parts, uploaders=lambda _: ThreadPoolExecutor(1))
    world.exporter = Exporter(world.parts)
    world.account.on_question = lambda: world.pass_time(seconds=50)
    answer = put(world, {"connections": [new_connection("a"), new_connection("b")]}, dry_run="true")

    said = ["The key could not be proved now: there was no time for so many at once"]
    assert [each["warnings"] for each in data(answer)["changes"][:2]] == [[], said]


def test_where_time_is_too_short_the_same_file_goes_on(world):
    file = setup(world)
    file["exports"] += [new_export(f"e{number}") for number in range(3)]
    wanted = wanted_by(world.parts, read(json.dumps(file).encode(), Format.JSON), prune=False)
    steps = planned(world.parts, wanted)
    ticking = iter(range(1_000))

    def later() -> Any:
        world.pass_time(seconds=next(ticking) and 50)
        return world.time

    with pytest.raises(HaltedError) as caught:
        applied(replace(world.parts, now=later), LOCAL, wanted, steps)
    outcomes = [step.outcome.value for step in caught.value.changes if not step.is_none]
    assert not caught.value.in_time
    assert outcomes[0] == "done"
    assert outcomes[-1] == "planned"
    answer = api._halted(caught.value)
    assert (code(answer), answer.headers["Retry-After"]) == ((503, "configuration-unfinished"), "1")

    again = put(world, file)
    assert again.status == 200
    created = [name for _, name, change, _ in changes(again) if change == "create"]
    assert len(created) == outcomes.count("planned")
    assert len(setup(world)["exports"]) == 4


def test_a_vault_that_does_not_answer_is_no_fault_of_the_file(world):
    class Away:
        def get(self, name: str, *, fresh: bool = False) -> Any:
            raise TransientError("The vault could not be reached")

    world.exporter = Exporter(replace(world.parts, secrets=Away()))  # type: ignore[arg-type]
    answer = put(world, {"connections": [new_connection("a")]}, dry_run="true")

    assert answer.status == 200
    assert data(answer)["changes"][0]["warnings"] == ["The key could not be proved now: The vault could not be reached"]


def test_what_was_applied_is_in_the_trail(world):
    file = setup(world)
    file["exports"].append(new_export("another"))
    assert put(world, file).status == 200

    lines = [
        json.loads(line) for blob in world.state.list("audit/") for line in world.state.get(blob.name).data.splitlines()
    ]
    told = [(line["action"], line["subject"], line["result"]) for line in lines]
    assert told == [
        ("configuration applied", "/configuration", "wanted"),
        ("export created", "/exports/another", "wanted"),
        ("export created", "/exports/another", "done"),
        ("configuration applied", "/configuration", "done"),
    ]
    assert lines[0]["after"] == {"prune": False, "changes": {"create": 1, "unchanged": 2}}


def test_a_dry_run_is_not_in_the_trail(world):
    assert put(world, setup(world), dry_run="true").status == 200
    assert list(world.state.list("audit/")) == []


def test_a_document_that_cannot_be_used_is_named_and_nothing_is_shown_without_it(world):
    world.state.put(paths.export("odd"), world.state.get(paths.export("newsletter")).data)
    answer = world.call("GET", "/configuration")

    assert code(answer) == (422, "configuration-unusable")
    assert "config/exports/odd.json says that its id is newsletter" in data(answer)["detail"]
    assert code(put(world, {"exports": []})) == (422, "configuration-unusable")


def test_all_documents_that_cannot_be_used_are_named(world):
    for name in ("bad", "worse"):
        world.state.put(paths.connection(name), b"{")
    detail = data(world.call("GET", "/configuration"))["detail"]

    assert "config/connections/bad.json" in detail
    assert "config/connections/worse.json" in detail


@pytest.mark.parametrize("kind", ["person", "application"])
def test_an_administrator_may_apply_a_file_whether_person_or_pipeline(world, kind):
    exporter = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))

    def status(role: str) -> int:
        headers = {"x-ms-client-principal": principal_header(claims_of(kind, [role], "deploy")), **YAML}
        return exporter.answer(Request(method="PUT", path="/configuration", headers=headers, body=b"version: 1")).status

    assert [status(role) for role in ("Administrator", "Contributor", "Viewer")] == [200, 403, 403]


def test_the_sample_in_the_documentation_can_be_applied():
    world = World()
    world.segment("EMail,FirstName,LastName,LoyaltyTier\n", "CustomerInsights_abcd1234/BlobExport/HighValueSegment.csv")
    world.segment("email,first_name\n", "shop/no.csv")
    world.segment("email\n", "campaigns/winter.csv")
    world.secrets.values |= {"sendgrid-marketing": "good", "brevo-shop": "good"}
    named = {name: type(name, (SimulatedProvider,), {"name": name}) for name in ("sendgrid", "brevo")}
    file = yaml.safe_load(SAMPLE.read_text())
    world.account.lists = {export["list_id"]: export["name"] for export in file["exports"]}
    world.state.delete(paths.connection("main"))
    world.state.delete(paths.export("newsletter"))
    world.exporter = Exporter(replace(world.parts, facts=lambda connection: named[connection.provider]))

    answer = put(world, SAMPLE.read_bytes(), prune="true")
    assert answer.status == 200, answer.body
    assert {outcome for *_, outcome in changes(answer)} == {"done"}
    assert [export["id"] for export in setup(world)["exports"]] == ["newsletter", "shop-norway", "winter-campaign"]
    assert changes(put(world, shown(world, "yaml").body, prune="true"))[0][2] == "unchanged"


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("list_id", ["list_id"]),
        ("segments[12]", ["segments", 12]),
        ("segments", ["segments"]),
        ("mapping.email", ["mapping", "email"]),
        ("mapping.custom.a.b[0]", ["mapping", "custom", "a.b[0]"]),
    ],
)
def test_a_finding_leads_to_its_place_in_the_file(field, path):
    assert list(path_of(field)) == path
