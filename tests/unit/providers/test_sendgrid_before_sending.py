"""What SendGrid tells before a run's first write: who is suppressed, and how many contacts the account holds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from exporters.errors import AccessError, ExporterError, ThrottledError, TransientError
from exporters.model.export import Mapping
from exporters.providers.base import Suppression, SuppressionKind, Suppressions
from exporters.providers.sendgrid import SendGrid
from tests.unit.providers.answers import recorded
from tests.unit.providers.conftest import Vendor

LIST = "abc12300-0000-4000-8000-0000000000de"


def answer(name: str) -> Any:
    return recorded("sendgrid", name)


class TestSuppressions:
    def test_the_lists_are_read_one_after_the_other(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        parts: list[Suppressions] = []
        for name in ("unsubscribes", "bounces", "spam_reports"):
            vendor.answer(answer(name))
            parts.append(sendgrid.suppressions(parts[-1].token if parts else None))
        assert [[(row.email, row.kind) for row in part.rows] for part in parts] == [
            [
                ("user1@example.com", SuppressionKind.UNSUBSCRIBED),
                ("user2@example.com", SuppressionKind.UNSUBSCRIBED),
            ],
            [("example@example.com", SuppressionKind.BOUNCED)],
            [("user1@example.com", SuppressionKind.SPAM_REPORT)],
        ]
        assert parts[-1].token is None
        assert {part.wait_s for part in parts} == {0.0}
        assert [(request.method, request.target) for request in vendor.requests] == [
            ("GET", "/v3/suppression/unsubscribes?limit=500&offset=0"),
            ("GET", "/v3/suppression/bounces?limit=500&offset=0"),
            ("GET", "/v3/suppression/spam_reports?limit=500&offset=0"),
        ]

    def test_since_when_somebody_is_suppressed_is_told_in_utc(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("bounces"))
        assert sendgrid.suppressions("bounces:0").rows == [
            Suppression(
                email="example@example.com",
                kind=SuppressionKind.BOUNCED,
                since=datetime(2009, 8, 15, 12, 0, tzinfo=UTC),
            )
        ]

    def test_after_a_full_page_comes_the_next_of_the_same_list(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer([{"created": 1443651141, "email": f"p{number}@example.com"} for number in range(500)])
        vendor.answer([])
        first = sendgrid.suppressions(None)
        second = sendgrid.suppressions(first.token)
        assert vendor.requests[1].target == "/v3/suppression/unsubscribes?limit=500&offset=500"
        assert (len(first.rows), second.rows, second.token) == (500, [], "bounces:0")

    def test_a_token_holds_no_address(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer([{"created": 1443651141, "email": f"p{number}@example.com"} for number in range(500)])
        assert sendgrid.suppressions(None).token == "unsubscribes:500"

    def test_a_key_that_may_not_read_them_comes_with_both_remedies(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("forbidden"), 403)
        with pytest.raises(AccessError, match=r"give it read access to Suppressions, or switch withhold off"):
            sendgrid.suppressions(None)

    @pytest.mark.parametrize(
        ("status", "family"), [(401, AccessError), (429, ThrottledError), (500, TransientError), (503, TransientError)]
    )
    def test_other_failures_are_those_of_every_question(
        self, sendgrid: SendGrid, vendor: Vendor, status: int, family: type[ExporterError]
    ) -> None:
        vendor.answer({"errors": []}, status)
        with pytest.raises(family):
            sendgrid.suppressions(None)

    @pytest.mark.parametrize("body", [{}, {"errors": []}, [{"created": 1}], [7], b"<html>", b"[{"])
    def test_what_cannot_be_read_is_not_taken_for_nobody(
        self, sendgrid: SendGrid, vendor: Vendor, body: object
    ) -> None:
        vendor.answer(body)
        with pytest.raises(TransientError):
            sendgrid.suppressions(None)


class TestAccountContacts:
    def test_nobody_is_counted_unless_asked_for(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("list"))
        assert sendgrid.check_access(LIST, Mapping(email="EMail")).account_contacts is None
        assert len(vendor.requests) == 1

    @pytest.mark.parametrize(
        ("count", "expected"),
        [
            (answer("contacts_count"), 1350),
            ({"contact_count": 1203}, 1203),
            ({"contact_count": 1203, "billable_count": 0}, 1203),
            ({"contact_count": 0, "billable_count": None}, 0),
        ],
    )
    def test_those_count_that_are_billed(
        self, sendgrid: SendGrid, vendor: Vendor, count: dict[str, Any], expected: int
    ) -> None:
        vendor.answer(answer("list"))
        vendor.answer(count)
        access = sendgrid.check_access(LIST, Mapping(email="EMail"), count_account=True)
        assert access.account_contacts == expected
        assert vendor.requests[1].target == "/v3/marketing/contacts/count"

    def test_a_count_that_cannot_be_read_is_no_count(self, sendgrid: SendGrid, vendor: Vendor) -> None:
        vendor.answer(answer("list"))
        vendor.answer({})
        with pytest.raises(TransientError):
            sendgrid.check_access(LIST, Mapping(email="EMail"), count_account=True)


def test_the_published_pace_is_a_hundred_thousand_in_three_hours() -> None:
    assert SendGrid.stated_limit / SendGrid.pace_per_minute == pytest.approx(180)
