"""Imports of contacts.

https://developers.brevo.com/reference/import-contacts
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from infra.local.sandbox.brevo.attributes import PHONE, Attributes
from infra.local.sandbox.brevo.audience import Audience, ContactList, sms_key
from infra.local.sandbox.brevo.errors import error, invalid, json_body, missing
from infra.local.sandbox.brevo.faults import BrevoFaults, SmsDuplicate
from infra.local.sandbox.brevo.processes import IMPORT, Process, Processes
from infra.local.sandbox.brevo.sources import Row, Source, source_of
from infra.local.sandbox.routes import Route
from infra.local.sandbox.sandbox import RefusedError
from infra.local.sandbox.server import Reply, Request
from infra.local.sandbox.traffic import Traffic

#: https://developers.brevo.com/changelog/2020/4/13
MAX_BODY_BYTES = 10_000_000

#: The vendor's check is loose and not documented; its samples hold addresses with signs in them.
ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@.,;]+(?:\.[^\s@.,;]+)+")

#: Contacts with a phone number only get an address of this form.
SMS_ADDRESS = "{}@mailin-sms.com"

#: Contacts that are merged before others may look at the store.
MERGE_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOrder:
    """One accepted import."""

    source: Source
    lists: Sequence[ContactList]
    update_existing: bool
    empty_erases: bool
    block_email: bool
    block_sms: bool


class Imports:
    """Imports of one account."""

    def __init__(
        self,
        audience: Audience,
        attributes: Attributes,
        processes: Processes,
        faults: Callable[[], BrevoFaults],
        traffic: Callable[[], Traffic],
    ) -> None:
        self._audience = audience
        self._attributes = attributes
        self._processes = processes
        self._faults = faults
        self._traffic = traffic
        self.notification_mails = 0  #: to the owner of the account, one per import that does not disable them

    def routes(self) -> Sequence[Route]:
        return (Route("POST", "/v3/contacts/import", self._start),)

    def _start(self, request: Request) -> Reply:
        if len(request.body) > MAX_BODY_BYTES:
            return Reply.html(413)
        body = json_body(request)
        source = source_of(body, request.body, _has_identifier)
        lists = self._lists(body)
        self._traffic().record_import(contacts=source.count or 0, size=len(request.body))
        self.notification_mails += not body.get("disableNotification", False)
        order = ImportOrder(
            source=source,
            lists=lists,
            update_existing=body.get("updateExistingContacts", True),
            empty_erases=body.get("emptyContactsAttributes", False),
            block_email=body.get("emailBlacklist", False),
            block_sms=body.get("smsBlacklist", False),
        )
        process = self._processes.start(IMPORT, partial(self._merge_all, order), notify_url=body.get("notifyUrl"))
        return Reply.json({"processId": process.id}, 202)

    def _lists(self, body: dict[str, Any]) -> list[ContactList]:
        """The lists to import into. Raises RefusedError for none, for ids that are no numbers, and for unknown ones."""
        ids, new = body.get("listIds"), body.get("newList")
        if not ids and not new:
            raise missing("listIds or newList is missing")
        if not ids:
            if not isinstance(new, dict) or not new.get("listName"):
                raise missing("listName is missing")
            return [self._audience.add_list(str(new["listName"]), new.get("folderId", 1))]
        if not isinstance(ids, list) or not all(type(list_id) is int for list_id in ids):
            raise invalid("listIds should be an array of integers")
        if not all(list_id in self._audience.lists for list_id in ids):
            status = self._faults().unknown_list_status
            code = "invalid_parameter" if status == 400 else "document_not_found"
            raise RefusedError(error(status, code, "List ID does not exist"))
        return [self._audience.lists[list_id] for list_id in ids]

    def _merge_all(self, order: ImportOrder, process: Process) -> None:
        """The work of an import. Raises WorkFailedError when the file cannot be read."""
        numbered = enumerate(order.source.rows(), start=1)
        while some := list(islice(numbered, MERGE_AT_ONCE)):
            with self._audience.contacts.lock:
                for number, row in some:
                    self._merge(order, process, number, row)
        self._audience.publish(order.lists)

    def _merge(self, order: ImportOrder, process: Process, number: int, row: Row) -> None:
        """Take one contact over, or note it in a report."""
        values, empty = self._attributes.take(row.attributes, as_text=order.source.is_csv)
        number_to_call = values.get("SMS")
        email = row.email.lower() or (SMS_ADDRESS.format(number_to_call) if number_to_call else "")
        if not ADDRESS.fullmatch(email) or self._faults().refuses(email, number):
            process.bad_rows["invalid_emails"].append(row.email)
            return
        if number_to_call and not self._phone_is_free(email, number_to_call):
            process.bad_rows["duplicate_phone_id"].append(email)
            return
        serial = self._upsert(order, email, values, empty)
        for one in order.lists:
            one.members.add(serial)
        if order.block_email:
            self._audience.email_blocked.add(serial)
        if order.block_sms:
            self._audience.sms_blocked.add(serial)

    def _upsert(self, order: ImportOrder, email: str, values: dict[str, Any], empty: list[str]) -> int:
        serial = self._audience.contacts.serial(email)
        if serial is None:
            return self._audience.create(email, values)
        if order.update_existing:
            stored = self._audience.stored(serial)
            attributes = stored["attributes"] | values
            if order.empty_erases:
                attributes = {name: value for name, value in attributes.items() if name not in empty}
            if attributes != stored["attributes"]:
                self._audience.store(serial, {"email": email, "attributes": attributes})
        return serial

    def _phone_is_free(self, email: str, number: str) -> bool:
        """Whether this contact may have the number; merges the other contact that has it, if that is set."""
        owner = self._audience.contacts.serial(sms_key(number))
        if owner is None or owner == self._audience.contacts.serial(email):
            return True
        if self._faults().sms_duplicates == SmsDuplicate.REPORT:
            return False
        self._audience.delete(owner)
        return True


def _has_identifier(row: Row) -> bool:
    if row.email:
        return ADDRESS.fullmatch(row.email) is not None
    return PHONE.fullmatch(str(row.attributes.get("SMS", ""))) is not None
