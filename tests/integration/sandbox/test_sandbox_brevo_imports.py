"""What an import to the Brevo sandbox refuses, takes, merges and reports."""

import json
import threading
import time

import pytest
import requests

from infra.local.sandbox.brevo.faults import SmsDuplicate
from infra.local.sandbox.faults import ReportFile
from infra.local.sandbox.server import Reply, Server
from tests.integration.sandbox.clients import wait_until

IMPORT = "/v3/contacts/import"
ADA = {"email": "Ada@Example.com", "attributes": {"FIRSTNAME": "Ada"}}


def test_an_import_is_accepted_with_a_whole_number_and_ends_on_the_list(brevo):
    list_id = brevo.new_list()
    answer = brevo.start([ADA], list_id)
    assert answer.status_code == 202
    assert isinstance(answer.json()["processId"], int)
    process = brevo.done(answer)
    assert (process["name"], process["status"]) == ("IMPORTUSER", "completed")
    assert brevo.stored(list_id) == [{"email": "ada@example.com", "attributes": {"FIRSTNAME": "Ada"}}]


def test_a_body_over_10_megabytes_is_too_large(brevo):
    list_id = brevo.new_list()
    head, tail = b'{"jsonBody":[{"email":"a@x.org"}],"listIds":[%d],"filling":"' % list_id, b'"}'
    for size, status in ((10_000_000, 202), (10_000_001, 413)):
        body = head + b"x" * (size - len(head) - len(tail)) + tail
        assert brevo("POST", IMPORT, data=body).status_code == status


def test_an_import_without_source_is_refused(brevo):
    answer = brevo("POST", IMPORT, {"listIds": [brevo.new_list()]})
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_parameter")


def test_an_import_with_two_sources_is_refused(brevo):
    body = {"listIds": [brevo.new_list()], "jsonBody": [ADA], "fileBody": "EMAIL\na@example.com"}
    assert brevo("POST", IMPORT, body).status_code == 400


def test_an_import_without_list_is_refused(brevo):
    answer = brevo("POST", IMPORT, {"jsonBody": [ADA]})
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_parameter")


def test_list_ids_must_be_numbers(brevo):
    list_id = brevo.new_list()
    assert brevo("POST", IMPORT, {"jsonBody": [ADA], "listIds": [str(list_id)]}).status_code == 400


def test_an_import_without_any_valid_identifier_is_refused_in_the_documented_words(brevo):
    answer = brevo.start([{"email": "nonsense"}, {"attributes": {"FIRSTNAME": "x"}}], brevo.new_list())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert answer.json()["message"].startswith("We could not find any valid email or SMS or Contact ID in the file")


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_parameter"), (404, "document_not_found")])
def test_an_unknown_list_refuses_the_import_with_the_status_of_the_switch(brevo, status, code):
    brevo.sandbox.faults.unknown_list_status = status
    answer = brevo.start([ADA], 99)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_an_import_can_make_its_list(brevo):
    brevo.done(brevo("POST", IMPORT, {"jsonBody": [ADA], "newList": {"listName": "New", "folderId": 1}}))
    [made] = brevo("GET", "/v3/contacts/lists").json()["lists"]
    assert (made["name"], made["uniqueSubscribers"]) == ("New", 1)


def test_a_csv_body_is_read_with_its_types(brevo):
    brevo("POST", "/v3/contacts/attributes/normal/SCORE", {"type": "float"})
    list_id = brevo.new_list()
    text = "EMAIL;FIRSTNAME;SCORE\nada@example.com;Ada;1.5\nbob@example.com;Bob;many"
    brevo.done(brevo("POST", IMPORT, {"fileBody": text, "listIds": [list_id]}))
    assert [contact["attributes"] for contact in brevo.stored(list_id)] == [
        {"FIRSTNAME": "Ada", "SCORE": 1.5}, {"FIRSTNAME": "Bob"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"), [("p.csv", b"EMAIL;FIRSTNAME\na@x.org;Ada"), ("p.txt", b"EMAIL\tFIRSTNAME\na@x.org\tAda"),
                          ("p.json", b'[{"email":"a@x.org","attributes":{"FIRSTNAME":"Ada"}}]')],
)  # fmt: skip
def test_a_file_is_fetched_by_its_url(brevo, name, content):
    files = Server(lambda _: Reply(body=content))
    try:
        list_id = brevo.new_list()
        brevo.done(brevo("POST", IMPORT, {"fileUrl": f"{files.url}/{name}", "listIds": [list_id]}))
    finally:
        files.close()
    assert brevo.stored(list_id) == [{"email": "a@x.org", "attributes": {"FIRSTNAME": "Ada"}}]


@pytest.mark.parametrize(("switch", "status"), [("failed", "failed"), ("stuck", "in_process")])
def test_a_file_that_cannot_be_fetched_fails_or_sticks(brevo, switch, status):
    brevo.sandbox.faults.unreachable_file = switch
    files = Server(lambda _: Reply(status=404))
    try:
        answer = brevo("POST", IMPORT, {"fileUrl": f"{files.url}/p.csv", "listIds": [brevo.new_list()]})
        wait_until(lambda: brevo.process(answer.json()["processId"])["status"] == status)
    finally:
        files.close()


def test_unknown_attributes_and_wrong_types_are_dropped_silently(brevo):
    brevo("POST", "/v3/contacts/attributes/normal/SCORE", {"type": "float"})
    brevo("POST", "/v3/contacts/attributes/normal/MEMBER", {"type": "boolean"})
    brevo("POST", "/v3/contacts/attributes/normal/BORN", {"type": "date"})
    list_id = brevo.new_list()
    good = {"SCORE": 2, "MEMBER": True, "BORN": "1990-12-31", "FIRSTNAME": "Ada"}
    wrong = {"SCORE": "2", "MEMBER": "yes", "BORN": "someday", "FIRSTNAME": 5, "firstname": "Ada", "UNKNOWN": "x"}
    contacts = [{"email": "good@x.org", "attributes": good}, {"email": "wrong@x.org", "attributes": wrong}]
    assert all(link is None for link in brevo.done(brevo.start(contacts, list_id))["info"]["import"].values())
    assert [contact["attributes"] for contact in brevo.stored(list_id)] == [good, {}]


def test_a_category_takes_its_values_and_labels(brevo):
    enumeration = [{"value": 1, "label": "gold"}, {"value": 2, "label": "silver"}]
    assert brevo("POST", "/v3/contacts/attributes/category/TIER", {"enumeration": enumeration}).status_code == 201
    list_id = brevo.new_list()
    tiers = [1, "silver", 3, "bronze"]
    contacts = [{"email": f"p{n}@example.com", "attributes": {"TIER": tier}} for n, tier in enumerate(tiers)]
    brevo.done(brevo.start(contacts, list_id))
    assert [contact["attributes"].get("TIER") for contact in brevo.stored(list_id)] == [1, 2, None, None]


def test_existing_contacts_are_updated_only_when_asked(brevo):
    list_id, other = brevo.new_list(), brevo.new_list()
    brevo.done(brevo.start([ADA], list_id))
    changed = {"email": "ada@example.com", "attributes": {"FIRSTNAME": "Eve"}}
    brevo.done(brevo.start([changed], other, updateExistingContacts=False))
    assert brevo.stored(other)[0]["attributes"] == {"FIRSTNAME": "Ada"}
    brevo.done(brevo.start([changed], list_id))
    assert brevo.stored(list_id)[0]["attributes"] == {"FIRSTNAME": "Eve"}


@pytest.mark.parametrize(("erases", "kept"), [(False, {"FIRSTNAME": "Ada"}), (True, {})])
def test_empty_values_keep_or_erase(brevo, erases, kept):
    list_id = brevo.new_list()
    brevo.done(brevo.start([ADA], list_id))
    empty = {"email": "ada@example.com", "attributes": {"FIRSTNAME": ""}}
    brevo.done(brevo.start([empty], list_id, emptyContactsAttributes=erases))
    assert brevo.stored(list_id)[0]["attributes"] == kept


def test_a_bad_row_is_reported_elsewhere_and_the_others_are_taken(brevo):
    list_id = brevo.new_list()
    process = brevo.done(brevo.start([ADA, {"email": "nonsense"}], list_id))
    url = process["info"]["import"]["invalid_emails"]
    assert process["status"] == "completed"
    assert not url.startswith(brevo.sandbox.url)
    assert requests.get(url, timeout=5).text == "EMAIL\nnonsense\n"
    assert process["info"]["import"]["duplicate_phone_id"] is None
    assert len(brevo.stored(list_id)) == 1


def test_rows_can_be_refused_and_reports_can_be_missing(brevo):
    brevo.sandbox.faults.refuse_emails = {"bob@example.com"}
    brevo.sandbox.faults.report_file = ReportFile.MISSING
    process = brevo.done(brevo.start([ADA, {"email": "bob@example.com"}], brevo.new_list()))
    assert requests.get(process["info"]["import"]["invalid_emails"], timeout=5).status_code == 404


def test_by_switch_processes_tell_numbers_instead_of_links(brevo):
    brevo.sandbox.faults.report_numbers = True
    reports = brevo.done(brevo.start([ADA, {"email": "nonsense"}], brevo.new_list()))["info"]["import"]
    assert (reports["invalid_emails"], reports["duplicate_phone_id"]) == (1, 0)


def _person(name, sms):
    return {"email": f"{name}@example.com", "attributes": {"FIRSTNAME": name, "SMS": sms}}


@pytest.mark.parametrize(
    ("switch", "emails"), [(SmsDuplicate.REPORT, ["a@example.com"]), (SmsDuplicate.MERGE, ["b@example.com"])]
)
def test_a_phone_number_belongs_to_one_contact(brevo, switch, emails):
    brevo.sandbox.faults.sms_duplicates = switch
    list_id = brevo.new_list()
    brevo.done(brevo.start([_person("a", "+33612345678")], list_id))
    process = brevo.done(brevo.start([_person("b", "0033612345678")], list_id))
    assert [contact["email"] for contact in brevo.stored(list_id)] == emails
    assert brevo.stored(list_id)[0]["attributes"]["SMS"] == "33612345678"
    assert (process["info"]["import"]["duplicate_phone_id"] is None) == (switch == SmsDuplicate.MERGE)


def test_a_contact_with_only_a_phone_gets_a_made_up_address(brevo):
    list_id = brevo.new_list()
    brevo.done(brevo.start([{"attributes": {"SMS": "33612345678"}}], list_id))
    assert brevo.stored(list_id)[0]["email"] == "33612345678@mailin-sms.com"


def test_a_process_is_queued_then_at_work_then_completed(brevo):
    brevo.sandbox.faults.job_delay_s = 0.8
    process_id = brevo.start([ADA], brevo.new_list()).json()["processId"]
    seen = []
    while not seen or seen[-1] != "completed":
        process = brevo.process(process_id)
        assert ("info" in process) == (process["status"] == "completed")
        if not seen or seen[-1] != process["status"]:
            seen.append(process["status"])
        time.sleep(0.02)
    assert seen == ["queued", "in_process", "completed"]


def test_a_parallel_import_sticks_for_ever_and_a_later_one_passes(brevo):
    brevo.sandbox.faults.job_delay_s = 0.5
    list_id = brevo.new_list()
    first = brevo.start([ADA], list_id)
    second = brevo.start([{"email": "bob@example.com"}], list_id).json()["processId"]
    brevo.done(first)
    brevo.done(brevo.start([{"email": "eve@example.com"}], list_id))
    assert brevo.process(second)["status"] == "queued"
    assert [contact["email"] for contact in brevo.stored(list_id)] == ["ada@example.com", "eve@example.com"]


def test_by_switch_parallel_imports_wait_for_each_other(brevo):
    brevo.sandbox.faults.parallel_imports_stick = False
    brevo.sandbox.faults.job_delay_s = 0.2
    list_id = brevo.new_list()
    for answer in [brevo.start([ADA], list_id), brevo.start([{"email": "bob@example.com"}], list_id)]:
        brevo.done(answer)
    assert len(brevo.stored(list_id)) == 2


def test_a_process_can_fail_and_takes_nobody(brevo):
    brevo.sandbox.faults.failed_jobs = 1
    list_id = brevo.new_list()
    assert brevo.done(brevo.start([ADA], list_id))["status"] == "failed"
    assert brevo.stored(list_id) == []
    assert brevo.done(brevo.start([ADA], list_id))["status"] == "completed"


def test_a_process_that_was_cancelled_may_have_done_its_work(brevo):
    brevo.sandbox.faults.cancelled_jobs = 1
    list_id = brevo.new_list()
    process = brevo.done(brevo.start([ADA], list_id))
    assert (process["status"], "info" in process) == ("cancelled", False)
    assert len(brevo.stored(list_id)) == 1


def test_an_unknown_process_is_not_found_in_the_documented_words(brevo):
    for process_id in ("99", "x"):
        answer = brevo("GET", f"/v3/processes/{process_id}")
        assert answer.status_code == 404
        assert answer.json() == {"code": "invalid_parameter", "message": "processId is invalid"}


def test_one_call_tells_all_processes_the_newest_first(brevo):
    list_id = brevo.new_list()
    ids = [brevo.done(brevo.start([ADA], list_id))["id"] for _ in range(3)]
    newest = brevo("GET", "/v3/processes?limit=2").json()
    assert (newest["count"], [process["id"] for process in newest["processes"]]) == (3, [ids[2], ids[1]])
    assert brevo("GET", "/v3/processes?sort=asc&offset=2").json()["processes"][0]["id"] == ids[2]
    assert brevo("GET", "/v3/processes?limit=51").status_code == 400


@pytest.mark.parametrize(("with_form", "body"), [(False, b""), (True, b"proc_success=1")])
def test_the_callback_has_no_body_unless_switched_on(brevo, with_form, body):
    brevo.sandbox.faults.notify_with_form = with_form
    called = threading.Event()
    seen = []

    def answer(request):
        seen.append((request.method, request.target, request.body))
        called.set()
        return Reply(status=204)

    listener = Server(answer)
    try:
        brevo.start([ADA], brevo.new_list(), notifyUrl=f"{listener.url}/done/secret")
        assert called.wait(10)
    finally:
        listener.close()
    assert seen == [("POST", "/done/secret", body)]


def test_each_import_mails_the_owner_unless_told_not_to(brevo):
    list_id = brevo.new_list()
    brevo.done(brevo.start([ADA], list_id, disableNotification=True))
    assert brevo("GET", "/_sandbox/requests").json()["notification_mails"] == 0
    brevo.done(brevo.start([ADA], list_id))
    assert brevo("GET", "/_sandbox/requests").json()["notification_mails"] == 1


def test_an_import_can_blocklist_everyone_and_none_lifts_a_block(brevo):
    list_id = brevo.new_list()
    brevo.done(brevo.start([ADA], list_id, emailBlacklist=True))
    brevo.done(brevo.start([ADA], list_id, emailBlacklist=False))
    assert brevo("GET", "/_sandbox/blocklist").json() == {"email": ["ada@example.com"], "sms": []}
    assert brevo("GET", f"/v3/contacts/lists/{list_id}").json()["totalBlacklisted"] == 1


def test_loose_addresses_are_taken(brevo):
    list_id = brevo.new_list()
    brevo.done(brevo.start([{"email": "harry6#@example.com"}], list_id))
    assert json.dumps(brevo.stored(list_id)).count("harry6#") == 1
