"""Lists and fields of an account: what both providers answer, and what becomes of it."""

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from exporters.errors import ConfigError, RefusedError, TransientError
from exporters.model.fields import FieldType, StandardField
from exporters.providers.base import AccountField, ContactList, Lists
from exporters.providers.brevo import FOLDER, Brevo
from exporters.providers.sendgrid import SendGrid
from tests.unit.providers.answers import recorded
from tests.unit.providers.conftest import Vendor

SENDGRID_LIST = "abc12300-0000-4000-8000-0000000000de"


def query(vendor: Vendor) -> dict[str, list[str]]:
    return parse_qs(urlsplit(vendor.requests[-1].target).query)


class TestSendGrid:
    def test_a_page_leads_to_the_next_one(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(recorded("sendgrid", "lists"))
        lists = sendgrid.lists(None)
        assert lists.rows == [ContactList(id=SENDGRID_LIST, name="Newsletter", count=1203)]
        assert query(vendor) == {"page_size": ["1000"]}
        vendor.answer({"result": [], "_metadata": {}})
        assert sendgrid.lists(lists.token) == Lists(rows=[], token=None)
        assert query(vendor) == {"page_size": ["1000"], "page_token": ["4f2a91c0-0000-4000-8000-000000000001"]}

    def test_a_next_page_without_a_token_is_not_the_end(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer({"result": [], "_metadata": {"next": "https://api.sendgrid.com/v3/marketing/lists"}})
        with pytest.raises(TransientError):
            sendgrid.lists(None)

    @pytest.mark.parametrize("status", [200, 201])
    def test_a_new_list_is_made_with_its_name(self, sendgrid: SendGrid, vendor: Vendor, status: int) -> None:
        vendor.answer(recorded("sendgrid", "list") | {"contact_count": 0}, status)
        assert sendgrid.create_list("Newsletter") == ContactList(id=SENDGRID_LIST, name="Newsletter", count=0)
        assert json.loads(vendor.requests[0].body) == {"name": "Newsletter"}

    def test_a_refusal_is_told_in_its_words_without_what_they_quote(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer({"errors": [{"field": "name", "message": "list name 'VIP' already exists."}]}, 400)
        with pytest.raises(RefusedError, match=r"new list: list name … already exists\.$"):
            sendgrid.create_list("VIP")

    def test_a_refusal_without_words_names_what_it_can_mean(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(b"", 400)
        with pytest.raises(RefusedError, match="1,000 lists"):
            sendgrid.create_list("VIP")

    def test_fields_are_those_that_an_import_takes(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(recorded("sendgrid", "field_definitions"))
        fields = {field.name: field for field in sendgrid.fields()}
        assert fields["state_province_region"] == AccountField(
            name="state_province_region", type=FieldType.TEXT, standard=StandardField.STATE, max_chars=50
        )
        custom = recorded("sendgrid", "field_definitions")["custom_fields"]
        assert {field["name"] for field in custom} <= fields.keys()
        assert "phone_number" not in fields
        texts = [field["name"] for field in custom if field["field_type"] == "Text"]
        assert {fields[name].max_chars for name in texts} == {1000}

    def test_an_account_without_custom_fields_has_the_standard_ones(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer({"custom_fields": None, "reserved_fields": None})
        assert all(field.standard is not None for field in sendgrid.fields())


class TestBrevo:
    def test_a_page_leads_to_the_next_one(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(recorded("brevo", "lists"))
        lists = brevo.lists(None)
        assert lists.rows == [
            ContactList(id="53", name="Loyal customers", count=5497),
            ContactList(id="50", name="Everybody else", count=11741),
        ]
        assert query(vendor) == {"limit": ["50"], "offset": ["0"], "sort": ["desc"]}
        vendor.answer(recorded("brevo", "lists"))
        brevo.lists(lists.token)
        assert query(vendor)["offset"] == ["2"]

    @pytest.mark.parametrize("page", [{"count": 2, "lists": []}, {"count": 0}])
    def test_a_page_without_lists_is_the_last_one(self, brevo: Brevo, vendor: Vendor, page: dict[str, object]) -> None:
        vendor.answer(page)
        assert brevo.lists("1") == Lists(rows=[], token=None)

    def test_lists_that_brevo_fills_by_rules_are_left_out(self, brevo: Brevo, vendor: Vendor) -> None:
        rows = recorded("brevo", "lists")["lists"]
        vendor.answer({"count": 2, "lists": [rows[0] | {"dynamicList": True}, rows[1]]})
        assert [row.id for row in brevo.lists(None).rows] == ["50"]

    def test_a_new_list_goes_to_the_first_folder(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer({"count": 1, "folders": [{"id": 7, "name": "Mine"}]})
        vendor.answer({"id": 12}, 201)
        assert brevo.create_list("VIP") == ContactList(id="12", name="VIP", count=0)
        assert [request.method for request in vendor.requests] == ["GET", "POST"]
        assert json.loads(vendor.requests[1].body) == {"name": "VIP", "folderId": 7}

    @pytest.mark.parametrize("folders", [{"count": 0, "folders": []}, {"count": 0}])
    def test_an_account_without_folders_gets_one(
        self, brevo: Brevo, vendor: Vendor, folders: dict[str, object]
    ) -> None:
        vendor.answer(folders)
        vendor.answer({"id": 3}, 201)
        vendor.answer({"id": 12}, 201)
        assert brevo.create_list("VIP").id == "12"
        assert [json.loads(request.body) for request in vendor.requests[1:]] == [
            {"name": FOLDER},
            {"name": "VIP", "folderId": 3},
        ]

    def test_a_refusal_is_told_in_its_words(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer({"count": 1, "folders": [{"id": 7}]})
        vendor.answer({"code": "invalid_parameter", "message": "List name is missing"}, 400)
        with pytest.raises(RefusedError, match=r"new list: List name is missing\.$"):
            brevo.create_list(" ")

    def test_fields_are_the_attributes_that_profiles_can_fill(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(recorded("brevo", "attributes"))
        assert list(brevo.fields()) == [
            AccountField(name="FIRSTNAME", type=FieldType.TEXT, standard=StandardField.FIRST_NAME),
            AccountField(name="LASTNAME", type=FieldType.TEXT, standard=StandardField.LAST_NAME),
            AccountField(name="CITY", type=FieldType.TEXT, standard=StandardField.CITY),
            AccountField(name="SMS", type=FieldType.PHONE, standard=StandardField.PHONE),
            AccountField(name="BIRTHDAY", type=FieldType.DATE, standard=None),
            AccountField(name="POINTS", type=FieldType.NUMBER, standard=None),
            AccountField(name="MEMBER", type=FieldType.BOOLEAN, standard=None),
            AccountField(name="GENDER", type=FieldType.TEXT, standard=None),
        ]

    def test_a_connection_may_call_them_otherwise(
        self, brevo_with_names: Callable[[dict[str, str]], Brevo], vendor: Vendor
    ) -> None:
        vendor.answer(recorded("brevo", "attributes"))
        fields = brevo_with_names({"state": "gender"}).fields()
        assert {field.name: field.standard for field in fields}["GENDER"] is StandardField.STATE

    def test_a_place_that_it_has_not_named_is_no_bug_of_ours(self, brevo: Brevo) -> None:
        with pytest.raises(ConfigError, match="no such place"):
            brevo.lists("second")
