"""Contacts of an account: upserts and their merge, look-ups and counts.

https://github.com/twilio/sendgrid-oai/blob/dbe0e0d2e67a0c3c55b222d54df2acda2b9027a7/spec/json/tsg_mc_contacts_v3.json
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson

from infra.local.sandbox.contacts import Contacts, Lagged, packed
from infra.local.sandbox.routes import Route
from infra.local.sandbox.sendgrid.errors import refused, refused_alone
from infra.local.sandbox.sendgrid.faults import SendGridFaults
from infra.local.sandbox.sendgrid.fields import IDENTIFIERS, Fields
from infra.local.sandbox.sendgrid.ids import ContactIds
from infra.local.sandbox.sendgrid.jobs import Job, Jobs, timestamp
from infra.local.sandbox.sendgrid.json_body import json_body
from infra.local.sandbox.sendgrid.lists import ContactList, Lists
from infra.local.sandbox.sendgrid.upsert import ADDRESS, Row, UpsertReader
from infra.local.sandbox.server import Reply, Request
from infra.local.sandbox.traffic import Traffic

#: "30,000 contacts or 6 MB, whichever is lower"; whether decimal or binary is not said, so the smaller one.
MAX_BODY_BYTES = 6_000_000

MAX_SEARCH_EMAILS = 100
MAX_SEARCH_CHARS = 100

#: Contacts that are merged before others may look at the store.
MERGE_AT_ONCE = 1_000

#: https://github.com/sendgrid/sendgrid-go/issues/413
CONTACT_LIMIT_HIT = "you have hit your contact limit"

#: Text fields that stand empty in a look-up when the contact has none.
SHOWN_EMPTY = (
    "first_name", "last_name", "unique_name", "address_line_1", "address_line_2", "city", "state_province_region",
    "postal_code", "country", "phone_number", "whatsapp", "line", "facebook", "phone_number_id", "external_id",
    "anonymous_id",
)  # fmt: skip


class ContactRoutes:
    """Writes and reads the contacts of one account."""

    def __init__(
        self,
        contacts: Contacts,
        ids: ContactIds,
        lists: Lists,
        fields: Fields,
        jobs: Jobs,
        faults: Callable[[], SendGridFaults],
        traffic: Callable[[], Traffic],
    ) -> None:
        self._contacts = contacts
        self._ids = ids
        self._lists = lists
        self._fields = fields
        self._jobs = jobs
        self._faults = faults
        self._traffic = traffic
        self._visible = Lagged(0)  # serial numbers below are found by look-ups
        self._visible_count = Lagged(0)

    def routes(self) -> Sequence[Route]:
        return (
            Route("PUT", "/v3/marketing/contacts", self._upsert),
            Route("GET", "/v3/marketing/contacts/count", self._count),
            Route("POST", "/v3/marketing/contacts/search/emails", self._search),
            Route("POST", "/v3/marketing/contacts/search/identifiers/{identifier_type}", self._search_by_identifier),
        )

    def _upsert(self, request: Request) -> Reply:
        if len(request.body) > MAX_BODY_BYTES:
            raise refused(413, "payload too large")
        body = json_body(request)
        list_ids = body.get("list_ids") or []
        if not isinstance(list_ids, list) or not all(isinstance(list_id, str) for list_id in list_ids):
            raise refused(400, "list_ids must be a list of ids", "list_ids")
        if not self._lists.known(list_ids):
            raise refused(self._faults().unknown_list_status, "not found", "list_ids")
        rows = UpsertReader(self._fields.usable(), self._faults()).read(body.get("contacts"))
        self._traffic().record_import(contacts=len(rows), size=len(request.body))
        job = Job(job_type="upsert_contacts", requested=len(rows))
        self._jobs.start(job, partial(self._merge_all, rows=rows, list_ids=list_ids))
        return Reply.json({"job_id": job.id}, 202)

    def _merge_all(self, job: Job, *, rows: list[Row], list_ids: list[str]) -> None:
        """The work of an upsert job."""
        if not self._has_room(rows):
            job.failure = CONTACT_LIMIT_HIT
            return
        lists = [self._lists.find(list_id) for list_id in list_ids if self._lists.known([list_id])]
        for first in range(0, len(rows), MERGE_AT_ONCE):
            chunk = rows[first : first + MERGE_AT_ONCE]
            with self._contacts.lock:
                for place in self._add_plain(job, chunk, lists):
                    self._merge(job, first + place + 1, chunk[place], lists)
        self._publish(list_ids)
        rows.clear()  # the job itself is kept for its status

    def _add_plain(self, job: Job, chunk: list[Row], lists: list[ContactList]) -> Sequence[int]:
        """Add all new contacts at once where nobody needs a closer look; answers the places of the others."""
        if self._faults().refuses_anyone or any(row.problem or len(row.keys) > 1 for row in chunk):
            return range(len(chunk))
        added, others = self._contacts.add_new(((row.keys[0], row.body) for row in chunk), time.time())
        job.created += len(added)
        for one in lists:
            one.members.add_new(added)
        return others

    def _publish(self, list_ids: list[str]) -> None:
        visible_at = time.time() + self._faults().lag_s
        self._visible.set(self._contacts.next_serial, visible_at)
        self._visible_count.set(len(self._contacts), visible_at)
        self._lists.publish(list_ids)

    def _has_room(self, rows: list[Row]) -> bool:
        limit = self._faults().contact_limit
        if limit is None:
            return True
        new = {row.keys[0] for row in rows if all(self._contacts.serial(key) is None for key in row.keys)}
        return len(self._contacts) + len(new) <= limit

    def _merge(self, job: Job, number: int, row: Row, lists: list[ContactList]) -> None:
        """Take one contact over: add it or change it, and put it on the lists."""
        key = row.keys[0]
        if row.problem:
            job.errors.append((key, row.problem))
            return
        if self._faults().refuses(key, number):
            job.errors.append((key, "contact refused"))
            return
        found = {serial for each in row.keys if (serial := self._contacts.serial(each)) is not None}
        if not found:
            serial = self._add(row)
            job.created += 1
            for one in lists:
                one.members.add(serial)
            return
        serial = found.pop()
        if found or not self._names_all_identifiers(serial, row):
            job.errors.append((key, "identifiers do not match those of the existing contact"))
            return
        changed = self._change(serial, row)
        joined = [one.members.add(serial) for one in lists]
        job.updated += changed or any(joined)

    def _names_all_identifiers(self, serial: int, row: Row) -> bool:
        """A contact with several identifiers is only changed by a request that has all of them."""
        existing = self._contacts.identifiers(serial)
        return len(existing) == 1 or set(existing) <= set(row.keys)

    def _add(self, row: Row) -> int:
        serial = self._contacts.add(row.keys[0], row.body, time.time())
        for alias in row.keys[1:]:
            self._contacts.add_alias(alias, serial)
        return serial

    def _change(self, serial: int, row: Row) -> bool:
        """Merge into a stored contact: what is left out stays. Whether anything changed, or counts as changed."""
        stored = self._contacts.body(serial)
        if stored is None or stored == row.body:
            return self._faults().count_unchanged
        old, new = orjson.loads(stored), orjson.loads(row.body)
        merged = old | new
        if "custom_fields" in old and "custom_fields" in new:
            merged["custom_fields"] = old["custom_fields"] | new["custom_fields"]
        for key in row.keys:
            if self._contacts.serial(key) is None:
                self._contacts.add_alias(key, serial)
        if merged == old:
            return self._faults().count_unchanged
        self._contacts.replace(serial, packed(merged), time.time())
        return True

    def _count(self, _: Request) -> Reply:
        """Deleting somebody makes no fewer to be billed. When a month ends is not known here."""
        now = time.time()
        return Reply.json({"contact_count": self._visible_count.get(now), "billable_count": self._visible.get(now)})

    def _search(self, request: Request) -> Reply:
        """Contacts by address; 404 when there is none at all."""
        emails = json_body(request).get("emails")
        if not isinstance(emails, list) or not 1 <= len(emails) <= MAX_SEARCH_EMAILS:
            raise refused(400, f"1 to {MAX_SEARCH_EMAILS} emails are required", "emails")
        for index, email in enumerate(emails):
            if not isinstance(email, str) or len(email) > MAX_SEARCH_CHARS or (email and not ADDRESS.fullmatch(email)):
                raise refused(400, "email is not valid", f"emails[{index}]")
        found = self._matches({email.lower(): email.lower() for email in emails if email})
        if found is None:
            raise refused(404, "not found")
        return found

    def _search_by_identifier(self, request: Request, identifier_type: str) -> Reply:
        """Contacts by one kind of identifier; 404 when there is none at all."""
        refuse = refused_alone if self._faults().look_up_error == "object" else refused
        if identifier_type not in ("email", *IDENTIFIERS):
            raise refuse(400, "identifier type is not valid", "identifier_type")
        wanted = json_body(request).get("identifiers")
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= MAX_SEARCH_EMAILS:
            raise refuse(400, f"1 to {MAX_SEARCH_EMAILS} identifiers are required", "identifiers")
        is_email = identifier_type == "email"
        for index, item in enumerate(wanted):
            if not isinstance(item, str) or (is_email and not ADDRESS.fullmatch(item)):
                raise refuse(400, f"{identifier_type} '{item}' is not valid", f"identifiers[{index}]")
        if is_email:
            found = self._matches({item.lower(): item.lower() for item in wanted})
        else:
            found = self._matches({item: f"{identifier_type}:{item}" for item in wanted})
        if found is None:
            raise refuse(404, "not found")
        return found

    def _matches(self, keys: dict[str, str]) -> Reply | None:
        """What a look-up answers; `keys` are identifiers as they were asked for and as the store knows them.

        None where there is nobody.
        """
        result = {asked: self._found(key) for asked, key in keys.items()}
        return Reply.json({"result": result}) if any("contact" in answer for answer in result.values()) else None

    def _found(self, key: str) -> dict[str, Any]:
        with self._contacts.lock:
            serial = self._contacts.serial(key)
            body = None if serial is None or serial >= self._visible.get(time.time()) else self._contacts.body(serial)
            if serial is None or body is None:
                return {"error": "contact not found"}
            return {"contact": self._shown(serial, orjson.loads(body))}

    def _shown(self, serial: int, stored: dict[str, Any]) -> dict[str, Any]:
        contact_id = self._ids.id(serial)
        created, updated = self._contacts.times(serial)
        named = {custom.id: custom.name for custom in self._fields.named()}
        values = stored.get("custom_fields", {})
        return {
            **dict.fromkeys(SHOWN_EMPTY, ""),
            "alternate_emails": [],
            **stored,
            "id": contact_id,
            "list_ids": self._lists.of_contact(serial),
            "segment_ids": [],
            "custom_fields": {named.get(key, key): value for key, value in values.items()},
            "created_at": timestamp(created),
            "updated_at": timestamp(updated),
            "_metadata": {"self": f"https://api.sendgrid.com/v3/marketing/contacts/{contact_id}"},
        }
