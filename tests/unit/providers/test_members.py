"""Who is on a list, and what tells an account apart: both providers, on answers written down."""

import json
from typing import Any

import pytest

from exporters.errors import AccessError, ConfigError, ExporterError, ThrottledError, TransientError
from exporters.providers import people
from exporters.providers.base import Member, Members
from exporters.providers.brevo import Brevo
from exporters.providers.sendgrid import EXPORT_QUESTIONS, SendGrid
from tests.unit.providers.answers import recorded
from tests.unit.providers.conftest import Vendor

LIST = "abc12300-0000-4000-8000-0000000000de"
EXPORT = "5d3e2c1b-0000-4000-8000-00000000000a"
ANN_ID = "11111111-0000-4000-8000-000000000001"
CSV = f"EMAIL,FIRST_NAME,CONTACT_ID\nAnn@example.com,Ann,{ANN_ID}\nbo@example.com,Bo,\n".encode()


class TestSendGridAccount:
    def test_a_user_is_told_by_a_number_that_no_new_name_changes(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(recorded("sendgrid", "username"))
        assert sendgrid.account() == "1"
        assert vendor.requests[0].target == "/v3/user/username"

    def test_a_key_without_the_right_says_nothing(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(recorded("sendgrid", "forbidden"), 403)
        assert sendgrid.account() is None

    @pytest.mark.parametrize(("status", "family"), [(401, AccessError), (429, ThrottledError), (500, TransientError)])
    def test_other_failures_are_failures(
        self, sendgrid: SendGrid, vendor: Vendor, status: int, family: type[ExporterError]
    ) -> None:
        vendor.answer({"errors": []}, status)
        with pytest.raises(family):
            sendgrid.account()

    def test_an_answer_without_the_number_is_unreadable(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer({"username": "test_username"})
        with pytest.raises(TransientError):
            sendgrid.account()


class TestBrevoAccount:
    def test_an_organisation_is_told_by_its_id(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(recorded("brevo", "account"))
        assert brevo.account() == "5f2b8d7d1c9e440000a1b2c3"
        assert vendor.requests[0].target == "/v3/account"

    def test_an_older_answer_has_the_address_of_the_owner(self, brevo: Brevo, vendor: Vendor) -> None:
        account = recorded("brevo", "account")
        del account["organization_id"]
        vendor.answer(account)
        assert brevo.account() == "john.smith@example.com"

    def test_a_key_without_the_right_says_nothing(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(recorded("brevo", "forbidden"), 403)
        assert brevo.account() is None

    def test_its_limit_is_that_of_the_questions_for_jobs_and_holds_no_import(
        self, brevo: Brevo, vendor: Vendor
    ) -> None:
        headers = {"x-sib-ratelimit-remaining": "0", "x-sib-ratelimit-reset": "1800"}
        vendor.answer(recorded("brevo", "throttled"), 429, headers)
        with pytest.raises(ThrottledError) as caught:
            brevo.account()
        assert caught.value.polls_only
        assert (brevo.polls_not_before_s, brevo.not_before_s) == (1800.0, None)


def export(vendor: Vendor, *paths: str, **changes: object) -> dict[str, Any]:
    ready: dict[str, Any] = recorded("sendgrid", "export_ready")
    return ready | {"urls": [vendor.url + path for path in paths]} | changes


class TestSendGridList:
    def test_the_first_question_starts_an_export_of_the_list_in_small_files(
        self, sendgrid: SendGrid, vendor: Vendor
    ) -> None:
        vendor.answer(recorded("sendgrid", "export_accepted"), 202)
        assert sendgrid.members(LIST.upper(), None) == Members(rows=(), token=f"{EXPORT}:0", wait_s=1.5)
        request = vendor.requests[0]
        assert (request.method, request.target) == ("POST", "/v3/marketing/contacts/exports")
        assert json.loads(request.body) == {
            "list_ids": [LIST],
            "file_type": "csv",
            "max_file_size": 20,
            "notifications": {"email": False},
        }

    def test_while_it_is_written_the_waits_grow(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(recorded("sendgrid", "not_found"), 404)  # not known yet
        vendor.answer({"status": "pending"})
        vendor.answer({"status": "resting"})
        parts = [Members(rows=(), token=f"{EXPORT}:0")]
        for _ in range(3):
            parts.append(sendgrid.members(LIST, parts[-1].token))
        assert [(part.token, part.wait_s) for part in parts[1:]] == [
            (f"{EXPORT}:1", 2.0),
            (f"{EXPORT}:2", 4.0),
            (f"{EXPORT}:3", 8.0),
        ]
        assert {request.target for request in vendor.requests} == {f"/v3/marketing/contacts/exports/{EXPORT}"}

    def test_each_call_reads_one_file_without_the_key(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(export(vendor, "/1.csv", "/2.csv"))
        vendor.answer(CSV)
        part = sendgrid.members(LIST, f"{EXPORT}:3")
        assert part == Members(
            rows=[Member(email="ann@example.com", id=ANN_ID), Member(email="bo@example.com")], token=f"{EXPORT}:3:1:0:2"
        )
        vendor.answer(export(vendor, "/1.csv", "/2.csv"))
        vendor.answer(b"EMAIL,CONTACT_ID\ncy@example.com,\n")
        assert sendgrid.members(LIST, part.token) == Members(rows=[Member(email="cy@example.com")], token=None)
        assert [request.target for request in vendor.requests[1::2]] == ["/1.csv", "/2.csv"]
        assert not any("authorization" in map(str.lower, request.headers) for request in vendor.requests[1::2])

    def test_a_long_file_is_told_in_parts(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        emails = [f"p{number}@example.com" for number in range(people.PEOPLE_A_PART + 1)]
        data = ("EMAIL\n" + "\n".join(emails)).encode()
        vendor.answer(export(vendor, "/1.csv", "/2.csv"))
        vendor.answer(data)
        part = sendgrid.members(LIST, f"{EXPORT}:0")
        assert (len(part.rows), part.token) == (people.PEOPLE_A_PART, f"{EXPORT}:0:0:{people.PEOPLE_A_PART}:0")
        vendor.answer(export(vendor, "/1.csv", "/2.csv"))
        vendor.answer(data)
        assert sendgrid.members(LIST, part.token) == Members(
            rows=[Member(email=emails[-1])], token=f"{EXPORT}:0:1:0:{len(emails)}"
        )

    @pytest.mark.parametrize(("stated", "holds"), [(3, True), (2, True), (None, True), (4, False)])
    def test_files_with_fewer_people_than_the_export_says_are_no_list(
        self, sendgrid: SendGrid, vendor: Vendor, stated: int | None, holds: bool
    ) -> None:
        two, one = b"EMAIL,CONTACT_ID\nann@example.com,\n,no-address\n", b"EMAIL\ncy@example.com\n"
        token: str | None = f"{EXPORT}:0"
        for file in (two, one):
            vendor.answer(export(vendor, "/1.csv", "/2.csv", contact_count=stated))
            vendor.answer(file)
            if file is one and not holds:
                with pytest.raises(ConfigError, match="hold fewer people than it says"):
                    sendgrid.members(LIST, token)
            else:
                token = sendgrid.members(LIST, token).token
        assert (token is None) is holds

    def test_an_export_of_nobody_has_no_file(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(export(vendor, contact_count=0))
        assert sendgrid.members(LIST, f"{EXPORT}:0") == Members(rows=(), token=None)

    @pytest.mark.parametrize("changes", [{"contact_count": 2}, {"contact_count": None}, {"urls": None}])
    def test_an_export_without_files_does_not_mean_nobody(
        self, sendgrid: SendGrid, vendor: Vendor, changes: dict[str, object]
    ) -> None:
        vendor.answer(export(vendor, **changes))
        with pytest.raises(TransientError):
            sendgrid.members(LIST, f"{EXPORT}:0")

    @pytest.mark.parametrize(("asked", "status"), [(0, "failure"), (EXPORT_QUESTIONS - 1, "pending")])
    def test_an_export_that_is_never_written_ends_the_waiting(
        self, sendgrid: SendGrid, vendor: Vendor, asked: int, status: str
    ) -> None:
        vendor.answer({"status": status})
        with pytest.raises(ConfigError, match="did not write the file of the list"):
            sendgrid.members(LIST, f"{EXPORT}:{asked}")

    def test_an_unknown_list_is_a_setting_to_change(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(recorded("sendgrid", "not_found"), 404)
        with pytest.raises(ConfigError, match="the list does not exist"):
            sendgrid.members(LIST, None)

    @pytest.mark.parametrize("body", [{}, [], {"id": None}, b"<html>"])
    def test_a_good_status_without_an_export_is_unreadable(
        self, sendgrid: SendGrid, vendor: Vendor, body: object
    ) -> None:
        vendor.answer(body, 202)
        with pytest.raises(TransientError):
            sendgrid.members(LIST, None)


class TestBrevoList:
    def test_the_first_question_starts_a_file_of_everyone_on_the_list_blocked_or_not(
        self, brevo: Brevo, vendor: Vendor
    ) -> None:
        vendor.answer(recorded("brevo", "import_accepted"), 202)
        assert brevo.members("42", None) == Members(rows=[], token="78:0", wait_s=1.0)
        request = vendor.requests[0]
        assert (request.method, request.target) == ("POST", "/v3/contacts/export")
        wanted = json.loads(request.body)
        assert wanted["customContactFilter"] == {"actionForContacts": "allContacts", "listId": 42}
        assert wanted["disableNotification"] is True

    def test_the_file_names_everyone_but_those_without_an_address_of_their_own(
        self, brevo: Brevo, vendor: Vendor
    ) -> None:
        vendor.answer(recorded("brevo", "export_completed") | {"export_url": f"{vendor.url}/file.csv"})
        vendor.answer(b"EMAIL\nAnn@example.com\n41791234567@mailin-sms.com\n")
        assert brevo.members("42", "194:3") == Members(rows=[Member(email="ann@example.com")], token=None)

    def test_a_long_file_is_told_in_parts(self, brevo: Brevo, vendor: Vendor) -> None:
        emails = [f"p{number}@example.com" for number in range(people.PEOPLE_A_PART + 1)]
        for _ in range(2):
            vendor.answer(recorded("brevo", "export_completed") | {"export_url": f"{vendor.url}/file.csv"})
            vendor.answer(("EMAIL\n" + "\n".join(emails)).encode())
        part = brevo.members("42", "194:3")
        assert (len(part.rows), part.token) == (people.PEOPLE_A_PART, f"194:3:{people.PEOPLE_A_PART}")
        assert brevo.members("42", part.token) == Members(rows=[Member(email=emails[-1])], token=None)

    def test_nobody_is_on_a_list_that_is_there(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer({}, 200)
        vendor.answer(recorded("brevo", "list"))
        assert brevo.members("42", None) == Members(rows=[], token=None)
        assert vendor.requests[1].target == "/v3/contacts/lists/42"

    def test_nobody_matching_may_mean_that_there_is_no_such_list(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer({}, 200)
        vendor.answer(recorded("brevo", "not_found"), 404)
        with pytest.raises(ConfigError, match="the list does not exist"):
            brevo.members("42", None)

    @pytest.mark.parametrize(("status", "words"), [(404, "?"), (400, "List ID does not exist")])
    def test_an_unknown_list_is_a_setting_to_change(
        self, brevo: Brevo, vendor: Vendor, status: int, words: str
    ) -> None:
        vendor.answer({"code": "invalid_parameter", "message": words}, status)
        with pytest.raises(ConfigError, match="the list does not exist"):
            brevo.members("42", None)

    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    def test_a_file_that_is_never_written_ends_the_waiting(self, brevo: Brevo, vendor: Vendor, status: str) -> None:
        vendor.answer({"id": 78, "name": "SEARCH_EXPORT_USERS_API", "status": status})
        with pytest.raises(ConfigError, match=r"did not write the file of the list.*support"):
            brevo.members("42", "78:0")
