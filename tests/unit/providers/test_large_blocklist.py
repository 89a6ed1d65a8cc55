"""A file that is larger than what is read: no try again makes it smaller."""

import gzip
from typing import Any

import pytest

from exporters.errors import ConfigError
from exporters.providers import people, reports
from exporters.providers.brevo import Brevo
from tests.unit.providers.answers import recorded
from tests.unit.providers.conftest import Vendor

#: One row, so that it takes no time to read.
ROW = b"x" * 100_000 + b",ann@example.com\n"


def test_a_blocklist_that_is_too_large_says_so_and_what_to_do(brevo: Brevo, vendor: Vendor) -> None:
    process: dict[str, Any] = recorded("brevo", "export_completed")
    vendor.answer(process | {"export_url": f"{vendor.url}/file.csv"})
    vendor.answer(gzip.compress(b"note,EMAIL\n" + ROW * (people.MAX_BYTES // len(ROW) + 1), compresslevel=1))

    with pytest.raises(ConfigError, match=r"larger than 250 MB.*switch withhold off in the export"):
        brevo.suppressions("194:0")


def test_an_error_report_that_is_too_large_is_missing_and_fails_nothing(vendor: Vendor) -> None:
    vendor.answer(gzip.compress(b"note,email\n" + ROW * (reports.MAX_BYTES // len(ROW) + 1), compresslevel=1))
    assert reports.load(vendor.url) is None
