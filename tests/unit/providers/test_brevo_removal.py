import json
from typing import Any

import pytest

from exporters.errors import AccessError, ConfigError, ExporterError, ThrottledError, TransientError
from exporters.providers.base import Removal
from exporters.providers.brevo import Brevo
from tests.unit.providers.answers import people, recorded
from tests.unit.providers.conftest import Vendor

JEFF, JIM, DAVID = EMAILS = ["jeff32@example.com", "jim56@example.com", "david@example.com"]


def answer(name: str) -> Any:
    return recorded("brevo", name)


@pytest.mark.parametrize("name", ["removed", "removed_bare"])
def test_members_are_removed_at_once_and_others_are_absent(brevo: Brevo, vendor: Vendor, name: str) -> None:
    vendor.answer(answer(name), 201)
    assert brevo.remove("42", people(EMAILS)) == Removal(removed=frozenset({JEFF, JIM}), absent=frozenset({DAVID}))
    request = vendor.requests[0]
    assert (request.method, request.target) == ("POST", "/v3/contacts/lists/42/contacts/remove")
    assert json.loads(request.body) == {"emails": EMAILS}


def test_addresses_are_told_in_lower_case_however_they_come_back(brevo: Brevo, vendor: Vendor) -> None:
    vendor.answer({"contacts": {"success": ["Jeff32@Example.com"], "failure": []}}, 201)
    assert brevo.remove("42", people([JEFF])).removed == {JEFF}


def test_who_stands_on_both_sides_was_removed(brevo: Brevo, vendor: Vendor) -> None:
    vendor.answer({"contacts": {"success": [JEFF], "failure": [JEFF, JIM]}}, 201)
    assert brevo.remove("42", people([JEFF, JIM])) == Removal(removed=frozenset({JEFF}), absent=frozenset({JIM}))


def test_a_400_says_that_nobody_was_on_the_list(brevo: Brevo, vendor: Vendor) -> None:
    vendor.answer(answer("refused_removal"), 400)
    assert brevo.remove("42", people(EMAILS)) == Removal(absent=frozenset(EMAILS))


@pytest.mark.parametrize("words", ["List ID does not exist", "Contact list does not exist"])
def test_a_400_about_the_list_is_a_setting_to_change(brevo: Brevo, vendor: Vendor, words: str) -> None:
    vendor.answer({"code": "invalid_parameter", "message": words}, 400)
    with pytest.raises(ConfigError, match="the list does not exist"):
        brevo.remove("42", people(EMAILS))


def test_another_400_is_about_some_address_which_is_found_by_halves(brevo: Brevo, vendor: Vendor) -> None:
    bad = {"code": "invalid_parameter", "message": "Invalid email addresses 'x'"}
    vendor.answer(bad, 400)
    vendor.answer(answer("refused_removal"), 400)
    vendor.answer(bad, 400)
    vendor.answer(bad, 400)
    vendor.answer({"contacts": {"success": [DAVID], "failure": []}}, 201)
    assert brevo.remove("42", people(EMAILS)) == Removal(
        removed=frozenset({DAVID}), absent=frozenset({JEFF}), refused={JIM: "Invalid email addresses …"}
    )
    assert [json.loads(request.body)["emails"] for request in vendor.requests] == [
        EMAILS,
        [JEFF],
        [JIM, DAVID],
        [JIM],
        [DAVID],
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"contacts": {"success": [JEFF], "failure": [JIM]}},
        {"contacts": {"success": [*EMAILS, "more@example.com"], "failure": []}},
        {"contacts": {"total": 3, "processId": 5}},
        b'{"contacts": {"succ',
    ],
)
def test_an_answer_that_does_not_tell_of_everyone_leaves_it_open_who_was_removed(
    brevo: Brevo, vendor: Vendor, body: object
) -> None:
    vendor.answer(body, 201)
    with pytest.raises(TransientError):
        brevo.remove("42", people(EMAILS))


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (401, AccessError),
        (404, ConfigError),
        (413, ConfigError),
        (422, ConfigError),
        (429, ThrottledError),
        (500, TransientError),
    ],
)
def test_other_failures_are_never_refusals(
    brevo: Brevo, vendor: Vendor, status: int, family: type[ExporterError]
) -> None:
    vendor.answer({"code": "x", "message": "y"}, status)
    with pytest.raises(family):
        brevo.remove("42", people(EMAILS))
