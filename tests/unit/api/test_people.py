"""A person's data on request, and the addresses of erasures."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from exporters.exporter import Exporter
from exporters.model.caller import SignIn
from exporters.providers.base import SuppressionKind
from exporters.storage import paths
from tests.list_world import NO_BRAKES, ListWorld
from tests.unit.privacy.erasing import ANN, BEN, CLEO, erase, finish, plain_world, receipt, segment
from tests.world import refusals


def look_up(world: ListWorld, email: str = ANN, **members: object) -> dict:
    answer = world.call("POST", "/people/data", body=json.dumps({"email": email, **members}).encode())
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def known(world: ListWorld) -> tuple[ListWorld, list[str]]:
    """A world with two ledgers, a refusal, a reconciliation, and a withheld person; and its runs, oldest first."""
    world.export(withhold=True, brakes=NO_BRAKES)
    world.segment(segment(ANN, BEN))
    runs = [world.export_now()["id"]]
    world.account.on_submit = lambda contacts: refusals(ANN) if len(contacts) > 1 else None
    world.segment("EMail,FirstName\n" + f"{ANN},Changed\n{CLEO},Cleo\n")
    runs.append(world.export_now()["id"])
    world.account.on_list.discard(ANN)
    runs.append(world.ended(world.reconcile())["id"])
    world.account.suppressed = {ANN: SuppressionKind.BOUNCED}
    runs.append(world.export_now()["id"])
    return world, runs


def test_everything_that_is_kept_is_shown():
    world, (first, second, reconciliation, last) = known(ListWorld())

    data = look_up(world, "ANN@example.com")

    found = {(one["kind"], one["run"]): one for one in data["found"]}
    assert data["email"] == ANN
    assert data["next"] is None
    assert set(found) == {
        ("ledger", first),
        ("ledger", second),
        ("rejects", second),
        ("drift", reconciliation),
        ("withheld", None),
    }
    assert [one["run"] for one in data["found"] if one["in_force"]] == [second]
    ledger = found["ledger", first]
    assert (ledger["connection"], ledger["list_id"], ledger["export"]) == ("main", "list-1", "newsletter")
    assert ledger["rows"][0].keys() == {"email", "fingerprint", "source"}
    assert ledger["rows"][0]["fingerprint"].isdigit()
    (refused,) = found["rejects", second]["rows"]
    assert (refused["kind"], refused["contact"]) == ("refused", {"email": ANN, "first_name": "Changed"})
    assert found["drift", reconciliation]["rows"] == [{"email": ANN, "kind": "missing"}]
    assert f"{ANN},bounced" in found["withheld", None]["rows"][0]["line"]
    assert last


def test_nothing_of_others_is_shown():
    world, _ = known(ListWorld())

    assert BEN not in json.dumps(look_up(world))
    assert look_up(world, "nobody@example.com")["found"] == []


def test_what_is_staged_is_shown_and_what_names_the_address_in_settings():
    world = plain_world(exclude=["x@example.com"])
    world.export(exclude=["x@example.com"], brakes={"max_profiles": 1})
    world.segment(segment(ANN, BEN))
    answer = world.start()
    world.pump()
    assert world.show(answer)["status"] == "held"

    data = look_up(world)

    assert {one["kind"] for one in data["found"]} == {"staged"}
    assert {one["run"] for one in data["found"]} == {world.run_id(answer)}
    assert data["excluded_by"] == []
    assert look_up(world, "X@Example.com")["excluded_by"] == ["newsletter"]


def test_a_long_look_up_goes_on_where_it_was():
    world, _ = known(plain_world())
    whole = look_up(world)["found"]
    clock = world.time

    def now():
        nonlocal clock
        clock += timedelta(seconds=31)
        return clock

    world.exporter = Exporter(replace(world.parts, now=now))
    pages = [look_up(world)]
    while pages[-1]["next"] is not None:
        pages.append(look_up(world, after=pages[-1]["next"]))

    assert [one for page in pages for one in page["found"]] == whole
    assert len(pages) > 2


def test_a_file_that_is_damaged_is_named():
    world = ListWorld()
    world.state.put(paths.ledger("newsletter", "79738877999999999-01234567"), b"PAR1")

    (one,) = look_up(world)["found"]

    assert (one["readable"], one["rows"]) == (False, [])


def test_who_looks_somebody_up_is_in_the_trail_and_the_person_is_not():
    world, _ = known(plain_world())

    look_up(world, reason=f"request 7 of {ANN}")

    items = json.loads(world.call("GET", "/audit", query={"action": "person looked up"}).body)["items"]
    assert [(item["subject"], item["result"], item["reason"]) for item in items] == [
        ("/people/data", "done", "request 7 of [hidden]")
    ]
    assert not any(b"ann@" in world.state.get(blob.name).data for blob in world.state.list(paths.AUDIT))


@pytest.mark.parametrize("path", ["/people/data", "/people/erasures"])
@pytest.mark.parametrize(
    "members",
    [
        {},
        {"email": ""},
        {"email": "ann"},
        {"email": "ann@"},
        {"email": "@example.com"},
        {"email": "ann@exa mple.com"},
        {"email": "ann\n@example.com"},
        {"email": f"{'a' * 600}@example.com"},
        {"email": ["ann@example.com"]},
        {"email": ANN, "more": 1},
        {"email": ANN, "reason": "x" * 2_000},
    ],
)
def test_a_body_that_cannot_be_used_is_refused_without_its_values(path, members):
    world = plain_world()

    answer = world.call("POST", path, body=json.dumps(members).encode())

    assert (answer.status, json.loads(answer.body)["type"].rpartition(":")[2]) == (400, "request-body")
    assert "ann" not in json.loads(answer.body)["detail"]
    assert list(world.state.list("erasures/")) == []


def test_an_erasure_answers_where_its_receipt_is_and_when_to_come_back():
    world = plain_world()

    answer = world.call("POST", "/people/erasures", body=json.dumps({"email": ANN, "reason": "request 7"}).encode())
    begun = json.loads(answer.body)

    assert (answer.status, answer.headers["Location"], answer.headers["Retry-After"]) == (202, begun["address"], "60")
    assert (begun["status"], begun["by"], begun["reason"], begun["left"]) == (
        "at work",
        "this machine",
        "request 7",
        [],
    )
    shown = world.call("GET", begun["address"].removeprefix("/api"))
    assert shown.headers["Retry-After"] == "60"
    assert shown.headers["ETag"]
    assert "proof" not in json.loads(shown.body)


@pytest.mark.parametrize("erasure", ["0" * 32, "0" * 31, "..", "%2e%2e%2Fpeople", "ABC", "0" * 5_000])
def test_an_erasure_that_is_not_there_is_a_404(erasure):
    answer = plain_world().call("GET", f"/people/erasures/{erasure}")

    assert answer.status == 404


def test_erasures_are_listed_newest_first_in_pages():
    world = plain_world()
    addresses = []
    for number in range(5):
        world.pass_time(seconds=1)
        addresses.append(erase(world, f"p{number}@example.com"))
    finish(world, *addresses)
    shown, query = [], {"limit": "2"}
    for _ in range(3):
        answer = world.call("GET", "/people/erasures", query=query)
        page = json.loads(answer.body)
        shown += [item["address"].removeprefix("/api") for item in page["items"]]
        if page["next"] is not None:
            assert answer.headers["Link"] == f'<{page["next"]}>; rel="next"'
            query = dict(part.split("=") for part in page["next"].partition("?")[2].split("&"))

    assert page["next"] is None
    assert shown == addresses[::-1]


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "201"}, {"after": "x"}, {"offset": "1"}])
def test_a_query_that_cannot_be_used_is_refused(query):
    assert plain_world().call("GET", "/people/erasures", query=query).status == 400


def principal(role: str, *, person: bool = True) -> dict[str, str]:
    claims = [{"typ": "roles", "val": role}, {"typ": "oid", "val": "1"}]
    claims += [{"typ": "preferred_username", "val": "eve@contoso.example"}] if person else []
    text = json.dumps({"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"})
    return {"x-ms-client-principal": base64.b64encode(text.encode()).decode()}


ADDRESSES = [
    ("POST", "/people/data"),
    ("POST", "/people/erasures"),
    ("GET", "/people/erasures"),
    ("GET", f"/people/erasures/{'0' * 32}"),
]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, {}),
        (principal("Viewer"), {}),
        (principal("Contributor"), {}),
        (principal("Administrator", person=False), {"GET"}),
        (principal("Administrator"), {"GET", "POST"}),
    ],
)
def test_only_administrators_who_are_people_ask_for_a_person(method, path, headers, allowed):
    world = plain_world()
    world.exporter = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))

    answer = world.call(
        method, path, headers=headers, body=json.dumps({"email": ANN}).encode() if method == "POST" else b""
    )

    assert (answer.status not in {401, 403}) == (method in allowed)
    assert bool(list(world.state.list("erasures/"))) == (
        method in allowed and path.endswith("erasures") and method == "POST"
    )


def test_who_began_an_erasure_stands_on_its_receipt():
    world = plain_world()
    world.exporter = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))
    headers = principal("Administrator")

    answer = world.call("POST", "/people/erasures", headers=headers, body=json.dumps({"email": ANN}).encode())

    assert json.loads(answer.body)["by"] == "eve@contoso.example"
    world.exporter = Exporter(world.parts)
    assert receipt(world, answer.headers["Location"].removeprefix("/api"))["by"] == "eve@contoso.example"
