"""What an upsert to the SendGrid sandbox refuses, takes, merges and counts."""

import pytest

from infra.local.sandbox.sendgrid.faults import OverLong

UPSERT = "/v3/marketing/contacts"
UNKNOWN_LIST = "4d1a5a3c-0000-4000-8000-000000000000"


def test_a_good_upsert_is_accepted_with_a_job_and_ends_on_the_list(sendgrid):
    list_id = sendgrid.new_list()
    answer = sendgrid.upsert([{"email": "Ada@Example.com", "first_name": "Ada"}], list_id)
    assert answer.status_code == 202
    job = sendgrid.done(answer)
    assert (job["status"], job["job_type"]) == ("completed", "upsert_contacts")
    assert job["results"] == {"requested_count": 1, "created_count": 1}
    assert sendgrid.stored(list_id) == [{"email": "ada@example.com", "first_name": "Ada"}]


def test_more_than_30000_contacts_are_refused(sendgrid):
    contacts = [{"email": f"p{number}@example.com"} for number in range(30_001)]
    answer = sendgrid.upsert(contacts)
    assert answer.status_code == 400
    assert "30000" in answer.json()["errors"][0]["message"]
    assert sendgrid.upsert(contacts[1:]).status_code == 202


def test_a_body_over_6_megabytes_is_too_large(sendgrid):
    head, tail = b'{"contacts":[{"email":"a@example.com"}], "filling":"', b'"}'
    for size, status in ((6_000_000, 202), (6_000_001, 413)):
        body = head + b"x" * (size - len(head) - len(tail)) + tail
        assert sendgrid("PUT", UPSERT, data=body).status_code == status


def test_a_request_without_contacts_is_refused(sendgrid):
    assert sendgrid.upsert([]).status_code == 400
    assert sendgrid("PUT", UPSERT, {}).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"contacts":[1]}'])
def test_what_is_no_contact_request_is_invalid_json(sendgrid, body):
    answer = sendgrid("PUT", UPSERT, data=body)
    assert answer.status_code == 400
    assert answer.json() == {"errors": [{"field": None, "message": "invalid JSON"}]}


def test_malformed_addresses_reject_the_whole_request_and_are_named(sendgrid):
    list_id = sendgrid.new_list()
    contacts = [{"email": "good@example.com"}, {"email": "not_valid"}, {"email": "a b@example.com"}]
    answer = sendgrid.upsert(contacts, list_id)
    assert answer.status_code == 400
    assert answer.json() == {
        "errors": [
            {"field": "contacts[1].identifier", "message": "email 'not_valid' is not valid"},
            {"field": "contacts[2].identifier", "message": "email 'a b@example.com' is not valid"},
        ]
    }
    assert sendgrid.stored(list_id) == []


def test_by_switch_only_the_first_malformed_address_is_named(sendgrid):
    sendgrid.sandbox.faults.name_all_bad_addresses = False
    errors = sendgrid.upsert([{"email": "one"}, {"email": "two"}]).json()["errors"]
    assert [error["field"] for error in errors] == ["contacts[0].identifier"]


def test_an_address_over_254_characters_is_malformed(sendgrid):
    long = "a@" + "b" * 60 + ("." + "c" * 60) * 4 + ".example.com"
    assert len(long) > 254
    assert sendgrid.upsert([{"email": long}]).status_code == 400


def test_a_contact_without_identifier_is_refused(sendgrid):
    answer = sendgrid.upsert([{"first_name": "Nobody"}])
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "contacts[0].identifier"


@pytest.mark.parametrize("value", [None, 7, ["x"], {"x": 1}])
def test_values_of_reserved_fields_must_be_texts(sendgrid, value):
    answer = sendgrid.upsert([{"email": "a@example.com", "first_name": value}])
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "contacts[0].first_name"


@pytest.mark.parametrize("status", [404, 400])
def test_an_unknown_list_refuses_the_request_with_the_status_of_the_switch(sendgrid, status):
    sendgrid.sandbox.faults.unknown_list_status = status
    assert sendgrid.upsert([{"email": "a@example.com"}], UNKNOWN_LIST).status_code == status


def test_unknown_custom_fields_refuse_the_request(sendgrid):
    sendgrid.new_field("tier", "Text")
    answer = sendgrid.upsert([{"email": "a@example.com", "custom_fields": {"tier": "gold"}}])
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"] == "invalid custom field ids supplied"


def test_a_fresh_custom_field_is_not_usable_for_the_time_of_the_switch(sendgrid):
    sendgrid.sandbox.faults.field_delay_s = 60
    field = sendgrid.new_field("tier", "Text")
    contact = {"email": "a@example.com", "custom_fields": {field: "gold"}}
    assert sendgrid.upsert([contact]).status_code == 400
    sendgrid.sandbox.faults.field_delay_s = 0
    assert sendgrid.upsert([contact]).status_code == 202


def test_custom_values_of_the_wrong_type_are_silently_not_stored(sendgrid):
    text, number, date = (sendgrid.new_field(name, name.title()) for name in ("text", "number", "date"))
    list_id = sendgrid.new_list()
    good = {text: "gold", number: 42, date: "01/31/2024"}
    wrong = {text: 5, number: "42", date: "2024-01-31"}
    contacts = [{"email": "good@x.org", "custom_fields": good}, {"email": "wrong@x.org", "custom_fields": wrong}]
    job = sendgrid.done(sendgrid.upsert(contacts, list_id))
    assert job["status"] == "completed"
    assert sendgrid.stored(list_id) == [{"email": "good@x.org", "custom_fields": good}, {"email": "wrong@x.org"}]


def test_by_switch_iso_dates_are_taken(sendgrid):
    sendgrid.sandbox.faults.iso_dates = True
    date, list_id = sendgrid.new_field("since", "Date"), sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com", "custom_fields": {date: "2024-01-31"}}], list_id))
    assert sendgrid.stored(list_id)[0]["custom_fields"] == {date: "2024-01-31"}


def test_fields_left_out_keep_their_value_and_blank_ones_too(sendgrid):
    tier, since, list_id = sendgrid.new_field("tier", "Text"), sendgrid.new_field("n", "Number"), sendgrid.new_list()
    first = {"email": "a@example.com", "first_name": "Ada", "city": "London", "custom_fields": {tier: "gold"}}
    second = {"email": "A@EXAMPLE.COM", "first_name": "", "city": "Paris", "custom_fields": {since: 3}}
    sendgrid.done(sendgrid.upsert([first], list_id))
    job = sendgrid.done(sendgrid.upsert([second], list_id))
    assert job["results"] == {"requested_count": 1, "updated_count": 1}
    assert sendgrid.stored(list_id) == [
        {"email": "a@example.com", "first_name": "Ada", "city": "Paris", "custom_fields": {tier: "gold", since: 3}}
    ]


def test_by_switch_blank_values_erase(sendgrid):
    sendgrid.sandbox.faults.blank_erases = True
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com", "city": "London"}], list_id))
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com", "city": ""}], list_id))
    assert sendgrid.stored(list_id)[0]["city"] == ""


def test_unchanged_contacts_are_counted_nowhere_unless_switched_on(sendgrid):
    contact, list_id = {"email": "a@example.com", "city": "London"}, sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([contact], list_id))
    assert sendgrid.done(sendgrid.upsert([contact], list_id))["results"] == {"requested_count": 1}
    sendgrid.sandbox.faults.count_unchanged = True
    assert sendgrid.done(sendgrid.upsert([contact], list_id))["results"]["updated_count"] == 1


def test_an_upsert_adds_to_lists_and_never_takes_off(sendgrid):
    first, second = sendgrid.new_list("First"), sendgrid.new_list("Second")
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}], first))
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}], second))
    assert sendgrid.stored(first) == sendgrid.stored(second) == [{"email": "a@example.com"}]


def test_a_contact_with_several_identifiers_needs_all_of_them_for_a_change(sendgrid):
    list_id = sendgrid.new_list()
    whole = {"email": "a@example.com", "external_id": "7", "city": "London"}
    sendgrid.done(sendgrid.upsert([whole], list_id))
    job = sendgrid.done(sendgrid.upsert([{"email": "a@example.com", "city": "Paris"}], list_id))
    assert (job["status"], job["results"]["errored_count"]) == ("failed", 1)
    sendgrid.done(sendgrid.upsert([whole | {"city": "Rome"}], list_id))
    assert sendgrid.stored(list_id)[0]["city"] == "Rome"


def test_an_external_id_alone_identifies_a_contact(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"external_id": "7", "city": "London"}], list_id))
    job = sendgrid.done(sendgrid.upsert([{"external_id": "7", "city": "Paris"}], list_id))
    assert job["results"]["updated_count"] == 1
    assert sendgrid.stored(list_id) == [{"external_id": "7", "city": "Paris"}]


@pytest.mark.parametrize(
    ("switch", "stored_name", "status"),
    [(OverLong.ROW_ERROR, None, "failed"), (OverLong.TRUNCATE, "x" * 50, "completed")],
)
def test_an_over_long_value_fails_its_row_or_is_cut(sendgrid, switch, stored_name, status):
    sendgrid.sandbox.faults.over_long = switch
    list_id = sendgrid.new_list()
    job = sendgrid.done(sendgrid.upsert([{"email": "a@example.com", "first_name": "x" * 51}], list_id))
    assert job["status"] == status
    assert [contact["first_name"] for contact in sendgrid.stored(list_id)] == ([stored_name] if stored_name else [])


def test_by_switch_an_over_long_value_rejects_the_request(sendgrid):
    sendgrid.sandbox.faults.over_long = OverLong.REJECT
    field = sendgrid.new_field("story", "Text")
    assert sendgrid.upsert([{"email": "a@example.com", "city": "x" * 61}]).status_code == 400
    assert sendgrid.upsert([{"email": "a@example.com", "custom_fields": {field: "x" * 1_001}}]).status_code == 400
    assert sendgrid.upsert([{"email": "a@example.com", "postal_code": "x" * 500}]).status_code == 202


def test_unknown_keys_are_allowed_and_go_nowhere(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com", "shoe_size": 43}], list_id))
    assert sendgrid.stored(list_id) == [{"email": "a@example.com"}]


def test_alternate_emails_are_at_most_five_valid_addresses(sendgrid):
    def upsert(alternates):
        return sendgrid.upsert([{"email": "a@example.com", "alternate_emails": alternates}]).status_code

    assert upsert(["b@example.com"] * 5) == 202
    assert upsert(["b@example.com"] * 6) == 400
    assert upsert(["b"]) == 400
