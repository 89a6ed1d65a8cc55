"""Exports of contacts to files.

https://developers.brevo.com/reference/request-contact-export, filters by time: https://developers.brevo.com/changelog/2026/10/14
No document gives the columns of the files; these are the names that requests and reference use.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from infra.local.sandbox.brevo.attributes import Attributes
from infra.local.sandbox.brevo.audience import Audience, timestamp
from infra.local.sandbox.brevo.errors import invalid, json_body, missing
from infra.local.sandbox.brevo.processes import Process, Processes
from infra.local.sandbox.reports import Row
from infra.local.sandbox.routes import Route
from infra.local.sandbox.server import Reply, Request

EXPORT = "SEARCH_EXPORT_USERS_API"
MANDATORY = ("EMAIL", "ADDED_TIME", "MODIFIED_TIME")
ACTIONS = ("allContacts", "subscribed", "unsubscribed")
TIMES = ("createdSince", "modifiedSince")

#: Whether a contact, by serial number, is to be exported.
Chosen = Callable[[int], bool]


class Exports:
    """Exports of one account. Campaigns, segments and `unsubscribedPerList` are not there."""

    def __init__(self, audience: Audience, attributes: Attributes, processes: Processes) -> None:
        self._audience = audience
        self._attributes = attributes
        self._processes = processes
        self.notification_mails = 0  #: to the owner of the account, one per export that does not disable them

    def routes(self) -> Sequence[Route]:
        return (Route("POST", "/v3/contacts/export", self._start),)

    def _start(self, request: Request) -> Reply:
        """202 with a process; 200 and an empty object where the filter matches nobody."""
        body = json_body(request)
        chosen = self._chosen(body.get("customContactFilter"))
        columns = self._columns(body)
        with self._audience.contacts.lock:
            if not any(chosen(serial) for serial in self._audience.newest_first()):
                return Reply.json({})

        def write(process: Process) -> None:
            with self._audience.contacts.lock:
                process.file = [columns, *self._rows(columns, chosen)]

        self.notification_mails += not body.get("disableNotification", False)
        process = self._processes.start(EXPORT, write, once=False, notify_url=body.get("notifyUrl"))
        return Reply.json({"processId": process.id}, 202)

    def _chosen(self, wanted: Any) -> Chosen:
        """The filter of a request. Raises RefusedError."""
        if not isinstance(wanted, dict):
            raise missing("customContactFilter is missing")
        action = wanted.get("actionForContacts")
        if action not in ACTIONS:
            raise invalid("actionForContacts is not valid")
        if not any(wanted.get(name) for name in ("listId", *TIMES)):
            raise missing("listId is missing")
        members = self._audience.list_of(str(wanted["listId"])).members if wanted.get("listId") else None
        since = [_time(name, wanted[name]) if wanted.get(name) else 0.0 for name in TIMES]

        def is_chosen(serial: int) -> bool:
            is_blocked = serial in self._audience.email_blocked
            return (
                action in ("allContacts", "unsubscribed" if is_blocked else "subscribed")
                and (members is None or serial in members)
                and all(
                    at >= earliest for at, earliest in zip(self._audience.contacts.times(serial), since, strict=True)
                )
            )

        return is_chosen

    def _columns(self, body: dict[str, Any]) -> Row:
        mandatory = MANDATORY if body.get("exportMandatoryAttributes", True) else ()
        attributes = [str(name).upper() for name in body.get("exportAttributes") or []]
        if not mandatory and not attributes:
            raise missing("exportAttributes is missing")
        if unknown := [name for name in attributes if not self._attributes.has(name)]:
            raise invalid(f"Attributes do not exist: {', '.join(unknown)}")
        return list(dict.fromkeys([*mandatory, *attributes]))

    def _rows(self, columns: Row, chosen: Chosen) -> Iterator[Row]:
        for serial in filter(chosen, self._audience.newest_first()):
            stored = self._audience.stored(serial)
            created, modified = self._audience.contacts.times(serial)
            values = {
                **stored["attributes"],
                "EMAIL": stored["email"],
                "ADDED_TIME": timestamp(created),
                "MODIFIED_TIME": timestamp(modified),
            }
            yield [str(values.get(name, "")) for name in columns]


def _time(name: str, value: object) -> float:
    """A time with its zone. Raises RefusedError with 400."""
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise invalid(f"{name} should be a date-time with a timezone")
    return time.timestamp()
