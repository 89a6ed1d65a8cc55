"""The sandbox of SendGrid as a server: key, scopes, rate limits, and the parts of the account behind them.

Rate limits: https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from infra.local.sandbox.contacts import Contacts
from infra.local.sandbox.files import FileHost
from infra.local.sandbox.rates import Allowance, Bucket
from infra.local.sandbox.routes import Route
from infra.local.sandbox.sandbox import CONTROL, Sandbox
from infra.local.sandbox.sendgrid.contacts import ContactRoutes
from infra.local.sandbox.sendgrid.errors import error
from infra.local.sandbox.sendgrid.exports import Exports
from infra.local.sandbox.sendgrid.faults import SendGridFaults
from infra.local.sandbox.sendgrid.fields import Fields
from infra.local.sandbox.sendgrid.ids import ContactIds
from infra.local.sandbox.sendgrid.jobs import Jobs
from infra.local.sandbox.sendgrid.lists import Lists
from infra.local.sandbox.sendgrid.suppressions import Suppressions
from infra.local.sandbox.server import Reply, Request
from infra.local.sandbox.worker import Worker

DEFAULT_KEY = "SG.sandbox"

#: Longer request lines get nginx's own page. Others found 8,150 characters of ids to pass:
#: https://github.com/rudderlabs/rudder-transformer, `src/v0/destinations/sendgrid/config.js`.
MAX_REQUEST_LINE = 8_192

#: https://www.twilio.com/docs/sendgrid/api-reference/api-key-permissions
SCOPED_AREAS = ("marketing", "suppression", "user")


class SendGridSandbox(Sandbox[SendGridFaults]):
    """`with SendGridSandbox() as sandbox:` serves at `sandbox.url` and accepts the key `SG.sandbox`."""

    name: ClassVar = "sendgrid"

    def __init__(
        self,
        *,
        api_key: str = DEFAULT_KEY,
        other_keys: Sequence[str] = (),
        user_id: int = 1,
        port: int = 0,
        faults: SendGridFaults | None = None,
    ) -> None:
        """All keys are of the same account, whose number is `user_id`."""
        self._keys = frozenset({api_key, *other_keys})
        self._user_id = user_id
        self._worker = Worker()
        self._files = FileHost()
        super().__init__(faults=faults or SendGridFaults(), port=port)

    def clear(self) -> None:
        self._worker.clear()
        self._files.clear()
        self._buckets: defaultdict[str, Bucket] = defaultdict(Bucket)
        self._client_errors = 0
        self._contacts = Contacts()
        ids = ContactIds()
        self._fields = Fields(lambda: self.faults)
        self._jobs = Jobs(self._worker, self._files, lambda: self.faults)
        self._lists = Lists(self._contacts, ids, self._jobs, lambda: self.faults)
        self._contact_routes = ContactRoutes(
            self._contacts, ids, self._lists, self._fields, self._jobs, lambda: self.faults, lambda: self.traffic
        )
        self._exports = Exports(
            self._contacts, ids, self._lists, self._fields, self._worker, self._files, lambda: self.faults
        )
        self._suppressions = Suppressions()

    def close(self) -> None:
        super().close()
        self._worker.close()
        self._files.close()

    def routes(self) -> Sequence[Route]:
        return (
            Route("GET", "/v3/scopes", self._get_scopes),
            Route("GET", "/v3/user/username", self._get_username),
            *self._fields.routes(),
            *self._lists.routes(),
            *self._jobs.routes(),
            *self._contact_routes.routes(),
            *self._exports.routes(),
            *self._suppressions.routes(),
        )

    def control_routes(self) -> Sequence[Route]:
        return (
            Route("GET", f"{CONTROL}/lists/{{list_id}}/contacts", self._get_stored),
            *self._suppressions.control_routes(),
        )

    def error(self, status: int, message: str) -> Reply:
        return error(status, message)

    def throttled(self, reset_s: int) -> Reply:
        now = time.time()
        spent = Allowance(allowed=False, limit=self.faults.rate_limit, remaining=0, resets_at=now + reset_s)
        reply = error(429, "too many requests")
        return Reply(status=429, body=reply.body, headers={**reply.headers, **self._rate_headers(spent, now)})

    def refuse(self, request: Request, route: str) -> Reply | None:
        now = time.time()
        allowance = self._bucket(route).take(limit=self._limit(route), window_s=self.faults.rate_window_s, now=now)
        if len(f"{request.method} {request.target} HTTP/1.1\r\n") > MAX_REQUEST_LINE:
            return Reply.html(414)
        keys = self._keys if self.faults.keys is None else self.faults.keys
        if self.faults.unauthorized or request.headers.get("Authorization") not in {f"Bearer {key}" for key in keys}:
            return error(401, "authorization required")
        if self._is_blocked() or not self._may_use(route):
            return error(403, "access forbidden")
        return None if allowance.allowed else self.throttled(allowance.reset_s(now))

    def finish(self, route: str, reply: Reply) -> Reply:
        if 400 <= reply.status < 500:
            self._client_errors += 1
        now = time.time()
        allowance = self._bucket(route).look(limit=self._limit(route), window_s=self.faults.rate_window_s, now=now)
        return Reply(
            status=reply.status, body=reply.body, headers={**self._rate_headers(allowance, now), **reply.headers}
        )

    def _bucket(self, route: str) -> Bucket:
        return self._buckets[route]

    def _limit(self, route: str) -> int:
        return self.faults.search_rate_limit if "/search" in route else self.faults.rate_limit

    def _rate_headers(self, allowance: Allowance, now: float) -> dict[str, str]:
        epoch = self.faults.rate_reset == "epoch"
        return {
            "X-RateLimit-Limit": str(allowance.limit),
            "X-RateLimit-Remaining": str(allowance.remaining),
            "X-RateLimit-Reset": str(int(now) + allowance.reset_s(now) if epoch else allowance.reset_s(now)),
        }

    def _is_blocked(self) -> bool:
        limit = self.faults.block_after_4xx
        return limit is not None and self._client_errors >= limit

    def _may_use(self, route: str) -> bool:
        """Whether the key has a scope of the area that a route belongs to."""
        area = route.partition("/v3/")[2].partition("/")[0]
        return area not in SCOPED_AREAS or any(scope.startswith(f"{area}.") for scope in self.faults.scopes)

    def _get_scopes(self, _: Request) -> Reply:
        return Reply.json({"scopes": list(self.faults.scopes)})

    def _get_username(self, _: Request) -> Reply:
        """https://github.com/twilio/sendgrid-oai/blob/2a6ae1824abb462e3903687a9188df2270475ffa/spec/json/tsg_user_v3.json"""
        return Reply.json({"username": "sandbox", "user_id": self._user_id})

    def _get_stored(self, _: Request, list_id: str) -> Reply:
        members = self._lists.find(list_id).members
        return Reply(body=self._contacts.ndjson(members), headers={"Content-Type": "application/x-ndjson"})
