"""Contact lists and who is on them.

https://github.com/twilio/sendgrid-oai/blob/dbe0e0d2e67a0c3c55b222d54df2acda2b9027a7/spec/json/tsg_mc_lists_v3.json
"""

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.local.sandbox.contacts import Contacts, Members
from infra.local.sandbox.routes import Route
from infra.local.sandbox.sendgrid.errors import not_found, refused
from infra.local.sandbox.sendgrid.faults import SendGridFaults
from infra.local.sandbox.sendgrid.ids import ContactIds
from infra.local.sandbox.sendgrid.jobs import Job, Jobs
from infra.local.sandbox.sendgrid.json_body import json_body
from infra.local.sandbox.server import Reply, Request

DEFAULT_PAGE, MAX_PAGE = 100, 1000
MAX_NAME_CHARS = 100
MAX_LISTS = 1000  # https://www.twilio.com/docs/sendgrid/api-reference/lists/create-list


@dataclass(slots=True, kw_only=True)
class ContactList:
    """One list."""

    id: str
    name: str
    members: Members = field(default_factory=Members)

    def json(self, now: float) -> dict[str, Any]:
        metadata = {"self": f"https://api.sendgrid.com/v3/marketing/lists/{self.id}"}
        count = self.members.visible.get(now)
        return {"id": self.id, "name": self.name, "contact_count": count, "_metadata": metadata}


class Lists:
    """The lists of one account."""

    def __init__(self, contacts: Contacts, ids: ContactIds, jobs: Jobs, faults: Callable[[], SendGridFaults]) -> None:
        self._contacts = contacts
        self._ids = ids
        self._jobs = jobs
        self._faults = faults
        self._lists: dict[str, ContactList] = {}

    def routes(self) -> Sequence[Route]:
        one = "/v3/marketing/lists/{list_id}"
        return (
            Route("POST", "/v3/marketing/lists", self._create),
            Route("GET", "/v3/marketing/lists", self._page),
            Route("GET", one, self._get),
            Route("PATCH", one, self._rename),
            Route("DELETE", one, self._delete),
            Route("GET", f"{one}/contacts/count", self._count),
            Route("DELETE", f"{one}/contacts", self._remove_contacts),
        )

    def find(self, list_id: str) -> ContactList:
        """Raises RefusedError with 404."""
        try:
            return self._lists[list_id]
        except KeyError:
            raise not_found() from None

    def known(self, list_ids: Iterable[str]) -> bool:
        return all(list_id in self._lists for list_id in list_ids)

    def of_contact(self, serial: int) -> list[str]:
        """Ids of the lists that a contact is on."""
        return [found.id for found in list(self._lists.values()) if serial in found.members]

    def publish(self, list_ids: Iterable[str]) -> None:
        """Let the sizes of these lists be seen, after the lag."""
        visible_at = time.time() + self._faults().lag_s
        for list_id in list_ids:
            if found := self._lists.get(list_id):
                found.members.visible.set(len(found.members), visible_at)

    def forget(self, serial: int) -> None:
        """Take a deleted contact off all lists."""
        for found in self._lists.values():
            found.members.discard(serial)

    def _create(self, request: Request) -> Reply:
        name = _name(request)
        if len(self._lists) >= MAX_LISTS:
            raise refused(400, f"number of lists exceeds the limit of {MAX_LISTS}")
        if name in (known.name for known in self._lists.values()):
            raise refused(400, "list name already exists", "name")
        created = ContactList(id=str(uuid.uuid4()), name=name)
        self._lists[created.id] = created
        return Reply.json(created.json(time.time()), 201)

    def _page(self, request: Request) -> Reply:
        try:
            size = int(request.query.get("page_size", DEFAULT_PAGE))
            first = int(request.query.get("page_token", 0))
        except ValueError:
            raise refused(400, "invalid page", "page_size") from None
        if not 1 <= size <= MAX_PAGE:
            raise refused(400, f"page_size must be between 1 and {MAX_PAGE}", "page_size")
        lists = list(self._lists.values())
        url = f"https://api.sendgrid.com{request.path}?page_size={size}&page_token="
        metadata: dict[str, Any] = {"self": f"{url}{first or ''}", "count": len(lists)}
        if first + size < len(lists):
            metadata["next"] = f"{url}{first + size}"
        if first:
            metadata["prev"] = f"{url}{max(0, first - size) or ''}"
        now = time.time()
        return Reply.json({"result": [one.json(now) for one in lists[first : first + size]], "_metadata": metadata})

    def _get(self, _: Request, list_id: str) -> Reply:
        return Reply.json(self.find(list_id).json(time.time()))

    def _count(self, _: Request, list_id: str) -> Reply:
        count = self.find(list_id).members.visible.get(time.time())
        return Reply.json({"contact_count": count, "billable_count": count})

    def _rename(self, request: Request, list_id: str) -> Reply:
        found = self.find(list_id)
        found.name = _name(request)
        return Reply.json(found.json(time.time()))

    def _delete(self, request: Request, list_id: str) -> Reply:
        found = self.find(list_id)
        del self._lists[list_id]
        if request.query.get("delete_contacts") != "true":
            return Reply(status=204)
        return Reply.json({"job_id": self._remove_later(found, list(found.members), self._delete_contact).id})

    def _remove_contacts(self, request: Request, list_id: str) -> Reply:
        """Take contacts off a list, by id; one unknown id refuses all."""
        found = self.find(list_id)
        serials = [self._ids.serial(contact_id) for contact_id in request.query.get("contact_ids", "").split(",")]
        known = [serial for serial in serials if serial is not None and self._contacts.body(serial) is not None]
        if len(known) < len(serials):
            raise not_found()
        return Reply.json({"job_id": self._remove_later(found, known, found.members.discard).id}, 202)

    def _remove_later(self, found: ContactList, serials: list[int], remove: Callable[[int], bool]) -> Job:
        def work(job: Job) -> None:
            with self._contacts.lock:
                for number, serial in enumerate(serials, start=1):
                    key = self._contacts.keys[serial]
                    if self._faults().refuses(key, number):
                        job.errors.append((key, "contact refused"))
                    else:
                        job.deleted += remove(serial)
                self.publish([found.id])

        job = Job(job_type="delete", requested=len(serials))
        self._jobs.start(job, work)
        return job

    def _delete_contact(self, serial: int) -> bool:
        if self._contacts.body(serial) is None:
            return False
        self._contacts.remove(serial)
        self.forget(serial)
        return True


def _name(request: Request) -> str:
    name = json_body(request).get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_CHARS:
        raise refused(400, f"name must be 1 to {MAX_NAME_CHARS} characters", "name")
    return name
