import socket
from collections.abc import Mapping
from email.utils import formatdate

import pytest
from pydantic import SecretStr

from exporters.errors import (
    AccessError,
    ConfigError,
    ExporterError,
    ForbiddenError,
    RefusedError,
    ThrottledError,
    TransientError,
)
from exporters.providers.http import Answer, AnswerModel, Api, KeyHeader, Window, header_count, retry_after_s
from tests.unit.providers.conftest import NOW, Vendor

PERSON = "ann@example.com"


class Accepted(AnswerModel):
    job: int


def read_window(headers: Mapping[str, str], now: float) -> Window:
    remaining = header_count(headers, "X-Left")
    return Window(remaining=remaining, reset_s=header_count(headers, "X-Reset"))


def api_of(url: str, auth: KeyHeader) -> Api:
    return Api(
        title="Vendor",
        base_url=url,
        auth=auth,
        remedy=lambda answer: "mend it" if answer.status == 403 else None,
        read_window=read_window,
        max_wait_s=300.0,
        now=lambda: NOW,
    )


@pytest.fixture
def api(vendor: Vendor) -> Api:
    return api_of(vendor.url, KeyHeader("X-Key", SecretStr("secret-key")))


def send(api: Api) -> Answer:
    return api.send("PUT", "/contacts", PERSON.encode(), what="the import")


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (302, TransientError),
        (400, RefusedError),
        (401, AccessError),
        (402, ConfigError),
        (403, ForbiddenError),
        (404, ConfigError),
        (405, ConfigError),
        (406, ConfigError),
        (408, TransientError),
        (413, RefusedError),
        (418, ConfigError),
        (422, RefusedError),
        (425, TransientError),
        (429, ThrottledError),
        (451, ConfigError),
        (500, TransientError),
        (503, TransientError),
        (599, TransientError),
    ],
)
def test_each_status_of_an_import_raises_its_family(
    api: Api, vendor: Vendor, status: int, family: type[ExporterError]
) -> None:
    vendor.answer({"message": PERSON}, status)
    with pytest.raises(ExporterError) as caught:
        send(api)
    assert type(caught.value) is family
    assert str(status) in str(caught.value)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_question_is_a_setting_to_change_since_there_is_nothing_to_narrow(
    api: Api, vendor: Vendor, status: int
) -> None:
    vendor.answer({}, status)
    with pytest.raises(ConfigError):
        api.get("/list", what="the question")


def test_an_error_holds_neither_key_nor_address_nor_body(api: Api, vendor: Vendor) -> None:
    for status in (302, 400, 401, 403, 418, 429, 500):
        vendor.answer({"message": f"{PERSON} body-text secret-key"}, status)
        with pytest.raises(ExporterError) as caught:
            send(api)
        assert not any(word in str(caught.value) for word in (PERSON, "body-text", "secret-key"))


def test_the_remedy_of_the_provider_stands_in_the_error(api: Api, vendor: Vendor) -> None:
    vendor.answer({}, 403)
    with pytest.raises(AccessError, match=r"Vendor answered 403 to the import: mend it\."):
        send(api)


@pytest.mark.parametrize("body", [b"<html>maintenance</html>", b'{"job": 1', b"", b"\xff\xfe"])
def test_a_good_status_with_an_unreadable_body_leaves_it_open_whether_the_request_was_carried_out(
    api: Api, vendor: Vendor, body: bytes
) -> None:
    vendor.answer(body, 202)
    with pytest.raises(TransientError):
        send(api)


def test_an_answer_of_another_shape_is_transient_and_is_not_quoted(api: Api, vendor: Vendor) -> None:
    vendor.answer({"job": PERSON}, 202)
    with pytest.raises(TransientError) as caught:
        api.read(send(api), Accepted, what="the import")
    assert PERSON not in str(caught.value)
    assert PERSON not in str(caught.value.__cause__)


def test_html_from_a_proxy_is_read_by_its_status(api: Api, vendor: Vendor) -> None:
    vendor.answer(b"<html>502</html>", 502)
    with pytest.raises(TransientError):
        send(api)


def test_a_lost_connection_is_transient_and_is_not_tried_again(api: Api, vendor: Vendor) -> None:
    vendor.cut()
    with pytest.raises(TransientError):
        send(api)
    assert len(vendor.requests) == 1


def test_an_address_where_nobody_listens_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(TransientError):
        send(api_of(f"http://127.0.0.1:{port}", KeyHeader("X-Key", SecretStr("secret-key"))))


def test_the_key_does_not_follow_a_redirect(api: Api, vendor: Vendor) -> None:
    vendor.answer({}, 307, {"Location": f"{vendor.url}/elsewhere"})
    with pytest.raises(TransientError):
        send(api)
    assert [request.path for request in vendor.requests] == ["/contacts"]


def test_blanks_around_a_key_are_a_slip_of_whoever_pasted_it(vendor: Vendor) -> None:
    api = api_of(vendor.url, KeyHeader("X-Key", SecretStr(" secret-key\n"), prefix="Bearer "))
    vendor.answer({})
    api.get("/list", what="the question")
    assert vendor.requests[0].headers["X-Key"] == "Bearer secret-key"


@pytest.mark.parametrize("text", ["", "  ", "two words", "line\r\nbreak", "clé"])
def test_what_cannot_be_a_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(AccessError) as caught:
        KeyHeader("X-Key", SecretStr(text))
    assert not text.strip() or text not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, 60.0),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"Retry-After": "7", "X-Reset": "20"}, 7.0),
        ({"Retry-After": "soon", "X-Reset": "20"}, 20.0),
        ({"X-Reset": "20"}, 20.0),
        ({"X-Reset": "0"}, 1.0),
        ({"X-Reset": "86400"}, 300.0),
        ({"X-Reset": "-5"}, 60.0),
    ],
)
def test_too_many_requests_names_the_time_to_come_back(
    api: Api, vendor: Vendor, headers: dict[str, str], wait_s: float
) -> None:
    vendor.answer({}, 429, headers)
    with pytest.raises(ThrottledError) as caught:
        send(api)
    assert caught.value.wait_s == wait_s
    assert api.not_before_s == wait_s


def test_retry_after_in_the_past_means_now() -> None:
    assert retry_after_s({"Retry-After": formatdate(NOW - 30)}, NOW) == 0.0


@pytest.mark.parametrize("value", ["", "soon", "-1", "1e9", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_retry_after_that_cannot_be_read_counts_for_nothing(value: str) -> None:
    assert retry_after_s({"Retry-After": value}, NOW) is None


def test_a_good_answer_that_used_up_the_limit_says_when_to_come_back(api: Api, vendor: Vendor) -> None:
    vendor.answer({}, headers={"X-Left": "0", "X-Reset": "42"})
    send(api)
    assert api.not_before_s == 42.0


def test_a_good_answer_with_requests_left_asks_for_no_wait(api: Api, vendor: Vendor) -> None:
    vendor.answer({}, headers={"X-Left": "1", "X-Reset": "42"})
    send(api)
    assert api.not_before_s is None


def test_the_last_requests_of_a_reserve_are_spread_over_the_time_left(api: Api, vendor: Vendor) -> None:
    vendor.answer({}, headers={"X-Left": "3", "X-Reset": "200"})
    api.get("/list", what="the question", reserve=3)
    assert api.not_before_s == 50.0


def test_the_longest_wait_of_several_answers_counts(api: Api, vendor: Vendor) -> None:
    vendor.answer({}, headers={"X-Left": "0", "X-Reset": "42"})
    vendor.answer({}, headers={"X-Left": "0", "X-Reset": "2"})
    vendor.answer({}, headers={"X-Left": "9", "X-Reset": "2"})
    for _ in range(3):
        send(api)
    assert api.not_before_s == 42.0


def test_a_failing_server_that_names_a_time_is_left_alone_until_then(api: Api, vendor: Vendor) -> None:
    vendor.answer({}, 503, {"Retry-After": "90"})
    with pytest.raises(TransientError):
        send(api)
    assert api.not_before_s == 90.0
