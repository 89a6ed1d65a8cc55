"""The cloud on one machine: Azurite, the sandboxes of SendGrid, Brevo and Key Vault, and the app's host processes."""

import json
import secrets
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueServiceClient

from infra.local.app_settings import QUEUES, SETTINGS
from infra.local.azurite import Azurite
from infra.local.hosts import ROOT, HostKind, Hosts
from infra.local.processes import Child, Processes
from infra.local.sandbox.brevo.sandbox import DEFAULT_KEY as BREVO_KEY
from infra.local.sandbox.sendgrid.sandbox import DEFAULT_KEY as SENDGRID_KEY

LOGS = ROOT / ".local" / "logs"
SANDBOXES = ("sendgrid", "brevo", "key_vault")


class LocalCloud:
    """All of it, from entering a `with` block to its end. Raises StartError where a part does not come up.

    - `hosts`: how many processes run the app; `host`: which program they are.
    - `data`: folder for Azurite; without it blobs and queues are kept in memory.
    - `logs`: folder for one log file per process; None writes to standard error.
    - `faults`: faults of a sandbox from the start, by its name: sendgrid, brevo.
    - `settings`: settings of the app that are to differ from those here.
    """

    blobs: BlobServiceClient
    queues: QueueServiceClient
    segments: ContainerClient
    state: ContainerClient
    sendgrid_url: str
    brevo_url: str
    vault_url: str
    vault_certificate: str  #: path of a PEM file

    def __init__(
        self,
        *,
        hosts: int = 1,
        host: HostKind = HostKind.LOCAL,
        data: Path | None = None,
        logs: Path | None = LOGS,
        faults: Mapping[str, Mapping[str, Any]] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.function_key = secrets.token_urlsafe(24)
        self.sendgrid_key = SENDGRID_KEY
        self.brevo_key = BREVO_KEY
        self._host_count = hosts
        self._host_kind = host
        self._data = data
        self._faults = faults or {}
        self._settings = {**SETTINGS, **(settings or {})}
        self._processes = Processes(logs=logs)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._processes)
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def api_url(self) -> str:
        """Where the first host serves the API: `http://127.0.0.1:<port>/api`."""
        return f"{self._hosts.urls[0]}/api"

    @property
    def host_urls(self) -> list[str]:
        return list(self._hosts.urls)

    @property
    def host_pids(self) -> list[int]:
        """Of the processes that run the app now; a host that ended has a successor with another id."""
        return self._hosts.pids

    @property
    def azurite_pid(self) -> int:
        return self._azurite.pid

    def kill_host(self, number: int) -> bool:
        """`kill -9` the process that runs as this host now, and its children; False when none runs at this moment.

        It is started again at its address.
        """
        return self._hosts.kill(number)

    def stop_storage(self) -> None:
        """Take blobs and queues away, as in an outage."""
        self._azurite.stop()

    def start_storage(self) -> None:
        """Bring blobs and queues back; what they held before is there if `data` was given. Raises StartError."""
        self._azurite.start()

    @property
    def settings(self) -> dict[str, str]:
        """The app's environment, secrets included."""
        return dict(self._settings)

    def write_connection(self, document: Mapping[str, Any]) -> None:
        self._write(f"config/connections/{document['id']}.json", document)

    def write_export(self, document: Mapping[str, Any]) -> None:
        self._write(f"config/exports/{document['id']}.json", document)

    def write_secret(self, name: str, value: str) -> None:
        """Put a secret into the vault."""
        requests.put(
            f"{self.vault_url}/secrets/{name}",
            params={"api-version": "7.4"},
            json={"value": value},
            headers={"Authorization": "Bearer local"},
            verify=self.vault_certificate,
            timeout=10,
        ).raise_for_status()

    def _write(self, name: str, document: Mapping[str, Any]) -> None:
        self.state.upload_blob(name, json.dumps(document), overwrite=True)

    def _start(self, stack: ExitStack) -> None:
        sandboxes = {name: self._launch_sandbox(name) for name in SANDBOXES}
        self._azurite = Azurite(self._processes, location=self._data)
        self._settings["AzureWebJobsStorage"] = self._azurite.connection_string
        self._create_storage(stack)
        self._meet_sandboxes(sandboxes)
        self._hosts = Hosts(self._processes, self._settings, kind=self._host_kind)
        stack.callback(self._hosts.stop)
        self._hosts.start(self._host_count)

    def _launch_sandbox(self, name: str) -> Child:
        faults = self._faults.get(name)
        command = [sys.executable, "-m", f"infra.local.sandbox.{name}", "--port", "0"]
        return self._processes.start(
            name, command if faults is None else [*command, "--faults", json.dumps(faults)], cwd=ROOT
        )

    def _create_storage(self, stack: ExitStack) -> None:
        text = self._azurite.connection_string
        self.blobs = stack.enter_context(BlobServiceClient.from_connection_string(text))
        self.queues = stack.enter_context(QueueServiceClient.from_connection_string(text))
        self.segments = self.blobs.create_container(self._settings["SEGMENTS_CONTAINER"])
        self.state = self.blobs.create_container(self._settings["STATE_CONTAINER"])
        for setting in QUEUES:
            for ending in ("", "-poison"):
                self.queues.create_queue(self._settings[setting] + ending)

    def _meet_sandboxes(self, sandboxes: Mapping[str, Child]) -> None:
        said = {name: child.announcement() for name, child in sandboxes.items()}
        self.sendgrid_url = said["sendgrid"]["url"]
        self.brevo_url = said["brevo"]["url"]
        self.vault_url = said["key_vault"]["url"]
        self.vault_certificate = said["key_vault"]["certificate"]
        self._settings |= {
            "SENDGRID_URL": self.sendgrid_url,
            "BREVO_URL": self.brevo_url,
            "KEY_VAULT_URL": self.vault_url,
            "REQUESTS_CA_BUNDLE": self.vault_certificate,
            "LOCAL_FUNCTION_KEY": self.function_key,
        }
        self.write_secret("sendgrid-api-key", self.sendgrid_key)
        self.write_secret("brevo-api-key", self.brevo_key)
