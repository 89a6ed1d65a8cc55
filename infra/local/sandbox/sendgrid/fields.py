"""Reserved and custom fields of contacts.

https://github.com/twilio/sendgrid-oai/blob/dbe0e0d2e67a0c3c55b222d54df2acda2b9027a7/spec/json/tsg_mc_custom_fields_v3.json
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.local.sandbox.routes import Route
from infra.local.sandbox.sendgrid.errors import not_found, refused
from infra.local.sandbox.sendgrid.faults import SendGridFaults
from infra.local.sandbox.sendgrid.json_body import json_body
from infra.local.sandbox.server import Reply, Request

MAX_CUSTOM_FIELDS = 500
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
TYPE_LETTERS = {"Text": "T", "Number": "N", "Date": "D"}

WRITABLE = (
    "first_name", "last_name", "email", "alternate_emails", "address_line_1", "address_line_2", "city",
    "state_province_region", "postal_code", "country", "phone_number", "whatsapp", "line", "facebook", "unique_name",
)  # fmt: skip
READ_ONLY = (
    ("email_domains", "Text"), ("last_clicked", "Date"), ("last_opened", "Date"), ("last_emailed", "Date"),
    ("singlesend_id", "Text"), ("automation_id", "Text"), ("created_at", "Date"), ("updated_at", "Date"),
    ("contact_id", "Text"),
)  # fmt: skip
#: The published list ends with contact_id; these follow it in recorded answers.
IDENTIFIERS = ("phone_number_id", "external_id", "anonymous_id")
RECORDED_READ_ONLY = (("list_ids", "Text"), ("segment_ids", "Text"))

#: Longest value of a field; those that are not named have no limit in the contract.
MAX_CHARS = {
    "email": 254, "phone_number_id": 254, "external_id": 254, "anonymous_id": 254, "first_name": 50, "last_name": 50,
    "address_line_1": 100, "address_line_2": 100, "city": 60, "state_province_region": 50, "country": 50,
}  # fmt: skip

#: https://github.com/sendgrid/docs/blob/c3eb3fe/content/docs/ui/managing-contacts/custom-fields.md
MAX_CUSTOM_TEXT_CHARS = 1_000


def _reserved_fields() -> list[dict[str, Any]]:
    """In the order of their ids, which number through all of them: `_rf0_T`, `_rf1_T`, …"""
    fields = [
        *((name, "Text", False) for name in WRITABLE),
        *((name, kind, True) for name, kind in READ_ONLY),
        *((name, "Text", False) for name in IDENTIFIERS),
        *((name, kind, True) for name, kind in RECORDED_READ_ONLY),
    ]
    return [
        {"id": f"_rf{number}_{TYPE_LETTERS[kind]}", "name": name, "field_type": kind}
        | ({"read_only": True} if read_only else {})
        for number, (name, kind, read_only) in enumerate(fields)
    ]


RESERVED_FIELDS = _reserved_fields()
RESERVED_NAMES = frozenset(str(reserved["name"]) for reserved in RESERVED_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomField:
    """A field of the account."""

    id: str
    name: str
    field_type: str
    created: float = field(default_factory=time.time)

    def json(self) -> dict[str, str]:
        return {"id": self.id, "name": self.name, "field_type": self.field_type}


class Fields:
    """Field definitions of one account."""

    def __init__(self, faults: Callable[[], SendGridFaults]) -> None:
        self._faults = faults
        self._fields: dict[str, CustomField] = {}
        self._created = 0

    def routes(self) -> Sequence[Route]:
        return (
            Route("GET", "/v3/marketing/field_definitions", self._list),
            Route("POST", "/v3/marketing/field_definitions", self._create),
            Route("DELETE", "/v3/marketing/field_definitions/{field_id}", self._delete),
        )

    def usable(self) -> dict[str, CustomField]:
        """Fields that an upsert knows by now, by id."""
        known_since = time.time() - self._faults().field_delay_s
        return {key: custom for key, custom in list(self._fields.items()) if custom.created <= known_since}

    def named(self) -> list[CustomField]:
        """All custom fields in the order of their creation."""
        return list(self._fields.values())

    def _list(self, request: Request) -> Reply:
        custom = [custom.json() for custom in self.named()]
        metadata = {"self": f"https://api.sendgrid.com{request.path}"}
        return Reply.json({"custom_fields": custom, "reserved_fields": RESERVED_FIELDS, "_metadata": metadata})

    def _create(self, request: Request) -> Reply:
        wanted = json_body(request)
        name, field_type = wanted.get("name"), wanted.get("field_type")
        if not isinstance(name, str) or not FIELD_NAME.fullmatch(name):
            raise refused(400, "field name must be 1 to 100 letters, digits and underscores", "name")
        if field_type not in TYPE_LETTERS:
            raise refused(400, "field type must be one of Text, Number, Date", "field_type")
        if name.lower() in RESERVED_NAMES:
            raise refused(400, "field name is reserved", "name")
        if name.lower() in (custom.name.lower() for custom in self.named()):
            raise refused(400, "field name already exists", "name")
        if len(self._fields) >= MAX_CUSTOM_FIELDS:
            raise refused(400, f"custom field limit of {MAX_CUSTOM_FIELDS} reached")
        self._created += 1
        custom = CustomField(id=f"e{self._created}_{TYPE_LETTERS[field_type]}", name=name, field_type=field_type)
        self._fields[custom.id] = custom
        metadata = {"self": f"https://api.sendgrid.com{request.path}/{custom.id}"}
        return Reply.json(custom.json() | {"_metadata": metadata})

    def _delete(self, _: Request, field_id: str) -> Reply:
        if self._fields.pop(field_id, None) is None:
            raise not_found()
        return Reply(status=204)
