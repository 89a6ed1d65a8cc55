"""What the door withstands: bodies, addresses, queries and headers that nobody sends who means well."""

import json
import logging
import time
from dataclasses import replace

import pytest
from azure.core.exceptions import ServiceRequestError
from pydantic import BaseModel

from exporters.api.answers import Answer, Request, answered, document
from exporters.api.health import Health
from exporters.api.reading import request_of
from exporters.api.routes import ROUTES
from exporters.api.routing import JSON, Media, Route, Who, at_key_door, dispatch
from exporters.errors import (
    AccessError,
    ConfigError,
    DiskFullError,
    ForbiddenError,
    NotCompleteError,
    RefusedError,
    SegmentError,
    StorageConflictError,
    ThrottledError,
    TransientError,
)
from exporters.exporter import Exporter
from exporters.model.caller import LOCAL, SignIn
from infra.local.host.front import claims_of, principal_header
from tests.world import World

START = "/exports/newsletter/runs"


@pytest.fixture
def world() -> World:
    return World()


def problem(answer: Answer) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.body
    body = json.loads(answer.body)
    assert body["status"] == answer.status
    return answer.status, body["type"].rpartition(":")[2]


def detail(answer: Answer) -> str:
    return str(json.loads(answer.body)["detail"])


def send(world: World, method: str, address: str, body: bytes = b"", **headers: str) -> Answer:
    """A request as it comes from the platform; `address` is what stands after /api. Headers have - for _."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return world.exporter.answer(request_of(method, f"http://app.example/api{address}", named, body))


class TestBody:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"nonsense", "not JSON"),
            (b"{", "not JSON"),
            (b'{"full": true}}', "not JSON"),
            (b'{"full": NaN}', "NaN"),
            (b'{"full": -Infinity}', "-Infinity"),
            (b'{"full": false, "full": true}', "full: stands there twice"),
            (b'{"full": {"a": 1, "b": 2, "a": 3}}', "a: stands there twice"),
            (b'{"full": [' + b"1," * 10_000 + b"1]}", "full: has more than 10,000 members"),
            (b"[" + b"1," * 10_000 + b"1]", "document: has more than 10,000 members"),
            (b'{"\\ud800": 1, "\\ud800": 2}', "?: stands there twice"),
            (b'{"full": "yes"}', "full"),
            (b'{"full": 1}', "full"),
            (b'{"fulll": true}', "fulll"),
            (b'{"full": true, "masked": false}', "masked"),
            (b"[]", "object"),
            (b"null", "object"),
            (b"1" * 10_000, "not JSON"),
            (b"\xff\xfe{\x00}\x00", "UTF-8"),
            (b'{"full": "\xe9"}', "UTF-8"),
            (b'{"\\ud800": true}', "JSON"),
            (b"\xef\xbb\xbf{}", "not JSON"),
            (b"\x00", "not JSON"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_what_does_not_fit_is_refused_by_name(self, world, body, words):
        answer = send(world, "POST", START, body, content_type="application/json")

        assert problem(answer) == (400, "request-body")
        assert words in detail(answer)

    @pytest.mark.parametrize("opening", [b"[", b'{"full":', b'[{"a":'])
    def test_deep_nesting_is_refused(self, world, opening):
        body = opening * (900_000 // len(opening))

        assert problem(send(world, "POST", START, body, content_type=JSON)) == (400, "request-body")

    def test_of_many_faults_people_are_told_the_first_ones(self, world):
        body = json.dumps({f"field{number}": number for number in range(9_000)}).encode()

        answer = send(world, "POST", START, body, content_type=JSON)

        assert problem(answer) == (400, "request-body")
        assert detail(answer).startswith("field0: ")
        assert len(answer.body) < 3_000

    def test_one_of_a_megabyte_is_looked_at_and_one_byte_more_is_too_large(self, world):
        largest = b'{"full": true}' + b" " * (1_000_000 - 14)

        answer = send(world, "POST", START, largest + b" ", content_type=JSON)

        assert problem(answer) == (413, "too-large")
        assert "1,000,000 bytes" in detail(answer)
        assert send(world, "POST", START, largest, content_type=JSON).status == 202

    @pytest.mark.parametrize(
        "media", [JSON, "application/JSON", "application/json; charset=utf-8", " application/json "]
    )
    def test_json_has_to_be_called_so(self, world, media):
        assert send(world, "POST", START, b"{}", content_type=media).status == 202

    @pytest.mark.parametrize(
        "media",
        ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "json"],
    )
    def test_what_a_page_of_another_site_could_send_unasked_is_refused(self, world, media):
        """Browsers ask first before they send JSON to another site, and nobody has told them that it may be sent."""
        answer = send(world, "POST", START, b'{"full": true}', content_type=media)

        assert problem(answer) == (415, "media-type")
        assert "application/json" in detail(answer)

    def test_nothing_is_of_no_type(self, world):
        assert send(world, "POST", START, content_type="text/plain").status == 202


class TestEachRoute:
    """What holds for every route that takes JSON."""

    ROUTES = tuple(route for route in ROUTES if route.body is not None and not isinstance(route.body, Media))

    @pytest.fixture(params=ROUTES, ids=lambda route: f"{route.method} {route.path}")
    def route(self, request) -> Route:
        return request.param

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 900_000,
            b'{"a":' * 180_000,
            b'{"a": NaN}',
            b'{"a": 1, "a": 2}',
            b'{"no such field": "\\u0000"}',
            b"\xff\xfe",
            b"[]",
        ],
        ids=["deep list", "deep object", "NaN", "twice", "unknown field", "no UTF-8", "list"],
    )
    def test_a_body_that_is_none_is_refused_within_a_second(self, world, route, body):
        answer = self.sent(world, route, body)

        assert 400 <= answer.status < 500, answer.body
        assert b"Traceback" not in answer.body

    def test_a_body_that_is_too_large_is_refused_within_a_second(self, world, route):
        assert route.max_body_bytes is not None

        answer = self.sent(world, route, b" " * route.max_body_bytes + b"{}")

        assert problem(answer) == (413, "too-large")

    def sent(self, world: World, route: Route, body: bytes) -> Answer:
        run = world.run_id(world.start())
        path = route.path.format(export="newsletter", connection="main", run=run, erasure="0" * 32)
        before = time.process_time()
        answer = send(world, route.method, path, body, content_type=JSON, if_match="*")
        assert time.process_time() - before < 1
        return answer


class TestWhatIsNotTaken:
    """What a route does not take is refused, before it does anything: who sends it expects that it matters."""

    @pytest.mark.parametrize(
        "route", [route for route in ROUTES if route.query is None], ids=lambda route: f"{route.method} {route.path}"
    )
    def test_a_parameter(self, world, route):
        answer = self.sent(world, route, "?dry-run=true")

        assert problem(answer) == (400, "request-query")
        assert detail(answer) == "dry-run: is no parameter of this address"

    @pytest.mark.parametrize(
        "route", [route for route in ROUTES if route.body is None], ids=lambda route: f"{route.method} {route.path}"
    )
    @pytest.mark.parametrize("media", ["", JSON])
    def test_a_body(self, world, route, media):
        answer = self.sent(world, route, "", b'{"id": "mine"}', content_type=media)

        assert problem(answer) == (400, "request-body")
        assert "no body" in detail(answer)

    def test_the_function_key_and_blank_lines_are_neither(self, world):
        assert send(world, "GET", "/health?code=the-key", b"\r\n").status == 200

    def test_whoever_may_not_call_a_route_is_not_told_what_it_takes(self, world):
        world.exporter = Exporter(replace(world.parts, sign_in=SignIn.OFF))

        assert problem(send(world, "GET", "/me?dry-run=true")) == (401, "not-signed-in")

    def sent(self, world: World, route: Route, query: str, body: bytes = b"", **headers: str) -> Answer:
        path = route.path.format(export="newsletter", connection="main", run="0" * 17 + "-" + "0" * 8, erasure="0" * 32)
        before = [(blob.name, blob.etag) for blob in world.state.list("")]
        answer = send(world, route.method, path + query, body, if_match="*", **headers)
        assert [(blob.name, blob.etag) for blob in world.state.list("")] == before
        return answer


class TestAddress:
    TRICKS = (
        "..",
        ".",
        "%2e%2e",
        "..%2F..%2Fconfig",
        "..%5C..%5Cconfig",
        "newsletter%2Fruns%2F..",
        "newsletter%00",
        "newsletter%0D%0ASet-Cookie:%20a=b",
        "newsletter\n",
        "%E2%80%AEnewsletter",
        "%FF",
        "newsletter%",
        "{export}",
        "*",
        "~",
        "-newsletter",
        "news letter",
        "",
        "n" * 200_000,
        "..;",
        "%252e%252e",
        "ｎｅｗｓｌｅｔｔｅｒ",
    )

    @pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: ascii(trick)[:30])
    @pytest.mark.parametrize(
        "address", ["/exports/{}/runs", "/exports/{}/preview", "/runs/{}/79738877939999999-00000000/approve"]
    )
    def test_a_trick_in_an_id_leads_nowhere(self, world, address, trick):
        before = {blob.name for blob in world.state.list("")}

        answer = send(world, "POST", address.format(trick))

        assert problem(answer) == (404, "no-such-address")
        assert {blob.name for blob in world.state.list("")} == before

    @pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route.path], ids=lambda route: route.path)
    @pytest.mark.parametrize("trick", ["..", "..%2F..%2Fconfig", "%00", "a%0Ab"])
    def test_no_route_takes_a_trick_for_an_id(self, world, route, trick):
        path = route.path
        for name in route.pattern.groupindex:
            path = path.replace(f"{{{name}}}", trick)

        assert problem(send(world, route.method, path)) == (404, "no-such-address")

    @pytest.mark.parametrize(
        "address", ["", "/", "/exports/newsletter/runs/", "//exports/newsletter/runs", "/Exports/newsletter/runs", "/x"]
    )
    def test_another_address_is_none(self, world, address):
        assert problem(send(world, "POST", address)) == (404, "no-such-address")

    def test_what_stands_in_the_host_or_the_query_is_no_address(self):
        request = request_of("GET", "http://[bad?/api/exports/api/runs?next=/api/health", {}, b"")
        assert request.path != "/health"

        request = request_of("GET", "http://a.example/api/health?path=/api/runs", {}, b"")
        assert (request.path, request.query) == ("/health", {"path": "/api/runs"})

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PURGE", "post"])
    def test_another_method_says_which_ones_there_are(self, world, method):
        answer = send(world, method, START)

        assert problem(answer) == (405, "method-not-allowed")
        assert answer.headers["Allow"] == "POST"

    def test_parts_are_decoded_once_and_never_become_two(self):
        request = request_of("GET", "http://a.example/api/runs/a%2Fb/c%20d%252F", {"X-One": "1"}, b"x")

        assert request.path == "/runs/a%2Fb/c d%2F"
        assert (dict(request.headers), request.body) == ({"x-one": "1"}, b"x")


class Page(BaseModel, extra="forbid"):
    """A query."""

    limit: int = 50


class TestQuery:
    @pytest.fixture
    def seen(self) -> list[Request]:
        return []

    @pytest.fixture
    def routes(self, seen) -> list[Route]:
        def handle(_: object, request: Request) -> Answer:
            seen.append(request)
            return document(Health())

        return [Route(method="GET", path="/a", handle=handle, who=Who.VIEWER, summary="", query=Page)]

    def ask(self, world: World, routes: list[Route], query: str) -> Answer:
        return dispatch(world.parts, routes, request_of("GET", f"http://a.example/api/a{query}", {}, b""), LOCAL)

    @pytest.mark.parametrize("query", ["?limit=1&limit=2", "?limit=1&offset=0&limit=1", "?limit=&limit="])
    def test_a_parameter_that_stands_there_twice_is_refused(self, world, routes, query):
        answer = self.ask(world, routes, query)

        assert problem(answer) == (400, "request-query")
        assert detail(answer).startswith("limit: ")

    @pytest.mark.parametrize(
        ("query", "read"),
        [
            ("", {}),
            ("?", {}),
            ("?limit=1", {"limit": "1"}),
            ("?search=", {"search": ""}),
            ("?search=a%26b+c", {"search": "a&b c"}),
            ("?code=the-function-key&limit=1", {"limit": "1"}),
        ],
    )
    def test_a_query_is_read_as_it_was_sent_without_the_key(self, world, routes, seen, query, read):
        assert self.ask(world, routes, query).status == 200
        assert seen[0].query == read

    @pytest.mark.parametrize("path", ["/exports", "/connections", "/connections/main/lists", "/segments"])
    @pytest.mark.parametrize("text", ["%00", "a%0Ab", "%E2%80%AE"])
    def test_nobody_looks_for_what_nobody_sees(self, world, path, text):
        answer = send(world, "GET", f"{path}?search={text}")

        assert problem(answer) == (400, "request-query")
        assert detail(answer).startswith("search: holds control characters")


class TestHeaders:
    @pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=c", "a\nb", "a\x00", "\x7f"])
    def test_no_answer_has_a_header_that_would_become_two(self, value):
        with pytest.raises(ValueError, match="header"):
            Answer(status=200, body=b"", headers={"Location": value})

    @pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=c", "\x00", "x" * 100_000, "é", '"' * 1_000])
    @pytest.mark.parametrize("name", ["Idempotency-Key", "Content-Type", "X-Forwarded-For", "Accept", "If-Match"])
    def test_nothing_of_a_request_comes_back_in_a_header(self, world, name, value):
        answer = world.exporter.answer(request_of("POST", f"http://a.example/api{START}", {name: value}, b"{}"))

        assert answer.status in {202, 415, 422}
        assert not any("b=c" in header or "\n" in header for header in answer.headers.values())

    def test_every_answer_is_for_this_caller_now_and_of_its_type(self, world):
        for answer in (world.call("GET", "/health"), world.call("GET", "/nowhere"), world.start()):
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"

    def test_whoever_is_not_signed_in_is_told_how(self, world):
        world.exporter = Exporter(replace(world.parts, sign_in=SignIn.OFF))
        answer = world.call("GET", "/me")

        assert problem(answer) == (401, "not-signed-in")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


class TestOtherSites:
    @pytest.fixture
    def signed_in(self, world) -> dict[str, str]:
        world.exporter = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))
        return {"x-ms-client-principal": principal_header(claims_of("person", ["Administrator"], "Ann"))}

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense", ""])
    def test_a_page_of_another_site_changes_nothing(self, world, signed_in, site):
        answer = world.call("POST", START, headers={**signed_in, "sec-fetch-site": site})

        assert problem(answer) == (403, "forbidden")
        assert world.queues.next_due() is None

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"sec-fetch-site": "same-origin"},
            {"sec-fetch-site": "none"},
            {"authorization": "Bearer token"},
            {"authorization": "Bearer token", "sec-fetch-site": "cross-site"},
        ],
    )
    def test_our_own_pages_and_programs_do(self, world, signed_in, headers):
        assert world.call("POST", START, headers={**signed_in, **headers}).status == 202

    def test_a_link_on_another_page_leads_to_us(self, world, signed_in):
        assert world.call("GET", "/me", headers={**signed_in, "sec-fetch-site": "cross-site"}).status == 200


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "expected", "retry_after"),
        [
            (ThrottledError("Too many requests", wait_s=29.1), (503, "throttled"), "30"),
            (ThrottledError("Too many requests", wait_s=0), (503, "throttled"), "1"),
            (TransientError("The server is away"), (503, "not-ready"), "10"),
            (NotCompleteError("It is being written"), (503, "not-ready"), "10"),
            (SegmentError("It cannot be read"), (422, "export-unusable"), None),
            (AccessError("The key is refused"), (422, "export-unusable"), None),
            (ForbiddenError("The key may not"), (422, "export-unusable"), None),
            (RefusedError("There is no room"), (422, "export-unusable"), None),
            (ConfigError("A document cannot be used"), (500, "state-unreadable"), None),
            (StorageConflictError("It is gone"), (503, "storage-unreachable"), "10"),
            (DiskFullError("There is no room"), (503, "storage-unreachable"), "10"),
            (ServiceRequestError("no such host: secret.example"), (503, "storage-unreachable"), "10"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
    )
    def test_what_a_handler_lets_through_is_a_problem(self, error, expected, retry_after):
        def fail() -> Answer:
            raise error

        answer = answered(fail)

        assert problem(answer) == expected
        assert answer.headers.get("Retry-After") == retry_after
        assert "secret.example" not in detail(answer)

    def test_a_bug_is_a_reference_to_the_log_which_tells_places_and_no_values(self, caplog):
        def fail() -> Answer:
            raise KeyError("ann@example.com")

        with caplog.at_level(logging.ERROR):
            answer = answered(fail)

        assert problem(answer) == (500, "unexpected")
        (record,) = caplog.records
        assert record.reference in detail(answer)
        assert (record.error, record.outcome, record.exc_info) == ("KeyError", "unexpected", None)
        assert record.places.startswith("test_door.py:")
        assert "ann@example.com" not in caplog.text + answer.body.decode()

    def test_one_that_nobody_has_caught_is_answered_by_the_app_as_well(self, world, caplog):
        class Broken:
            def __getattr__(self, name: str) -> object:
                raise RuntimeError(name)

        world.exporter = Exporter(replace(world.parts, state=Broken()))

        assert problem(world.start()) == (500, "unexpected")


class TestKeyDoor:
    def ask(self, world: World, method: str, address: str, body: bytes = b"", **headers: str) -> Answer:
        url = f"http://app.example/api/automation{address}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return world.exporter.answer_key(request_of(method, url, named, body, below="/api/automation"))

    def test_what_a_start_answers_opens_with_the_key(self, world):
        started = self.ask(world, "POST", START)
        shown = self.ask(world, "GET", started.headers["Location"].removeprefix("/api/automation"))
        again = self.ask(world, "POST", START)

        assert started.headers["Location"].startswith("/api/automation/runs/newsletter/")
        assert shown.status == 200
        assert problem(again) == (409, "run-active")
        assert again.headers["Location"] == started.headers["Location"]

    def test_links_to_other_pages_open_with_the_key_too(self):
        answer = Answer(status=200, body=b"", headers={"Link": '</api/runs?after=x>; rel="next"', "ETag": "/api/"})

        opened = at_key_door(answer)
        assert opened.headers["Link"] == '</api/automation/runs?after=x>; rel="next"'
        assert opened.headers["ETag"] == "/api/"

    def test_the_key_opens_no_more_for_an_administrator(self, world):
        world.exporter = Exporter(replace(world.parts, sign_in=SignIn.PLATFORM))
        principal = principal_header(claims_of("person", ["Administrator"], "Ann"))
        run = self.ask(world, "POST", START).headers["Location"].removeprefix("/api/automation")

        answer = self.ask(world, "POST", f"{run}/approve", x_ms_client_principal=principal)

        assert problem(answer) == (404, "no-such-address")

    def test_the_key_in_the_query_is_none_of_the_app_s(self, world):
        assert self.ask(world, "POST", f"{START}?code=the-function-key").status == 202

    def test_a_request_of_the_key_is_no_request_of_a_browser(self, world):
        """The key is no cookie: no page of another site has it."""
        assert self.ask(world, "POST", START, b"{}", content_type=JSON, x_functions_key="key").status == 202
