"""Reading the body of an upsert: what rejects the whole request, and what its job will refuse.

https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from infra.local.sandbox.contacts import packed
from infra.local.sandbox.sandbox import RefusedError
from infra.local.sandbox.sendgrid.errors import refused
from infra.local.sandbox.sendgrid.faults import OverLong, SendGridFaults
from infra.local.sandbox.sendgrid.fields import IDENTIFIERS, MAX_CHARS, MAX_CUSTOM_TEXT_CHARS, WRITABLE, CustomField
from infra.local.sandbox.server import Reply

MAX_CONTACTS = 30_000
MAX_ALTERNATE_EMAILS = 5

#: One local part and a domain with a dot; what the vendor takes for valid is not documented further.
ADDRESS = re.compile(r"[^\s@\"(),:;<>\[\\\]]{1,64}@[^\s@.,;:<>()\[\]\"\\]+(?:\.[^\s@.,;:<>()\[\]\"\\]+)+")
US_DATE = re.compile(r"(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])/\d{4}")
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?")

KNOWN_KEYS = frozenset((*WRITABLE, *IDENTIFIERS))
PLAIN_KEYS = frozenset(WRITABLE) - {"alternate_emails"}
ONLY_TEXT = {str}
NUMBERS = (int, float)  # and not bool
#: A contact without any value longer than this needs no closer look at lengths.
SHORTEST_LIMIT = min(MAX_CHARS.values())


class Row(NamedTuple):
    """One contact as the job gets it."""

    keys: tuple[str, ...]  #: identifiers as the store knows them: the lower-case address, or `external_id:…`
    body: bytes  #: the JSON to be stored
    problem: str  #: why the job will refuse the contact; empty for a good one


class UpsertReader:
    """Reads the contacts of one request."""

    def __init__(self, fields: Mapping[str, CustomField], faults: SendGridFaults) -> None:
        self._types = {key: custom.field_type for key, custom in fields.items()}
        self._faults = faults
        self._bad: list[tuple[str, str]] = []  #: place in the request, message
        self._unknown_fields = False

    def read(self, contacts: object) -> list[Row]:
        """Raises RefusedError when anything is wrong that rejects the request as a whole."""
        if not isinstance(contacts, list) or not contacts:
            raise refused(400, "at least one contact is required", "contacts")
        if len(contacts) > MAX_CONTACTS:
            raise refused(400, f"number of contacts exceeds the limit of {MAX_CONTACTS}", "contacts")
        rows = [self._row(index, contact) for index, contact in enumerate(contacts)]
        if self._bad:
            raise self._rejected()
        if self._unknown_fields:
            raise refused(400, "invalid custom field ids supplied")
        return rows

    def _rejected(self) -> RefusedError:
        named = self._bad if self._faults.name_all_bad_addresses else self._bad[:1]
        return RefusedError(
            Reply.json({"errors": [{"field": field, "message": message} for field, message in named]}, 400)
        )

    def _row(self, index: int, contact: Any) -> Row:
        if not isinstance(contact, dict):
            raise refused(400, "invalid JSON")
        custom = contact.pop("custom_fields", None)
        problem = ""
        # Nearly every contact is plain: short texts under known names. Only the others are looked at value by value.
        texts = contact.values()
        plain = contact.keys() <= PLAIN_KEYS and set(map(type, texts)) == ONLY_TEXT and "" not in texts
        if not plain:
            contact = self._known_texts(index, contact)
        if contact and max(map(len, contact.values())) > SHORTEST_LIMIT:
            contact, problem = self._within_limits(index, contact)
        email = self._email(index, contact)
        keys = (email,) if plain and email else self._identifiers(index, contact)
        if custom:
            kept, custom_problem = self._custom(index, custom)
            problem = problem or custom_problem
            if kept:
                contact["custom_fields"] = kept
        return Row(keys, packed(contact), problem)

    def _email(self, index: int, contact: dict[str, Any]) -> str | None:
        """Check and lower the address of a contact."""
        email: str | None = contact.get("email")
        if email is None:
            return None
        if not ADDRESS.fullmatch(email) or len(email) > MAX_CHARS["email"]:
            self._bad.append((f"contacts[{index}].identifier", f"email '{email}' is not valid"))
        contact["email"] = email = email.lower()
        return email

    def _identifiers(self, index: int, contact: dict[str, Any]) -> tuple[str, ...]:
        """All identifiers of a contact, as the store knows them."""
        others = (f"{name}:{contact[name]}" for name in IDENTIFIERS if name in contact)
        keys = (contact["email"], *others) if "email" in contact else tuple(others)
        if not keys:
            self._bad.append((f"contacts[{index}].identifier", "at least one identifier is required"))
        return keys

    def _known_texts(self, index: int, contact: dict[str, Any]) -> dict[str, Any]:
        """The values that are kept. Unknown keys are allowed by the contract, and go nowhere."""
        kept = {}
        for name, value in contact.items():
            if name == "alternate_emails":
                kept[name] = self._alternates(index, value)
            elif name in KNOWN_KEYS and not isinstance(value, str):
                self._bad.append((f"contacts[{index}].{name}", "must be a string"))
            elif name in KNOWN_KEYS and (value or (self._faults.blank_erases and name not in ("email", *IDENTIFIERS))):
                kept[name] = value
        return kept

    def _alternates(self, index: int, value: Any) -> list[str]:
        if (
            not isinstance(value, list)
            or len(value) > MAX_ALTERNATE_EMAILS
            or not all(isinstance(email, str) and ADDRESS.fullmatch(email) for email in value)
        ):
            self._bad.append((f"contacts[{index}].alternate_emails", "must be at most 5 valid addresses"))
            return []
        return [email.lower() for email in value]

    def _within_limits(self, index: int, contact: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """The contact as it is stored, and the job's problem with it."""
        problem = ""
        for name, value in contact.items():
            limit = MAX_CHARS.get(name)
            if limit is not None and len(value) > limit and name != "email":
                contact[name], problem = self._shorten(f"contacts[{index}].{name}", name, value, limit)
        return contact, problem

    def _shorten(self, place: str, name: str, value: str, limit: int) -> tuple[str, str]:
        """An over-long value as it is stored, and the job's problem with it."""
        if self._faults.over_long == OverLong.TRUNCATE:
            return value[:limit], ""
        problem = f"{name} length should be less than {limit} chars"
        if self._faults.over_long == OverLong.REJECT:
            self._bad.append((place, problem))
        return value, problem

    def _custom(self, index: int, custom: Any) -> tuple[dict[str, Any], str]:
        """The custom values that are kept; those of the wrong type go silently.

        https://github.com/sendgrid/sendgrid-nodejs/issues/953 and https://github.com/sendgrid/sendgrid-go/issues/366
        """
        if not isinstance(custom, dict):
            self._bad.append((f"contacts[{index}].custom_fields", "must be an object"))
            return {}, ""
        kept: dict[str, Any] = {}
        problem = ""
        for key, value in custom.items():
            kind = self._types.get(key)
            if kind == "Text" and type(value) is str:
                if len(value) > MAX_CUSTOM_TEXT_CHARS:
                    place = f"contacts[{index}].custom_fields.{key}"
                    kept[key], problem = self._shorten(place, key, value, MAX_CUSTOM_TEXT_CHARS)
                elif value or self._faults.blank_erases:
                    kept[key] = value
            elif (kind == "Number" and type(value) in NUMBERS) or (kind == "Date" and self._is_date(value)):
                kept[key] = value
            elif kind is None:
                self._unknown_fields = True
        return kept, problem

    def _is_date(self, value: object) -> bool:
        if not isinstance(value, str):
            return False
        return bool(US_DATE.fullmatch(value) or (self._faults.iso_dates and ISO_DATE.fullmatch(value)))
