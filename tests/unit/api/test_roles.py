"""Who may call what: a second table, written by hand, against which every route is tried with every kind of caller."""

import json
from dataclasses import replace

import pytest

from exporters.api.answers import Answer, Request
from exporters.api.routes import ROUTES
from exporters.api.routing import Route
from exporters.exporter import Exporter
from exporters.model.caller import SignIn
from exporters.storage import paths
from infra.local.host.front import claims_of, principal_header
from tests.world import World

NOBODY = "nobody"
FORGED = "an administrator's header where nobody signs in"
WITHOUT_ROLE = "person without a role"
VIEWER = "viewer"
CONTRIBUTOR = "contributor, connection shared"
CONTRIBUTOR_NOT_SHARED = "contributor, connection not shared"
CONTRIBUTOR_DETACHED = "contributor, export detached"
ADMINISTRATOR = "administrator"
APPLICATION = "application with the role administrator"
KEY = "function key"
CALLERS = (
    NOBODY,
    FORGED,
    WITHOUT_ROLE,
    VIEWER,
    CONTRIBUTOR,
    CONTRIBUTOR_NOT_SHARED,
    CONTRIBUTOR_DETACHED,
    ADMINISTRATOR,
    APPLICATION,
    KEY,
)

ANYONE = frozenset(CALLERS) - {KEY}  # the key's door has addresses of its own
READERS = ANYONE - {NOBODY, FORGED, WITHOUT_ROLE}
ADMINISTRATORS = frozenset({ADMINISTRATOR, APPLICATION})
#: Whoever may manage exports at all: where the address names none, the handler looks at what the body names.
CONTRIBUTORS = READERS - {VIEWER}
#: Whoever may manage the export of the address, or use its connection.
OF_EXPORT = CONTRIBUTORS - {CONTRIBUTOR_NOT_SHARED}
OF_CONNECTION = OF_EXPORT - {CONTRIBUTOR_DETACHED}
OF_RUN = OF_CONNECTION  # it goes on with its connection, whatever its export uses by now
BY_KEY = frozenset({KEY})
PEOPLE = ANYONE - {APPLICATION}

RULES = {
    ("GET", "/health"): ANYONE,
    ("GET", "/health/parts"): CONTRIBUTORS | BY_KEY,
    ("GET", "/openapi.json"): ANYONE,
    ("GET", "/receipts/keys"): ANYONE,
    ("GET", "/me"): READERS,
    ("GET", "/providers"): READERS,
    ("GET", "/connections"): READERS,
    ("POST", "/connections"): ADMINISTRATORS,
    ("GET", "/connections/{connection}"): READERS,
    ("PUT", "/connections/{connection}"): ADMINISTRATORS,
    ("POST", "/connections/{connection}/connect"): ADMINISTRATORS,
    ("PUT", "/connections/{connection}/key"): ADMINISTRATORS,
    ("POST", "/connections/{connection}/remove"): ADMINISTRATORS,
    ("GET", "/connections/{connection}/lists"): OF_CONNECTION,
    ("POST", "/connections/{connection}/lists"): OF_CONNECTION,
    ("GET", "/connections/{connection}/fields"): OF_CONNECTION,
    ("GET", "/segments"): READERS,
    ("GET", "/segments/detail"): READERS,
    ("GET", "/segments/members"): CONTRIBUTORS,
    ("GET", "/segments/history"): READERS,
    ("GET", "/exports"): READERS,
    ("POST", "/exports"): CONTRIBUTORS,
    ("POST", "/exports/runs"): CONTRIBUTORS,
    ("GET", "/exports/{export}"): READERS,
    ("PUT", "/exports/{export}"): OF_EXPORT,
    ("DELETE", "/exports/{export}"): OF_EXPORT,
    ("POST", "/exports/{export}/duplicate"): OF_EXPORT,
    ("POST", "/exports/{export}/attach"): OF_EXPORT,
    ("POST", "/exports/{export}/detach"): OF_EXPORT,
    ("GET", "/exports/{export}/schedule"): READERS,
    ("PUT", "/exports/{export}/schedule"): OF_EXPORT,
    ("PUT", "/schedules"): CONTRIBUTORS,
    ("POST", "/schedules/preview"): READERS,
    ("POST", "/exports/{export}/preview"): READERS,
    ("POST", "/exports/{export}/preview/unmasked"): OF_EXPORT,
    ("POST", "/exports/{export}/runs"): OF_EXPORT | BY_KEY,
    ("POST", "/exports/{export}/reconciliations"): OF_EXPORT,
    ("POST", "/exports/{export}/undo"): OF_EXPORT & PEOPLE,
    ("GET", "/runs"): READERS,
    ("GET", "/runs/{export}/{run}"): READERS | BY_KEY,
    ("GET", "/runs/{export}/{run}/batches"): READERS,
    ("GET", "/runs/{export}/{run}/receipt"): READERS,
    ("POST", "/runs/{export}/{run}/cancel"): OF_RUN | BY_KEY,
    ("POST", "/runs/{export}/{run}/retry"): OF_RUN,
    ("POST", "/runs/{export}/{run}/approve"): OF_RUN & PEOPLE,
    ("POST", "/runs/{export}/{run}/reject"): OF_RUN & PEOPLE,
    ("GET", "/runs/{export}/{run}/rejects"): OF_RUN,
    ("POST", "/runs/{export}/{run}/corrections"): OF_RUN & PEOPLE,
    ("GET", "/runs/{export}/{run}/drift"): OF_RUN,
    ("POST", "/runs/{export}/{run}/repair"): OF_RUN & PEOPLE,
    ("GET", "/audit"): ADMINISTRATORS,
    ("POST", "/people/data"): ADMINISTRATORS & PEOPLE,
    ("POST", "/people/erasures"): ADMINISTRATORS & PEOPLE,
    ("GET", "/people/erasures"): ADMINISTRATORS,
    ("GET", "/people/erasures/{erasure}"): ADMINISTRATORS,
    ("GET", "/configuration"): ADMINISTRATORS,
    ("PUT", "/configuration"): ADMINISTRATORS,
}
#: What the app answers whom it does not let in, and at the key's door where an address is not one of its own.
DENIED = {(401, "not-signed-in"), (403, "forbidden"), (404, "no-such-address"), (405, "method-not-allowed")}
ROLES = {
    VIEWER: "Viewer",
    CONTRIBUTOR: "Contributor",
    CONTRIBUTOR_NOT_SHARED: "Contributor",
    CONTRIBUTOR_DETACHED: "Contributor",
}


def of(route: Route) -> tuple[str, str]:
    return route.method, route.path


CASES = [
    pytest.param(route, caller, id=f"{route.method} {route.path} by {caller}") for route in ROUTES for caller in CALLERS
]


def world_for(caller: str) -> World:
    """A world in which a run of the export is at work, with the connection and the export that the caller has."""
    world = World()
    world.start()
    world.connection(used_by="contributors" if caller == CONTRIBUTOR else "administrators")
    if caller == CONTRIBUTOR_DETACHED:
        world.export(connection=None)
    return world


def request_for(world: World, route: Route) -> Request:
    """A request to this route's address, where there is what it names, with a body that says nothing."""
    run = next(blob.name for blob in world.state.list("runs/newsletter/")).split("/")[2]
    ids = {"export": "newsletter", "connection": "main", "run": run, "erasure": "0" * 32}
    body = b"" if route.body is None else b"{}"
    headers = {} if route.body is None else {"content-type": "application/json"}
    return Request(method=route.method, path=route.path.format_map(ids), headers=headers, body=body)


def answer_to(world: World, request: Request, caller: str) -> Answer:
    kind = "application" if caller == APPLICATION else "person"
    roles = [] if caller == WITHOUT_ROLE else [ROLES.get(caller, "Administrator")]
    principal = principal_header(claims_of(kind, roles, "Ann"))
    headers = dict(request.headers) | ({} if caller == NOBODY else {"x-ms-client-principal": principal})
    request = replace(request, headers=headers)
    sign_in = SignIn.OFF if caller == FORGED else SignIn.PLATFORM
    exporter = Exporter(replace(world.parts, sign_in=sign_in))
    return exporter.answer_key(request) if caller == KEY else exporter.answer(request)


def is_denied(answer: Answer) -> bool:
    if answer.headers.get("Content-Type") != "application/problem+json":
        return False
    return (answer.status, json.loads(answer.body)["type"].rpartition(":")[2]) in DENIED


def contents(world: World) -> dict[str, bytes]:
    """Everything that is kept, and what is on its way."""
    blobs = {blob.name: world.state.get(blob.name) for blob in world.state.list("")}
    stored = {name: blob.data for name, blob in blobs.items() if blob is not None}
    return stored | {"queues": repr(vars(world.queues)).encode(), "secrets": repr(vars(world.secrets)).encode()}


def test_the_second_table_has_a_row_for_each_route_and_no_other():
    assert RULES.keys() == {of(route) for route in ROUTES}


@pytest.mark.parametrize(("route", "caller"), CASES)
def test_each_caller_may_do_what_the_second_table_says_and_changes_nothing_otherwise(route, caller):
    world = world_for(caller)
    before = contents(world)

    answer = answer_to(world, request_for(world, route), caller)

    assert answer.status != 500, answer.body
    assert is_denied(answer) is (caller not in RULES[of(route)]), answer.body
    assert contents(world) == before or not is_denied(answer)


@pytest.mark.parametrize(
    ("run_of", "now", "is_let_in"),
    [
        ({"used_by": "contributors"}, {}, True),
        ({"used_by": "contributors"}, {"used_by": "administrators"}, False),
        ({"used_by": "contributors"}, {"created": {"at": "2026-11-23T08:00:00Z", "by": "Ann"}}, False),
        ({"used_by": "administrators"}, None, False),
    ],
    ids=["shared", "not shared any more", "another one of the same id", "gone"],
)
@pytest.mark.parametrize(
    "export", [None, {"connection": None}, {"connection": "shared"}], ids=["gone", "none", "other"]
)
def test_a_contributor_sees_people_of_runs_whose_own_connection_is_shared(run_of, now, is_let_in, export):
    world = World()
    world.connection(id="shared", used_by="contributors")
    world.connection(**run_of)
    world.people(1)
    run = world.export_now()
    if now is None:
        world.state.delete(paths.connection("main"))
    else:
        world.connection(**run_of | now)
    world.state.delete(paths.export("newsletter"))
    if export is not None:
        world.export(**export)

    request = Request(method="GET", path=f"/runs/newsletter/{run['id']}/rejects")
    assert is_denied(answer_to(world, request, CONTRIBUTOR)) is not is_let_in
    assert not is_denied(answer_to(world, request, ADMINISTRATOR))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_nobody_is_told_of_a_fault_in_a_request_that_is_not_theirs_to_send(route):
    """First it is asked who calls: a body that nobody could use is denied as any other."""
    world = world_for(NOBODY)
    request = replace(request_for(world, route), body=b"{" * 2_000_000, headers={"content-type": "text/plain"})

    answer = answer_to(world, request, NOBODY)

    assert (answer.status == 401) is (NOBODY not in RULES[of(route)])
