"""Routes of lists, folders and list members.

https://api.brevo.com/v3/swagger_definition_v3.yml, `/contacts/lists` and `/contacts/folders`
"""

import time
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

from infra.local.sandbox.brevo.audience import Audience, ContactList, timestamp
from infra.local.sandbox.brevo.errors import invalid, json_body, missing, page
from infra.local.sandbox.brevo.processes import Process, Processes
from infra.local.sandbox.routes import Route
from infra.local.sandbox.server import Reply, Request

MAX_LISTS_A_PAGE = 50
MAX_CONTACTS_A_PAGE = 500

#: Of each kind: addresses, ids or external ids.
MAX_MEMBERS_A_CALL = 150


class ListRoutes:
    """Lists of one account."""

    def __init__(self, audience: Audience, processes: Processes) -> None:
        self._audience = audience
        self._processes = processes

    def routes(self) -> Sequence[Route]:
        one = "/v3/contacts/lists/{list_id}"
        return (
            Route("GET", "/v3/contacts/folders", self._folders),
            Route("POST", "/v3/contacts/folders", self._create_folder),
            Route("GET", "/v3/contacts/lists", self._page),
            Route("POST", "/v3/contacts/lists", self._create),
            Route("GET", one, self._get),
            Route("GET", f"{one}/contacts", self._members),
            Route("POST", f"{one}/contacts/add", self._add),
            Route("POST", f"{one}/contacts/remove", self._remove),
        )

    def _folders(self, request: Request) -> Reply:
        limit, offset = page(request, default=10, largest=MAX_LISTS_A_PAGE)
        known = sorted(self._audience.folders.items(), reverse=request.query.get("sort", "desc") != "asc")
        folders = [
            {"id": folder_id, "name": name, "uniqueSubscribers": 0, "totalSubscribers": 0, "totalBlacklisted": 0}
            for folder_id, name in known
        ]
        return Reply.json({"count": len(folders), "folders": folders[offset : offset + limit]})

    def _create_folder(self, request: Request) -> Reply:
        name = json_body(request).get("name")
        if not isinstance(name, str) or not name:
            raise missing("name is missing")
        folder_id = len(self._audience.folders) + 1
        self._audience.folders[folder_id] = name
        return Reply.json({"id": folder_id}, 201)

    def _create(self, request: Request) -> Reply:
        wanted = json_body(request)
        name, folder_id = wanted.get("name"), wanted.get("folderId")
        if not isinstance(name, str) or not name:
            raise missing("name is missing")
        if folder_id is None:
            raise missing("folderId is missing")
        if folder_id not in self._audience.folders:
            raise invalid("Folder ID does not exist")
        return Reply.json({"id": self._audience.add_list(name, folder_id).id}, 201)

    def _page(self, request: Request) -> Reply:
        """The collection tells 0 where the single list tells subscribers, as the vendor phases those counts out."""
        limit, offset = page(request, default=10, largest=MAX_LISTS_A_PAGE)
        lists = sorted(
            self._audience.lists.values(), key=lambda one: one.id, reverse=request.query.get("sort", "desc") != "asc"
        )
        shown = [_summary(one) | {"totalSubscribers": 0, "totalBlacklisted": 0} for one in lists]
        return Reply.json({"count": len(lists), "lists": shown[offset : offset + limit]})

    def _get(self, _: Request, list_id: str) -> Reply:
        found = self._audience.list_of(list_id)
        blocked = sum(serial in found.members for serial in list(self._audience.email_blocked))
        summary = _summary(found)
        more = {
            "totalBlacklisted": blocked,
            "totalSubscribers": max(0, summary["uniqueSubscribers"] - blocked),
            "createdAt": timestamp(found.created),
            "dynamicList": False,
        }
        return Reply.json(summary | more)

    def _members(self, request: Request, list_id: str) -> Reply:
        found = self._audience.list_of(list_id)
        limit, offset = page(request, default=50, largest=MAX_CONTACTS_A_PAGE)
        with self._audience.contacts.lock:
            count = len(found.members)
            if request.query.get("sort", "desc") == "asc":
                serials = list(islice(found.members, offset, offset + limit))
            else:
                end = max(0, count - offset)
                serials = list(islice(found.members, max(0, end - limit), end))[::-1]
            contacts = [self._audience.shown(serial) for serial in serials]
        return Reply.json({"contacts": contacts, "count": count})

    def _add(self, request: Request, list_id: str) -> Reply:
        found = self._audience.list_of(list_id)
        return self._change(request, found, add=True)

    def _remove(self, request: Request, list_id: str) -> Reply:
        found = self._audience.list_of(list_id)
        if json_body(request).get("all") is True:
            return self._remove_all(found)
        return self._change(request, found, add=False)

    def _remove_all(self, found: ContactList) -> Reply:
        total = len(found.members)
        process = self._processes.start("LIST_CONTACTS_REMOVE", partial(self._empty, found), once=False)
        return Reply.json({"contacts": {"total": total, "processId": process.id}}, 201)

    def _empty(self, found: ContactList, _: Process) -> None:
        with self._audience.contacts.lock:
            for serial in list(found.members):
                found.members.discard(serial)
            self._audience.publish([found])

    def _change(self, request: Request, found: ContactList, *, add: bool) -> Reply:
        """Put contacts on the list or take them off; partial success is normal, success for none is a 400."""
        kind, items = _members_named(json_body(request))
        move = found.members.add if add else found.members.discard
        success: list[Any] = []
        failure: list[Any] = []
        with self._audience.contacts.lock:
            for item in items:
                serial = self._serial(kind, item)
                (success if serial is not None and move(serial) else failure).append(item)
            self._audience.publish([found])
        if not success:
            state = "already in list" if add else "already removed from list"
            raise invalid(f"Contact {state} and/or does not exist")
        return Reply.json({"contacts": {"success": success, "failure": failure}}, 201)

    def _serial(self, kind: str, item: Any) -> int | None:
        contacts = self._audience.contacts
        if kind == "emails":
            return contacts.serial(str(item).lower())
        is_known = kind == "ids" and isinstance(item, int) and contacts.body(item - 1) is not None
        return item - 1 if is_known else None


def _summary(one: ContactList) -> dict[str, Any]:
    count = one.members.visible.get(time.time())
    return {"id": one.id, "name": one.name, "folderId": one.folder_id, "uniqueSubscribers": count}


def _members_named(body: dict[str, Any]) -> tuple[str, list[Any]]:
    for kind in ("emails", "ids", "extIds"):
        items = body.get(kind)
        if isinstance(items, list) and items:
            if len(items) > MAX_MEMBERS_A_CALL:
                raise invalid(f"Maximum {MAX_MEMBERS_A_CALL} {kind} are allowed")
            return kind, items
    raise missing("emails, ids or extIds are missing")
