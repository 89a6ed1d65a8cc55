"""Where the rows of an import come from: `jsonBody`, `fileBody` or `fileUrl`."""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol
from urllib.parse import urlsplit

import orjson
import requests

from infra.local.sandbox.brevo.errors import invalid, missing
from infra.local.sandbox.brevo.processes import WorkFailedError

KINDS = ("jsonBody", "fileBody", "fileUrl")
FETCH_TIMEOUT_S = 30

#: https://help.brevo.com/hc/en-us/articles/208729849-Create-a-file-to-import-your-contacts
SEPARATORS = ";,\t"

#: https://github.com/getbrevo/brevo-node/issues/12
NO_IDENTIFIER = (
    "We could not find any valid email or SMS or Contact ID in the file you uploaded. "
    "Please verify the file and try again."
)


class Row(NamedTuple):
    """One contact of an import, as it came."""

    email: str
    attributes: Mapping[str, Any]


class Source(Protocol):
    """The rows of one import."""

    @property
    def count(self) -> int | None:
        """Number of rows; None when it shows only later."""

    @property
    def is_csv(self) -> bool:
        """Whether all values are texts."""

    def rows(self) -> Iterator[Row]:
        """All rows, read anew. Raises WorkFailedError when they cannot be had."""


def source_of(body: dict[str, Any], raw: bytes, has_identifier: Callable[[Row], bool]) -> Source:
    """The one source that a request names. Raises RefusedError with 400 for none, or when no row has an identifier."""
    named = [kind for kind in KINDS if body.get(kind)]
    if not named:
        raise missing("fileUrl, fileBody or jsonBody is missing")
    if len(named) > 1:
        raise invalid("Only one of fileUrl, fileBody and jsonBody is allowed")
    if named == ["fileUrl"]:
        return FileUrl(str(body["fileUrl"]))
    if named == ["fileBody"]:
        rows = list(_csv_rows(str(body["fileBody"])))
        source: Source = FileBody(str(body["fileBody"]), len(rows))
    else:
        contacts = body["jsonBody"]
        if not isinstance(contacts, list) or not all(isinstance(contact, dict) for contact in contacts):
            raise invalid("jsonBody should be an array of objects")
        rows = list(_json_rows(contacts))
        source = JsonBody(raw, len(rows))
    if not any(map(has_identifier, rows)):
        raise invalid(NO_IDENTIFIER)
    return source


@dataclass(frozen=True, slots=True)
class JsonBody:
    """Contacts in the request itself. The request is kept and not what was parsed, which is ten times as large."""

    raw: bytes
    count: int
    is_csv: ClassVar = False

    def rows(self) -> Iterator[Row]:
        return _json_rows(orjson.loads(self.raw)["jsonBody"])


@dataclass(frozen=True, slots=True)
class FileBody:
    """A CSV file in the request."""

    text: str
    count: int
    is_csv: ClassVar = True

    def rows(self) -> Iterator[Row]:
        return _csv_rows(self.text)


@dataclass(frozen=True, slots=True)
class FileUrl:
    """A file that the vendor fetches once the process begins: CSV, or JSON by its name."""

    url: str
    count: ClassVar = None

    @property
    def is_csv(self) -> bool:
        return not urlsplit(self.url).path.endswith(".json")

    def rows(self) -> Iterator[Row]:
        try:
            answer = requests.get(self.url, timeout=FETCH_TIMEOUT_S)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise WorkFailedError from error
        return (
            _csv_rows(answer.content.decode("utf-8-sig")) if self.is_csv else _json_rows(orjson.loads(answer.content))
        )


def _json_rows(contacts: list[dict[str, Any]]) -> Iterator[Row]:
    for contact in contacts:
        email, attributes = contact.get("email"), contact.get("attributes")
        yield Row(email if isinstance(email, str) else "", attributes if isinstance(attributes, dict) else {})


def _csv_rows(text: str) -> Iterator[Row]:
    lines = text.splitlines()
    separator = max(SEPARATORS, key=lines[0].count) if lines else ";"
    for values in csv.DictReader(lines, delimiter=separator):
        row = {name: value for name, value in values.items() if name and value is not None}
        yield Row(row.pop("EMAIL", ""), row)
