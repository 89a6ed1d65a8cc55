"""Clients of the sandboxes, over real HTTP."""

import json
import time
from collections.abc import Callable
from typing import Any

import requests

from infra.local.sandbox.sandbox import Sandbox

LISTS = "/v3/marketing/lists"
UPSERT = "/v3/marketing/contacts"


class Client:
    """Asks one sandbox, with the right key unless told otherwise."""

    def __init__(self, sandbox: Sandbox[Any], headers: dict[str, str]) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.headers.update(headers)

    def __call__(self, method: str, path: str, body: object = None, **more: Any) -> requests.Response:
        return self.session.request(method, self.sandbox.url + path, json=body, timeout=10, **more)

    def stored(self, list_id: object) -> list[dict[str, Any]]:
        """Contacts of a list as the control route tells them."""
        answer = self("GET", f"/_sandbox/lists/{list_id}/contacts")
        assert answer.status_code == 200
        return [json.loads(line) for line in answer.iter_lines()]


class SendGridClient(Client):
    def new_list(self, name: str | None = None) -> str:
        return self("POST", LISTS, {"name": name or f"People {time.monotonic_ns()}"}).json()["id"]

    def new_field(self, name: str, field_type: str) -> str:
        body = {"name": name, "field_type": field_type}
        return self("POST", "/v3/marketing/field_definitions", body).json()["id"]

    def upsert(self, contacts: list[dict[str, Any]], *list_ids: str) -> requests.Response:
        return self("PUT", UPSERT, {"list_ids": list_ids, "contacts": contacts})

    def job(self, job_id: str) -> dict[str, Any]:
        return self("GET", f"{UPSERT}/imports/{job_id}").json()

    def done(self, answer: requests.Response) -> dict[str, Any]:
        """The job of an answer, once it has ended."""
        assert answer.ok, answer.text
        job_id = answer.json()["job_id"]
        wait_until(lambda: self.job(job_id)["status"] != "pending")
        return self.job(job_id)


class BrevoClient(Client):
    def new_list(self, name: str = "People") -> int:
        return self("POST", "/v3/contacts/lists", {"name": name, "folderId": 1}).json()["id"]

    def start(self, contacts: list[dict[str, Any]], list_id: int, **more: Any) -> requests.Response:
        return self("POST", "/v3/contacts/import", {"jsonBody": contacts, "listIds": [list_id], **more})

    def process(self, process_id: int) -> dict[str, Any]:
        return self("GET", f"/v3/processes/{process_id}").json()

    def done(self, answer: requests.Response) -> dict[str, Any]:
        """The process of an answer, once it has ended."""
        assert answer.status_code == 202, answer.text
        process_id = answer.json()["processId"]
        wait_until(lambda: self.process(process_id)["status"] not in ("queued", "in_process"))
        return self.process(process_id)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
