import json
import logging
from typing import Any

import pytest

from exporters.errors import AccessError, ConfigError, ExporterError, RefusedError, ThrottledError, TransientError
from exporters.model.export import Mapping
from exporters.model.fields import FieldType, StandardField, email_field
from exporters.providers.base import JobState, Refusal
from exporters.providers.http import Window
from exporters.providers.sendgrid import JOB_STATES, SendGrid, read_window
from tests.unit.providers.answers import recorded
from tests.unit.providers.conftest import KEY, NOW, Vendor, connection

LIST = "abc12300-0000-4000-8000-0000000000de"
JOB = "3bfdc2b6-7c3a-4c0e-9c7b-2f9f1f0f6c11"
CONTACTS = [b'{"email":"a@example.com"}', b'{"email":"b@example.com"}', b'{"email":"c@example.com"}']


def answer(name: str) -> Any:
    return recorded("sendgrid", name)


class TestCheckAccess:
    def test_list_and_standard_fields_take_one_question(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("list"))
        mapping = Mapping(email="EMail", **{field: f"column {field}" for field in StandardField if field != "phone"})
        access = sendgrid.check_access(LIST, mapping)
        assert (access.list_name, access.list_count) == ("Newsletter", 1203)
        assert access.shape.email == email_field("EMail")
        assert {field.path: field.max_chars for field in access.shape.fields} == {
            ("first_name",): 50,
            ("last_name",): 50,
            ("address_line_1",): 100,
            ("address_line_2",): 100,
            ("city",): 60,
            ("state_province_region",): 50,
            ("postal_code",): None,
            ("country",): 50,
        }
        assert [(request.method, request.target) for request in vendor.requests] == [
            ("GET", f"/v3/marketing/lists/{LIST}")
        ]

    def test_the_key_travels_as_a_bearer_token(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("list"))
        sendgrid.check_access(LIST, Mapping(email="EMail"))
        assert vendor.requests[0].headers["Authorization"] == f"Bearer {KEY.get_secret_value()}"

    def test_custom_fields_are_found_by_name_without_regard_to_case(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("list"))
        vendor.answer(answer("field_definitions"))
        mapping = Mapping(email="EMail", custom={"TIER": "Level", "Points": "Score", "birthday": "Born"})
        fields = sendgrid.check_access(LIST, mapping).shape.fields
        assert {field.path: (field.source.column, field.type, field.max_chars) for field in fields} == {
            ("custom_fields", "w1_T"): ("Level", FieldType.TEXT, 1000),
            ("custom_fields", "e2_N"): ("Score", FieldType.NUMBER, None),
            ("custom_fields", "e3_D"): ("Born", FieldType.DATE, None),
        }
        assert {field.date_format for field in fields} == {"%m/%d/%Y"}

    def test_all_faults_of_a_mapping_are_told_at_once_with_what_exists(
        self, sendgrid: SendGrid, vendor: Vendor
    ) -> None:
        vendor.answer(answer("list"))
        vendor.answer(answer("field_definitions"))
        mapping = Mapping(
            email="EMail", phone="Phone", custom={"Teir": "a", "last_clicked": "b", "points": "c", "POINTS": "d"}
        )
        with pytest.raises(ConfigError) as caught:
            sendgrid.check_access(LIST, mapping)
        assert str(caught.value) == (
            "The mapping does not fit the SendGrid account: "
            "it takes no phone on contacts: map the column to a custom field instead; "
            'there is no custom field "Teir" (did you mean "Tier"?); '
            '"last_clicked" is a reserved field: map it as a standard field, or leave it out; '
            'custom field "points" is mapped twice; '
            "custom fields there: Tier, birthday, points."
        )

    def test_an_account_without_custom_fields_says_so(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("list"))
        vendor.answer({"reserved_fields": []})
        with pytest.raises(ConfigError, match="custom fields there: none"):
            sendgrid.check_access(LIST, Mapping(email="EMail", custom={"Tier": "Level"}))

    def test_a_custom_field_of_a_new_type_is_not_guessed_at(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("list"))
        vendor.answer({"custom_fields": [{"id": "e1_B", "name": "member", "field_type": "Boolean"}]})
        with pytest.raises(ConfigError, match="has the type 'Boolean'"):
            sendgrid.check_access(LIST, Mapping(email="EMail", custom={"member": "Member"}))

    def test_field_names_of_the_connection_do_not_apply(self, vendor: Vendor) -> None:
        vendor.answer(answer("list"))
        provider = SendGrid(
            connection("sendgrid", field_names={"first_name": "PRENOM"}), KEY, base_url=vendor.url, now=lambda: NOW
        )
        with pytest.raises(ConfigError, match="field_names"):
            provider.check_access(LIST, Mapping(email="EMail"))

    @pytest.mark.parametrize("list_id", ["42", "newsletter", "../contacts", f"{LIST}/contacts", ""])
    def test_what_is_no_list_id_is_told_before_any_request(
        self, sendgrid: SendGrid, vendor: Vendor, list_id: str
    ) -> None:
        with pytest.raises(ConfigError, match="which is a UUID"):
            sendgrid.check_access(list_id, Mapping(email="EMail"))
        assert not vendor.requests

    @pytest.mark.parametrize(
        ("status", "name", "family", "remedy"),
        [
            (401, "unauthorized", AccessError, "store a valid one"),
            (403, "forbidden", AccessError, "full access to Marketing"),
            (404, "not_found", ConfigError, "the list does not exist"),
            (429, "throttled", ThrottledError, "everything on this account waits"),
        ],
    )
    def test_each_refusal_comes_with_its_remedy(
        self, sendgrid: SendGrid, vendor: Vendor, status: int, name: str, family: type[ExporterError], remedy: str
    ) -> None:
        vendor.answer(answer(name), status)
        with pytest.raises(family, match=remedy):
            sendgrid.check_access(LIST, Mapping(email="EMail"))


class TestSubmit:
    @pytest.mark.parametrize("status", [200, 202])
    def test_any_good_status_with_a_job_id_is_a_started_job(
        self, sendgrid: SendGrid, vendor: Vendor, status: int
    ) -> None:
        vendor.answer(answer("import_accepted"), status)
        assert sendgrid.submit(LIST, CONTACTS) == JOB
        request = vendor.requests[0]
        assert (request.method, request.target) == ("PUT", "/v3/marketing/contacts")
        assert request.headers["Content-Type"] == "application/json"
        assert json.loads(request.body) == {"list_ids": [LIST], "contacts": [json.loads(item) for item in CONTACTS]}

    def test_the_body_is_the_envelope_around_the_contacts_and_not_a_byte_more(
        self, sendgrid: SendGrid, vendor: Vendor
    ) -> None:
        vendor.answer(answer("import_accepted"))
        sendgrid.submit(LIST, CONTACTS)
        envelope = sendgrid.envelope(LIST)
        assert vendor.requests[0].body == envelope.head + b",".join(CONTACTS) + envelope.tail

    def test_addresses_named_in_a_400_are_the_rows_at_fault_and_are_not_quoted(
        self, sendgrid: SendGrid, vendor: Vendor
    ) -> None:
        vendor.answer(answer("refused_addresses"), 400)
        with pytest.raises(RefusedError) as caught:
            sendgrid.submit(LIST, CONTACTS)
        assert caught.value.rows == {0: "email … is not valid", 2: "email … is not valid"}

    def test_rows_that_the_request_does_not_have_are_not_believed(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("refused_addresses"), 400)
        with pytest.raises(RefusedError) as caught:
            sendgrid.submit(LIST, CONTACTS[:2])
        assert set(caught.value.rows) == {0}

    @pytest.mark.parametrize("body", [answer("refused_json"), [], {"errors": "?"}, b"<html>400</html>"])
    def test_a_400_that_names_no_row_refuses_the_whole_request(
        self, sendgrid: SendGrid, vendor: Vendor, body: object
    ) -> None:
        vendor.answer(body, 400)
        with pytest.raises(RefusedError) as caught:
            sendgrid.submit(LIST, CONTACTS)
        assert caught.value.rows == {}

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (answer("refused_custom_fields"), "custom field was deleted"),
            ({"errors": [{"field": "list_ids[0]", "message": "not found"}]}, "the list does not exist"),
        ],
    )
    def test_a_400_about_settings_is_no_fault_of_the_contacts(
        self, sendgrid: SendGrid, vendor: Vendor, body: object, words: str
    ) -> None:
        vendor.answer(body, 400)
        with pytest.raises(ConfigError, match=words):
            sendgrid.submit(LIST, CONTACTS)

    def test_a_request_that_is_too_large_could_pass_in_parts(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(b"<html>413</html>", 413)
        with pytest.raises(RefusedError):
            sendgrid.submit(LIST, CONTACTS)

    @pytest.mark.parametrize("body", [b'{"job_id": "3bf', b"<html>", {}, {"job_id": None}, []])
    def test_a_good_status_without_a_job_id_leaves_it_open_whether_a_job_was_started(
        self, sendgrid: SendGrid, vendor: Vendor, body: object
    ) -> None:
        vendor.answer(body, 202)
        with pytest.raises(TransientError):
            sendgrid.submit(LIST, CONTACTS)

    def test_an_answer_that_used_up_the_limit_says_when_to_come_back(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("import_accepted"), 202, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "17"})
        assert sendgrid.not_before_s is None
        sendgrid.submit(LIST, CONTACTS)
        assert sendgrid.not_before_s == 17.0


class TestPoll:
    def test_the_words_of_the_contract_are_all_known(self) -> None:
        assert JOB_STATES == {
            "pending": JobState.PENDING,
            "completed": JobState.DONE,
            "errored": JobState.DONE,
            "failed": JobState.FAILED,
        }

    @pytest.mark.parametrize(("name", "state"), [("job_pending", JobState.PENDING), ("job_completed", JobState.DONE)])
    def test_the_status_decides_whatever_the_counts_say(
        self, sendgrid: SendGrid, vendor: Vendor, name: str, state: JobState
    ) -> None:
        vendor.answer(answer(name))
        report = sendgrid.poll(JOB)
        assert (report.state, report.refusals, report.report_missing) == (state, (), False)
        assert vendor.requests[0].target == f"/v3/marketing/contacts/imports/{JOB}"

    def test_an_unknown_word_means_that_the_job_has_not_ended(
        self, sendgrid: SendGrid, vendor: Vendor, caplog: pytest.LogCaptureFixture
    ) -> None:
        vendor.answer(answer("job_completed") | {"status": "resting"})
        with caplog.at_level(logging.WARNING):
            assert sendgrid.poll(JOB).state is JobState.PENDING
        assert "status unknown" in caplog.text

    @pytest.mark.parametrize("status", [400, 404])
    def test_a_job_that_is_not_known_yet_has_not_ended(self, sendgrid: SendGrid, vendor: Vendor, status: int) -> None:
        vendor.answer(answer("not_found"), status)
        assert sendgrid.poll(JOB).state is JobState.PENDING

    @pytest.mark.parametrize("job_type", ["upsert", "delete", "anything", None])
    def test_the_type_of_a_job_is_never_read(self, sendgrid: SendGrid, vendor: Vendor, job_type: str | None) -> None:
        vendor.answer(answer("job_completed") | {"job_type": job_type})
        assert sendgrid.poll(JOB).state is JobState.DONE

    def test_contacts_in_the_error_report_are_refused_and_the_key_stays_home(
        self, sendgrid: SendGrid, vendor: Vendor
    ) -> None:
        job = answer("job_errored")
        job["results"]["errors_url"] = f"{vendor.url}/errors.csv?signature=abc"
        vendor.answer(job)
        vendor.answer(b"email,error\na@example.com,invalid date\nb@example.com,invalid number\n")
        report = sendgrid.poll(JOB)
        assert report.state is JobState.DONE
        assert list(report.refusals) == [
            Refusal(email="a@example.com", words="invalid date"),
            Refusal(email="b@example.com", words="invalid number"),
        ]
        assert (report.errored, report.report_missing) == (2, False)
        assert "Authorization" not in vendor.requests[1].headers

    @pytest.mark.parametrize("body", [b"line,code\n1,E17\n", b"", b"<html>expired</html>"])
    def test_a_report_that_cannot_be_read_leaves_the_count(
        self, sendgrid: SendGrid, vendor: Vendor, body: bytes
    ) -> None:
        job = answer("job_errored")
        job["results"]["errors_url"] = f"{vendor.url}/errors.csv"
        vendor.answer(job)
        vendor.answer(body)
        report = sendgrid.poll(JOB)
        assert (report.state, report.report_missing, report.errored) == (JobState.DONE, True, 2)

    @pytest.mark.parametrize("results", [None, {}, {"errored_count": 0}])
    def test_an_errored_job_without_a_report_is_not_taken_for_a_clean_one(
        self, sendgrid: SendGrid, vendor: Vendor, results: object
    ) -> None:
        vendor.answer(answer("job_errored") | {"results": results})
        assert sendgrid.poll(JOB).report_missing

    def test_a_failed_job_gives_the_words_of_its_report(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        job = answer("job_failed")
        job["results"]["errors_url"] = f"{vendor.url}/errors.csv"
        vendor.answer(job)
        vendor.answer(b"email,reason\na@example.com,you have hit your contact limit\n")
        report = sendgrid.poll(JOB)
        assert (report.state, report.words) == (JobState.FAILED, "you have hit your contact limit")

    def test_a_failed_job_gives_the_words_of_its_answer(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("job_failed") | {"errors": [{"message": "you have hit your contact limit"}]})
        report = sendgrid.poll(JOB)
        assert (report.state, report.words) == (JobState.FAILED, "you have hit your contact limit")

    def test_a_failed_job_without_a_report_has_failed_all_the_same(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("job_failed"))
        assert sendgrid.poll(JOB).state is JobState.FAILED


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("9", 9.0), ("0", 0.0), (str(int(NOW) + 24), 24.0), (str(int(NOW) - 24), 0.0), ("soon", None), ("", None)],
)
def test_a_reset_is_read_as_seconds_or_as_a_unix_time(reset: str, seconds: float | None) -> None:
    headers = {"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": reset}
    assert read_window(headers, NOW) == Window(remaining=3, reset_s=seconds)


@pytest.mark.parametrize(("reset", "wait_s"), [("0", 1.0), ("9", 9.0), ("86400", 300.0), (str(int(NOW) + 24), 24.0)])
def test_a_429_waits_for_1_to_300_seconds(sendgrid: SendGrid, vendor: Vendor, reset: str, wait_s: float) -> None:
    vendor.answer(answer("throttled"), 429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})
    with pytest.raises(ThrottledError) as caught:
        sendgrid.submit(LIST, CONTACTS)
    assert caught.value.wait_s == wait_s
