"""Which functions the platform lets in without a key, and which addresses open with one."""

import json
from pathlib import Path

import pytest

from exporters.api.routes import AUTOMATION, ROUTES
from infra.local.host.functions import AuthLevel, HttpFunction, load

ROOT = Path(__file__).parents[3]

#: What the function key opens, below /api/automation: to start, to read and to cancel, and to look how the app is.
BY_KEY = {
    ("POST", "/exports/{export}/runs"),
    ("GET", "/runs/{export}/{run}"),
    ("POST", "/runs/{export}/{run}/cancel"),
    ("GET", "/health/parts"),
}


@pytest.fixture(scope="module")
def functions() -> list[HttpFunction]:
    settings = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    return [function for function in load(ROOT, settings) if isinstance(function, HttpFunction)]


def test_the_platform_asks_for_a_key_at_one_door_alone(functions):
    levels = {function.route: function.auth_level for function in functions}

    assert levels.pop("automation/{*rest}") is AuthLevel.FUNCTION
    assert set(levels.values()) == {AuthLevel.ANONYMOUS}


def test_the_key_opens_these_addresses_and_no_others():
    assert {(route.method, route.path) for route in AUTOMATION} == BY_KEY
    assert {(route.method, route.path) for route in ROUTES if route.by_key} == BY_KEY


def test_every_method_reaches_the_app_which_says_what_it_takes(functions):
    assert {function.route: function.methods for function in functions if function.methods} == {}


def test_each_address_of_the_table_has_one_function(functions):
    """The host asks functions in the order in which it found them: no address may fit two."""
    for route in ROUTES:
        first, _, rest = route.path.strip("/").partition("/")
        fitting = [function.route for function in functions if function.route in {first, f"{first}/{{*rest}}"}]
        assert len(fitting) == 1, route.path
        assert not rest or fitting == [f"{first}/{{*rest}}"], route.path


def test_no_function_serves_what_the_table_does_not_have(functions):
    served = {function.route.partition("/")[0] for function in functions} - {"automation"}

    assert served == {route.path.split("/")[1] for route in ROUTES}
