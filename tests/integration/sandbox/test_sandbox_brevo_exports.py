"""All contacts of the Brevo sandbox, in pages and as files."""

import csv
import html
import re

import pytest
import requests

from tests.integration.sandbox.clients import wait_until

EXPORT = "/v3/contacts/export"
BLOCKLIST = "/_sandbox/blocklist"
EVER = "2000-01-01T00:00:00.000Z"


@pytest.fixture
def people(brevo):
    """A list with three people, of whom the second is blocklisted; a fourth, too, who is on no list."""
    list_id = brevo.new_list()
    brevo.done(brevo.start([{"email": f"{name}@example.com"} for name in "abc"], list_id))
    brevo("PUT", BLOCKLIST, {"email": ["b@example.com", "d@example.com"]})
    return list_id


def exported(brevo, action="unsubscribed", **more):
    """The rows of a file of contacts."""
    answer = brevo("POST", EXPORT, {"customContactFilter": {"actionForContacts": action, **more}})
    process = brevo.done(answer)
    assert (process["name"], process["status"]) == ("SEARCH_EXPORT_USERS_API", "completed")
    return list(csv.DictReader(download(process["export_url"]).splitlines()))


def download(link):
    href = re.search('href="([^"]+)"', link)
    return requests.get(html.unescape(href[1]) if href else link, timeout=5).text


def test_all_contacts_come_in_pages_the_newest_first(brevo, people):
    first = brevo("GET", "/v3/contacts?limit=3").json()
    second = brevo("GET", "/v3/contacts?limit=3&offset=3").json()
    contacts = first["contacts"] + second["contacts"]
    assert [contact["email"][0] for contact in contacts] == ["d", "c", "b", "a"]
    assert [contact["emailBlacklisted"] for contact in contacts] == [True, False, True, False]
    assert (first["count"], second["count"]) == (4, 4)
    assert brevo("GET", "/v3/contacts?limit=1001").status_code == 400


def test_a_file_names_who_is_blocklisted_wherever_they_are(brevo, people):
    assert [row["EMAIL"] for row in exported(brevo, createdSince=EVER)] == ["d@example.com", "b@example.com"]


def test_a_file_of_one_list_names_its_members(brevo, people):
    assert [row["EMAIL"] for row in exported(brevo, listId=people)] == ["b@example.com"]
    subscribed = exported(brevo, "subscribed", listId=people)
    assert [row["EMAIL"] for row in subscribed] == ["c@example.com", "a@example.com"]
    assert len(exported(brevo, "allContacts", listId=people)) == 3


def test_where_nobody_matches_there_is_no_process(brevo, people):
    for more in ({"createdSince": "2999-01-01T00:00:00Z"}, {"modifiedSince": "2999-01-01T00:00:00+02:00"}):
        answer = brevo("POST", EXPORT, {"customContactFilter": {"actionForContacts": "unsubscribed", **more}})
        assert (answer.status_code, answer.json()) == (200, {})


def test_columns_are_the_mandatory_ones_and_those_asked_for(brevo, people):
    wanted = {"customContactFilter": {"actionForContacts": "unsubscribed", "createdSince": EVER}}
    with_city = brevo.done(brevo("POST", EXPORT, {**wanted, "exportAttributes": ["FIRSTNAME"]}))
    assert download(with_city["export_url"]).startswith("EMAIL,ADDED_TIME,MODIFIED_TIME,FIRSTNAME\n")
    bare = {"exportAttributes": ["EMAIL"], "exportMandatoryAttributes": False}
    assert download(brevo.done(brevo("POST", EXPORT, {**wanted, **bare}))["export_url"]).startswith("EMAIL\nd@")


@pytest.mark.parametrize(("kind", "beginning"), [("html", '<a href="http://'), ("url", "http://")])
def test_the_link_comes_in_two_forms(brevo, people, kind, beginning):
    brevo.sandbox.faults.export_link = kind
    wanted = {"customContactFilter": {"actionForContacts": "unsubscribed", "createdSince": EVER}}
    process = brevo.done(brevo("POST", EXPORT, wanted))
    assert process["export_url"].startswith(beginning)
    assert "b@example.com" in download(process["export_url"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"customContactFilter": {}},
        {"customContactFilter": {"actionForContacts": "everybody", "createdSince": EVER}},
        {"customContactFilter": {"actionForContacts": "unsubscribed"}},
        {"customContactFilter": {"actionForContacts": "unsubscribed", "createdSince": "2026-10-01"}},
        {"customContactFilter": {"actionForContacts": "unsubscribed", "createdSince": "2026-10-01T00:00:00"}},
        {"customContactFilter": {"actionForContacts": "allContacts", "createdSince": EVER}, "exportAttributes": ["X"]},
        {
            "customContactFilter": {"actionForContacts": "allContacts", "createdSince": EVER},
            "exportMandatoryAttributes": False,
        },
    ],
)
def test_an_export_has_rules(brevo, people, body):
    assert brevo("POST", EXPORT, body).status_code == 400


def test_an_export_of_an_unknown_list_is_not_found(brevo):
    wanted = {"customContactFilter": {"actionForContacts": "unsubscribed", "listId": 7}}
    assert brevo("POST", EXPORT, wanted).status_code == 404


def test_an_export_does_not_hold_up_imports(brevo, people):
    brevo.sandbox.faults.job_delay_s = 0.2
    wanted = {"customContactFilter": {"actionForContacts": "unsubscribed", "createdSince": EVER}}
    started = brevo("POST", EXPORT, wanted)
    brevo.done(brevo.start([{"email": "e@example.com"}], people))
    wait_until(lambda: brevo.process(started.json()["processId"])["status"] == "completed")


def test_the_owner_gets_a_mail_unless_it_is_disabled(brevo, people):
    wanted = {"customContactFilter": {"actionForContacts": "unsubscribed", "createdSince": EVER}}
    before = brevo("GET", "/_sandbox/requests").json()["notification_mails"]
    brevo.done(brevo("POST", EXPORT, wanted))
    brevo.done(brevo("POST", EXPORT, {**wanted, "disableNotification": True}))
    assert brevo("GET", "/_sandbox/requests").json()["notification_mails"] == before + 1
