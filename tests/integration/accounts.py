"""The provider accounts of the cloud on one machine, through their own routes and the sandboxes' control routes."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import requests


class Account(Protocol):
    """One account at one sandbox."""

    provider: str
    secret: str  #: name of the vault's secret with the valid key
    unknown_list_id: str
    import_route: str  #: routes as faults and traffic name them
    poll_route: str
    control: "Control"

    def new_list(self) -> str:
        """Id of a new, empty list."""

    def new_text_field(self, name: str) -> None:
        """A custom field, or attribute, for texts."""

    def opt_out(self, email: str) -> None:
        """Let someone unsubscribe."""

    def opted_out(self, email: str) -> bool:
        """Whether someone is unsubscribed."""


class Control:
    """The control routes of one sandbox."""

    def __init__(self, url: str, *, verify: str | bool = True) -> None:
        self._url = f"{url}/_sandbox"
        self._verify = verify

    def faults(self, **faults: Any) -> None:
        """Set these faults; all others go back to what they were at the start."""
        self.call("PUT", "faults", faults)

    def traffic(self) -> dict[str, Any]:
        return dict(self.call("GET", "requests").json())

    def counts(self, route: str) -> dict[str, int]:
        """How often each status was answered on a route so far."""
        return dict(self.traffic()["routes"].get(route, {}).get("statuses", {}))

    def total(self) -> int:
        """How many requests there were so far."""
        return sum(row["count"] for row in self.traffic()["routes"].values())

    def contacts(self, list_id: str) -> list[dict[str, Any]]:
        """Who is on a list, sorted by address."""
        return [json.loads(line) for line in self.call("GET", f"lists/{list_id}/contacts").content.splitlines()]

    def call(self, method: str, path: str, body: object = None) -> requests.Response:
        answer = requests.request(method, f"{self._url}/{path}", json=body, verify=self._verify, timeout=10)
        answer.raise_for_status()
        return answer


class SendGridAccount:
    provider = "sendgrid"
    secret = "sendgrid-api-key"
    unknown_list_id = "00000000-0000-4000-8000-000000000000"
    import_route = "PUT /v3/marketing/contacts"
    poll_route = "GET /v3/marketing/contacts/imports/{job_id}"

    def __init__(self, url: str, key: str) -> None:
        self.control = Control(url)
        self._url, self._key = url, key
        fields = {"tier": "Text", "points": "Number", "birthday": "Date"}
        #: Name of a custom field -> its id.
        self.fields: Mapping[str, str] = {
            name: self._call("POST", "/v3/marketing/field_definitions", {"name": name, "field_type": kind})["id"]
            for name, kind in fields.items()
        }

    def new_list(self) -> str:
        return str(self._call("POST", "/v3/marketing/lists", {"name": f"List {time.monotonic_ns()}"})["id"])

    def new_text_field(self, name: str) -> None:
        self._call("POST", "/v3/marketing/field_definitions", {"name": name, "field_type": "Text"})

    def opt_out(self, email: str) -> None:
        self.control.call("PUT", "suppressions", {"unsubscribes": [email]})

    def opted_out(self, email: str) -> bool:
        return email in {entry["email"] for entry in self._call("GET", "/v3/suppression/unsubscribes")}

    def _call(self, method: str, path: str, body: object = None) -> Any:
        return _call(method, self._url + path, body, {"Authorization": f"Bearer {self._key}"}).json()


class BrevoAccount:
    provider = "brevo"
    secret = "brevo-api-key"
    unknown_list_id = "999999"
    import_route = "POST /v3/contacts/import"
    poll_route = "GET /v3/processes"

    def __init__(self, url: str, key: str) -> None:
        self.control = Control(url)
        self._url, self._key = url, key
        attributes = {"CITY": "text", "COUNTRY": "text", "TIER": "text", "POINTS": "float", "BIRTHDAY": "date"}
        for name, kind in attributes.items():
            self._call("POST", f"/v3/contacts/attributes/normal/{name}", {"type": kind})

    def new_list(self) -> str:
        body = {"name": f"List {time.monotonic_ns()}", "folderId": 1}
        return str(self._call("POST", "/v3/contacts/lists", body).json()["id"])

    def new_text_field(self, name: str) -> None:
        self._call("POST", f"/v3/contacts/attributes/normal/{name.upper()}", {"type": "text"})

    def opt_out(self, email: str) -> None:
        self.control.call("PUT", "blocklist", {"email": [email]})

    def opted_out(self, email: str) -> bool:
        return email in self.control.call("GET", "blocklist").json()["email"]

    def _call(self, method: str, path: str, body: object) -> requests.Response:
        return _call(method, self._url + path, body, {"api-key": self._key})


def _call(method: str, url: str, body: object, headers: Mapping[str, str]) -> requests.Response:
    answer = requests.request(method, url, json=body, headers=headers, timeout=10)
    answer.raise_for_status()
    return answer


def eventually(condition: Callable[[], object], *, within_s: float = 30) -> None:
    """Wait until something holds; fails when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s"
        time.sleep(0.05)
