"""The sandbox of Brevo as a server: key, rate limits, and the parts of the account behind them.

Rate limits: https://developers.brevo.com/docs/api-limits, headers: https://developers.brevo.com/docs/limit-headers
"""

import time
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from infra.local.sandbox.brevo.attributes import Attributes
from infra.local.sandbox.brevo.audience import Audience
from infra.local.sandbox.brevo.contacts import ContactRoutes
from infra.local.sandbox.brevo.errors import error
from infra.local.sandbox.brevo.exports import Exports
from infra.local.sandbox.brevo.faults import BrevoFaults
from infra.local.sandbox.brevo.imports import Imports
from infra.local.sandbox.brevo.lists import ListRoutes
from infra.local.sandbox.brevo.processes import Processes
from infra.local.sandbox.files import FileHost
from infra.local.sandbox.rates import Allowance, Bucket
from infra.local.sandbox.routes import Route
from infra.local.sandbox.sandbox import CONTROL, Sandbox
from infra.local.sandbox.server import Reply, Request
from infra.local.sandbox.worker import Worker

DEFAULT_KEY = "xkeysib-sandbox"

#: The words are put together from what users quote; the address and the link stand in all of them.
IP_BLOCKED = (
    "We have detected you are using an unrecognised IP address {}. If you performed this action make sure to add "
    "the new IP address in this link: https://app.brevo.com/security/authorised_ips"
)

ERROR_CODES = {404: "document_not_found", 405: "method_not_allowed"}


class BrevoSandbox(Sandbox[BrevoFaults]):
    """`with BrevoSandbox() as sandbox:` serves at `sandbox.url` and accepts the key `xkeysib-sandbox`."""

    name: ClassVar = "brevo"

    def __init__(
        self,
        *,
        api_key: str = DEFAULT_KEY,
        other_keys: Sequence[str] = (),
        organization_id: str = "5f2b8d7d1c9e440000000001",
        language: Literal["en", "fr"] = "en",
        port: int = 0,
        faults: BrevoFaults | None = None,
    ) -> None:
        """All keys are of the same account, the organisation `organization_id`."""
        self._keys = frozenset({api_key, *other_keys})
        self._organization_id = organization_id
        self._language = language
        self._worker = Worker()
        self._files = FileHost()
        super().__init__(faults=faults or BrevoFaults(), port=port)

    def clear(self) -> None:
        self._worker.clear()
        self._files.clear()
        self._second, self._hour, self._others = Bucket(), Bucket(), Bucket()
        self._audience = Audience(lambda: self.faults)
        self._attributes = Attributes(self._language)
        self._processes = Processes(self._worker, self._files, lambda: self.faults)
        self._imports = Imports(
            self._audience, self._attributes, self._processes, lambda: self.faults, lambda: self.traffic
        )
        self._contact_routes = ContactRoutes(self._audience, self._attributes)
        self._exports = Exports(self._audience, self._attributes, self._processes)
        self._list_routes = ListRoutes(self._audience, self._processes)

    def close(self) -> None:
        super().close()
        self._worker.close()
        self._files.close()

    def routes(self) -> Sequence[Route]:
        return (
            Route("GET", "/v3/account", self._account),
            *self._attributes.routes(),
            *self._list_routes.routes(),
            *self._imports.routes(),
            *self._exports.routes(),
            *self._processes.routes(),
            *self._contact_routes.routes(),
        )

    def control_routes(self) -> Sequence[Route]:
        return (
            Route("GET", f"{CONTROL}/lists/{{list_id}}/contacts", self._get_stored),
            *self._contact_routes.control_routes(),
        )

    def more_traffic(self) -> dict[str, Any]:
        return {"notification_mails": self._imports.notification_mails + self._exports.notification_mails}

    def error(self, status: int, message: str) -> Reply:
        return error(status, ERROR_CODES.get(status, "bad_request"), message)

    def throttled(self, reset_s: int) -> Reply:
        now = time.time()
        spent = Allowance(allowed=False, limit=self.faults.contacts_per_second, remaining=0, resets_at=now + reset_s)
        reply = error(429, "too_many_requests", "Too many requests")
        return Reply(status=429, body=reply.body, headers={**reply.headers, **_rate_headers(spent, now)})

    def refuse(self, request: Request, route: str) -> Reply | None:
        keys = self._keys if self.faults.keys is None else self.faults.keys
        if self.faults.unauthorized or request.headers.get("api-key") not in keys:
            return error(401, "unauthorized", "Key not found")
        if self.faults.ip_blocked:
            return error(401, "unauthorized", IP_BLOCKED.format(request.client))
        now = time.time()
        allowances = [
            bucket.take(limit=limit, window_s=window_s, now=now) for bucket, limit, window_s in self._buckets(route)
        ]
        spent = [allowance for allowance in allowances if not allowance.allowed]
        return self.throttled(max(allowance.reset_s(now) for allowance in spent)) if spent else None

    def finish(self, route: str, reply: Reply) -> Reply:
        """Rate headers on everything but failed authentication."""
        if reply.status == 401:
            return reply
        now = time.time()
        bucket, limit, window_s = self._buckets(route)[0]
        allowance = bucket.look(limit=limit, window_s=window_s, now=now)
        return Reply(status=reply.status, body=reply.body, headers={**_rate_headers(allowance, now), **reply.headers})

    def _buckets(self, route: str) -> Sequence[tuple[Bucket, int, float]]:
        """The buckets of a route with their limits and windows; headers tell of the first."""
        faults = self.faults
        if " /v3/contacts/" in route:
            return (
                (self._second, faults.contacts_per_second, 1.0),
                (self._hour, faults.contacts_per_hour, faults.hour_s),
            )
        return ((self._others, faults.others_per_hour, faults.hour_s),)

    def _account(self, _: Request) -> Reply:
        """With the ids of the vendor's SDK `brevo-python` 5.1.0, `brevo/account/types/get_account_response.py`."""
        return Reply.json(
            {
                "organization_id": self._organization_id,
                "user_id": 1,
                "enterprise": False,
                "email": "owner@example.com",
                "firstName": "Sandbox",
                "lastName": "Owner",
                "companyName": "Sandbox",
                "address": {"street": "", "city": "", "zipCode": "", "country": "France"},
                "plan": [{"type": "free", "credits": 300, "creditsType": "sendLimit"}],
            }
        )

    def _get_stored(self, _: Request, list_id: str) -> Reply:
        members = self._audience.list_of(list_id).members
        return Reply(body=self._audience.contacts.ndjson(members), headers={"Content-Type": "application/x-ndjson"})


def _rate_headers(allowance: Allowance, now: float) -> dict[str, str]:
    return {
        "x-sib-ratelimit-limit": str(allowance.limit),
        "x-sib-ratelimit-remaining": str(allowance.remaining),
        "x-sib-ratelimit-reset": str(allowance.reset_s(now)),
    }
