"""Which key opens which address: what automations hold can start and read, and lift no brake."""

import json
from pathlib import Path

import pytest

from infra.local.host.functions import AuthLevel, HttpFunction, load

ROOT = Path(__file__).parents[3]

LEVELS = {
    ("POST", "exports/{export}/runs"): AuthLevel.FUNCTION,
    ("GET", "runs/{export}/{run}"): AuthLevel.FUNCTION,
    ("POST", "runs/{export}/{run}/approve"): AuthLevel.ADMIN,
    ("POST", "runs/{export}/{run}/reject"): AuthLevel.ADMIN,
    ("POST", "runs/{export}/{run}/cancel"): AuthLevel.FUNCTION,
    ("POST", "runs/{export}/{run}/retry"): AuthLevel.FUNCTION,
    ("POST", "exports/{export}/preview"): AuthLevel.FUNCTION,
    ("POST", "exports/{export}/preview/unmasked"): AuthLevel.ADMIN,
    ("GET", "runs/{export}/{run}/rejects"): AuthLevel.ADMIN,
    ("POST", "runs/{export}/{run}/corrections"): AuthLevel.ADMIN,
    ("POST", "exports/{export}/reconciliations"): AuthLevel.FUNCTION,
    ("GET", "runs/{export}/{run}/drift"): AuthLevel.ADMIN,
    ("POST", "runs/{export}/{run}/repair"): AuthLevel.ADMIN,
    ("POST", "exports/{export}/undo"): AuthLevel.ADMIN,
    ("GET", "health"): AuthLevel.ANONYMOUS,
}


@pytest.fixture(scope="module")
def declared() -> dict[tuple[str, str], AuthLevel]:
    settings = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    functions = (function for function in load(ROOT, settings) if isinstance(function, HttpFunction))
    return {(*function.methods, function.route): function.auth_level for function in functions}


def test_each_address_needs_the_key_that_it_is_meant_to_need(declared):
    assert declared == LEVELS
