import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from exporters.errors import AccessError, ConfigError, ExporterError, ThrottledError, TransientError
from exporters.providers.base import Member, Removal
from exporters.providers.sendgrid import SendGrid
from tests.unit.providers.answers import people, recorded
from tests.unit.providers.conftest import Vendor

LIST = "abc12300-0000-4000-8000-0000000000de"
ANN_ID, BO_ID = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
JOB = "5c0cdf0a-4a24-4c5a-8a1e-0f2b5f9d2a44"
EMAILS = ["ann@example.com", "bo@example.com", "cy@example.com"]


def answer(name: str) -> Any:
    return recorded("sendgrid", name)


def found(*emails: str) -> dict[str, Any]:
    contact = {"id": ANN_ID, "list_ids": [LIST]}
    return {"result": {email: {"contact": contact} for email in emails}}


def looked_up(vendor: Vendor) -> list[list[str]]:
    return [json.loads(request.body)["identifiers"] for request in vendor.requests if request.method == "POST"]


def test_members_leave_with_a_job_and_others_are_absent(sendgrid: SendGrid, vendor: Vendor) -> None:
    vendor.answer(answer("contacts_found"))
    vendor.answer(answer("removal_accepted"), 202)
    assert sendgrid.remove(LIST, people(EMAILS)) == Removal(
        pending=frozenset({"ann@example.com"}), absent=frozenset({"bo@example.com", "cy@example.com"}), job=JOB
    )
    look_up, removal = vendor.requests
    assert (look_up.method, look_up.target) == ("POST", "/v3/marketing/contacts/search/identifiers/email")
    assert json.loads(look_up.body) == {"identifiers": EMAILS}
    assert (removal.method, urlsplit(removal.target).path) == ("DELETE", f"/v3/marketing/lists/{LIST}/contacts")
    assert removal.body == b""


def test_who_is_found_off_the_list_is_taken_off_all_the_same(sendgrid: SendGrid, vendor: Vendor) -> None:
    vendor.answer(answer("contacts_found"))
    vendor.answer(answer("removal_accepted"), 202)
    sendgrid.remove(LIST, people(EMAILS))
    query = parse_qs(urlsplit(vendor.requests[1].target).query)
    assert query == {"contact_ids": [f"{ANN_ID},{BO_ID}"]}


def test_a_list_is_recognised_in_whatever_case_its_id_was_copied(sendgrid: SendGrid, vendor: Vendor) -> None:
    vendor.answer(found("ann@example.com"))
    vendor.answer(answer("removal_accepted"), 202)
    assert sendgrid.remove(LIST.upper(), people(["ann@example.com"])).pending == {"ann@example.com"}


def test_who_is_only_on_other_lists_is_absent(sendgrid: SendGrid, vendor: Vendor) -> None:
    other = "abc12300-0000-4000-8000-0000000000df"
    vendor.answer({"result": {"bo@example.com": {"contact": {"id": BO_ID, "list_ids": [other]}}}})
    vendor.answer(answer("removal_accepted"), 202)
    assert sendgrid.remove(LIST, people(["bo@example.com"])) == Removal(absent=frozenset({"bo@example.com"}))


def test_no_address_stands_in_any_url(sendgrid: SendGrid, vendor: Vendor) -> None:
    vendor.answer(answer("contacts_found"))
    vendor.answer(answer("removal_accepted"), 202)
    sendgrid.remove(LIST, people(EMAILS))
    assert not any("example" in request.target for request in vendor.requests)


@pytest.mark.parametrize("body", ["not_found", "nobody_found"])
def test_where_nobody_is_known_nothing_is_removed(sendgrid: SendGrid, vendor: Vendor, body: str) -> None:
    vendor.answer(answer(body), 404)
    assert sendgrid.remove(LIST, people(EMAILS)) == Removal(absent=frozenset(EMAILS))
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("body", [b"<html>404</html>", {}, [], {"message": None}, {"status": 404}, {"errors": None}])
def test_a_page_that_is_not_from_the_api_does_not_mean_that_nobody_is_known(
    sendgrid: SendGrid, vendor: Vendor, body: object
) -> None:
    vendor.answer(body, 404)
    with pytest.raises(TransientError):
        sendgrid.remove(LIST, people(EMAILS))


def test_where_nobody_is_on_the_list_there_is_no_job_to_wait_for(sendgrid: SendGrid, vendor: Vendor) -> None:
    vendor.answer({"result": {"bo@example.com": {"contact": {"id": BO_ID, "list_ids": []}}}})
    vendor.answer(answer("removal_accepted"), 202)
    assert sendgrid.remove(LIST, people(["bo@example.com"])) == Removal(absent=frozenset({"bo@example.com"}))


@pytest.mark.parametrize("alone", [False, True])
def test_an_address_at_fault_is_refused_with_the_words_and_costs_nobody_else_the_removal(
    sendgrid: SendGrid, vendor: Vendor, alone: bool
) -> None:
    refused = answer("refused_look_up")
    vendor.answer(refused["errors"][0] if alone else refused, 400)
    vendor.answer(found("ann@example.com", "cy@example.com"))
    vendor.answer(answer("removal_accepted"), 202)
    removal = sendgrid.remove(LIST, people(["ann@example.com", "not_valid", "cy@example.com"]))
    assert removal == Removal(
        refused={"not_valid": "email … is not valid"},
        pending=frozenset({"ann@example.com", "cy@example.com"}),
        job=JOB,
    )
    assert looked_up(vendor)[1] == ["ann@example.com", "cy@example.com"]


def test_an_address_at_fault_that_is_not_named_is_found_by_halves(sendgrid: SendGrid, vendor: Vendor) -> None:
    a, b, c, d = emails = [f"{name}@example.com" for name in "abcd"]
    unnamed = {"errors": [{"message": "email is not valid", "field": None}]}
    vendor.answer(unnamed, 400)
    vendor.answer(unnamed, 400)
    vendor.answer(found(a))
    vendor.answer(unnamed, 400)
    vendor.answer(found(c, d))
    vendor.answer(answer("removal_accepted"), 202)
    removal = sendgrid.remove(LIST, people(emails))
    assert (removal.pending, removal.refused) == ({a, c, d}, {b: "email is not valid"})
    assert looked_up(vendor) == [emails, [a, b], [a], [b], [c, d]]


@pytest.mark.parametrize("body", [{}, [], {"result": []}, {"result": {"ann@example.com": {"contact": {}}}}, b"<html>"])
def test_a_look_up_that_cannot_be_read_makes_nobody_absent(sendgrid: SendGrid, vendor: Vendor, body: object) -> None:
    vendor.answer(body)
    with pytest.raises(TransientError):
        sendgrid.remove(LIST, people(EMAILS))


@pytest.mark.parametrize("body", [{}, [], {"job_id": None}, b'{"job_id', b""])
def test_a_good_status_without_a_job_leaves_it_open_who_was_removed(
    sendgrid: SendGrid, vendor: Vendor, body: object
) -> None:
    vendor.answer(answer("contacts_found"))
    vendor.answer(body, 202)
    with pytest.raises(TransientError):
        sendgrid.remove(LIST, people(EMAILS))


def test_a_contact_that_went_meanwhile_is_looked_up_again_with_the_next_try(sendgrid: SendGrid, vendor: Vendor) -> None:
    vendor.answer(answer("contacts_found"))
    vendor.answer(answer("not_found"), 404)
    vendor.answer(answer("list"))
    with pytest.raises(TransientError, match="a contact was deleted meanwhile"):
        sendgrid.remove(LIST, people(EMAILS))


def test_a_list_that_is_gone_is_a_setting_to_change(sendgrid: SendGrid, vendor: Vendor) -> None:
    vendor.answer(answer("contacts_found"))
    vendor.answer(answer("not_found"), 404)
    vendor.answer(answer("not_found"), 404)
    with pytest.raises(ConfigError, match="the list does not exist"):
        sendgrid.remove(LIST, people(EMAILS))


@pytest.mark.parametrize(
    ("status", "family"),
    [(401, AccessError), (403, AccessError), (413, ConfigError), (429, ThrottledError), (500, TransientError)],
)
def test_other_failures_of_the_look_up_are_never_refusals(
    sendgrid: SendGrid, vendor: Vendor, status: int, family: type[ExporterError]
) -> None:
    vendor.answer({"errors": []}, status)
    with pytest.raises(family):
        sendgrid.remove(LIST, people(EMAILS))


@pytest.mark.parametrize(("status", "family"), [(400, ConfigError), (414, ConfigError), (502, TransientError)])
def test_other_failures_of_the_removal_are_never_refusals(
    sendgrid: SendGrid, vendor: Vendor, status: int, family: type[ExporterError]
) -> None:
    vendor.answer(answer("contacts_found"))
    vendor.answer(b"<html>", status)
    with pytest.raises(family):
        sendgrid.remove(LIST, people(EMAILS))


def test_the_ids_of_a_full_removal_fit_into_a_url(sendgrid: SendGrid, vendor: Vendor) -> None:
    emails = [f"p{number}@example.com" for number in range(SendGrid.removal_limit)]
    ids = [f"11111111-0000-4000-8000-{number:012}" for number in range(len(emails))]
    contacts = {
        email: {"contact": {"id": contact_id, "list_ids": [LIST]}}
        for email, contact_id in zip(emails, ids, strict=True)
    }
    vendor.answer({"result": contacts})
    vendor.answer(answer("removal_accepted"), 202)
    assert sendgrid.remove(LIST, people(emails)).pending == set(emails)
    assert len(vendor.requests[1].target) < 8_150


@pytest.mark.parametrize("body", [b"<html>400</html>", {"errors": []}, {"errors": [{"message": None, "field": None}]}])
def test_a_refusal_without_words_is_a_refusal_all_the_same(sendgrid: SendGrid, vendor: Vendor, body: object) -> None:
    vendor.answer(body, 400)
    assert sendgrid.remove(LIST, people(["not_valid"])) == Removal(refused={"not_valid": ""})


def told(*names: str) -> list[Member]:
    """People whom a listing has told with their ids."""
    return [
        Member(email=f"{name}@example.com", id=f"11111111-0000-4000-8000-{number:012}")
        for number, name in enumerate(names)
    ]


def test_people_with_ids_leave_with_one_request(sendgrid: SendGrid, vendor: Vendor) -> None:
    leavers = told("ann", "bo")
    vendor.answer(answer("removal_accepted"), 202)
    assert sendgrid.remove(LIST, leavers) == Removal(pending=frozenset({"ann@example.com", "bo@example.com"}), job=JOB)
    [request] = vendor.requests
    assert request.method == "DELETE"
    assert parse_qs(urlsplit(request.target).query) == {"contact_ids": [",".join(leaver.id for leaver in leavers)]}


def test_where_one_has_no_id_everybody_is_looked_up(sendgrid: SendGrid, vendor: Vendor) -> None:
    vendor.answer(found("ann@example.com", "bo@example.com"))
    vendor.answer(answer("removal_accepted"), 202)
    sendgrid.remove(LIST, [*told("ann"), Member(email="bo@example.com")])
    assert looked_up(vendor) == [["ann@example.com", "bo@example.com"]]


def test_an_id_that_is_gone_lets_everybody_be_looked_up_as_many_as_can_be_at_once(
    sendgrid: SendGrid, vendor: Vendor
) -> None:
    leavers = told(*(f"p{number}" for number in range(SendGrid.removal_limit_by_id)))
    emails = [leaver.email for leaver in leavers]
    vendor.answer(answer("not_found"), 404)
    for first in (0, SendGrid.removal_limit):
        vendor.answer(found(*emails[first : first + SendGrid.removal_limit - 1]))
    vendor.answer(answer("removal_accepted"), 202)
    removal = sendgrid.remove(LIST, leavers)
    assert removal.absent == {emails[99], emails[199]}
    assert removal.pending == frozenset(emails) - removal.absent
    assert looked_up(vendor) == [emails[:100], emails[100:]]


def test_a_list_that_is_gone_is_a_setting_to_change_with_ids_too(sendgrid: SendGrid, vendor: Vendor) -> None:
    vendor.answer(answer("not_found"), 404)
    vendor.answer(found("ann@example.com"))
    vendor.answer(answer("not_found"), 404)
    vendor.answer(answer("not_found"), 404)
    with pytest.raises(ConfigError, match="the list does not exist"):
        sendgrid.remove(LIST, told("ann"))


def test_the_ids_of_a_full_removal_by_id_fit_into_a_url(sendgrid: SendGrid, vendor: Vendor) -> None:
    vendor.answer(answer("removal_accepted"), 202)
    sendgrid.remove(LIST, told(*(f"p{number}" for number in range(SendGrid.removal_limit_by_id))))
    assert len(vendor.requests[0].target) < 8_150


@pytest.mark.parametrize(
    ("status", "family"), [(401, AccessError), (400, ConfigError), (429, ThrottledError), (500, TransientError)]
)
def test_other_failures_of_a_removal_by_id_look_nobody_up(
    sendgrid: SendGrid, vendor: Vendor, status: int, family: type[ExporterError]
) -> None:
    vendor.answer({"errors": []}, status)
    with pytest.raises(family):
        sendgrid.remove(LIST, told("ann"))
    assert len(vendor.requests) == 1
