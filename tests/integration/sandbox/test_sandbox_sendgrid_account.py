"""Keys, lists, fields, look-ups, exports, removals, suppressions and rate limits of the SendGrid sandbox."""

import csv
import gzip
import json
import time

import pytest
import requests

from infra.local.sandbox.sendgrid import SendGridSandbox
from tests.integration.sandbox.clients import wait_until

LISTS = "/v3/marketing/lists"
FIELDS = "/v3/marketing/field_definitions"
SEARCH = "/v3/marketing/contacts/search/emails"
IDENTIFIERS = "/v3/marketing/contacts/search/identifiers"
UNKNOWN_ID = "4d1a5a3c-0000-4000-8000-000000000000"


@pytest.mark.parametrize("header", [None, "Bearer SG.other", "SG.sandbox"])
def test_a_wrong_or_missing_key_is_refused(sendgrid, header):
    answer = sendgrid("GET", "/v3/scopes", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json() == {"errors": [{"field": None, "message": "authorization required"}]}


def test_scopes_are_told(sendgrid):
    assert "marketing.read" in sendgrid("GET", "/v3/scopes").json()["scopes"]


def test_a_key_without_marketing_rights_may_only_read_its_scopes(sendgrid):
    sendgrid.sandbox.faults.scopes = ("mail.send",)
    answer = sendgrid("GET", LISTS)
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (403, "access forbidden")
    assert sendgrid("GET", "/v3/scopes").json() == {"scopes": ["mail.send"]}


@pytest.mark.parametrize(
    ("scope", "lists", "suppressions"), [("marketing.read", 200, 403), ("suppression.bounces.read", 403, 200)]
)
def test_lists_and_suppressions_need_a_right_each(sendgrid, scope, lists, suppressions):
    sendgrid.sandbox.faults.scopes = (scope,)
    assert sendgrid("GET", LISTS).status_code == lists
    assert sendgrid("GET", "/v3/suppression/bounces").status_code == suppressions


def test_every_key_of_the_account_tells_the_same_user():
    with SendGridSandbox(other_keys=["SG.second"], user_id=7) as sandbox:
        users = [
            requests.get(f"{sandbox.url}/v3/user/username", headers={"Authorization": f"Bearer {key}"}, timeout=5)
            for key in ("SG.sandbox", "SG.second")
        ]
    assert [user.json() for user in users] == [{"username": "sandbox", "user_id": 7}] * 2


def test_a_key_for_marketing_alone_may_not_ask_for_the_user(sendgrid):
    sendgrid.sandbox.faults.scopes = ("marketing.read",)
    answer = sendgrid("GET", "/v3/user/username")
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (403, "access forbidden")


def test_too_many_client_errors_block_the_key(sendgrid):
    sendgrid.sandbox.faults.block_after_4xx = 3
    statuses = [sendgrid("GET", f"{LISTS}/{UNKNOWN_ID}").status_code for _ in range(5)]
    assert statuses == [404, 404, 404, 403, 403]


def test_a_list_can_be_made_read_renamed_and_deleted(sendgrid):
    created = sendgrid("POST", LISTS, {"name": "People"})
    assert created.status_code == 201
    path = f"{LISTS}/{created.json()['id']}"
    assert len(created.json()["id"]) == 36
    assert sendgrid("GET", path).json() == created.json()
    assert sendgrid("PATCH", path, {"name": "Folks"}).json()["name"] == "Folks"
    assert sendgrid("DELETE", path).status_code == 204
    assert sendgrid("GET", path).status_code == 404


@pytest.mark.parametrize("name", ["", "x" * 101, None, 5])
def test_a_list_needs_a_name_of_1_to_100_characters(sendgrid, name):
    assert sendgrid("POST", LISTS, {"name": name}).status_code == 400


def test_no_two_lists_have_the_same_name(sendgrid):
    sendgrid.new_list("People")
    again = sendgrid("POST", LISTS, {"name": "People"})
    assert (again.status_code, again.json()["errors"][0]["field"]) == (400, "name")


def test_an_account_has_a_thousand_lists_at_most(sendgrid):
    sendgrid.sandbox.faults.rate_limit = 2_000
    statuses = [sendgrid("POST", LISTS, {"name": f"List {number}"}).status_code for number in range(1_001)]
    assert statuses == [201] * 1_000 + [400]


def test_contacts_survive_their_list_unless_they_are_to_go_too(sendgrid):
    kept, gone = sendgrid.new_list(), sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "kept@example.com"}], kept))
    sendgrid.done(sendgrid.upsert([{"email": "gone@example.com"}], gone, kept))
    assert sendgrid.done(sendgrid("DELETE", f"{LISTS}/{gone}?delete_contacts=true"))["results"]["deleted_count"] == 1
    assert sendgrid.stored(kept) == [{"email": "kept@example.com"}]
    sendgrid("DELETE", f"{LISTS}/{kept}")
    assert sendgrid("POST", SEARCH, {"emails": ["kept@example.com"]}).status_code == 200


def test_lists_come_in_pages(sendgrid):
    ids = [sendgrid.new_list(f"List {number}") for number in range(3)]
    first = sendgrid("GET", f"{LISTS}?page_size=2").json()
    assert [one["id"] for one in first["result"]] == ids[:2]
    token = first["_metadata"]["next"].partition("page_token=")[2]
    second = sendgrid("GET", f"{LISTS}?page_size=2&page_token={token}").json()
    assert [one["id"] for one in second["result"]] == ids[2:]
    assert "next" not in second["_metadata"]
    assert sendgrid("GET", f"{LISTS}?page_size=1001").status_code == 400


def test_reserved_fields_have_their_published_ids(sendgrid):
    reserved = {field["name"]: field for field in sendgrid("GET", FIELDS).json()["reserved_fields"]}
    assert [reserved[name]["id"] for name in ("first_name", "email", "country", "phone_number", "last_clicked")] == [
        "_rf0_T", "_rf2_T", "_rf9_T", "_rf10_T", "_rf16_D",
    ]  # fmt: skip
    assert reserved["contact_id"] == {"id": "_rf23_T", "name": "contact_id", "field_type": "Text", "read_only": True}
    assert reserved["phone_number_id"]["id"] == "_rf24_T"
    assert reserved["segment_ids"]["id"] == "_rf28_T"


def test_custom_field_ids_end_in_the_letter_of_their_type(sendgrid):
    ids = [sendgrid.new_field(f"field_{kind}", kind) for kind in ("Text", "Number", "Date")]
    assert [field_id[-2:] for field_id in ids] == ["_T", "_N", "_D"]
    assert [field["id"] for field in sendgrid("GET", FIELDS).json()["custom_fields"]] == ids
    assert sendgrid("DELETE", f"{FIELDS}/{ids[0]}").status_code == 204
    assert sendgrid("DELETE", f"{FIELDS}/{ids[0]}").status_code == 404
    assert [field["id"] for field in sendgrid("GET", FIELDS).json()["custom_fields"]] == ids[1:]


@pytest.mark.parametrize(
    ("name", "field_type"),
    [("1st", "Text"), ("a b", "Text"), ("", "Text"), ("x" * 101, "Text"), ("First_Name", "Text"), ("TIER", "Text"),
     ("ok", "Boolean"), (None, "Text")],
)  # fmt: skip
def test_custom_field_names_and_types_have_rules(sendgrid, name, field_type):
    sendgrid.new_field("tier", "Text")
    assert sendgrid("POST", FIELDS, {"name": name, "field_type": field_type}).status_code == 400


def test_counts_tell_list_and_account(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}], list_id))
    sendgrid.done(sendgrid.upsert([{"email": "b@example.com"}]))
    assert sendgrid("GET", f"{LISTS}/{list_id}/contacts/count").json() == {"contact_count": 1, "billable_count": 1}
    assert sendgrid("GET", "/v3/marketing/contacts/count").json() == {"contact_count": 2, "billable_count": 2}


def test_deleting_somebody_makes_no_fewer_to_be_billed(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}], list_id))
    sendgrid.done(sendgrid("DELETE", f"{LISTS}/{list_id}?delete_contacts=true"))
    sendgrid.done(sendgrid.upsert([{"email": "b@example.com"}]))
    assert sendgrid("GET", "/v3/marketing/contacts/count").json() == {"contact_count": 1, "billable_count": 2}


def test_counts_and_look_ups_lag_behind_the_job(sendgrid):
    sendgrid.sandbox.faults.lag_s = 0.5
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}], list_id))
    assert sendgrid("GET", f"{LISTS}/{list_id}").json()["contact_count"] == 0
    assert sendgrid("GET", "/v3/marketing/contacts/count").json()["contact_count"] == 0
    assert sendgrid("POST", SEARCH, {"emails": ["a@example.com"]}).status_code == 404
    wait_until(lambda: sendgrid("GET", f"{LISTS}/{list_id}").json()["contact_count"] == 1)
    wait_until(lambda: sendgrid("POST", SEARCH, {"emails": ["a@example.com"]}).status_code == 200)


def test_look_ups_find_by_address_in_any_case_and_say_who_is_missing(sendgrid):
    list_id, field = sendgrid.new_list(), sendgrid.new_field("tier", "Text")
    contact = {"email": "Ada@example.com", "first_name": "Ada", "custom_fields": {field: "gold"}}
    sendgrid.done(sendgrid.upsert([contact], list_id))
    result = sendgrid("POST", SEARCH, {"emails": ["ADA@example.com", "bob@example.com"]}).json()["result"]
    found = result["ada@example.com"]["contact"]
    assert (found["first_name"], found["list_ids"], found["custom_fields"]) == ("Ada", [list_id], {"tier": "gold"})
    assert result["bob@example.com"] == {"error": "contact not found"}


@pytest.mark.parametrize(
    ("emails", "status"),
    [(["nobody@example.com"], 404), (["not valid"], 400), (["x" * 90 + "@example.com"], 400),
     ([f"p{number}@example.com" for number in range(101)], 400)],
)  # fmt: skip
def test_look_ups_have_limits(sendgrid, emails, status):
    assert sendgrid("POST", SEARCH, {"emails": emails}).status_code == status


def test_look_ups_find_by_any_kind_of_identifier(sendgrid):
    long = "x" * 64 + "@" + "d" * 60 + ".com"
    sendgrid.done(sendgrid.upsert([{"email": long}, {"external_id": "E-1"}]))
    result = sendgrid("POST", f"{IDENTIFIERS}/email", {"identifiers": [long.upper(), "b@x.org"]}).json()["result"]
    assert result[long]["contact"]["email"] == long
    assert result["b@x.org"] == {"error": "contact not found"}
    result = sendgrid("POST", f"{IDENTIFIERS}/external_id", {"identifiers": ["E-1"]}).json()["result"]
    assert result["E-1"]["contact"]["external_id"] == "E-1"


@pytest.mark.parametrize(
    ("kind", "identifiers", "status"),
    [("email", ["nobody@example.com"], 404), ("email", [], 400), ("phone", ["a@example.com"], 400),
     ("email", [f"p{number}@example.com" for number in range(101)], 400)],
)  # fmt: skip
def test_look_ups_by_identifier_have_limits(sendgrid, kind, identifiers, status):
    assert sendgrid("POST", f"{IDENTIFIERS}/{kind}", {"identifiers": identifiers}).status_code == status


@pytest.mark.parametrize("kind", ["object", "list"])
def test_a_look_up_of_a_bad_address_names_its_place(sendgrid, kind):
    sendgrid.sandbox.faults.look_up_error = kind
    answer = sendgrid("POST", f"{IDENTIFIERS}/email", {"identifiers": ["a@example.com", "not valid"]})
    error = answer.json() if kind == "object" else answer.json()["errors"][0]
    assert (answer.status_code, error["field"]) == (400, "identifiers[1]")


def test_a_look_up_of_nobody_answers_an_error_alone_or_in_a_list(sendgrid):
    def asked(path, body):
        return sendgrid("POST", path, body).json()

    assert asked(f"{IDENTIFIERS}/email", {"identifiers": ["a@example.com"]}) == {"message": "not found"}
    in_a_list = {"errors": [{"field": None, "message": "not found"}]}
    assert asked(SEARCH, {"emails": ["a@example.com"]}) == in_a_list
    sendgrid.sandbox.faults.look_up_error = "list"
    assert asked(f"{IDENTIFIERS}/email", {"identifiers": ["a@example.com"]}) == in_a_list


def _ids(sendgrid, *emails):
    result = sendgrid("POST", SEARCH, {"emails": list(emails)}).json()["result"]
    return [result[email]["contact"]["id"] for email in emails]


def test_members_are_taken_off_a_list_by_id_and_stay_in_the_account(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}, {"email": "b@example.com"}], list_id))
    [contact_id] = _ids(sendgrid, "a@example.com")
    answer = sendgrid("DELETE", f"{LISTS}/{list_id}/contacts?contact_ids={contact_id}")
    assert answer.status_code == 202
    assert sendgrid.done(answer)["results"]["deleted_count"] == 1
    assert [contact["email"] for contact in sendgrid.stored(list_id)] == ["b@example.com"]
    assert sendgrid("POST", SEARCH, {"emails": ["a@example.com"]}).status_code == 200


def test_a_removal_job_may_refuse_somebody_and_says_so_in_its_file(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}, {"email": "b@example.com"}], list_id))
    ids = ",".join(_ids(sendgrid, "a@example.com", "b@example.com"))
    sendgrid.sandbox.faults.refuse_emails = frozenset({"b@example.com"})
    job = sendgrid.done(sendgrid("DELETE", f"{LISTS}/{list_id}/contacts?contact_ids={ids}"))
    assert (job["status"], job["results"]["deleted_count"], job["results"]["errored_count"]) == ("errored", 1, 1)
    assert requests.get(job["results"]["errors_url"], timeout=5).text.splitlines()[1].startswith("b@example.com,")
    assert [contact["email"] for contact in sendgrid.stored(list_id)] == ["b@example.com"]


def test_removing_an_unknown_contact_or_from_an_unknown_list_is_not_found(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}], list_id))
    [known] = _ids(sendgrid, "a@example.com")
    path = f"{LISTS}/{list_id}/contacts?contact_ids="
    assert sendgrid("DELETE", f"{path}{known},{UNKNOWN_ID}").status_code == 404
    assert sendgrid("DELETE", f"{path}nonsense").status_code == 404
    assert sendgrid("DELETE", f"{LISTS}/{UNKNOWN_ID}/contacts?contact_ids={known}").status_code == 404


def test_a_url_of_more_than_8_kilobytes_gets_an_html_page(sendgrid):
    ids = ",".join([UNKNOWN_ID] * 230)
    answer = sendgrid("DELETE", f"{LISTS}/{UNKNOWN_ID}/contacts?contact_ids={ids}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (414, "text/html")
    assert "nginx" in answer.text


@pytest.mark.parametrize("file_type", ["csv", "json"])
def test_an_export_leads_to_files_without_a_key(sendgrid, file_type):
    list_id, field = sendgrid.new_list(), sendgrid.new_field("tier", "Text")
    contact = {"email": "a@example.com", "city": 'Lon"don, UK', "custom_fields": {field: "gold"}}
    sendgrid.done(sendgrid.upsert([contact, {"email": "b@example.com"}], list_id))
    started = sendgrid("POST", "/v3/marketing/contacts/exports", {"list_ids": [list_id], "file_type": file_type})
    assert started.status_code == 202
    path = f"/v3/marketing/contacts/exports/{started.json()['id']}"
    wait_until(lambda: sendgrid("GET", path).json()["status"] == "ready")
    [url] = sendgrid("GET", path).json()["urls"]
    text = downloaded(url)
    if file_type == "csv":
        rows = list(csv.DictReader(text.splitlines()))
        people = [(row["EMAIL"], row["CITY"], row["tier"], row["CONTACT_ID"]) for row in rows]
    else:
        rows = [json.loads(line) for line in text.splitlines()]
        people = [
            (row["email"], row.get("city", ""), row.get("custom_fields", {}).get(field, ""), row["contact_id"])
            for row in rows
        ]
    ids = _ids(sendgrid, "a@example.com", "b@example.com")
    assert people == [("a@example.com", 'Lon"don, UK', "gold", ids[0]), ("b@example.com", "", "", ids[1])]


def downloaded(url):
    return gzip.decompress(requests.get(url, timeout=5).content).decode()


def exported(sendgrid, list_id, **more):
    """An export of a list, once it has ended."""
    started = sendgrid("POST", "/v3/marketing/contacts/exports", {"list_ids": [list_id], **more})
    path = f"/v3/marketing/contacts/exports/{started.json()['id']}"
    wait_until(lambda: sendgrid("GET", path).json()["status"] != "pending")
    return sendgrid("GET", path).json()


def test_a_long_export_is_split_into_files(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": f"p{number}@example.com"} for number in range(10)], list_id))
    assert len(exported(sendgrid, list_id, max_file_size=1)["urls"]) == 1
    sendgrid.sandbox.faults.export_file_bytes = 400
    files = [
        [row["EMAIL"] for row in csv.DictReader(downloaded(url).splitlines())]
        for url in exported(sendgrid, list_id)["urls"]
    ]
    assert len(files) > 2
    assert [email for emails in files for email in emails] == [f"p{number}@example.com" for number in range(10)]


def test_an_export_of_nobody_is_a_header(sendgrid):
    export = exported(sendgrid, sendgrid.new_list())
    assert (export["status"], export["contact_count"]) == ("ready", 0)
    assert [len(downloaded(url).splitlines()) for url in export["urls"]] == [1]


def test_an_export_may_fail_and_says_so(sendgrid):
    sendgrid.sandbox.faults.failed_exports = 1
    list_id = sendgrid.new_list()
    export = exported(sendgrid, list_id)
    assert (export["status"], export["message"], "urls" in export) == ("failure", "the export failed", False)
    assert exported(sendgrid, list_id)["status"] == "ready"


@pytest.mark.parametrize("size", [0, "20"])
def test_the_size_of_files_is_a_number_of_megabytes(sendgrid, size):
    body = {"list_ids": [sendgrid.new_list()], "max_file_size": size}
    assert sendgrid("POST", "/v3/marketing/contacts/exports", body).status_code == 400


def test_an_export_of_an_unknown_list_is_not_found(sendgrid):
    assert sendgrid("POST", "/v3/marketing/contacts/exports", {"list_ids": [UNKNOWN_ID]}).status_code == 404
    assert sendgrid("GET", f"/v3/marketing/contacts/exports/{UNKNOWN_ID}").status_code == 404


def test_suppressions_are_independent_of_contacts_and_survive_upserts(sendgrid):
    assert sendgrid("PUT", "/_sandbox/suppressions", {"unsubscribes": ["A@example.com"], "bounces": ["b@x.org"]}).ok
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}]))
    assert [entry["email"] for entry in sendgrid("GET", "/v3/suppression/unsubscribes").json()] == ["a@example.com"]
    [bounce] = sendgrid("GET", "/v3/suppression/bounces").json()
    assert bounce.keys() == {"created", "email", "reason", "status"}
    assert sendgrid("GET", "/v3/suppression/spam_reports").json() == []
    assert sendgrid("PUT", "/_sandbox/suppressions", {"opt_outs": []}).status_code == 400


def test_suppressions_come_in_pages(sendgrid):
    emails = [f"p{number}@example.com" for number in range(3)]
    sendgrid("PUT", "/_sandbox/suppressions", {"unsubscribes": emails})
    page = sendgrid("GET", "/v3/suppression/unsubscribes?limit=2&offset=1").json()
    assert [entry["email"] for entry in page] == emails[1:]
    assert sendgrid("GET", "/v3/suppression/unsubscribes?limit=501").status_code == 400


def test_every_reply_tells_the_rate_limit_and_too_many_requests_are_refused(sendgrid):
    sendgrid.sandbox.faults.rate_limit = 2
    answers = [sendgrid("GET", "/v3/scopes") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert 1 <= int(answers[2].headers["X-RateLimit-Reset"]) <= 60
    assert answers[2].json() == {"errors": [{"field": None, "message": "too many requests"}]}
    assert sendgrid("GET", LISTS).headers["X-RateLimit-Limit"] == "2"


def test_a_new_window_lets_requests_pass_again(sendgrid):
    sendgrid.sandbox.faults.rate_limit = 1
    sendgrid.sandbox.faults.rate_window_s = 0.3
    assert [sendgrid("GET", "/v3/scopes").status_code for _ in range(2)] == [200, 429]
    time.sleep(0.3)
    assert sendgrid("GET", "/v3/scopes").status_code == 200


def test_by_switch_the_reset_is_a_time(sendgrid):
    sendgrid.sandbox.faults.rate_reset = "epoch"
    reset = int(sendgrid("GET", "/v3/scopes").headers["X-RateLimit-Reset"])
    assert time.time() < reset <= time.time() + 61


def test_look_ups_have_a_limit_of_their_own(sendgrid):
    sendgrid.sandbox.faults.search_rate_limit = 1
    statuses = [sendgrid("POST", SEARCH, {"emails": ["a@example.com"]}).status_code for _ in range(2)]
    assert statuses == [404, 429]
