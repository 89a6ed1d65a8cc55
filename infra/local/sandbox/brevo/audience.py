"""The contacts of an account and their lists, as all routes see them."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from infra.local.sandbox.brevo.errors import not_found, whole_number
from infra.local.sandbox.brevo.faults import BrevoFaults
from infra.local.sandbox.contacts import Contacts, Members, packed


@dataclass(slots=True, kw_only=True)
class ContactList:
    """One list."""

    id: int
    name: str
    folder_id: int
    created: float = field(default_factory=time.time)
    members: Members = field(default_factory=Members)


class Audience:
    """Contacts, lists, folders and blocklists. A contact's id is its serial number and one."""

    def __init__(self, faults: Callable[[], BrevoFaults]) -> None:
        self._faults = faults
        self.contacts = Contacts()
        self.lists: dict[int, ContactList] = {}
        self.folders: dict[int, str] = {1: "Your First Folder"}
        self.email_blocked: set[int] = set()
        self.sms_blocked: set[int] = set()

    def list_of(self, list_id: str) -> ContactList:
        """The list that a path names. Raises RefusedError: 400 for what is no number, 404 for an unknown list."""
        found = self.lists.get(whole_number(list_id, "listId"))
        if found is None:
            raise not_found("List ID does not exist")
        return found

    def add_list(self, name: str, folder_id: int) -> ContactList:
        created = ContactList(id=len(self.lists) + 1, name=name, folder_id=folder_id)
        self.lists[created.id] = created
        return created

    def publish(self, lists: Iterable[ContactList]) -> None:
        """Let the sizes of these lists be seen, after the lag."""
        visible_at = time.time() + self._faults().lag_s
        for one in lists:
            one.members.visible.set(len(one.members), visible_at)

    def stored(self, serial: int) -> dict[str, Any]:
        """A contact that exists: address and attributes."""
        stored: dict[str, Any] = orjson.loads(self.contacts.body(serial) or b"{}")
        return stored

    def store(self, serial: int, contact: dict[str, Any]) -> None:
        """Change a contact, its phone number included. The number must be free."""
        old, new = self.stored(serial)["attributes"].get("SMS"), contact["attributes"].get("SMS")
        if old != new:
            if old:
                self.contacts.drop_alias(sms_key(old))
            if new:
                self.contacts.add_alias(sms_key(new), serial)
        self.contacts.replace(serial, packed(contact), time.time())

    def create(self, email: str, attributes: dict[str, Any]) -> int:
        """A new contact. Address and phone number must be free."""
        contact = packed({"email": email, "attributes": attributes})
        serial = self.contacts.add(email, contact, time.time())
        if number := attributes.get("SMS"):
            self.contacts.add_alias(sms_key(number), serial)
        return serial

    def delete(self, serial: int) -> None:
        self.contacts.remove(serial)
        self.email_blocked.discard(serial)
        self.sms_blocked.discard(serial)
        for one in self.lists.values():
            one.members.discard(serial)

    def newest_first(self) -> Iterator[int]:
        """Serial numbers of all contacts, the newest first."""
        every = range(self.contacts.next_serial - 1, -1, -1)
        return (serial for serial in every if self.contacts.body(serial) is not None)

    def shown(self, serial: int) -> dict[str, Any]:
        """A contact as the API answers it."""
        created, modified = self.contacts.times(serial)
        stored = self.stored(serial)
        return {
            "email": stored["email"],
            "id": serial + 1,
            "emailBlacklisted": serial in self.email_blocked,
            "smsBlacklisted": serial in self.sms_blocked,
            "createdAt": timestamp(created),
            "modifiedAt": timestamp(modified),
            "listIds": [one.id for one in self.lists.values() if serial in one.members],
            "listUnsubscribed": None,
            "attributes": stored["attributes"],
        }


def sms_key(number: str) -> str:
    """A phone number as an identifier in the store; no address looks like it."""
    return f"sms:{number}"


def timestamp(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime(when))
