"""Routes of single contacts, as far as opt-outs and list removal need them, and of the blocklist.

https://api.brevo.com/v3/swagger_definition_v3.yml, `/contacts/{identifier}`
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from infra.local.sandbox.brevo.attributes import Attributes
from infra.local.sandbox.brevo.audience import Audience, sms_key
from infra.local.sandbox.brevo.errors import json_body, not_found, page
from infra.local.sandbox.routes import Route
from infra.local.sandbox.sandbox import CONTROL, RefusedError, control_error, json_object
from infra.local.sandbox.server import Reply, Request

MAX_CONTACTS_A_PAGE = 1_000


class ContactRoutes:
    """Single contacts of one account."""

    def __init__(self, audience: Audience, attributes: Attributes) -> None:
        self._audience = audience
        self._attributes = attributes

    def routes(self) -> Sequence[Route]:
        return (
            Route("GET", "/v3/contacts", self._page),
            Route("GET", "/v3/contacts/{identifier}", self._get),
            Route("PUT", "/v3/contacts/{identifier}", self._update),
        )

    def control_routes(self) -> Sequence[Route]:
        return (
            Route("GET", f"{CONTROL}/blocklist", self._get_blocklist),
            Route("PUT", f"{CONTROL}/blocklist", self._put_blocklist),
        )

    def _page(self, request: Request) -> Reply:
        """All contacts, the newest first. Filters are not there."""
        limit, offset = page(request, default=50, largest=MAX_CONTACTS_A_PAGE)
        with self._audience.contacts.lock:
            newest_first = islice(self._audience.newest_first(), offset, offset + limit)
            shown = [self._audience.shown(serial) for serial in newest_first]
            return Reply.json({"contacts": shown, "count": len(self._audience.contacts)})

    def _get(self, _: Request, identifier: str) -> Reply:
        with self._audience.contacts.lock:
            return Reply.json(self._audience.shown(self._serial(identifier)))

    def _update(self, request: Request, identifier: str) -> Reply:
        wanted = json_body(request)
        with self._audience.contacts.lock:
            serial = self._serial(identifier)
            self._set_attributes(serial, wanted.get("attributes") or {})
            for key, blocked in (
                ("emailBlacklisted", self._audience.email_blocked),
                ("smsBlacklisted", self._audience.sms_blocked),
            ):
                if key in wanted:
                    (blocked.add if wanted[key] else blocked.discard)(serial)
            lists = [self._audience.list_of(str(list_id)) for list_id in wanted.get("unlinkListIds") or []]
            for one in lists:
                one.members.discard(serial)
            self._audience.publish(lists)
        return Reply(status=204)

    def _set_attributes(self, serial: int, values: dict[str, Any]) -> None:
        """Change attributes. Another EMAIL lifts the block, as the documents of the vendor's 2026 SDK warn."""
        kept, _ = self._attributes.take(values, as_text=False)
        email = str(values.get("EMAIL", "")).lower()
        self._require_free("SMS", sms_key(kept["SMS"]) if "SMS" in kept else "", serial)
        self._require_free("email", email, serial)
        stored = self._audience.stored(serial)
        if email and email != stored["email"]:
            self._audience.contacts.rename(serial, email)
            self._audience.email_blocked.discard(serial)
            stored["email"] = email
        stored["attributes"] |= kept
        self._audience.store(serial, stored)

    def _require_free(self, identifier: str, key: str, serial: int) -> None:
        """Raises RefusedError when another contact has the identifier."""
        owner = self._audience.contacts.serial(key)
        if owner not in (None, serial):
            message = f"Unable to update contact, {identifier} is already associated with another Contact"
            metadata = {"duplicate_identifiers": [identifier]}
            reply = {"code": "duplicate_parameter", "message": message, "metadata": metadata}
            raise RefusedError(Reply.json(reply, 400))

    def _serial(self, identifier: str) -> int:
        """The contact of an address or id. Raises RefusedError with 404."""
        contacts = self._audience.contacts
        serial = int(identifier) - 1 if identifier.isdigit() else contacts.serial(identifier.lower())
        if serial is None or contacts.body(serial) is None:
            raise not_found("Contact does not exist")
        return serial

    def _get_blocklist(self, _: Request) -> Reply:
        keys = self._audience.contacts.keys
        return Reply.json(
            {
                "email": sorted(keys[serial] for serial in self._audience.email_blocked),
                "sms": sorted(keys[serial] for serial in self._audience.sms_blocked),
            }
        )

    def _put_blocklist(self, request: Request) -> Reply:
        """Replace the blocklists that the body names, by address; unknown contacts are created."""
        wanted: dict[str, Any] = json_object(request.body)
        blocklists = {"email": self._audience.email_blocked, "sms": self._audience.sms_blocked}
        if unknown := wanted.keys() - blocklists.keys():
            return control_error(f"unknown blocklists: {', '.join(sorted(unknown))}")
        with self._audience.contacts.lock:
            for name, emails in wanted.items():
                blocklists[name].clear()
                blocklists[name].update(self._serial_or_new(email.lower()) for email in emails)
        return Reply(status=204)

    def _serial_or_new(self, email: str) -> int:
        serial = self._audience.contacts.serial(email)
        return self._audience.create(email, {}) if serial is None else serial
