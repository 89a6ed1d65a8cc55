"""Whom the sign-in header makes of a caller: nobody wherever it is odd, and a person only where it is certain."""

import base64
import json
from typing import Any

import pytest

from exporters.api.callers import caller_of, key_caller, sender
from exporters.model.caller import LOCAL, NOBODY, CallerKind, Role, SignIn
from infra.local.host.front import OBJECT_ID, ROLE, principal_header

ANN = "5f3a9c1e-0000-4000-8000-000000000001"
UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
SUBJECT = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
SCOPE = "http://schemas.microsoft.com/identity/claims/scope"


def headers(*claims: tuple[str, str], by: str = "aad", **more: str) -> dict[str, str]:
    return {"x-ms-client-principal": principal_header(claims, by=by), **more}


def encoded(value: Any) -> dict[str, str]:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return {"x-ms-client-principal": base64.b64encode(text).decode()}


def caller(*claims: tuple[str, str], **more: str) -> Any:
    return caller_of(headers(*claims, **more), SignIn.PLATFORM)


def test_a_person_of_the_browser_s_sign_in():
    """An ID token of version 2."""
    claims = [(OBJECT_ID, ANN), ("preferred_username", "ann@example.com"), ("name", "Ann"), ("roles", "Viewer")]

    ann = caller(*claims, **{"x-forwarded-for": "192.0.2.7:51234"})

    assert (ann.kind, ann.id, ann.name, ann.role) == (CallerKind.PERSON, ANN, "ann@example.com", Role.VIEWER)
    assert ann.address == "192.0.2.7"


@pytest.mark.parametrize(
    "claims",
    [
        [("oid", ANN), ("sub", "pairwise"), ("scp", "access"), ("azp", "client"), ("ver", "2.0")],
        [(OBJECT_ID, ANN), (SUBJECT, "pairwise"), (SCOPE, "access"), ("appid", "client"), ("ver", "1.0")],
        [(OBJECT_ID, ANN), (UPN, "ann@example.com"), ("appid", "client"), ("ver", "1.0")],
        [("oid", ANN), ("scp", "access"), ("idtyp", "user")],
    ],
    ids=["v2 access token", "v1 access token", "v1 with upn", "idtyp user"],
)
def test_a_person_for_whom_an_application_acts(claims):
    assert caller(*claims).kind is CallerKind.PERSON


@pytest.mark.parametrize(
    "claims",
    [
        [("oid", ANN), ("sub", ANN), ("azp", "client"), ("azpacr", "1"), ("ver", "2.0")],
        [(OBJECT_ID, ANN), (SUBJECT, ANN), ("appid", "client"), ("appidacr", "2"), ("ver", "1.0")],
        [("oid", ANN), ("idtyp", "app"), ("preferred_username", "ann@example.com")],
        [("oid", ANN), ("sub", ANN), ("scp", "access")],
        [("oid", ANN), ("idtyp", "device"), ("scp", "access")],
        [("oid", ANN), ("name", "Ann")],
        [("oid", ANN), ("preferred_username", "")],
    ],
    ids=["v2", "v1", "idtyp app", "its own subject", "another idtyp", "name only", "empty user name"],
)
def test_what_is_not_certain_to_be_a_person_is_an_application(claims):
    found = caller(*claims, ("roles", "Administrator"))

    assert (found.kind, found.role) == (CallerKind.APPLICATION, Role.ADMINISTRATOR)


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ([], None),
        ([("roles", "Owner")], None),
        ([("roles", "administrator")], None),
        ([("roles", "Viewer"), ("roles", "Owner")], Role.VIEWER),
        ([("roles", "Viewer"), ("roles", "Administrator"), ("roles", "Contributor")], Role.ADMINISTRATOR),
        ([(ROLE, "Contributor")], Role.CONTRIBUTOR),
        ([("name", "Administrator"), ("groups", "Administrator"), ("wids", "Administrator")], None),
    ],
)
def test_the_highest_role_counts_and_others_are_none(claims, role):
    assert caller(("oid", ANN), *claims).role is role


def test_no_claim_but_that_of_roles_gives_one_whatever_the_header_calls_it():
    claims = [{"typ": "oid", "val": ANN}, {"typ": "name", "val": "Administrator"}]
    principal = {"auth_typ": "aad", "role_typ": "name", "claims": claims}

    assert caller_of(encoded(principal), SignIn.PLATFORM).role is None


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"x-ms-client-principal": ""},
        {"x-ms-client-principal": "Ann"},
        {"x-ms-client-principal": "{}"},
        {"x-ms-client-principal": "\u00e9"},
        encoded(b"\xff\xfe"),
        encoded(b"nonsense"),
        encoded(b"[" * 100_000),
        encoded(b'{"claims":' * 50_000),
        encoded([]),
        encoded({}),
        encoded({"auth_typ": "aad"}),
        encoded({"auth_typ": "aad", "claims": {}}),
        encoded({"auth_typ": "aad", "claims": ["oid"]}),
        encoded({"auth_typ": "aad", "claims": [{"typ": "oid"}]}),
        encoded({"auth_typ": "aad", "claims": [{"typ": "oid", "val": 1}]}),
        encoded({"auth_typ": "aad", "claims": [{"typ": "oid", "val": ANN}, {"typ": "roles", "val": ["Viewer"]}]}),
        encoded({"claims": [{"typ": "oid", "val": ANN}]}),
    ],
)
def test_an_odd_header_signs_nobody_in(header):
    assert caller_of(header, SignIn.PLATFORM) == NOBODY


@pytest.mark.parametrize(
    "header",
    [
        headers(("roles", "Administrator"), ("preferred_username", "ann@example.com")),
        headers(("oid", ""), ("roles", "Administrator")),
        headers(("oid", ANN), (OBJECT_ID, "another"), ("roles", "Administrator")),
        headers(("oid", ANN), ("roles", "Administrator"), by="facebook"),
        headers(("oid", ANN), ("roles", "Administrator"), by=""),
    ],
    ids=["no object id", "empty object id", "two object ids", "another provider", "no provider"],
)
def test_whoever_is_not_known_to_entra_is_nobody(header):
    assert caller_of(header, SignIn.PLATFORM) == NOBODY


def test_the_header_is_believed_only_where_the_platform_sets_it():
    header = headers(("oid", ANN), ("scp", "access"), ("roles", "Administrator"))

    assert caller_of(header, SignIn.OFF) == NOBODY
    assert caller_of(header, SignIn.LOCAL) == LOCAL
    assert caller_of(header, SignIn.PLATFORM).role is Role.ADMINISTRATOR


def test_a_key_is_a_key_whoever_is_signed_in_besides():
    header = headers(("oid", ANN), ("roles", "Administrator"), **{"x-forwarded-for": "192.0.2.7:1"})
    found = key_caller(header)

    assert (found.kind, found.role, found.id, found.address) == (CallerKind.KEY, None, "", "192.0.2.7")


def test_a_name_cannot_break_a_line_and_does_not_fill_a_document():
    name = caller(("oid", ANN), ("preferred_username", "Ann\r\n\u202e" + "x" * 1_000)).name

    assert name == "Ann" + "x" * 197


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("", ""),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:51234", "192.0.2.7"),
        ("203.0.113.9, 192.0.2.7:51234", "192.0.2.7"),
        ("203.0.113.9,192.0.2.7:51234", "192.0.2.7"),
        ("[2001:db8::7]:51234", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::7%<script>", "fe80::7"),
        ("192.0.2.7, unknown", ""),
        ("Ann", ""),
        ("192.0.2.7,", ""),
    ],
)
def test_the_sender_is_what_the_front_end_has_added(header, address):
    assert sender({"x-forwarded-for": header}) == address
