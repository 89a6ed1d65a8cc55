"""Exports of lists to files, the way to read a large list's members.

https://github.com/twilio/sendgrid-oai/blob/dbe0e0d2e67a0c3c55b222d54df2acda2b9027a7/spec/json/tsg_mc_contacts_v3.json
No document lists the columns; these are field names in capitals, then the names of the custom fields.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from infra.local.sandbox.contacts import Contacts
from infra.local.sandbox.files import FileHost
from infra.local.sandbox.reports import csv_bytes
from infra.local.sandbox.routes import Route
from infra.local.sandbox.sendgrid.errors import not_found, refused
from infra.local.sandbox.sendgrid.faults import SendGridFaults
from infra.local.sandbox.sendgrid.fields import IDENTIFIERS, WRITABLE, Fields
from infra.local.sandbox.sendgrid.ids import ContactIds
from infra.local.sandbox.sendgrid.jobs import timestamp
from infra.local.sandbox.sendgrid.json_body import json_body
from infra.local.sandbox.sendgrid.lists import Lists
from infra.local.sandbox.server import Reply, Request
from infra.local.sandbox.worker import Worker

LINES_AT_ONCE = 5_000
KEPT_S = (
    72 * 3600
)  #: https://github.com/sendgrid/docs/blob/c3eb3fe/content/docs/ui/managing-contacts/create-and-manage-contacts.md


@dataclass(kw_only=True)
class Export:
    """One export, pending until it has URLs."""

    serials: list[int]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)
    urls: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "id": self.id,
            "status": "ready" if self.urls else "pending",
            "created_at": timestamp(self.created),
            "updated_at": timestamp(self.created),
            "expires_at": timestamp(self.created + KEPT_S),
        }
        if self.urls:
            answer |= {"urls": self.urls, "completed_at": timestamp(time.time()), "contact_count": len(self.serials)}
        return answer


class Exports:
    """Exports of one account."""

    def __init__(
        self,
        contacts: Contacts,
        ids: ContactIds,
        lists: Lists,
        fields: Fields,
        worker: Worker,
        files: FileHost,
        faults: Callable[[], SendGridFaults],
    ) -> None:
        self._contacts = contacts
        self._ids = ids
        self._lists = lists
        self._fields = fields
        self._worker = worker
        self._files = files
        self._faults = faults
        self._exports: dict[str, Export] = {}

    def routes(self) -> Sequence[Route]:
        return (
            Route("POST", "/v3/marketing/contacts/exports", self._start),
            Route("GET", "/v3/marketing/contacts/exports/{export_id}", self._get),
        )

    def _start(self, request: Request) -> Reply:
        body = json_body(request)
        file_type = body.get("file_type", "csv")
        if file_type not in ("csv", "json"):
            raise refused(400, "file_type must be csv or json", "file_type")
        lists = [self._lists.find(list_id) for list_id in body.get("list_ids") or []]
        if not lists:
            raise refused(400, "list_ids are required", "list_ids")

        def publish() -> None:
            with self._contacts.lock:
                export.serials = sorted({serial for one in lists for serial in one.members})
            lines = self._csv if file_type == "csv" else self._ndjson
            export.urls = [self._files.add(f"{export.id}.{file_type}", lambda: Reply(body=lines(export.serials)))]

        export = Export(serials=[])
        self._exports[export.id] = export
        self._worker.at(export.created + self._faults().job_delay_s, publish)
        metadata = {"self": f"https://api.sendgrid.com{request.path}/{export.id}"}
        return Reply.json({"id": export.id, "_metadata": metadata}, 202)

    def _get(self, _: Request, export_id: str) -> Reply:
        export = self._exports.get(export_id)
        if export is None:
            raise not_found()
        return Reply.json(export.json())

    def _csv(self, serials: list[int]) -> Iterator[bytes]:
        names = (*WRITABLE, *IDENTIFIERS)
        custom = self._fields.named()
        header = (*names, "contact_id", "created_at", "updated_at")
        yield csv_bytes([[*(name.upper() for name in header), *(one.name for one in custom)]])
        for first in range(0, len(serials), LINES_AT_ONCE):
            yield csv_bytes(
                [
                    *(_cell(stored.get(name, "")) for name in names),
                    *(stored["contact_id"], stored["created_at"], stored["updated_at"]),
                    *(_cell(stored.get("custom_fields", {}).get(one.id, "")) for one in custom),
                ]
                for stored in self._stored(serials[first : first + LINES_AT_ONCE])
            )

    def _ndjson(self, serials: list[int]) -> Iterator[bytes]:
        for first in range(0, len(serials), LINES_AT_ONCE):
            yield b"".join(
                orjson.dumps(stored, option=orjson.OPT_APPEND_NEWLINE)
                for stored in self._stored(serials[first : first + LINES_AT_ONCE])
            )

    def _stored(self, serials: list[int]) -> Iterator[dict[str, Any]]:
        for serial in serials:
            body = self._contacts.body(serial)
            if body is not None:
                created, updated = self._contacts.times(serial)
                yield orjson.loads(body) | {
                    "contact_id": self._ids.id(serial),
                    "created_at": timestamp(created),
                    "updated_at": timestamp(updated),
                }


def _cell(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
