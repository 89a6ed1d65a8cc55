"""Exports of lists to files, the way to read a large list's members.

https://github.com/twilio/sendgrid-oai/blob/dbe0e0d2e67a0c3c55b222d54df2acda2b9027a7/spec/json/tsg_mc_contacts_v3.json
No document lists the columns; these are field names in capitals, then the names of the custom fields. That files are
gzip is known from a program that unpacks them: https://github.com/airbytehq/airbyte, `source-sendgrid`.
"""

import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from infra.local.sandbox.contacts import Contacts
from infra.local.sandbox.faults import ReportFile
from infra.local.sandbox.files import FileHost
from infra.local.sandbox.reports import csv_bytes, report
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
DEFAULT_FILE_MB = 5_000
BYTES_AROUND = 80  #: of id and times of a contact
KEPT_S = (
    72 * 3600
)  #: https://github.com/sendgrid/docs/blob/c3eb3fe/content/docs/ui/managing-contacts/create-and-manage-contacts.md


@dataclass(kw_only=True)
class Export:
    """One export, pending until it has URLs."""

    serials: list[int]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)
    urls: list[str] | None = None
    failure: str = ""

    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "id": self.id,
            "status": "failure" if self.failure else "pending" if self.urls is None else "ready",
            "created_at": timestamp(self.created),
            "updated_at": timestamp(self.created),
            "expires_at": timestamp(self.created + KEPT_S),
        }
        if self.failure:
            answer["message"] = self.failure
        elif self.urls is not None:
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
        largest = body.get("max_file_size", DEFAULT_FILE_MB)
        if not isinstance(largest, int) or largest < 1:
            raise refused(400, "max_file_size must be a number of MB", "max_file_size")
        lists = [self._lists.find(list_id) for list_id in body.get("list_ids") or []]
        if not lists:
            raise refused(400, "list_ids are required", "list_ids")

        def publish() -> None:
            faults = self._faults()
            if faults.failed_exports:
                faults.failed_exports -= 1
                export.failure = "the export failed"
                return
            with self._contacts.lock:
                export.serials = sorted({serial for one in lists for serial in one.members})
            files = self._split(export.serials, faults.export_file_bytes or largest * 1_000_000)
            kind = faults.report_file
            export.urls = [] if kind == ReportFile.NONE else [self._publish(export, file_type, some) for some in files]

        export = Export(serials=[])
        self._exports[export.id] = export
        if not self._faults().take_stuck_job():
            self._worker.at(export.created + self._faults().job_delay_s, publish)
        metadata = {"self": f"https://api.sendgrid.com{request.path}/{export.id}"}
        return Reply.json({"id": export.id, "_metadata": metadata}, 202)

    def _split(self, serials: list[int], largest: int) -> list[list[int]]:
        """Contacts of each file, measured by what is stored of them; a header alone where there are none."""
        files: list[list[int]] = [[]]
        room = largest
        for serial in serials:
            size = len(self._contacts.body(serial) or b"") + BYTES_AROUND
            if files[-1] and size > room:
                files.append([])
                room = largest
            files[-1].append(serial)
            room -= size
        return files

    def _publish(self, export: Export, file_type: str, serials: list[int]) -> str:
        """The link to a file in the state that the faults ask for."""
        lines = self._csv if file_type == "csv" else self._ndjson

        def content() -> Reply:
            kind = self._faults().report_file
            if kind in (ReportFile.CSV, ReportFile.GZIP):
                return Reply(body=_packed(lines(serials)), headers={"Content-Type": "binary/octet-stream"})
            return report(kind, ("EMAIL",), [(self._contacts.keys[serial],) for serial in serials])

        return self._files.add(f"{export.id}.{file_type}.gz", content)

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


def _packed(lines: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    for piece in lines:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def _cell(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
