"""Registers the app in Microsoft Entra, so that people and applications can sign in with a role. Prints its client id.

    python -m infra.sign_in segment-exporter-prod --redirect https://<app>.azurewebsites.net --identity <object id>

One tenant; the three roles of `exporters.model.caller.Role`, for users, groups and applications alike; the scope
`user_impersonation` below `api://<client id>`. No secret: with `--identity` the app's managed identity vouches for the
app, as a federated credential of the registration.
https://learn.microsoft.com/azure/app-service/configure-authentication-provider-aad#use-a-managed-identity-instead-of-a-secret-preview

It may run again at any time: what is there stays as it is, and what is missing is added. The registration is found by a
unique name that nobody can take twice (https://learn.microsoft.com/graph/api/application-upsert). Whoever runs it has
signed in with `az login` and may register applications. Needs nothing but Python and the Azure CLI.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from infra.azure_cli import AzureCliError, az

#: In the order of the documentation. The ids are ours, made once: they are unique within a registration, and the same
#: everywhere, so that an assignment can be written down.
ROLES = {
    "Viewer": ("7d1f4e0a-5b38-4f0e-9a51-0c6a2b0f6d11", "Sees exports and runs, without anybody's data"),
    "Contributor": ("b2c6a9d4-8a1e-4c57-8f0b-6b1f3e9d7a22", "Manages and runs exports, and sees the people in them"),
    "Administrator": ("e9a37c58-2f64-4d1b-b6c9-41d8f5a0c333", "Manages connections and everything else"),
}
SCOPE = "user_impersonation"
SCOPE_ID = "4f8b2d36-91c7-4a5e-8e2d-d7b6c1a9e444"
#: Where App Service authentication takes people back to after they have signed in.
CALLBACK = "/.auth/login/aad/callback"
#: Who the token of a managed identity has to be for. https://learn.microsoft.com/graph/api/resources/federatedidentitycredential
AUDIENCE = "api://AzureADTokenExchange"
CREDENTIAL = "managed-identity-of-the-app"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")
#: What was just written to the directory is known a little later everywhere: until then questions for it and changes of
#: it are refused with these words. https://learn.microsoft.com/graph/api/application-upsert
#: https://learn.microsoft.com/graph/api/serviceprincipal-upsert
NOT_YET = ("ResourceNotFound", "NoBackingApplicationObject")
TRIES = 10
PAUSE_S = 3.0

Document = dict[str, Any]
Answer = TypeVar("Answer")


class MissingError(Exception):
    """There is no such document, or not yet."""


class Directory:
    """The tenant's directory: Microsoft Graph, asked by the Azure CLI. Everything raises AzureCliError."""

    def __init__(self) -> None:
        cloud = az("cloud", "show", "--query", "endpoints")
        self._graph = f"{cloud['microsoftGraphResourceId'].rstrip('/')}/v1.0"
        tenant = az("account", "show", "--query", "tenantId")
        self.issuer = f"{cloud['activeDirectory'].rstrip('/')}/{tenant}/v2.0"

    def read(self, path: str) -> Document:
        """A document. Raises MissingError."""
        document: Document = self._ask("GET", path)
        return document

    def change(self, path: str, body: Mapping[str, Any], *, create: bool = False) -> None:
        """Write these members of a document; with `create` also where there is none yet. Raises MissingError."""
        headers = ["Content-Type=application/json", *(["Prefer=create-if-missing"] if create else [])]
        self._ask("PATCH", path, "--headers", *headers, "--body", json.dumps(body))

    def _ask(self, method: str, path: str, *more: str) -> Any:
        try:
            return az("rest", "--method", method, "--url", self._graph + path, *more)
        except AzureCliError as error:
            if any(word in str(error) for word in NOT_YET):
                raise MissingError(str(error)) from error
            raise


def register(
    directory: Directory,
    name: str,
    *,
    redirect: str | None = None,
    identity: str | None = None,
    clients: Sequence[str] = (),
    wait: Callable[[float], None] = time.sleep,
) -> str:
    """Make the registration what it has to be, and answer its client id. Doing it again changes nothing.

    `identity` is the object id of the app's managed identity; `clients` are client ids of applications that may ask for
    a token in the name of whoever uses them, without asking each of them for consent.
    """
    path = f"/applications(uniqueName='{name}')"
    directory.change(path, {"displayName": name, "signInAudience": "AzureADMyOrg"}, create=True)
    found = _once_there(wait, lambda: directory.read(f"{path}?$select=id,appId,identifierUris,web,api,appRoles"))
    client_id: str = found["appId"]
    place = f"/applications/{found['id']}"
    wanted = _wanted(found, redirect)
    if any(found.get(member) != value for member, value in wanted.items()):
        _once_there(wait, lambda: directory.change(place, wanted))
    # Only what the directory has can be granted, so this comes after the scope.
    if trusting := _trusting(wanted["api"], clients):
        _once_there(wait, lambda: directory.change(place, {"api": trusting}))
    principal = f"/servicePrincipals(appId='{client_id}')"
    _once_there(wait, lambda: directory.change(principal, {"displayName": name}, create=True))
    if identity:
        trust = {"issuer": directory.issuer, "subject": identity, "audiences": [AUDIENCE]}
        credential = f"{place}/federatedIdentityCredentials(name='{CREDENTIAL}')"
        _once_there(wait, lambda: directory.change(credential, trust, create=True))
    return client_id


def _once_there(wait: Callable[[float], None], ask: Callable[[], Answer]) -> Answer:
    for _ in range(TRIES - 1):
        try:
            return ask()
        except MissingError:
            wait(PAUSE_S)
    return ask()


def _wanted(found: Document, redirect: str | None) -> Document:
    """The members that matter here, with all that is there already."""
    web, api = found.get("web") or {}, found.get("api") or {}
    redirects = _with(web.get("redirectUris", []), [redirect + CALLBACK] if redirect else [])
    roles = [
        {
            "id": role_id,
            "value": value,
            "displayName": value,
            "description": description,
            "allowedMemberTypes": ["User", "Application"],
            "isEnabled": True,
        }
        for value, (role_id, description) in ROLES.items()
    ]
    scope = {
        "id": SCOPE_ID,
        "value": SCOPE,
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": "Use Segment Exporter",
        "adminConsentDescription": "Use Segment Exporter in the name of whoever has signed in, with their role",
        "userConsentDisplayName": "Use Segment Exporter",
        "userConsentDescription": "Use Segment Exporter in your name, with your role",
    }
    implicit = {**web.get("implicitGrantSettings", {}), "enableIdTokenIssuance": True}
    return {
        "identifierUris": _with(found.get("identifierUris", []), [f"api://{found['appId']}"]),
        "appRoles": _with_named(found.get("appRoles", []), roles),
        "api": {
            **api,
            "requestedAccessTokenVersion": 2,
            "oauth2PermissionScopes": _with_named(api.get("oauth2PermissionScopes", []), [scope]),
        },
        "web": {**web, "redirectUris": redirects, "implicitGrantSettings": implicit},
    }


def _trusting(api: Document, clients: Sequence[str]) -> Document | None:
    """`api` with these clients trusted; None where they are already."""
    scope_id = next(scope["id"] for scope in api["oauth2PermissionScopes"] if scope["value"] == SCOPE)
    trusted = {each["appId"]: each["delegatedPermissionIds"] for each in api.get("preAuthorizedApplications") or []}
    new = [client for client in clients if scope_id not in trusted.get(client, [])]
    if not new:
        return None
    trusted |= {client: [*trusted.get(client, []), scope_id] for client in new}
    members = [{"appId": client, "delegatedPermissionIds": scopes} for client, scopes in trusted.items()]
    return {**api, "preAuthorizedApplications": members}


def _with(there: Sequence[str], wanted: Sequence[str]) -> list[str]:
    return [*there, *(each for each in wanted if each not in there)]


def _with_named(there: Sequence[Document], wanted: Sequence[Document]) -> list[Document]:
    """What is there stays, with its id: assignments and consents name it."""
    values = {each["value"] for each in there}
    return [*there, *(each for each in wanted if each["value"] not in values)]


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("a name has 3 to 63 lower-case letters, digits and hyphens")
    return text


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.netloc or parts.path.strip("/"):
        raise argparse.ArgumentTypeError("an address is https://<host>, without a path")
    return f"https://{parts.netloc}"


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.sign_in", description=__doc__)
    parser.add_argument("name", type=_name, help="unique name of the registration in the tenant")
    parser.add_argument("--redirect", type=_address, help="the app's address, for people who sign in by a browser")
    parser.add_argument("--identity", help="object id of the app's managed identity, in place of a client secret")
    parser.add_argument("--client", action="append", default=[], help="client id of an application to trust")
    given = parser.parse_args(words)
    try:
        client_id = register(
            Directory(), given.name, redirect=given.redirect, identity=given.identity, clients=given.client
        )
    except (AzureCliError, MissingError) as error:
        print(error, file=sys.stderr)
        return 1
    print(client_id)
    return 0


if __name__ == "__main__":
    sys.exit(main())
