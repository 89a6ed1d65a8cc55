"""What an operator and an automation do: put a segment there, configure an export, start it, read its verdict."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import duckdb
import requests

from infra.local.cloud import LocalCloud
from tests.integration.accounts import Account
from tests.integration.segments import Layout, Person, upload

#: Whoever sets exports up, starts them and decides about them.
SIGNED_IN = {"Authorization": "Bearer person:Administrator:operator@example.com"}
#: Longest wait for a verdict in these tests.
WITHIN_S = 60.0
PAUSE_S = 0.1
SUMS = ("read", "invalid", "duplicate", "unchanged", "planned", "delivered", "refused", "unknown")


@dataclass(frozen=True, kw_only=True)
class LiveExport:
    """One configured export with a list of its own."""

    cloud: LocalCloud
    account: Account
    id: str
    name: str  #: of the segment
    list_id: str
    layout: Layout

    @property
    def address(self) -> str:
        """Where its runs are started."""
        return f"/api/exports/{self.id}/runs"

    def deliver(self, people: Sequence[Person], *, parts: int = 1, snapshot: str = "2026/11/22/1800") -> None:
        """A new state of the segment."""
        upload(self.cloud.segments, self.name, people, layout=self.layout, parts=parts, snapshot=snapshot)

    def start(self, *, key: str | None = None, body: object = None, host: int = 0) -> requests.Response:
        """Ask one of the hosts for a run."""
        headers = SIGNED_IN | ({} if key is None else {"Idempotency-Key": key})
        return requests.post(f"{self.cloud.host_urls[host]}{self.address}", headers=headers, json=body, timeout=30)

    def run(self, *, host: int = 0) -> dict[str, Any]:
        """Start a run and wait for its verdict."""
        return self.verdict(self.start(host=host))

    def verdict(self, started: requests.Response) -> dict[str, Any]:
        """The run as it ended. Its sums close, whatever came of it."""
        assert started.status_code == 202, started.text
        return self.verdict_of(self.show(started.headers["Location"]))

    def verdict_of(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """As `verdict`, of a run that was read before."""
        run = self._wait(run, lambda run: run["finished"] is not None)
        if run["sums"] is not None:
            read, invalid, duplicate, unchanged, planned, delivered, refused, unknown = sums(run)
            assert read == invalid + duplicate + unchanged + planned
            assert planned == delivered + refused + unknown
        return run

    def held(self, started: requests.Response) -> dict[str, Any]:
        """The run once a brake holds it."""
        assert started.status_code == 202, started.text
        return self._wait(started.json(), lambda run: run["status"] == "held")

    def decide(self, run: Mapping[str, Any], word: str, body: object = None) -> dict[str, Any]:
        """Approve or reject a held run; answers it as it is then."""
        answer = requests.post(f"{self.cloud.host_urls[1]}{run[word]}", headers=SIGNED_IN, json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def _wait(self, run: Mapping[str, Any], until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + WITHIN_S
        while not until(now := self.show(f"/api/runs/{run['export']}/{run['id']}")):
            assert time.monotonic() < deadline, now
            assert now["finished"] is None, now
            time.sleep(PAUSE_S)
        return now

    def show(self, location: str, *, host: int = 0) -> dict[str, Any]:
        """A run as it is now."""
        answer = requests.get(self.cloud.host_urls[host] + location, headers=SIGNED_IN, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def contacts(self) -> list[dict[str, Any]]:
        """Who is on the list at the provider."""
        return self.account.control.contacts(self.list_id)

    def emails(self) -> list[str]:
        return [contact["email"] for contact in self.contacts()]

    def runs(self) -> list[str]:
        """Ids of all runs so far."""
        blobs = self.cloud.state.list_blob_names(name_starts_with=f"runs/{self.id}/")
        return sorted({name.split("/")[2] for name in blobs})

    def rejects(self, run: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a run's rejects file."""
        blob = self.cloud.state.download_blob(f"rejects/{self.id}/{run['id']}.parquet")
        with TemporaryDirectory() as folder, duckdb.connect() as database:
            path = Path(folder) / "rejects.parquet"
            path.write_bytes(blob.readall())
            found = database.execute("SELECT * FROM read_parquet(?)", [str(path)])
            columns = [column[0] for column in found.description or ()]
            return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


class Operator:
    """Sets exports up."""

    def __init__(self, cloud: LocalCloud, accounts: Mapping[str, Account]) -> None:
        self.cloud = cloud
        self.accounts = accounts

    def export(
        self,
        provider: str,
        people: Sequence[Person],
        *,
        layout: Layout = Layout.FILE,
        parts: int = 1,
        mapping: Mapping[str, Any] | None = None,
        secret: str | None = None,
        lane: str | None = None,
        **changes: Any,
    ) -> LiveExport:
        """A segment, a list, a connection and an export, all new and under names of their own.

        `lane`: what connections share that are at work at the same time; Brevo takes one import after the other.
        """
        account, name = self.accounts[provider], f"e{uuid4().hex[:10]}"
        segment = upload(self.cloud.segments, name, people, layout=layout, parts=parts)
        export = LiveExport(
            cloud=self.cloud, account=account, id=name, name=name, list_id=account.new_list(), layout=layout
        )
        self.cloud.write_connection(
            {
                "id": name,
                "provider": provider,
                "display_name": provider,
                "secret": secret or account.secret,
                "account": lane or name,
            }
        )
        document = {
            "id": name,
            "name": f"Export {name}",
            "connection": name,
            "segments": [segment],
            "list_id": export.list_id,
            "mapping": mapping or {"email": "EMail", "first_name": "FirstName"},
        }
        self.cloud.write_export(document | changes)
        return export

    def write_state(self, name: str, text: str) -> None:
        """Put a blob into the state container by hand."""
        self.cloud.state.upload_blob(name, text, overwrite=True)

    def read_state(self, name: str) -> Any:
        return json.loads(self.cloud.state.download_blob(name).readall())

    def messages(self, queue: str) -> int:
        """How many messages are on a queue, hidden ones included."""
        properties = self.cloud.queues.get_queue_client(queue).get_queue_properties()
        return int(properties.approximate_message_count or 0)


def run_all(exports: Sequence[LiveExport]) -> list[dict[str, Any]]:
    """Start a run of each, and wait for all their verdicts."""
    started = [export.start() for export in exports]
    return [export.verdict(answer) for export, answer in zip(exports, started, strict=True)]


def sums(run: Mapping[str, Any]) -> tuple[int, ...]:
    """Both sums of a run, in the order of `SUMS`."""
    return tuple(run["sums"][word] for word in SUMS)
