"""The registration, against a directory that a script plays."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from exporters.model.caller import Role
from infra import sign_in

FAKE = Path(__file__).parent / "fake_az.py"
NAME = "segment-exporter-test"
REDIRECT = "https://segexp-app.azurewebsites.net"
CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


class Tenant:
    """The directory, and what was asked of it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.write({"applications": {}, "principals": {}, "credentials": {}, "calls": [], "late": 0})

    def read(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.place.read_text())
        return state

    def write(self, state: dict[str, Any]) -> None:
        self.place.write_text(json.dumps(state))

    def change(self, **members: Any) -> None:
        self.write(self.read() | members)

    @property
    def application(self) -> dict[str, Any]:
        found: dict[str, Any] = self.read()["applications"][NAME]
        return found


@pytest.fixture
def tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    program = tmp_path / "bin" / "az"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{FAKE}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("FAKE_DIRECTORY", str(tmp_path / "directory.json"))
    return Tenant(tmp_path / "directory.json")


def test_it_registers_the_app_and_prints_nothing_but_its_client_id(tenant, capsys):
    assert sign_in.main([NAME, "--redirect", REDIRECT, "--identity", "object-of-identity", "--client", CLI]) == 0

    assert capsys.readouterr().out == "client-1\n"
    application = tenant.application
    assert application["signInAudience"] == "AzureADMyOrg"
    assert application["identifierUris"] == ["api://client-1"]
    assert application["web"]["redirectUris"] == [f"{REDIRECT}/.auth/login/aad/callback"]
    assert [(role["value"], role["allowedMemberTypes"]) for role in application["appRoles"]] == [
        (role.value, ["User", "Application"]) for role in Role
    ]
    [scope] = application["api"]["oauth2PermissionScopes"]
    assert scope["value"] == "user_impersonation"
    assert application["api"]["preAuthorizedApplications"] == [{"appId": CLI, "delegatedPermissionIds": [scope["id"]]}]
    state = tenant.read()
    assert list(state["principals"]) == ["client-1"]
    [credential] = state["credentials"].values()
    assert credential == {
        "issuer": "https://login.test/tenant-1/v2.0",
        "subject": "object-of-identity",
        "audiences": ["api://AzureADTokenExchange"],
    }
    assert "password" not in json.dumps(state).lower()


def test_doing_it_again_changes_nothing(tenant, capsys):
    options = [NAME, "--redirect", REDIRECT, "--identity", "object-of-identity", "--client", CLI]
    sign_in.main(options)
    before = tenant.read() | {"calls": []}
    tenant.write(before)

    sign_in.main(options)

    after = tenant.read()
    assert after | {"calls": []} == before
    assert ["PATCH", "/applications/object-1"] not in after["calls"]
    assert capsys.readouterr().out == "client-1\n" * 2


def test_the_address_and_the_identity_can_follow_once_they_are_known(tenant):
    sign_in.main([NAME])
    assert tenant.application["web"]["redirectUris"] == []

    sign_in.main([NAME, "--redirect", REDIRECT, "--identity", "object-of-identity"])

    assert tenant.application["web"]["redirectUris"] == [f"{REDIRECT}/.auth/login/aad/callback"]
    assert len(tenant.read()["credentials"]) == 1


def test_another_identity_takes_the_place_of_the_former(tenant):
    for identity in ("first", "second"):
        sign_in.main([NAME, "--identity", identity])

    assert [each["subject"] for each in tenant.read()["credentials"].values()] == ["second"]


def test_what_others_have_added_stays(tenant):
    sign_in.main([NAME])
    state = tenant.read()
    mine = state["applications"][NAME]
    mine["appRoles"][0]["id"] = "assigned-already"
    mine["appRoles"].append({"id": "theirs", "value": "Auditor"})
    mine["web"]["redirectUris"] = ["https://other.example.com/callback"]
    mine["identifierUris"].append("https://example.com/exporter")
    mine["api"]["preAuthorizedApplications"] = [{"appId": "theirs", "delegatedPermissionIds": []}]
    tenant.write(state)

    sign_in.main([NAME, "--redirect", REDIRECT, "--client", CLI])

    application = tenant.application
    assert [role["id"] for role in application["appRoles"]] == [
        "assigned-already",
        *(sign_in.ROLES[name][0] for name in ("Contributor", "Administrator")),
        "theirs",
    ]
    assert application["web"]["redirectUris"][0] == "https://other.example.com/callback"
    assert application["identifierUris"] == ["api://client-1", "https://example.com/exporter"]
    assert [each["appId"] for each in application["api"]["preAuthorizedApplications"]] == ["theirs", CLI]


def test_a_directory_that_shows_late_what_was_written_is_waited_for(tenant):
    tenant.change(late=2)
    pauses: list[float] = []

    assert sign_in.register(sign_in.Directory(), NAME, wait=pauses.append) == "client-1"
    assert pauses == [sign_in.PAUSE_S] * 2


def test_one_that_takes_changes_late_is_waited_for(tenant):
    """A place that answers questions for what was written may be another than the one that is asked to change it."""
    tenant.change(slow=["/applications/object-1", "/servicePrincipals(appId='client-1')"])
    pauses: list[float] = []

    assert sign_in.register(sign_in.Directory(), NAME, wait=pauses.append) == "client-1"
    assert pauses == [sign_in.PAUSE_S] * 2
    assert tenant.application["identifierUris"] == ["api://client-1"]
    assert list(tenant.read()["principals"]) == ["client-1"]


def test_one_that_never_shows_it_is_an_error(tenant):
    tenant.change(late=100)

    with pytest.raises(sign_in.MissingError):
        sign_in.register(sign_in.Directory(), NAME, wait=lambda _: None)


def test_a_refusal_is_told_and_nothing_is_printed_for_a_client_id(tenant, capsys):
    tenant.change(refuses=True)

    assert sign_in.main([NAME]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "Authorization_RequestDenied" in said.err


def test_without_the_azure_cli_that_is_said(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")

    assert sign_in.main([NAME]) == 1
    assert "az) is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["It's"], ["x"], [NAME, "--redirect", "http://app"], [NAME, "--redirect", "https://a/b"]]
)
def test_a_wrong_command_line_is_refused(words):
    with pytest.raises(SystemExit) as refused:
        sign_in.main(words)
    assert refused.value.code == 2
