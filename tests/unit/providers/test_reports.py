import gzip
from itertools import count

import pytest

from exporters.providers import files, reports
from exporters.providers.base import Refusal
from tests.unit.providers.conftest import Vendor

ANN = Refusal(email="ann@example.com", words="address is suppressed")


@pytest.mark.parametrize(
    "text",
    [
        "email,reason\nann@example.com,address is suppressed\n",
        "EMAIL;Error Message\r\nann@example.com;address is suppressed\r\n",
        "\ufeffe-mail\tmessage\nann@example.com\taddress is suppressed",
        "line,E-Mail Address,error\n7, ann@example.com ,address is suppressed\n\n",
        '"contact_email","status","rejection_reason"\n"ann@example.com","400","address is suppressed"\n',
        "address,address_line_1,error\nann@example.com,Main Street,address is suppressed\n",
        "error,contact\naddress is suppressed,ann@example.com\n",
        # Without a header, and without words of its own:
        "ann@example.com\n",
        "ann@example.com;;\n",
        "contact\nann@example.com\n",
    ],
)
def test_the_columns_of_a_report_are_found_by_name_or_by_looks(text: str) -> None:
    assert reports.read(text.encode(), default_words="address is suppressed") == [ANN]


def test_an_address_that_is_none_is_named_as_it_stands() -> None:
    assert reports.read(b"email,reason\nnot an address,malformed\n") == [
        Refusal(email="not an address", words="malformed")
    ]


def test_a_report_with_a_header_only_names_nobody() -> None:
    assert reports.read(b"email,reason\n") == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"line,code,detail\n1,E17,rejected\n",
        b"<!DOCTYPE html>\n<html><body>Access denied</body></html>",
        b"\x89PNG\r\n\x1a\n",
        b'email\n"' + b"x" * 200_000,
    ],
)
def test_what_is_no_report_is_unreadable_and_not_empty(data: bytes) -> None:
    assert reports.read(data) is None


def test_a_row_without_an_address_counts_for_nobody() -> None:
    assert reports.read(b"reason,email\naddress is suppressed,ann@example.com\ncut off\n") == [ANN]


CSV = b"email,reason\nann@example.com,address is suppressed\n"


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
def test_a_gzip_report_is_read_whether_announced_or_not(vendor: Vendor, headers: dict[str, str]) -> None:
    vendor.answer(gzip.compress(CSV), headers=headers)
    assert reports.load(vendor.url) == [ANN]


def test_a_report_is_fetched_without_any_key(vendor: Vendor) -> None:
    vendor.answer(CSV)
    reports.load(f"{vendor.url}/report.csv?signature=1")
    assert vendor.requests[0].target == "/report.csv?signature=1"
    assert not {"authorization", "api-key", "cookie"} & {name.lower() for name in vendor.requests[0].headers}


def test_a_report_larger_than_the_limit_is_missing(vendor: Vendor) -> None:
    vendor.answer(CSV)
    assert reports.fetch(vendor.url, max_bytes=len(CSV) - 1) is None


def test_a_report_that_unpacks_to_more_than_the_limit_is_missing(vendor: Vendor) -> None:
    vendor.answer(gzip.compress(CSV + b"x" * 100_000))
    assert reports.fetch(vendor.url, max_bytes=50_000) is None


def test_a_report_that_drips_for_too_long_is_missing(vendor: Vendor) -> None:
    vendor.answer(CSV)
    ticks = count(step=files.TOTAL_TIMEOUT_S + 1)
    assert reports.fetch(vendor.url, clock=lambda: next(ticks)) is None


@pytest.mark.parametrize(
    "broken", [gzip.compress(CSV)[:-9], gzip.compress(CSV)[:10] + b"junk"], ids=["cut off", "junk"]
)
def test_a_broken_gzip_report_is_missing(vendor: Vendor, broken: bytes) -> None:
    vendor.answer(broken)
    assert reports.load(vendor.url) is None


@pytest.mark.parametrize("status", [302, 403, 404, 500])
def test_a_report_that_is_not_there_is_missing(vendor: Vendor, status: int) -> None:
    vendor.answer(CSV, status, {"Location": vendor.url} if status == 302 else {})
    assert reports.load(vendor.url) is None
    assert len(vendor.requests) == 1


def test_a_report_whose_connection_breaks_is_missing(vendor: Vendor) -> None:
    vendor.cut()
    assert reports.load(vendor.url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.example/r.csv",
        "http://169.254.169.254/metadata",
        "file:///etc/passwd",
        "https://",
        "r.csv",
        "http://[",
        "",
    ],
)
def test_a_report_is_fetched_by_https_only_except_from_this_machine(url: str) -> None:
    assert reports.fetch(url) is None
