"""Suppressed addresses, independent of contacts.

https://github.com/twilio/sendgrid-oai/blob/dbe0e0d2e67a0c3c55b222d54df2acda2b9027a7/spec/json/tsg_suppressions_v3.json
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from infra.local.sandbox.routes import Route
from infra.local.sandbox.sandbox import CONTROL, control_error, json_object
from infra.local.sandbox.sendgrid.errors import refused
from infra.local.sandbox.server import Reply, Request

MAX_PAGE = 500

#: What an entry holds besides address and time.
DETAILS: dict[str, dict[str, str]] = {
    "unsubscribes": {},
    "bounces": {"reason": "550 5.1.1 The email account that you tried to reach does not exist.", "status": "5.1.1"},
    "spam_reports": {"ip": "192.0.2.1"},
}


class Suppressions:
    """The suppression lists of one account."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, int]] = {kind: {} for kind in DETAILS}  # address -> since when

    def routes(self) -> Sequence[Route]:
        return [Route("GET", f"/v3/suppression/{kind}", partial(self._list, kind=kind)) for kind in DETAILS]

    def control_routes(self) -> Sequence[Route]:
        return (Route("PUT", f"{CONTROL}/suppressions", self._put),)

    def _list(self, request: Request, *, kind: str) -> Reply:
        try:
            limit = int(request.query.get("limit", MAX_PAGE))
            offset = int(request.query.get("offset", 0))
        except ValueError:
            raise refused(400, "limit and offset must be numbers", "limit") from None
        if not 0 < limit <= MAX_PAGE or offset < 0:
            raise refused(400, f"limit must be 1 to {MAX_PAGE}", "limit")
        entries = list(self._entries[kind].items())[offset : offset + limit]
        return Reply.json([{"created": since, "email": email} | DETAILS[kind] for email, since in entries])

    def _put(self, request: Request) -> Reply:
        """Replace the lists that the body names: `{"unsubscribes": ["a@example.com"]}`."""
        wanted: dict[str, Any] = json_object(request.body)
        if unknown := wanted.keys() - DETAILS.keys():
            return control_error(f"unknown suppression lists: {', '.join(sorted(unknown))}")
        now = int(time.time())
        for kind, emails in wanted.items():
            self._entries[kind] = {email.lower(): now for email in emails}
        return Reply(status=204)
