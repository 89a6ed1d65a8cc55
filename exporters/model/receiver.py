"""A receiver: who is told of an export's runs, of what, and where its secrets lie."""

import re
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from exporters.model.connection import SecretName
from exporters.model.loopback import is_loopback

#: What every client, proxy and log takes; no standard names a number: https://www.rfc-editor.org/rfc/rfc9110#section-4.1
LONGEST_URL = 2_000
#: Parts of 1 to 63 characters, 253 in all: https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4
_HOST = re.compile(r"(?=.{1,253}\.?$)[^.]{1,63}(\.[^.]{1,63})*\.?")
_VISIBLE = re.compile(r"[!-\[\]-~]+")  # ASCII without blanks and backslashes, which programs read in different ways


class Occasion(StrEnum):
    """What a receiver is told of."""

    ENDED = "ended"  #: a run has ended, however
    HELD = "held"  #: a brake holds a run until somebody approves or rejects it
    RECOVERED = "recovered"  #: a run has ended well after one that failed; told in place of `ended`


def usable_url(url: str) -> str:
    """The address of a receiver, if a notification may travel there. Raises ValueError, which quotes nothing of it."""
    parts = _split(url)
    if "@" in parts.netloc:
        raise ValueError("holds a user name or a password: a receiver knows us by the signature")
    if parts.fragment:
        raise ValueError("has a part after #, which no receiver ever sees")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return url
    raise ValueError("has to begin with https://")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (it is read, and checked, when it is asked for)
    except ValueError as error:
        raise ValueError("is not a URL") from error
    if not _VISIBLE.fullmatch(url) or len(url) > LONGEST_URL or not parts.hostname:
        raise ValueError(f"is not a URL of up to {LONGEST_URL:,} visible ASCII characters")
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError("has a host that cannot exist: look for two dots in a row, and for a very long part")
    return parts


def _open_url(url: str) -> str:
    """A URL that may stand in a document: run documents and backups hold it too."""
    if urlsplit(usable_url(url)).query:
        raise ValueError(
            "has a query, which may be a key: put the whole url into a secret, and name that as url_secret"
        )
    return url


#: One is given, and the other is null or left out; as JSON Schema says it.
ONE_OF_URL_AND_SECRET: list[JsonValue] = [
    {"required": [given], "properties": {given: {"type": "string"}, other: {"type": "null"}}}
    for given, other in (("url", "url_secret"), ("url_secret", "url"))
]


class Receiver(BaseModel):
    """Where the notifications of an export go. They are signed as https://www.standardwebhooks.com/ says."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"oneOf": ONE_OF_URL_AND_SECRET})

    url: Annotated[str, AfterValidator(_open_url)] | None = Field(
        default=None, description="where they are posted: https, or http to this machine; without user name or query"
    )
    url_secret: SecretName | None = Field(
        default=None,
        description="in place of url: name of the Key Vault secret that holds it, where it is itself a key",
    )
    secret: SecretName = Field(
        description="name of the Key Vault secret to sign with: whsec_ and base64; an old one may follow after a blank"
    )
    on: tuple[Occasion, ...] = Field(default=tuple(Occasion), min_length=1, description="what the receiver is told of")

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_secret is None):
            raise ValueError("give either url or url_secret")
        return self
