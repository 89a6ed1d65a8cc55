"""The sandbox accounts of the demo: a list and fields are made through the vendors' API, the list is read back."""

import datetime as dt
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from infra.local.cloud import LocalCloud
from infra.local.sample.people import COLUMNS, EMAIL
from infra.local.sample.truth import Truth

TIMEOUT_S = 60
REFUSED_PEOPLE = 5
THROTTLED_FOR_S = 1

Contact = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Where the value of a column should be found in a stored contact."""

    column: str
    key: str  #: of the contact, or of the object `Account.nested` in it
    kind: str = "text"  #: text, number, date or phone
    nested: bool = False
    max_chars: int | None = None  #: a longer value should be left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account with an empty list, and an export that fills it."""

    provider: str
    title: str
    url: str
    list_id: str
    import_route: str  #: as the sandbox names it
    max_contacts: int  #: of one request
    max_bytes: int  #: of one request
    nested: str  #: key of a stored contact under which custom fields or attributes stand
    date_format: str
    fields: Sequence[Field]
    mapping: Mapping[str, Any]  #: of the export document

    @property
    def export(self) -> str:
        return f"loyal-customers-to-{self.provider}"

    def configure(self, cloud: LocalCloud, segment: str, **settings: object) -> None:
        """Write the documents of connection and export, the latter with more settings."""
        connection = {"provider": self.provider, "display_name": f"{self.title} sandbox"}
        cloud.write_connection({"id": self.provider, "secret": f"{self.provider}-api-key", **connection})
        cloud.write_export(
            {
                "id": self.export,
                "name": f"Loyal customers to {self.title}",
                "connection": self.provider,
                "segments": [segment],
                "list_id": self.list_id,
                "mapping": self.mapping,
                **settings,
            }
        )

    def make_trouble(self, refused: Sequence[str]) -> None:
        """Let the account answer the next import with 429, and its jobs refuse these addresses."""
        throttle = {"kind": "throttle", "route": self.import_route, "reset_s": THROTTLED_FOR_S}
        self._set_faults({"next": [throttle], "refuse_emails": list(refused)})

    def end_trouble(self) -> None:
        self._set_faults({})

    def imports(self) -> list[dict[str, int]]:
        """Contacts and bytes of every import request that the account has accepted so far."""
        answer = requests.get(f"{self.url}/_sandbox/requests", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return list(answer.json()["imports"])

    def fewest_requests(self, contacts: int, size: int) -> int:
        """How many requests so many contacts, of so many bytes in all, need at least."""
        return max(math.ceil(contacts / self.max_contacts), math.ceil(size / self.max_bytes))

    def contacts(self) -> Iterator[Contact]:
        """Everyone on the list, as stored."""
        url = f"{self.url}/_sandbox/lists/{self.list_id}/contacts"
        with requests.get(url, stream=True, timeout=TIMEOUT_S) as answer:
            answer.raise_for_status()
            yield from map(json.loads, answer.iter_lines(chunk_size=1 << 20))

    def expected(self, person: Truth) -> dict[str, Any]:
        """The contact that a planned person should become, without its empty values."""
        plain: dict[str, Any] = {"email": person.email}
        nested: dict[str, Any] = {}
        for field in self.fields:
            value = self._stored(field, person)
            if value is not None:
                (nested if field.nested else plain)[field.key] = value
        return plain | {self.nested: nested}

    def omitted(self, person: Truth) -> set[str]:
        """Columns of a planned person that have a value which cannot be sent."""
        return {
            field.column
            for field in self.fields
            if person.values[COLUMNS.index(field.column)] and self._stored(field, person) is None
        }

    def _stored(self, field: Field, person: Truth) -> str | float | None:
        column = COLUMNS.index(field.column)
        value = person.values[column]
        if not value or column in person.unusable or (field.max_chars is not None and len(value) > field.max_chars):
            return None
        match field.kind:
            case "number":
                return float(value)
            case "date":
                return dt.date.fromisoformat(value).strftime(self.date_format)
            case "phone":
                return value.removeprefix("+").replace(" ", "")
        return value

    def _set_faults(self, faults: Mapping[str, Any]) -> None:
        requests.put(f"{self.url}/_sandbox/faults", json=faults, timeout=TIMEOUT_S).raise_for_status()


def open_sendgrid(cloud: LocalCloud) -> Account:
    """Make a list and custom fields at SendGrid."""
    url = f"{cloud.sendgrid_url}/v3/marketing"
    headers = {"Authorization": f"Bearer {cloud.sendgrid_key}"}
    ids = {}
    for name, kind in (("loyalty_tier", "Text"), ("lifetime_value", "Number"), ("date_of_birth", "Date")):
        ids[name] = _post(f"{url}/field_definitions", headers, {"name": name, "field_type": kind})["id"]
    return Account(
        provider="sendgrid",
        title="SendGrid",
        url=cloud.sendgrid_url,
        list_id=_post(f"{url}/lists", headers, {"name": "Loyal customers"})["id"],
        import_route="PUT /v3/marketing/contacts",
        # Limits and lengths: https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
        max_contacts=30_000,
        max_bytes=6_000_000,
        nested="custom_fields",
        date_format="%m/%d/%Y",
        fields=(
            Field(column="FirstName", key="first_name", max_chars=50),
            Field(column="LastName", key="last_name", max_chars=50),
            Field(column="City", key="city", max_chars=60),
            Field(column="StateOrProvince", key="state_province_region", max_chars=50),
            Field(column="PostalCode", key="postal_code"),
            Field(column="CountryOrRegion", key="country", max_chars=50),
            Field(column="LoyaltyTier", key=ids["loyalty_tier"], nested=True),
            Field(column="LifetimeValue", key=ids["lifetime_value"], kind="number", nested=True),
            Field(column="DateOfBirth", key=ids["date_of_birth"], kind="date", nested=True),
        ),
        mapping={
            "email": COLUMNS[EMAIL],
            "first_name": "FirstName",
            "last_name": "LastName",
            "city": "City",
            "state": "StateOrProvince",
            "postal_code": "PostalCode",
            "country": "CountryOrRegion",
            "custom": {
                "loyalty_tier": "LoyaltyTier",
                "lifetime_value": "LifetimeValue",
                "date_of_birth": "DateOfBirth",
            },
        },
    )


def open_brevo(cloud: LocalCloud) -> Account:
    """Make a list and attributes at Brevo."""
    url = f"{cloud.brevo_url}/v3/contacts"
    headers = {"api-key": cloud.brevo_key}
    texts = dict.fromkeys(("CITY", "COUNTRY", "STATE", "ZIP_CODE", "LOYALTY_TIER"), "text")
    for name, kind in (texts | {"LIFETIME_VALUE": "float", "DATE_OF_BIRTH": "date"}).items():
        _post(f"{url}/attributes/normal/{name}", headers, {"type": kind})
    return Account(
        provider="brevo",
        title="Brevo",
        url=cloud.brevo_url,
        list_id=str(_post(f"{url}/lists", headers, {"name": "Loyal customers", "folderId": 1})["id"]),
        import_route="POST /v3/contacts/import",
        # "around 8 MB" is advised: https://developers.brevo.com/reference/importcontacts-1. Contacts are not limited;
        # the app stops at 200,000, which 8 MB reach only with 40 bytes for each.
        max_contacts=200_000,
        max_bytes=8_000_000,
        nested="attributes",
        date_format="%Y-%m-%d",
        fields=(
            Field(column="FirstName", key="FIRSTNAME", nested=True),
            Field(column="LastName", key="LASTNAME", nested=True),
            Field(column="Telephone", key="SMS", kind="phone", nested=True),
            Field(column="City", key="CITY", nested=True),
            Field(column="StateOrProvince", key="STATE", nested=True),
            Field(column="PostalCode", key="ZIP_CODE", nested=True),
            Field(column="CountryOrRegion", key="COUNTRY", nested=True),
            Field(column="LoyaltyTier", key="LOYALTY_TIER", nested=True),
            Field(column="LifetimeValue", key="LIFETIME_VALUE", kind="number", nested=True),
            Field(column="DateOfBirth", key="DATE_OF_BIRTH", kind="date", nested=True),
        ),
        mapping={
            "email": COLUMNS[EMAIL],
            "first_name": "FirstName",
            "last_name": "LastName",
            "phone": "Telephone",
            "city": "City",
            "state": "StateOrProvince",
            "postal_code": "PostalCode",
            "country": "CountryOrRegion",
            "custom": {
                "LOYALTY_TIER": "LoyaltyTier",
                "LIFETIME_VALUE": "LifetimeValue",
                "DATE_OF_BIRTH": "DateOfBirth",
            },
        },
    )


def _post(url: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
    answer = requests.post(url, json=body, headers=headers, timeout=TIMEOUT_S)
    answer.raise_for_status()
    return dict(answer.json()) if answer.content else {}
