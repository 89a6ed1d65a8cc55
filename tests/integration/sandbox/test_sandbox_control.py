"""Faults, control routes and the server itself, as all sandboxes have them."""

import http.client
import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests

from infra.local.sandbox.rates import Bucket
from tests.integration.sandbox.clients import wait_until

UPSERT = "/v3/marketing/contacts"
ROUTE = "PUT /v3/marketing/contacts"


def _trouble(client, **trouble):
    assert client("PUT", "/_sandbox/faults", {"next": [trouble]}).status_code == 200


def test_faults_can_be_read_and_set_and_what_is_not_named_is_as_at_the_start(sendgrid):
    assert sendgrid("PUT", "/_sandbox/faults", {"lag_s": 3, "job_delay_s": 1}).json()["lag_s"] == 3
    assert sendgrid("PUT", "/_sandbox/faults", {"job_delay_s": 2}).status_code == 200
    faults = sendgrid("GET", "/_sandbox/faults").json()
    assert (faults["lag_s"], faults["job_delay_s"]) == (0, 2)


@pytest.mark.parametrize(
    "faults",
    [
        {"unheard_of": 1},
        {"lag_s": "soon"},
        {"next": [{"kind": "odd"}]},
        {"next": [{"kind": "error", "route": "GET /x"}]},
    ],
)
def test_unknown_faults_are_refused_by_name(sendgrid, faults):
    answer = sendgrid("PUT", "/_sandbox/faults", faults)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(next(iter(faults)))
    assert sendgrid("PUT", "/_sandbox/faults", [1]).status_code == 400


def test_the_next_requests_of_a_route_fail_with_any_status_and_then_pass(sendgrid):
    _trouble(sendgrid, kind="error", status=502, times=2, route=ROUTE)
    list_id = sendgrid.new_list()
    statuses = [sendgrid.upsert([{"email": "a@example.com"}], list_id).status_code for _ in range(3)]
    assert statuses == [502, 502, 202]


def test_a_proxy_page_can_stand_in_for_the_answer(sendgrid):
    _trouble(sendgrid, kind="html_error", status=502)
    answer = sendgrid("GET", "/v3/scopes")
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    assert "<h1>502 Bad Gateway</h1>" in answer.text


def test_an_answer_can_be_truncated_after_the_request_was_carried_out(sendgrid):
    list_id = sendgrid.new_list()
    _trouble(sendgrid, kind="truncated", route=ROUTE)
    answer = sendgrid.upsert([{"email": "a@example.com"}], list_id)
    assert answer.status_code == 202
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    wait_until(lambda: len(sendgrid.stored(list_id)) == 1)


@pytest.mark.parametrize(("kind", "stored"), [("cut_before", 0), ("cut_after", 1)])
def test_the_connection_can_be_reset_before_or_after_the_request_is_carried_out(sendgrid, kind, stored):
    list_id = sendgrid.new_list()
    _trouble(sendgrid, kind=kind, route=ROUTE)
    with pytest.raises(requests.ConnectionError, match="reset"):
        sendgrid.upsert([{"email": "a@example.com"}], list_id)
    sendgrid.done(sendgrid.upsert([{"email": "b@example.com"}]))
    assert len(sendgrid.stored(list_id)) == stored
    assert sendgrid("GET", "/_sandbox/requests").json()["routes"][ROUTE]["statuses"] == {"cut": 1, "202": 1}


def test_the_next_requests_can_be_throttled_with_a_given_reset(sendgrid, brevo):
    _trouble(sendgrid, kind="throttle", reset_s=17)
    answer = sendgrid("GET", "/v3/scopes")
    assert (answer.status_code, answer.headers["X-RateLimit-Reset"]) == (429, "17")
    _trouble(brevo, kind="throttle", reset_s=17)
    answer = brevo("GET", "/v3/account")
    assert (answer.status_code, answer.headers["x-sib-ratelimit-reset"]) == (429, "17")


def test_a_key_can_be_refused_from_now_on(sendgrid, brevo):
    for client, path in ((sendgrid, "/v3/scopes"), (brevo, "/v3/account")):
        assert client("GET", path).status_code == 200
        client("PUT", "/_sandbox/faults", {"unauthorized": True})
        assert client("GET", path).status_code == 401


def test_keys_can_be_replaced_from_now_on(sendgrid, brevo):
    ways = ((sendgrid, "/v3/scopes", "Authorization", "Bearer "), (brevo, "/v3/account", "api-key", ""))
    for client, path, header, scheme in ways:
        client("PUT", "/_sandbox/faults", {"keys": ["another"]})
        assert client("GET", path).status_code == 401
        assert client("GET", path, headers={header: f"{scheme}another"}).status_code == 200


def test_requests_and_imports_are_counted_by_route(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid("GET", f"/v3/marketing/lists/{list_id}")
    sendgrid("GET", "/v3/marketing/lists/unknown")
    body = b'{"contacts":[{"email":"a@example.com"},{"email":"b@example.com"}]}'
    sendgrid("PUT", UPSERT, data=body)
    sendgrid("GET", "/nowhere")
    seen = sendgrid("GET", "/_sandbox/requests").json()
    assert seen["routes"]["GET /v3/marketing/lists/{list_id}"] == {
        "count": 2, "bytes": 0, "statuses": {"200": 1, "404": 1},
    }  # fmt: skip
    assert seen["routes"][ROUTE] == {"count": 1, "bytes": len(body), "statuses": {"202": 1}}
    assert seen["routes"]["unknown"]["count"] == 1
    assert seen["imports"] == [{"contacts": 2, "bytes": len(body)}]


def test_a_reset_forgets_everything_but_the_faults_of_the_start(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid("PUT", "/_sandbox/faults", {"lag_s": 3})
    assert sendgrid("POST", "/_sandbox/reset").status_code == 204
    assert sendgrid("GET", "/_sandbox/requests").json() == {"routes": {}, "imports": []}
    assert sendgrid("GET", "/_sandbox/faults").json()["lag_s"] == 0
    assert sendgrid("GET", f"/v3/marketing/lists/{list_id}").status_code == 404


def test_the_stored_contacts_of_a_list_are_sorted_by_address(sendgrid):
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": f"{name}@example.com"} for name in "cab"], list_id))
    assert [contact["email"][0] for contact in sendgrid.stored(list_id)] == ["a", "b", "c"]


def test_a_connection_serves_many_requests(sendgrid):
    address = urlsplit(sendgrid.sandbox.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=5)
    try:
        local = set()
        for _ in range(3):
            connection.request("GET", "/v3/scopes", headers={"Authorization": "Bearer SG.sandbox"})
            assert connection.getresponse().read()
            local.add(connection.sock.getsockname())
    finally:
        connection.close()
    assert len(local) == 1


def test_bodies_may_come_in_chunks(sendgrid):
    parts = (part for part in (b'{"contacts":', b'[{"email":"a@example.com"}]}'))
    assert sendgrid("PUT", UPSERT, data=parts).status_code == 202


def test_many_clients_are_served_at_once(sendgrid):
    list_id = sendgrid.new_list()
    threads = [
        threading.Thread(target=sendgrid.upsert, args=([{"email": f"p{number}@example.com"}], list_id))
        for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(sendgrid.stored(list_id)) == 16)


def test_a_closed_sandbox_ends_its_connections(sendgrid):
    address = urlsplit(sendgrid.sandbox.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(b"GET /v3/scopes HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(10_000)
        sendgrid.sandbox.close()
        connection.settimeout(5)
        while connection.recv(10_000):
            continue


def test_methods_and_paths_that_do_not_exist_are_refused_in_the_vendors_words(sendgrid, brevo):
    assert sendgrid("POST", UPSERT).status_code == 405
    assert sendgrid("GET", "/v3/none").json()["errors"][0]["message"] == "not found"
    assert brevo("GET", "/v3/none").json()["code"] == "document_not_found"


def test_a_bucket_counts_in_windows():
    bucket = Bucket()
    take = [bucket.take(limit=2, window_s=10, now=now) for now in (100, 101, 109, 110)]
    assert [one.allowed for one in take] == [True, True, False, True]
    assert [one.remaining for one in take] == [1, 0, 0, 1]
    assert take[2].reset_s(109) == 1
    assert bucket.look(limit=2, window_s=10, now=119).remaining == 1
    assert bucket.look(limit=2, window_s=10, now=120).remaining == 2
