import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from exporters.errors import AccessError, ConfigError, ExporterError, RefusedError, ThrottledError, TransientError
from exporters.model.export import Mapping
from exporters.model.fields import FieldType, email_field
from exporters.providers.base import JobReport, JobState, Refusal
from exporters.providers.brevo import JOB_STATES, Brevo
from tests.unit.providers.answers import recorded
from tests.unit.providers.conftest import KEY, Vendor

CONTACTS = [b'{"email":"a@example.com"}', b'{"email":"b@example.com","attributes":{"CITY":"Split"}}']
EMAIL_ONLY = Mapping(email="EMail")


def answer(name: str) -> Any:
    return recorded("brevo", name)


def answer_access(vendor: Vendor) -> None:
    vendor.answer(answer("list"))
    vendor.answer(answer("attributes"))


def listed(process: dict[str, Any]) -> dict[str, Any]:
    return {"count": 1, "processes": [process]}


class TestCheckAccess:
    def test_list_and_attributes_are_asked_for_in_the_fast_bucket(self, brevo: Brevo, vendor: Vendor) -> None:
        answer_access(vendor)
        access = brevo.check_access("42", EMAIL_ONLY)
        assert (access.list_name, access.list_count) == ("Newsletter", 1203)
        assert access.shape.email == email_field("EMail")
        assert [request.target for request in vendor.requests] == ["/v3/contacts/lists/42", "/v3/contacts/attributes"]
        assert vendor.requests[0].headers["api-key"] == KEY.get_secret_value()

    def test_fields_go_to_attributes_by_the_types_of_the_account(self, brevo: Brevo, vendor: Vendor) -> None:
        answer_access(vendor)
        mapping = Mapping(
            email="EMail",
            first_name="First",
            city="Town",
            phone="Phone",
            custom={"birthday": "Born", "Points": "Score", "MEMBER": "Member", "gender": "Sex"},
        )
        shape = brevo.check_access("42", mapping).shape
        assert {field.path: (field.source.column, field.type) for field in shape.fields} == {
            ("attributes", "FIRSTNAME"): ("First", FieldType.TEXT),
            ("attributes", "CITY"): ("Town", FieldType.TEXT),
            ("attributes", "SMS"): ("Phone", FieldType.PHONE),
            ("attributes", "BIRTHDAY"): ("Born", FieldType.DATE),
            ("attributes", "POINTS"): ("Score", FieldType.NUMBER),
            ("attributes", "MEMBER"): ("Member", FieldType.BOOLEAN),
            ("attributes", "GENDER"): ("Sex", FieldType.TEXT),
        }
        assert {field.date_format for field in shape.fields} == {"%Y-%m-%d"}

    def test_all_faults_of_a_mapping_are_told_at_once_with_what_exists(self, brevo: Brevo, vendor: Vendor) -> None:
        answer_access(vendor)
        mapping = Mapping(
            email="EMail",
            country="Country",
            custom={"CTIY": "a", "email": "b", "order_id": "c", "ORDERS": "d", "BLACKLIST": "e", "INTERESTS": "f"},
        )
        with pytest.raises(ConfigError) as caught:
            brevo.check_access("42", mapping)
        assert str(caught.value) == (
            "The mapping does not fit the Brevo account: "
            'there is no attribute "COUNTRY"; create it, or set field_names of the connection, '
            "as in country: its name there; "
            'there is no attribute "CTIY" (did you mean "CITY"?); '
            "EMAIL may not be mapped as a field: changing it would resubscribe people who unsubscribed; "
            "ORDER_ID is a transactional attribute, which profiles cannot fill; "
            "ORDERS is a calculated attribute, which profiles cannot fill; "
            "BLACKLIST is a global attribute, which profiles cannot fill; "
            "INTERESTS has the type 'multiple-choice', which this version cannot write; "
            "attributes there: BIRTHDAY, CITY, FIRSTNAME, GENDER, INTERESTS, LASTNAME, MEMBER, POINTS, SMS."
        )

    def test_one_attribute_takes_one_column(self, brevo: Brevo, vendor: Vendor) -> None:
        answer_access(vendor)
        with pytest.raises(ConfigError, match="CITY is mapped twice"):
            brevo.check_access("42", Mapping(email="EMail", city="Town", custom={"city": "Place"}))

    def test_a_french_account_is_told_what_to_set(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("list"))
        vendor.answer({"attributes": [{"name": "PRENOM", "category": "normal", "type": "text"}]})
        with pytest.raises(ConfigError, match="as in first_name: PRENOM"):
            brevo.check_access("42", Mapping(email="EMail", first_name="First"))

    def test_the_connection_names_attributes_that_differ(
        self, brevo_with_names: Callable[[dict[str, str]], Brevo], vendor: Vendor
    ) -> None:
        vendor.answer(answer("list"))
        vendor.answer({"attributes": [{"name": "PRENOM", "category": "normal", "type": "text"}]})
        provider = brevo_with_names({"first_name": "prenom"})
        shape = provider.check_access("42", Mapping(email="EMail", first_name="First")).shape
        assert [field.path for field in shape.fields] == [("attributes", "PRENOM")]

    def test_no_name_of_the_connection_leads_to_the_email_attribute(
        self, brevo_with_names: Callable[[dict[str, str]], Brevo], vendor: Vendor
    ) -> None:
        vendor.answer(answer("list"))
        vendor.answer({"attributes": [{"name": "EMAIL", "category": "normal", "type": "text"}]})
        provider = brevo_with_names({"city": "email"})
        with pytest.raises(ConfigError, match="would resubscribe"):
            provider.check_access("42", Mapping(email="EMail", city="Town"))

    @pytest.mark.parametrize("list_id", ["newsletter", "4.2", "-1", "../account", "४२", ""])
    def test_a_list_id_that_is_no_number_is_told_before_any_request(
        self, brevo: Brevo, vendor: Vendor, list_id: str
    ) -> None:
        with pytest.raises(ConfigError, match="is not the id of a Brevo list"):
            brevo.check_access(list_id, EMAIL_ONLY)
        assert not vendor.requests

    def test_a_dynamic_list_is_refused(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("list") | {"dynamicList": True})
        with pytest.raises(ConfigError, match="is dynamic"):
            brevo.check_access("42", EMAIL_ONLY)

    @pytest.mark.parametrize(
        ("status", "name", "family", "remedy"),
        [
            (401, "unauthorized_key", AccessError, "the API key is wrong"),
            (401, "unauthorized_ip", AccessError, "authorise the app's outbound IP"),
            (403, "forbidden", AccessError, "may not do this"),
            (404, "not_found", ConfigError, "the list does not exist"),
            (429, "throttled", ThrottledError, "everything on this account waits"),
        ],
    )
    def test_each_refusal_comes_with_its_remedy(
        self, brevo: Brevo, vendor: Vendor, status: int, name: str, family: type[ExporterError], remedy: str
    ) -> None:
        vendor.answer(answer(name), status)
        with pytest.raises(family, match=remedy):
            brevo.check_access("42", EMAIL_ONLY)

    @pytest.mark.parametrize("body", [b"<html>401</html>", [], {"message": 7}])
    def test_a_401_without_known_words_is_about_the_key(self, brevo: Brevo, vendor: Vendor, body: object) -> None:
        vendor.answer(body, 401)
        with pytest.raises(AccessError, match="the API key is wrong"):
            brevo.check_access("42", EMAIL_ONLY)


class TestSubmit:
    def test_an_import_says_what_it_must_and_nothing_about_subscriptions(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("import_accepted"), 202)
        assert brevo.submit("42", CONTACTS) == "78"
        request = vendor.requests[0]
        assert (request.method, request.target) == ("POST", "/v3/contacts/import")
        assert json.loads(request.body) == {
            "listIds": [42],
            "updateExistingContacts": True,
            "emptyContactsAttributes": False,
            "disableNotification": True,
            "jsonBody": [json.loads(item) for item in CONTACTS],
        }

    def test_the_body_is_the_envelope_around_the_contacts_and_not_a_byte_more(
        self, brevo: Brevo, vendor: Vendor
    ) -> None:
        vendor.answer(answer("import_accepted"), 202)
        brevo.submit("42", CONTACTS)
        envelope = brevo.envelope("42")
        assert vendor.requests[0].body == envelope.head + b",".join(CONTACTS) + envelope.tail

    def test_a_request_without_any_valid_address_is_refused(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("refused_no_identifier"), 400)
        with pytest.raises(RefusedError) as caught:
            brevo.submit("42", CONTACTS)
        assert caught.value.rows == {}

    def test_a_400_about_the_list_is_no_fault_of_the_contacts(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("not_found"), 400)
        with pytest.raises(ConfigError, match="the list does not exist"):
            brevo.submit("42", CONTACTS)

    def test_a_request_that_is_too_large_could_pass_in_parts(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(b"<html>413</html>", 413)
        with pytest.raises(RefusedError):
            brevo.submit("42", CONTACTS)

    @pytest.mark.parametrize("body", [b'{"processId": 7', b"<html>", {}, {"processId": None}, []])
    def test_a_good_status_without_a_process_leaves_it_open_whether_one_was_started(
        self, brevo: Brevo, vendor: Vendor, body: object
    ) -> None:
        vendor.answer(body, 202)
        with pytest.raises(TransientError):
            brevo.submit("42", CONTACTS)


class TestImportRuns:
    @pytest.mark.parametrize(
        ("processes", "runs"),
        [
            ([], False),
            ([{"id": 1, "name": "IMPORTUSER", "status": "queued"}], True),
            ([{"id": 1, "name": "IMPORTUSER", "status": "in_process"}], True),
            ([{"id": 2, "name": "EXPORTUSER", "status": "queued"}, {"id": 1, "status": "in_process"}], False),
            (
                [
                    {"id": 2, "name": "IMPORTUSER", "status": "completed"},
                    {"id": 1, "name": "IMPORTUSER", "status": "failed"},
                ],
                False,
            ),
        ],
    )
    def test_only_imports_that_have_not_ended_are_at_work(
        self, brevo: Brevo, vendor: Vendor, processes: list[dict[str, Any]], runs: bool
    ) -> None:
        vendor.answer({"count": len(processes), "processes": processes})
        assert brevo.import_runs() is runs
        assert [request.path for request in vendor.requests] == ["/v3/processes"]


class TestPoll:
    def test_the_words_of_contract_and_sdk_are_all_known(self) -> None:
        assert JOB_STATES == {
            "queued": JobState.PENDING,
            "in_process": JobState.PENDING,
            "processing": JobState.PENDING,
            "completed": JobState.DONE,
            "failed": JobState.FAILED,
            "cancelled": JobState.FAILED,
        }

    def test_one_question_lists_the_newest_processes(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("processes"))
        assert brevo.poll("78").state is JobState.PENDING
        assert [request.target for request in vendor.requests] == ["/v3/processes?limit=50&offset=0&sort=desc"]

    def test_a_job_that_is_not_among_the_newest_is_asked_for_by_itself(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer({"count": 0})
        vendor.answer(answer("process_completed"))
        report = brevo.poll("78")
        assert (report.state, report.report_missing, report.errored) == (JobState.DONE, False, 0)
        assert vendor.requests[1].target == "/v3/processes/78"

    def test_a_job_that_is_nowhere_has_not_ended(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer({"count": 0, "processes": []})
        vendor.answer(answer("process_not_found"), 404)
        assert brevo.poll("78").state is JobState.PENDING

    def test_an_unknown_word_means_that_the_job_has_not_ended(
        self, brevo: Brevo, vendor: Vendor, caplog: pytest.LogCaptureFixture
    ) -> None:
        vendor.answer(listed({"id": 78, "status": "resting"}))
        with caplog.at_level(logging.WARNING):
            assert brevo.poll("78").state is JobState.PENDING
        assert "status unknown" in caplog.text

    @pytest.mark.parametrize("info", [None, {"import": {"invalid_emails": None}}])
    def test_nobody_in_a_cancelled_import_has_a_verdict(
        self, brevo: Brevo, vendor: Vendor, info: dict[str, Any] | None
    ) -> None:
        vendor.answer(listed({"id": 78, "status": "cancelled", "info": info}))
        assert brevo.poll("78") == JobReport(state=JobState.DONE, report_missing=True)

    @pytest.mark.parametrize(
        ("process", "words"),
        [
            (answer("process_failed"), "the file could not be read"),
            ({"id": 78, "status": "failed", "error": "no room for ann@example.com"}, "no room for …"),
        ],
    )
    def test_a_job_that_failed_says_why(
        self, brevo: Brevo, vendor: Vendor, process: dict[str, Any], words: str
    ) -> None:
        vendor.answer(listed(process))
        report = brevo.poll("78")
        assert (report.state, report.words) == (JobState.FAILED, words)

    def test_a_completed_job_without_reports_is_asked_for_once_more_and_then_has_no_verdict(
        self, brevo: Brevo, vendor: Vendor
    ) -> None:
        vendor.answer(listed(answer("process_without_info")))
        vendor.answer(answer("process_without_info"))
        report = brevo.poll("78")
        assert (report.state, report.report_missing, report.errored) == (JobState.DONE, True, None)
        assert len(vendor.requests) == 2


class TestReports:
    def completed(self, **values: object) -> dict[str, Any]:
        process = answer("process_completed")
        process["info"]["import"] |= values
        return listed(process)

    @pytest.mark.parametrize("link", ["{url}/invalid.csv?a=1&b=2", '<a href="{url}/invalid.csv?a=1&amp;b=2">file</a>'])
    def test_links_are_read_bare_and_in_html(self, brevo: Brevo, vendor: Vendor, link: str) -> None:
        vendor.answer(self.completed(invalid_emails=link.format(url=vendor.url)))
        vendor.answer(b"EMAIL;CITY\na@example;Split\n")
        report = brevo.poll("78")
        assert list(report.refusals) == [Refusal(email="a@example", words="invalid e-mail address")]
        assert (report.errored, report.report_missing) == (1, False)
        assert vendor.requests[1].target == "/invalid.csv?a=1&b=2"
        assert "api-key" not in vendor.requests[1].headers

    def test_someone_in_two_reports_is_refused_once(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(self.completed(invalid_emails=f"{vendor.url}/1", duplicate_phone_id=f"{vendor.url}/2"))
        vendor.answer(b"a@example.com\n")
        vendor.answer(b"A@example.com\nb@example.com\n")
        report = brevo.poll("78")
        assert [(refusal.email, refusal.words) for refusal in report.refusals] == [
            ("a@example.com", "invalid e-mail address"),
            ("b@example.com", "the telephone number belongs to another contact"),
        ]
        assert report.errored == 2

    @pytest.mark.parametrize("number", [3, "3"])
    def test_a_number_in_place_of_a_link_counts_people_nobody_names(
        self, brevo: Brevo, vendor: Vendor, number: object
    ) -> None:
        vendor.answer(self.completed(duplicate_email_id=number, duplicate_ext_id=0, invalid_emails=""))
        report = brevo.poll("78")
        assert (report.refusals, report.errored, report.report_missing) == ((), 3, False)

    @pytest.mark.parametrize("value", [["a@example.com"], {"url": "x"}, True, -1, "see the mail"])
    def test_what_stands_in_place_of_a_link_and_is_not_understood_is_a_missing_report(
        self, brevo: Brevo, vendor: Vendor, value: object
    ) -> None:
        vendor.answer(self.completed(invalid_emails=value))
        report = brevo.poll("78")
        assert (report.errored, report.report_missing) == (None, True)

    def test_one_report_that_cannot_be_read_leaves_the_others_standing(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(self.completed(invalid_emails=f"{vendor.url}/1", duplicate_phone_id=f"{vendor.url}/2"))
        vendor.answer(b"EMAIL\na@example.com\n")
        vendor.answer(b"gone", 404)
        report = brevo.poll("78")
        assert [refusal.email for refusal in report.refusals] == ["a@example.com"]
        assert (report.report_missing, report.errored) == (True, None)


class TestPace:
    def test_a_429_waits_as_long_as_the_hour_lasts(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("throttled"), 429, {"x-sib-ratelimit-remaining": "0", "x-sib-ratelimit-reset": "1800"})
        with pytest.raises(ThrottledError) as caught:
            brevo.poll("78")
        assert (caught.value.wait_s, caught.value.polls_only) == (1800.0, True)
        assert (brevo.polls_not_before_s, brevo.not_before_s) == (1800.0, None)

    def test_a_429_to_an_import_holds_everything(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("throttled"), 429, {"x-sib-ratelimit-remaining": "0", "x-sib-ratelimit-reset": "1"})
        with pytest.raises(ThrottledError) as caught:
            brevo.submit("42", CONTACTS)
        assert not caught.value.polls_only
        assert (brevo.polls_not_before_s, brevo.not_before_s) == (None, 1.0)

    @pytest.mark.parametrize(("remaining", "wait_s"), [(50, None), (20, 100.0), (1, 1050.0), (0, 2100.0)])
    def test_the_last_questions_of_an_hour_are_spread_over_the_rest_of_it(
        self, brevo: Brevo, vendor: Vendor, remaining: int, wait_s: float | None
    ) -> None:
        headers = {"x-sib-ratelimit-remaining": str(remaining), "x-sib-ratelimit-reset": "2100"}
        vendor.answer(answer("processes"), 200, headers)
        brevo.poll("78")
        assert (brevo.polls_not_before_s, brevo.not_before_s) == (wait_s, None)

    def test_imports_have_a_limit_of_their_own_and_no_reserve(self, brevo: Brevo, vendor: Vendor) -> None:
        headers = {"x-sib-ratelimit-remaining": "1", "x-sib-ratelimit-reset": "1"}
        vendor.answer(answer("import_accepted"), 202, headers)
        brevo.submit("42", CONTACTS)
        assert brevo.not_before_s is None

    def test_the_delays_between_questions_keep_to_the_hourly_limit(self) -> None:
        first, *_, last = Brevo.poll_delays_s
        assert first <= 5
        assert 3600 / last <= 100
