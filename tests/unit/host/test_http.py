import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import azure.functions as func
import pytest
from werkzeug.test import Client

from infra.local.host.functions import AuthLevel, HttpFunction, LoadError
from infra.local.host.http import HttpFunctions, Keys
from infra.local.host.runner import Runner

KEYS = Keys(function="function-key", master="master-key")


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner(threads=2, timeout_s=60, on_end=lambda: None)
    yield runner
    assert runner.stop(5)


def function(
    route: str, body: Callable[..., Any] = lambda req: "ok", *, methods: tuple[str, ...] = (), level: str = "anonymous"
) -> HttpFunction:
    return HttpFunction(
        name="f", argument="req", body=body, route=route, methods=frozenset(methods), auth_level=AuthLevel(level)
    )


def client(runner: Runner, *functions: HttpFunction, prefix: str = "api", keys: Keys = KEYS) -> Client:
    return Client(HttpFunctions(functions, prefix, keys, runner))


def tell(req: func.HttpRequest) -> func.HttpResponse:
    seen = [
        req.method,
        req.url,
        dict(req.route_params),
        dict(req.params),
        req.headers["x-one"],
        req.get_body().decode(),
    ]
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


def test_a_function_gets_all_of_the_request(runner):
    answer = client(runner, function("runs/{export}/{number:int}", tell)).post(
        "/api/runs/spring/7?full=true", headers={"X-One": "1"}, data="body"
    )
    url = "http://localhost/api/runs/spring/7?full=true"
    assert answer.json == ["POST", url, {"export": "spring", "number": "7"}, {"full": "true"}, "1", "body"]


def test_status_headers_and_body_of_the_answer_arrive(runner):
    def accepted(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("{}", status_code=202, headers={"Location": "/x"}, mimetype="application/problem+json")

    answer = client(runner, function("a", accepted)).get("/api/a")
    assert (answer.status_code, answer.data, answer.headers["Location"]) == (202, b"{}", "/x")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_content_type_among_the_headers_wins(runner):
    def csv(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("a", headers={"content-type": "text/csv"})

    assert client(runner, function("a", csv)).get("/api/a").headers.getlist("Content-Type") == ["text/csv"]


def test_a_text_is_an_answer_too(runner):
    answer = client(runner, function("a")).get("/api/a")
    assert (answer.text, answer.mimetype) == ("ok", "text/plain")


@pytest.mark.parametrize("path", ["/api/a/x", "/api", "/a", "/api/b", "/api//a"])
def test_a_path_without_route_is_not_found(runner, path):
    assert client(runner, function("a/{number:int}"), function("a")).get(path).status_code == 404


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS"])
def test_a_method_that_no_function_takes_is_not_found_as_in_the_real_host(runner, method):
    assert client(runner, function("a", methods=("GET",))).open("/api/a", method=method).status_code == 404


def test_functions_may_share_a_path_with_different_methods(runner):
    both = client(
        runner,
        function("a", lambda req: "read", methods=("GET",)),
        function("a", lambda req: "write", methods=("PUT",)),
    )
    assert (both.get("/api/a").text, both.put("/api/a").text) == ("read", "write")


def test_a_literal_segment_goes_before_a_parameter(runner):
    routes = client(
        runner, function("exports/{id}/runs", lambda req: "one"), function("exports/all/runs", lambda req: "all")
    )
    assert (routes.get("/api/exports/x/runs").text, routes.get("/api/exports/all/runs").text) == ("one", "all")


def test_a_catch_all_takes_slashes_and_an_empty_prefix_is_no_segment(runner):
    rest = client(runner, function("files/{*path}", lambda req: req.route_params["path"]), prefix="")
    assert rest.get("/files/a/b").text == "a/b"


@pytest.mark.parametrize("path", ["/api/files", "/api/files/", "/api/files/a/b", "/api/files//a", "/api/files/a%0Ab"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PATCH", "PURGE"])
def test_a_catch_all_takes_nothing_too_and_a_function_without_methods_each(runner, path, method):
    assert client(runner, function("files/{*path}")).open(path, method=method).status_code == 200


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("/api/files/a%2Fb", "/api/files/a%2Fb"),
        ("/api/files/a%2fb", "/api/files/a%2Fb"),
        ("/api/files/%61", "/api/files/a"),
        ("/api/files/a%20b", "/api/files/a%20b"),
        ("/api/files/a%0D%0Ab", "/api/files/a%0D%0Ab"),
        ("/api/files/%E2%82%AC", "/api/files/%E2%82%AC"),
        ("/api/files/100%25", "/api/files/100%25"),
        ("/api/files/a//b/", "/api/files/a//b/"),
        ("/api/files/a/../b/./c", "/api/files/b/c"),
        ("/api/files/a/%2e%2E/b", "/api/files/b"),
        ("/../../api/files/b", "/api/files/b"),
        ("/api/files/..%2Fb", "/api/files/..%2Fb"),
        ("/api/files/b?a=1&a=2&c=%2F", "/api/files/b?a=1&a=2&c=%2F"),
    ],
)
def test_functions_see_addresses_as_kestrel_reads_them(runner, sent, seen):
    told = client(runner, function("files/{*path}", lambda req: req.url))

    assert told.get(sent).text == f"http://localhost{seen}"


def test_a_path_that_climbs_out_is_that_of_another_function(runner):
    both = client(runner, function("a/{*rest}", lambda req: "a"), function("b/{*rest}", lambda req: "b"))

    assert both.get("/api/a/../b/x").text == "b"


def test_a_path_with_a_nul_never_reaches_a_function(runner):
    assert client(runner, function("files/{*path}", fail)).get("/api/files/a%00b").status_code == 400


@pytest.mark.parametrize(
    ("level", "key", "status"),
    [
        ("anonymous", None, 200),
        ("anonymous", "wrong", 200),
        ("function", None, 401),
        ("function", "wrong", 401),
        ("function", "function-key", 200),
        ("function", "master-key", 200),
        ("admin", None, 401),
        ("admin", "function-key", 401),
        ("admin", "master-key", 200),
    ],
)
@pytest.mark.parametrize("place", ["header", "query"])
def test_each_level_asks_for_its_key(runner, level, key, status, place):
    given: dict[str, Any] = {}
    if key is not None:
        given = {"headers": {"x-functions-key": key}} if place == "header" else {"query_string": {"code": key}}
    assert client(runner, function("a", level=level)).get("/api/a", **given).status_code == status


def test_a_key_that_is_not_set_opens_nothing(runner):
    keyless = client(runner, function("a", level="function"), keys=Keys(function="", master=""))
    assert keyless.get("/api/a?code=").status_code == 401


def fail(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("why it failed")


def answer_nothing(req: func.HttpRequest) -> None:
    return


@pytest.mark.parametrize("body", [fail, answer_nothing])
def test_a_function_that_fails_or_answers_nonsense_is_a_500_without_a_word(runner, body):
    answer = client(runner, function("a", body)).get("/api/a")
    assert (answer.status_code, answer.data) == (500, b"")


def test_the_reason_of_a_failure_is_in_the_log(runner, caplog):
    client(runner, function("a", fail)).get("/api/a")
    assert "why it failed" in caplog.text


def test_a_stopping_host_is_unavailable():
    runner = Runner(threads=1, timeout_s=60, on_end=lambda: None)
    runner.stop(0)
    assert client(runner, function("a")).get("/api/a").status_code == 503


@pytest.mark.parametrize("route", ["a/{id?}", "a/{id:regex(x)}", "a/{id:bool}"])
def test_a_route_that_this_host_cannot_read_is_refused_at_the_start(runner, route):
    with pytest.raises(LoadError, match="route"):
        client(runner, function(route))


FORGED = {"X-MS-CLIENT-PRINCIPAL": "forged", "x-ms-client-principal-id": "forged", "X-Ms-Token-Aad-Id-Token": "forged"}


def headers_of(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(dict(req.headers)), mimetype="application/json")


@pytest.fixture
def signing_in(runner: Runner) -> Client:
    return Client(HttpFunctions([function("a", headers_of)], "api", KEYS, runner, signs_in=True))


def test_nobody_but_the_platform_sets_its_headers(runner, signing_in):
    for host in (client(runner, function("a", headers_of)), signing_in):
        seen = host.get("/api/a", headers=FORGED).json
        assert [name for name in seen if name.startswith("x-ms-")] == []


def test_a_test_token_becomes_the_header_of_the_platform_s_authentication(signing_in):
    seen = signing_in.get("/api/a", headers={"Authorization": "Bearer person:Viewer:Ann", **FORGED}).json

    principal = json.loads(base64.b64decode(seen["x-ms-client-principal"]))
    claims = {claim["typ"]: claim["val"] for claim in principal["claims"]}
    assert (principal["auth_typ"], claims["roles"], claims["preferred_username"]) == ("aad", "Viewer", "Ann")


@pytest.mark.parametrize("token", ["", "person:Viewer:Ann", "Basic person:Viewer:Ann", "Bearer person", "Bearer x:y:z"])
def test_any_other_token_signs_nobody_in(signing_in, token):
    assert "x-ms-client-principal" not in signing_in.get("/api/a", headers={"Authorization": token}).json


def test_a_token_says_nothing_where_the_authentication_is_off(runner):
    host = client(runner, function("a", headers_of))

    assert "x-ms-client-principal" not in host.get("/api/a", headers={"Authorization": "Bearer person:Viewer:A"}).json


def test_the_front_end_adds_the_sender_after_what_the_sender_says(runner):
    host = client(runner, function("a", headers_of))
    sent = {"X-Forwarded-For": "203.0.113.9"}

    seen = host.get("/api/a", headers=sent, environ_base={"REMOTE_ADDR": "192.0.2.7"}).json

    assert seen["x-forwarded-for"] == "203.0.113.9, 192.0.2.7:0"
