"""A file of Brevo's blocklist that is larger than what is read: no try again makes it smaller."""

import gzip
from typing import Any

import pytest

from exporters.errors import ConfigError
from exporters.providers import reports
from exporters.providers.brevo import Brevo
from tests.unit.providers.answers import recorded
from tests.unit.providers.conftest import Vendor

TOO_LARGE = b"EMAIL\n" + b"ann@example.com\n" * (reports.MAX_BYTES // 16)


@pytest.mark.parametrize("body", [TOO_LARGE, gzip.compress(TOO_LARGE, compresslevel=1)], ids=["plain", "gzip"])
def test_a_blocklist_that_is_too_large_says_so_and_what_to_do(brevo: Brevo, vendor: Vendor, body: bytes) -> None:
    process: dict[str, Any] = recorded("brevo", "export_completed")
    vendor.answer(process | {"export_url": f"{vendor.url}/file.csv"})
    vendor.answer(body)

    with pytest.raises(ConfigError, match=r"larger than 50 MB.*switch withhold off in the export"):
        brevo.suppressions("194:0")


def test_an_error_report_that_is_too_large_is_missing_and_fails_nothing(vendor: Vendor) -> None:
    vendor.answer(gzip.compress(TOO_LARGE, compresslevel=1))
    assert reports.load(vendor.url) is None
