"""Who calls: App Service authentication puts the claims of the caller's token on the request.

Requests from outside cannot set this header, but only while that authentication is on; so it is believed only where a
setting says that it is. Whatever is odd about it makes nobody of the caller.
https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from pydantic import BaseModel, ConfigDict, ValidationError

from exporters.model.caller import LOCAL, NOBODY, Caller, CallerKind, Role, SignIn

#: Microsoft Entra ID, as the header calls it. Other providers of identities know nothing of our roles.
ENTRA = "aad"
#: Claims of tokens, as they are in them and as the platform may have renamed them on their way.
#: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
ID_CLAIMS = frozenset({"oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"})
SUBJECT_CLAIMS = frozenset({"sub", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"})
#: The header says in `role_typ` which claim holds roles. It is not asked: it might name one that people fill in.
ROLE_CLAIMS = frozenset({"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
#: Only tokens of people have one of them: what they sign in with, or what they have let an application do for them.
PERSON_CLAIMS = frozenset(
    {
        "preferred_username",
        "upn",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
        "scp",
        "http://schemas.microsoft.com/identity/claims/scope",
    }
)
#: What callers are known by, the best one first.
NAME_CLAIMS = (
    "preferred_username",
    "upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "name",
    "app_displayname",
    "azp",
    "appid",
)
#: Ours: longer names are cut. They stand in run documents and in the audit trail.
MAX_NAME = 200


class _Claim(BaseModel):
    model_config = ConfigDict(strict=True)

    typ: str
    val: str


class _Principal(BaseModel):
    model_config = ConfigDict(strict=True)

    auth_typ: str
    claims: list[_Claim]


def caller_of(headers: Mapping[str, str], sign_in: SignIn) -> Caller:
    """Whoever the platform says is signed in; `NOBODY` where that is not certain. Header names are lower case."""
    if sign_in is SignIn.LOCAL:
        return LOCAL
    if sign_in is SignIn.OFF:
        return NOBODY
    try:
        principal = base64.b64decode(headers.get("x-ms-client-principal", ""), validate=True)
        read = _Principal.model_validate_json(principal)
    except (binascii.Error, ValidationError, ValueError):
        return NOBODY
    ids = {claim.val for claim in read.claims if claim.typ in ID_CLAIMS}
    if read.auth_typ != ENTRA or len(ids) != 1 or "" in ids:
        return NOBODY
    return Caller(
        kind=CallerKind.PERSON if _is_person(read.claims, *ids) else CallerKind.APPLICATION,
        id=_shown(*ids),
        name=_name(read.claims),
        role=_role(read.claims),
        address=sender(headers),
    )


def key_caller(headers: Mapping[str, str]) -> Caller:
    """Whoever holds the function key, whatever else the request says about them."""
    return Caller(kind=CallerKind.KEY, address=sender(headers))


def sender(headers: Mapping[str, str]) -> str:
    """The address that a request came from; empty where it is unknown.

    App Service's front end adds it, with the port, at the end of X-Forwarded-For; what stands before that is whatever
    the sender has written, or a proxy. Behind a proxy of one's own this is therefore the proxy's address.
    """
    last = headers.get("x-forwarded-for", "").split(",")[-1].strip()
    for candidate in (last, last.rpartition(":")[0]):
        try:
            return str(ip_address(candidate.strip("[]").partition("%")[0]))
        except ValueError:
            continue
    return ""


def _is_person(claims: Sequence[_Claim], object_id: str) -> bool:
    """Whether a token is that of a person: it has a claim that only theirs have, and none that says otherwise.

    An application that acts for itself is its own subject, and `idtyp` says `app` where the tenant has it told.
    https://learn.microsoft.com/entra/identity-platform/scenario-protected-web-api-verification-scope-app-roles
    https://learn.microsoft.com/entra/identity-platform/optional-claims-reference
    """
    if any(claim.typ == "idtyp" and claim.val != "user" for claim in claims):
        return False
    if any(claim.typ in SUBJECT_CLAIMS and claim.val == object_id for claim in claims):
        return False
    return any(claim.typ in PERSON_CLAIMS and claim.val for claim in claims)


def _role(claims: Sequence[_Claim]) -> Role | None:
    """The highest of the roles that a token names; None where it names none of ours."""
    roles = {Role(claim.val) for claim in claims if claim.typ in ROLE_CLAIMS and claim.val in set(Role)}
    return max(roles, key=list(Role).index, default=None)


def _name(claims: Sequence[_Claim]) -> str:
    named = (claim.val for wanted in NAME_CLAIMS for claim in claims if claim.typ == wanted and claim.val)
    return _shown(next(named, ""))


def _shown(text: str) -> str:
    """A text of the token without what could break a line where it is shown."""
    return "".join(character for character in text if character.isprintable())[:MAX_NAME]
