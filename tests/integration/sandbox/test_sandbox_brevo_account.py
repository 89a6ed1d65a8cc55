"""Keys, lists, attributes, members, opt-outs and rate limits of the Brevo sandbox."""

import time

import pytest
import requests

from infra.local.sandbox.brevo import BrevoSandbox
from tests.integration.sandbox.clients import BrevoClient, wait_until

LISTS = "/v3/contacts/lists"
ATTRIBUTES = "/v3/contacts/attributes"


@pytest.mark.parametrize("key", [None, "xsmtpsib-sandbox", "xkeysib-other"])
def test_a_wrong_or_missing_key_is_not_found_and_no_rate_limit_told(brevo, key):
    answer = brevo("GET", "/v3/account", headers={"api-key": key})
    assert answer.status_code == 401
    assert answer.json() == {"message": "Key not found", "code": "unauthorized"}
    assert "x-sib-ratelimit-limit" not in answer.headers


def test_a_blocked_address_is_refused_in_other_words(brevo):
    brevo.sandbox.faults.ip_blocked = True
    answer = brevo("GET", LISTS)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert "unrecognised IP address 127.0.0.1" in answer.json()["message"]
    assert "authorised_ips" in answer.json()["message"]


def test_the_account_tells_its_plan(brevo):
    account = brevo("GET", "/v3/account").json()
    assert account["email"]
    assert {"type", "credits", "creditsType"} <= account["plan"][0].keys()


def test_every_key_of_the_account_tells_the_same_organisation():
    with BrevoSandbox(other_keys=["xkeysib-second"], organization_id="5f2b8d7d1c9e4400000000ff") as sandbox:
        accounts = [
            requests.get(f"{sandbox.url}/v3/account", headers={"api-key": key}, timeout=5).json()
            for key in ("xkeysib-sandbox", "xkeysib-second")
        ]
    assert [account["organization_id"] for account in accounts] == ["5f2b8d7d1c9e4400000000ff"] * 2


def test_a_list_needs_name_and_folder(brevo):
    assert brevo("POST", LISTS, {"name": "x"}).json()["code"] == "missing_parameter"
    assert brevo("POST", LISTS, {"folderId": 1}).json()["code"] == "missing_parameter"
    assert brevo("POST", LISTS, {"name": "x", "folderId": 9}).status_code == 400
    folder = brevo("POST", "/v3/contacts/folders", {"name": "Mine"}).json()["id"]
    assert brevo("POST", LISTS, {"name": "x", "folderId": folder}).status_code == 201
    assert "Mine" in {one["name"] for one in brevo("GET", "/v3/contacts/folders").json()["folders"]}


def test_folders_come_newest_first_unless_asked_for_otherwise(brevo):
    brevo("POST", "/v3/contacts/folders", {"name": "Mine"})
    names = [[one["name"] for one in brevo("GET", f"/v3/contacts/folders{query}").json()["folders"]] for query in
             ("", "?sort=asc")]  # fmt: skip
    assert names == [["Mine", "Your First Folder"], ["Your First Folder", "Mine"]]


def test_list_ids_are_whole_numbers(brevo):
    assert brevo("GET", f"{LISTS}/abc").status_code == 400
    unknown = brevo("GET", f"{LISTS}/99")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "document_not_found")


def test_the_single_list_tells_subscribers_and_the_collection_tells_0(brevo):
    list_id = brevo.new_list()
    brevo.done(brevo.start([{"email": "a@example.com"}, {"email": "b@example.com"}], list_id))
    brevo("PUT", "/_sandbox/blocklist", {"email": ["a@example.com"]})
    single = brevo("GET", f"{LISTS}/{list_id}").json()
    assert (single["uniqueSubscribers"], single["totalSubscribers"], single["totalBlacklisted"]) == (2, 1, 1)
    [in_collection] = brevo("GET", LISTS).json()["lists"]
    assert in_collection["uniqueSubscribers"] == 2
    assert (in_collection["totalSubscribers"], in_collection["totalBlacklisted"]) == (0, 0)


def test_lists_come_in_pages_of_at_most_50(brevo):
    ids = [brevo.new_list() for _ in range(3)]
    page = brevo("GET", f"{LISTS}?limit=2&offset=1&sort=asc").json()
    assert (page["count"], [one["id"] for one in page["lists"]]) == (3, ids[1:])
    assert brevo("GET", f"{LISTS}?limit=51").status_code == 400


def test_counts_lag_behind_the_import(brevo):
    brevo.sandbox.faults.lag_s = 0.4
    list_id = brevo.new_list()
    brevo.done(brevo.start([{"email": "a@example.com"}], list_id))
    assert brevo("GET", f"{LISTS}/{list_id}").json()["uniqueSubscribers"] == 0
    wait_until(lambda: brevo("GET", f"{LISTS}/{list_id}").json()["uniqueSubscribers"] == 1)


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_members_come_in_pages_of_at_most_500(brevo, sort):
    list_id = brevo.new_list()
    emails = [f"p{number}@example.com" for number in range(5)]
    brevo.done(brevo.start([{"email": email} for email in emails], list_id))
    pages = [brevo("GET", f"{LISTS}/{list_id}/contacts?limit=2&offset={n}&sort={sort}").json() for n in (0, 2, 4)]
    members = [contact["email"] for page in pages for contact in page["contacts"]]
    assert members == (emails if sort == "asc" else emails[::-1])
    assert pages[0]["count"] == 5
    assert brevo("GET", f"{LISTS}/{list_id}/contacts?limit=501").status_code == 400


def test_default_attributes_are_named_in_the_language_of_the_account(brevo):
    names = [attribute["name"] for attribute in brevo("GET", ATTRIBUTES).json()["attributes"]]
    assert names == ["EMAIL", "FIRSTNAME", "LASTNAME", "SMS"]
    with BrevoSandbox(language="fr") as french:
        client = BrevoClient(french, {"api-key": "xkeysib-sandbox"})
        with client.session:
            names = [attribute["name"] for attribute in client("GET", ATTRIBUTES).json()["attributes"]]
    assert names == ["EMAIL", "PRENOM", "NOM", "SMS"]


def test_an_attribute_can_be_made_once(brevo):
    created = brevo("POST", f"{ATTRIBUTES}/normal/CITY", {"type": "text"})
    assert (created.status_code, created.content) == (201, b"")
    assert {"name": "CITY", "category": "normal", "type": "text"} in brevo("GET", ATTRIBUTES).json()["attributes"]
    assert brevo("POST", f"{ATTRIBUTES}/normal/CITY", {"type": "text"}).status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [("normal/city", {"type": "text"}), ("normal/CITY", {"type": "string"}), ("odd/CITY", {"type": "text"}),
     ("category/TIER", {})],
)  # fmt: skip
def test_attributes_have_rules(brevo, path, body):
    assert brevo("POST", f"{ATTRIBUTES}/{path}", body).status_code == 400


@pytest.fixture
def people(brevo):
    """A list with a, b and c."""
    list_id = brevo.new_list()
    brevo.done(brevo.start([{"email": f"{name}@example.com"} for name in "abc"], list_id))
    return list_id


def test_removal_succeeds_for_some_and_tells_both(brevo, people):
    emails = ["a@example.com", "nobody@example.com"]
    answer = brevo("POST", f"{LISTS}/{people}/contacts/remove", {"emails": emails})
    assert answer.status_code == 201
    assert answer.json() == {"contacts": {"success": ["a@example.com"], "failure": ["nobody@example.com"]}}
    assert [contact["email"] for contact in brevo.stored(people)] == ["b@example.com", "c@example.com"]


@pytest.mark.parametrize("action", ["add", "remove"])
def test_at_most_150_are_moved_at_once(brevo, people, action):
    emails = [f"p{number}@example.com" for number in range(151)]
    answer = brevo("POST", f"{LISTS}/{people}/contacts/{action}", {"emails": emails})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert "150" in answer.json()["message"]


def test_when_nobody_can_be_moved_it_is_an_error(brevo, people):
    added = brevo("POST", f"{LISTS}/{people}/contacts/add", {"emails": ["a@example.com", "nobody@example.com"]})
    assert added.status_code == 400
    assert added.json() == {
        "code": "invalid_parameter",
        "message": "Contact already in list and/or does not exist",
    }
    assert brevo("POST", f"{LISTS}/{people}/contacts/remove", {"ids": [999]}).status_code == 400


def test_contacts_are_moved_by_id_too(brevo, people):
    contact_id = brevo("GET", "/v3/contacts/a@example.com").json()["id"]
    other = brevo.new_list()
    added = brevo("POST", f"{LISTS}/{other}/contacts/add", {"ids": [contact_id]})
    assert added.json() == {"contacts": {"success": [contact_id], "failure": []}}
    assert [contact["email"] for contact in brevo.stored(other)] == ["a@example.com"]


def test_a_whole_list_is_emptied_by_a_process(brevo, people):
    answer = brevo("POST", f"{LISTS}/{people}/contacts/remove", {"all": True})
    assert answer.status_code == 201
    assert answer.json()["contacts"]["total"] == 3
    wait_until(lambda: brevo.process(answer.json()["contacts"]["processId"])["status"] == "completed")
    assert brevo.stored(people) == []


def test_the_blocklist_survives_imports_and_falls_to_single_contact_calls(brevo, people):
    def is_blocked(email):
        return brevo("GET", f"/v3/contacts/{email}").json()["emailBlacklisted"]

    brevo("PUT", "/_sandbox/blocklist", {"email": ["a@example.com", "b@example.com"]})
    brevo.done(brevo.start([{"email": "a@example.com", "attributes": {"FIRSTNAME": "x"}}], people))
    assert is_blocked("a@example.com")
    assert brevo("PUT", "/v3/contacts/a@example.com", {"emailBlacklisted": False}).status_code == 204
    assert not is_blocked("a@example.com")
    assert brevo("PUT", "/v3/contacts/b@example.com", {"attributes": {"EMAIL": "new@example.com"}}).ok
    assert not is_blocked("new@example.com")
    assert brevo("GET", "/v3/contacts/b@example.com").status_code == 404


def test_a_contact_cannot_take_the_identifier_of_another(brevo, people):
    answer = brevo("PUT", "/v3/contacts/a@example.com", {"attributes": {"EMAIL": "b@example.com"}})
    assert (answer.status_code, answer.json()["metadata"]) == (400, {"duplicate_identifiers": ["email"]})


def test_a_contact_is_taken_off_lists_by_unlinking(brevo, people):
    brevo("PUT", "/v3/contacts/a@example.com", {"unlinkListIds": [people]})
    assert len(brevo.stored(people)) == 2


def test_contact_routes_have_a_bucket_by_the_second(brevo):
    brevo.sandbox.faults.contacts_per_second = 2
    while (time.time() % 1) > 0.5:
        time.sleep(0.01)
    answers = [brevo("GET", LISTS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    headers = answers[2].headers
    names = ("x-sib-ratelimit-limit", "x-sib-ratelimit-remaining", "x-sib-ratelimit-reset")
    assert [headers[name] for name in names] == ["2", "0", "1"]
    assert brevo("GET", "/v3/account").status_code == 200
    time.sleep(1)
    assert brevo("GET", LISTS).status_code == 200


def test_contact_routes_have_a_bucket_by_the_hour_too(brevo):
    brevo.sandbox.faults.contacts_per_hour = 1
    assert [brevo("GET", LISTS).status_code for _ in range(2)] == [200, 429]
    assert int(brevo("GET", LISTS).headers["x-sib-ratelimit-reset"]) > 3000


def test_all_other_routes_share_a_slow_bucket_whose_hour_can_be_shortened(brevo):
    brevo.sandbox.faults.others_per_hour = 2
    brevo.sandbox.faults.hour_s = 0.5
    paths = ["/v3/account", "/v3/processes", "/v3/processes/1"]
    assert [brevo("GET", path).status_code for path in paths] == [200, 200, 429]
    assert brevo("GET", LISTS).status_code == 200
    time.sleep(0.5)
    assert brevo("GET", "/v3/account").status_code == 200


def test_real_limits_are_the_default():
    with BrevoSandbox() as sandbox:
        client = BrevoClient(sandbox, {"api-key": "xkeysib-sandbox"})
        with client.session:
            assert client("GET", "/v3/account").headers["x-sib-ratelimit-limit"] == "100"
            assert client("GET", LISTS).headers["x-sib-ratelimit-limit"] == "10"
