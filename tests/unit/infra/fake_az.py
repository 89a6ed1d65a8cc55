"""Plays the Azure CLI and a tenant's directory, which is the file that FAKE_DIRECTORY names; notes each call in it."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

PLACE = Path(os.environ["FAKE_DIRECTORY"])
ANSWERS = {
    "cloud": {"microsoftGraphResourceId": "https://graph.test/", "activeDirectory": "https://login.test"},
    "account": "tenant-1",
}
UNIQUE = re.compile(r"/applications\(uniqueName='([^']+)'\)$")
BY_ID = re.compile(r"/applications/([^/]+)$")
PRINCIPAL = re.compile(r"/servicePrincipals\(appId='([^']+)'\)$")
CREDENTIAL = re.compile(r"/applications/([^/]+)/federatedIdentityCredentials\(name='([^']+)'\)$")


def main() -> None:
    words = sys.argv[1:]
    state = json.loads(PLACE.read_text())
    try:
        answer = ANSWERS.get(words[0]) or rest(state, words)
    finally:
        PLACE.write_text(json.dumps(state))
    if answer is not None:
        print(json.dumps(answer))


def rest(state: dict[str, Any], words: list[str]) -> Any:
    method = words[words.index("--method") + 1]
    path = words[words.index("--url") + 1].removeprefix("https://graph.test/v1.0").partition("?")[0]
    create = "Prefer=create-if-missing" in words
    body = json.loads(words[words.index("--body") + 1]) if "--body" in words else {}
    state["calls"].append([method, path])
    if state.get("refuses"):
        sys.exit('ERROR: Forbidden({"code":"Authorization_RequestDenied"})')
    if method == "PATCH" and path in state.get("slow", []):
        state["slow"].remove(path)
        code = "Request_ResourceNotFound" if path.startswith("/applications") else "NoBackingApplicationObject"
        sys.exit(f'ERROR: {{"code":"{code}"}}')
    found = look(state, path, create=create)
    if found is None:
        sys.exit('ERROR: Not Found({"code":"Request_ResourceNotFound"})')
    if method == "GET":
        if state["late"]:
            state["late"] -= 1
            sys.exit('ERROR: Not Found({"code":"Request_ResourceNotFound"})')
        return found
    check(found, body)
    found |= body
    return None


def look(state: dict[str, Any], path: str, *, create: bool) -> dict[str, Any] | None:
    if named := UNIQUE.search(path):
        applications = state["applications"]
        if named[1] not in applications and create:
            number = len(applications) + 1
            applications[named[1]] = {"id": f"object-{number}", "appId": f"client-{number}", "api": {}, "appRoles": []}
        return applications.get(named[1])
    if found := BY_ID.search(path):
        return next(each for each in state["applications"].values() if each["id"] == found[1])
    if principal := PRINCIPAL.search(path):
        return state["principals"].setdefault(principal[1], {}) if create else state["principals"].get(principal[1])
    if credential := CREDENTIAL.search(path):
        return state["credentials"].setdefault(credential[2], {}) if create else state["credentials"].get(credential[2])
    sys.exit(f"ERROR: no such address: {path}")


def check(found: dict[str, Any], body: dict[str, Any]) -> None:
    """What Microsoft Graph insists on."""
    kept = {role["id"] for role in body.get("appRoles", found.get("appRoles", []))}
    if not {role["id"] for role in found.get("appRoles", [])} <= kept:
        sys.exit("ERROR: Bad Request: an enabled role cannot be deleted")
    scopes = {scope["id"] for scope in found.get("api", {}).get("oauth2PermissionScopes", [])}
    for client in body.get("api", {}).get("preAuthorizedApplications", []):
        if not set(client["delegatedPermissionIds"]) <= scopes:
            sys.exit("ERROR: Bad Request: the scope is not there yet")


if __name__ == "__main__":
    main()
