"""Whom the app takes a caller for, and what it says their role opens: the same as what it does then."""

import json
from dataclasses import replace
from typing import Any

import pytest

from exporters.api.routes import ROUTES
from exporters.exporter import Exporter
from exporters.model.caller import SignIn
from infra.local.host.front import claims_of, principal_header
from tests.world import World


def me(kind: str, role: str) -> dict[str, Any]:
    world = World()
    world.exporter = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))
    header = {"x-ms-client-principal": principal_header(claims_of(kind, [role], "Ann"))}
    answer = world.call("GET", "/me", headers=header)
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def allowed(view: dict[str, Any]) -> set[tuple[str, str]]:
    assert all((route["why_not"] is None) is route["allowed"] for route in view["routes"])
    return {(route["method"], route["path"]) for route in view["routes"] if route["allowed"]}


def test_a_caller_sees_their_name_kind_and_role():
    view = me("person", "Contributor")

    assert (view["name"], view["kind"], view["role"]) == ("Ann", "person", "Contributor")
    assert view["id"]


def test_each_address_of_the_table_is_there():
    view = me("person", "Viewer")

    assert [(route["method"], route["path"]) for route in view["routes"]] == [
        (route.method, route.path) for route in ROUTES
    ]


def test_a_higher_role_opens_more():
    viewer, contributor, administrator = (
        allowed(me("person", role)) for role in ("Viewer", "Contributor", "Administrator")
    )

    assert ("GET", "/me") in viewer
    assert viewer < contributor
    assert ("POST", "/exports/{export}/runs") in contributor - viewer
    assert contributor <= administrator
    assert len(administrator) == len(ROUTES)


def test_an_application_is_told_what_only_people_may_do():
    view = me("application", "Administrator")

    (approve,) = [route for route in view["routes"] if route["path"].endswith("/approve")]
    assert not approve["allowed"]
    assert "not for applications" in approve["why_not"]


@pytest.mark.parametrize("role", ["", "Owner"])
def test_somebody_without_a_role_is_not_even_told_that(role):
    world = World()
    world.exporter = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))
    header = {"x-ms-client-principal": principal_header(claims_of("person", [role], "Ann"))}

    assert world.call("GET", "/me", headers=header).status == 403


def test_with_local_mode_everybody_on_this_machine_is_an_administrator():
    answer = World().call("GET", "/me")

    assert json.loads(answer.body)["role"] == "Administrator"
