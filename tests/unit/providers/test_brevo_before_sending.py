"""What Brevo tells before a run's first write: who is on the blocklist, and how many contacts the account holds."""

import json
from typing import Any

import pytest

from exporters.errors import AccessError, ConfigError, TransientError
from exporters.model.export import Mapping
from exporters.providers.base import Suppression, SuppressionKind, Suppressions
from exporters.providers.brevo import FILE_QUESTIONS, Brevo
from tests.unit.providers.answers import recorded
from tests.unit.providers.conftest import Vendor


def answer(name: str) -> Any:
    return recorded("brevo", name)


def completed(vendor: Vendor, link: str = "{url}/file.csv?a=1&b=2") -> dict[str, Any]:
    process: dict[str, Any] = answer("export_completed")
    return process | {"export_url": link.format(url=vendor.url)}


class TestBlocklist:
    def test_the_first_question_starts_a_file_of_everyone_who_is_blocklisted(
        self, brevo: Brevo, vendor: Vendor
    ) -> None:
        vendor.answer(answer("import_accepted"), 202)
        assert brevo.suppressions(None) == Suppressions(rows=[], token="78:0", wait_s=1.0)
        request = vendor.requests[0]
        assert (request.method, request.target) == ("POST", "/v3/contacts/export")
        assert json.loads(request.body) == {
            "customContactFilter": {
                "actionForContacts": "unsubscribed",
                "createdSince": "2000-01-01T00:00:00.000Z",
            },
            "exportAttributes": ["EMAIL"],
            "exportMandatoryAttributes": False,
            "disableNotification": True,
        }

    def test_an_empty_object_means_that_nobody_is_blocklisted(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer({}, 200)
        assert brevo.suppressions(None) == Suppressions(rows=[], token=None)

    @pytest.mark.parametrize(("status", "body"), [(202, {}), (200, []), (202, {"processId": None}), (202, b"<html>")])
    def test_what_cannot_be_read_does_not_mean_nobody(
        self, brevo: Brevo, vendor: Vendor, status: int, body: object
    ) -> None:
        vendor.answer(body, status)
        with pytest.raises(TransientError):
            brevo.suppressions(None)

    def test_while_the_file_is_written_the_waits_grow(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("import_accepted"), 202)
        parts = [brevo.suppressions(None)]
        for status in ("queued", "in_process", "in_process", "resting"):
            vendor.answer({"id": 78, "name": "SEARCH_EXPORT_USERS_API", "status": status})
            parts.append(brevo.suppressions(parts[-1].token))
        assert [(part.token, part.wait_s) for part in parts] == [
            ("78:0", 1.0),
            ("78:1", 2.0),
            ("78:2", 5.0),
            ("78:3", 15.0),
            ("78:4", 60.0),
        ]
        assert {request.target for request in vendor.requests[1:]} == {"/v3/processes/78"}

    def test_a_process_that_is_not_known_yet_is_asked_for_again(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("process_not_found"), 404)
        assert brevo.suppressions("78:0").token == "78:1"

    @pytest.mark.parametrize(
        "link", ["{url}/file.csv?a=1&b=2", '<a href="{url}/file.csv?a=1&amp;b=2" target="_blank">filename.csv</a>']
    )
    def test_the_file_names_who_is_blocked(self, brevo: Brevo, vendor: Vendor, link: str) -> None:
        vendor.answer(completed(vendor, link))
        vendor.answer(b"EMAIL\nAnn@example.com\nbo@example.com\n")
        assert brevo.suppressions("194:3") == Suppressions(
            rows=[
                Suppression(email="ann@example.com", kind=SuppressionKind.BLOCKED, since=None),
                Suppression(email="bo@example.com", kind=SuppressionKind.BLOCKED, since=None),
            ],
            token=None,
        )
        assert vendor.requests[1].target == "/file.csv?a=1&b=2"
        assert "api-key" not in vendor.requests[1].headers

    @pytest.mark.parametrize("link", [None, "", 7, "http://203.0.113.1/file.csv", "see the mail"])
    def test_a_file_without_a_usable_link_does_not_mean_nobody(
        self, brevo: Brevo, vendor: Vendor, link: object
    ) -> None:
        vendor.answer(answer("export_completed") | {"export_url": link})
        with pytest.raises(TransientError, match="missing or cannot be read"):
            brevo.suppressions("194:0")

    @pytest.mark.parametrize(("status", "body"), [(404, b"gone"), (200, b""), (200, b"<html>sign in</html>")])
    def test_a_file_that_cannot_be_read_does_not_mean_nobody(
        self, brevo: Brevo, vendor: Vendor, status: int, body: bytes
    ) -> None:
        vendor.answer(completed(vendor))
        vendor.answer(body, status)
        with pytest.raises(TransientError, match="missing or cannot be read"):
            brevo.suppressions("194:0")

    @pytest.mark.parametrize(
        ("token", "status"), [("78:0", "failed"), ("78:5", "cancelled"), (f"78:{FILE_QUESTIONS - 1}", "queued")]
    )
    def test_a_file_that_is_never_written_ends_the_waiting(
        self, brevo: Brevo, vendor: Vendor, token: str, status: str
    ) -> None:
        vendor.answer({"id": 78, "name": "SEARCH_EXPORT_USERS_API", "status": status})
        with pytest.raises(ConfigError, match=r"did not write the file.*switch withhold off"):
            brevo.suppressions(token)

    @pytest.mark.parametrize(("status", "family"), [(400, ConfigError), (403, AccessError)])
    def test_a_refusal_comes_with_the_remedy(
        self, brevo: Brevo, vendor: Vendor, status: int, family: type[ConfigError]
    ) -> None:
        vendor.answer(answer("forbidden"), status)
        with pytest.raises(family, match="switch withhold off"):
            brevo.suppressions(None)

    def test_questions_keep_to_the_hourly_limit(self, brevo: Brevo, vendor: Vendor) -> None:
        headers = {"x-sib-ratelimit-remaining": "20", "x-sib-ratelimit-reset": "2100"}
        vendor.answer({"id": 78, "name": "SEARCH_EXPORT_USERS_API", "status": "queued"}, 200, headers)
        assert brevo.suppressions("78:0").wait_s == 100.0
        assert (brevo.polls_not_before_s, brevo.not_before_s) == (100.0, None)


class TestAccountContacts:
    def test_all_contacts_are_counted_with_one_question(self, brevo: Brevo, vendor: Vendor) -> None:
        for name in ("list", "attributes", "contacts"):
            vendor.answer(answer(name))
        access = brevo.check_access("42", Mapping(email="EMail"), count_account=True)
        assert access.account_contacts == 17_655
        assert vendor.requests[2].target == "/v3/contacts?limit=1&offset=0"

    def test_nobody_is_counted_unless_asked_for(self, brevo: Brevo, vendor: Vendor) -> None:
        vendor.answer(answer("list"))
        vendor.answer(answer("attributes"))
        assert brevo.check_access("42", Mapping(email="EMail")).account_contacts is None
        assert len(vendor.requests) == 2


def test_the_published_pace_is_a_million_in_ninety_minutes() -> None:
    assert Brevo.stated_limit / Brevo.pace_per_minute == pytest.approx(90)
