"""An account at each provider's sandbox, with a list and a text field, all seen alike.

A new provider gets its class here and nothing else in this folder.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import requests
from pydantic import SecretStr

from exporters.model.connection import Connection
from exporters.providers import registry
from exporters.providers.base import Provider
from infra.local.sandbox.brevo import BrevoSandbox
from infra.local.sandbox.brevo.sandbox import DEFAULT_KEY as BREVO_KEY
from infra.local.sandbox.faults import ImportFaults, ReportFile, Trouble, TroubleKind
from infra.local.sandbox.sandbox import CONTROL, Sandbox
from infra.local.sandbox.sendgrid import SendGridSandbox
from infra.local.sandbox.sendgrid.sandbox import DEFAULT_KEY as SENDGRID_KEY

LIST_NAME = "Newsletter"
FIELD = "Tier"  #: custom text field that each account has


class Account(Protocol):
    """One account at a sandbox."""

    name: str
    key: str
    other_key: str  #: of the same account
    list_id: str
    unknown_list_id: str
    #: Of the first request that each of these makes, as faults name it.
    import_route: str
    suppressions_route: str
    members_route: str
    removal_route: str
    account_route: str
    lists_route: str
    new_list_route: str
    fields_route: str

    @property
    def sandbox(self) -> Sandbox[Any]: ...

    def stored(self) -> dict[str, dict[str, Any]]:
        """The contacts on the list by address, each as it was written into a request."""

    def put_on_another_list(self, email: str) -> None:
        """Add somebody to the account who is not on the list."""

    def opt_out(self, *emails: str) -> None:
        """Let these people, and nobody else, have unsubscribed by themselves."""

    def opted_out(self, email: str) -> bool:
        """Whether someone is unsubscribed."""

    def is_idle(self) -> bool:
        """Whether no import is at work."""

    def count_errors_without_a_report(self) -> None:
        """Let jobs tell how many contacts they refused, and not which."""

    def use_up_the_limit(self) -> None:
        """Leave the account one more import for now."""


def provider_of(account: Account, key: str | None = None) -> Provider:
    connection = Connection(id="c", provider=account.name, display_name="C", secret="s")
    return registry.build(connection, SecretStr(key or account.key), base_urls={account.name: account.sandbox.url})


def faults_of(account: Account) -> ImportFaults:
    faults = account.sandbox.faults
    assert isinstance(faults, ImportFaults)
    return faults


def trouble(
    account: Account, kind: TroubleKind, *, route: str | None = None, status: int = 503, reset_s: int = 1
) -> None:
    """Let the next request on a route meet a trouble; the next import, unless told otherwise."""
    route = route or account.import_route
    faults_of(account).next.append(Trouble(kind=kind, route=route, status=status, reset_s=reset_s))


class SendGridAccount:
    name = "sendgrid"
    key = SENDGRID_KEY
    other_key = "SG.second"
    unknown_list_id = "00000000-0000-4000-8000-000000000000"
    import_route = "PUT /v3/marketing/contacts"
    suppressions_route = "GET /v3/suppression/unsubscribes"
    members_route = "POST /v3/marketing/contacts/exports"
    account_route = "GET /v3/user/username"
    lists_route = "GET /v3/marketing/lists"
    new_list_route = "POST /v3/marketing/lists"
    fields_route = "GET /v3/marketing/field_definitions"
    removal_route = "DELETE /v3/marketing/lists/{list_id}/contacts"

    def __init__(self, sandbox: SendGridSandbox) -> None:
        self.sandbox = sandbox
        self.list_id = str(self._call("POST", "/v3/marketing/lists", {"name": LIST_NAME})["id"])
        self._call("POST", "/v3/marketing/field_definitions", {"name": FIELD, "field_type": "Text"})

    def stored(self) -> dict[str, dict[str, Any]]:
        return _by_email(_lines(self.sandbox, f"lists/{self.list_id}/contacts"))

    def put_on_another_list(self, email: str) -> None:
        other = self._call("POST", "/v3/marketing/lists", {"name": "Other"})["id"]
        self._call("PUT", "/v3/marketing/contacts", {"list_ids": [other], "contacts": [{"email": email}]})

    def opt_out(self, *emails: str) -> None:
        _control(self.sandbox, "PUT", "suppressions", {"unsubscribes": emails})

    def opted_out(self, email: str) -> bool:
        return email in {entry["email"] for entry in self._call("GET", "/v3/suppression/unsubscribes")}

    def is_idle(self) -> bool:
        return True  # jobs may overlap here, so nobody has to wait for one

    def count_errors_without_a_report(self) -> None:
        self.sandbox.faults.report_file = ReportFile.NONE

    def use_up_the_limit(self) -> None:
        self.sandbox.faults.rate_limit = 1  # of each route

    def _call(self, method: str, path: str, body: object = None) -> Any:
        answer = requests.request(
            method, self.sandbox.url + path, json=body, headers={"Authorization": f"Bearer {self.key}"}, timeout=10
        )
        answer.raise_for_status()
        return answer.json()


class BrevoAccount:
    name = "brevo"
    key = BREVO_KEY
    other_key = "xkeysib-second"
    unknown_list_id = "999"
    import_route = "POST /v3/contacts/import"
    suppressions_route = "POST /v3/contacts/export"
    members_route = "POST /v3/contacts/export"
    account_route = "GET /v3/account"
    lists_route = "GET /v3/contacts/lists"
    new_list_route = "POST /v3/contacts/lists"
    fields_route = "GET /v3/contacts/attributes"
    removal_route = "POST /v3/contacts/lists/{list_id}/contacts/remove"

    def __init__(self, sandbox: BrevoSandbox) -> None:
        self.sandbox = sandbox
        self.list_id = str(self._call("POST", "/v3/contacts/lists", {"name": LIST_NAME, "folderId": 1}).json()["id"])
        self._call("POST", f"/v3/contacts/attributes/normal/{FIELD.upper()}", {"type": "text"})

    def stored(self) -> dict[str, dict[str, Any]]:
        contacts = _lines(self.sandbox, f"lists/{self.list_id}/contacts")
        # The sandbox keeps an empty object where a contact has no attributes.
        return _by_email({key: value for key, value in contact.items() if value != {}} for contact in contacts)

    def put_on_another_list(self, email: str) -> None:
        _control(self.sandbox, "PUT", "blocklist", {"sms": [email]})  # which makes a contact that is on no list

    def opt_out(self, *emails: str) -> None:
        _control(self.sandbox, "PUT", "blocklist", {"email": emails})

    def opted_out(self, email: str) -> bool:
        return email in _control(self.sandbox, "GET", "blocklist").json()["email"]

    def is_idle(self) -> bool:
        processes = self._call("GET", "/v3/processes").json()["processes"]
        return all(process["status"] == "completed" for process in processes)

    def count_errors_without_a_report(self) -> None:
        self.sandbox.faults.report_numbers = True

    def use_up_the_limit(self) -> None:
        time.sleep(1.0)  # until the second is over in which this account was made
        self.sandbox.faults.contacts_per_second = 1

    def _call(self, method: str, path: str, body: object = None) -> requests.Response:
        answer = requests.request(method, self.sandbox.url + path, json=body, headers={"api-key": self.key}, timeout=10)
        answer.raise_for_status()
        return answer


def _control(sandbox: Sandbox[Any], method: str, path: str, body: object = None) -> requests.Response:
    answer = requests.request(method, f"{sandbox.url}{CONTROL}/{path}", json=body, timeout=10)
    answer.raise_for_status()
    return answer


def _lines(sandbox: Sandbox[Any], path: str) -> Iterable[dict[str, Any]]:
    return map(json.loads, _control(sandbox, "GET", path).content.splitlines())


def _by_email(contacts: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {contact["email"]: contact for contact in contacts}


#: How to open a sandbox, and an account in it.
ACCOUNTS: Mapping[str, tuple[Callable[[], Sandbox[Any]], Callable[[Any], Account]]] = {
    SendGridAccount.name: (partial(SendGridSandbox, other_keys=[SendGridAccount.other_key]), SendGridAccount),
    BrevoAccount.name: (partial(BrevoSandbox, other_keys=[BrevoAccount.other_key]), BrevoAccount),
}
