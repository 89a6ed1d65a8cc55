"""What App Service's front end and its authentication do to the headers of a request, before the host sees it.

Here a test token says who it is, and nothing is proved. `Authorization: Bearer person:Viewer:Ann` is a person
with a role, `Bearer application:Administrator:deploy` an application, and `Bearer person::Eve` somebody without a role.
https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

import base64
import json
import uuid
from collections.abc import Mapping, Sequence

#: Only the platform sets these.
PLATFORM_HEADERS = ("x-ms-client-principal", "x-ms-token-")
NAME = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"


def arrived(headers: Mapping[str, str], sender: str | None, *, signs_in: bool) -> dict[str, str]:
    """The headers as functions see them: without those that only the platform may set, and with its own."""
    kept = {name: value for name, value in headers.items() if not name.lower().startswith(PLATFORM_HEADERS)}
    lower = {name.lower(): value for name, value in kept.items()}
    told = [address for address in (lower.get("x-forwarded-for"), sender and f"{sender}:0") if address]
    principal = principal_of(lower.get("authorization", "")) if signs_in else None
    ours = {"X-Forwarded-For": ", ".join(told)}
    if principal is not None:
        ours["X-MS-CLIENT-PRINCIPAL"] = principal
    return {name: value for name, value in kept.items() if name.lower() != "x-forwarded-for"} | ours


def principal_of(authorization: str) -> str | None:
    """The sign-in header of a test token; None where there is none, or another one."""
    scheme, _, token = authorization.partition(" ")
    kind, _, rest = token.partition(":")
    role, divided, name = rest.partition(":")
    if scheme.lower() != "bearer" or kind not in {"person", "application"} or not divided:
        return None
    return principal_header(claims_of(kind, [role] if role else [], name))


def claims_of(kind: str, roles: Sequence[str], name: str) -> list[tuple[str, str]]:
    """What tokens of version 2 say about a person or about an application that acts for itself.

    https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
    """
    object_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind}:{name}"))
    of_kind = [("preferred_username", name)] if kind == "person" else [("azp", object_id), ("idtyp", "app")]
    return [(OBJECT_ID, object_id), ("ver", "2.0"), *of_kind, *(("roles", role) for role in roles)]


def principal_header(claims: Sequence[tuple[str, str]], *, by: str = "aad") -> str:
    """The value of X-MS-CLIENT-PRINCIPAL: base64 of JSON."""
    listed = [{"typ": kind, "val": value} for kind, value in claims]
    principal = {"auth_typ": by, "claims": listed, "name_typ": NAME, "role_typ": ROLE}
    return base64.b64encode(json.dumps(principal).encode()).decode()
