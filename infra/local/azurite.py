"""Azurite, Microsoft's emulator of blob and queue storage, on free ports.

https://learn.microsoft.com/azure/storage/common/storage-use-azurite
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from infra.local.processes import Processes, StartError

SCRIPT = Path(__file__).parent / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
#: The account of every Azurite. Its key is public.
#: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite#well-known-storage-account-and-key
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
LISTENING = re.compile(r"Azurite (Blob|Queue) service is successfully listening at (http://\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Azurite:
    """A running Azurite."""

    pid: int
    blob_url: str
    queue_url: str

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.blob_url}/{ACCOUNT};QueueEndpoint={self.queue_url}/{ACCOUNT};"
        )


def start(processes: Processes, *, location: Path | None = None) -> Azurite:
    """Start Azurite and wait until it serves. Data is kept in `location`, or else in memory. Raises StartError."""
    child = processes.start("azurite", _command(location))
    lines = child.lines(lambda line: LISTENING.match(line) is not None, count=2)
    urls = dict(LISTENING.findall("\n".join(lines)))
    return Azurite(pid=child.pid, blob_url=urls["Blob"], queue_url=urls["Queue"])


def _command(location: Path | None) -> list[str]:
    node = shutil.which("node")
    if node is None:
        raise StartError("Azurite needs Node.js 18 or newer on the PATH: https://nodejs.org")
    if not SCRIPT.is_file():
        raise StartError("Azurite is not set up: run `make install`")
    ports = [word for service in ("blob", "queue", "table") for word in (f"--{service}Port", "0")]
    # Node closes a connection after five idle seconds; a client that sends at that moment sees a reset.
    patience = [word for service in ("blob", "queue") for word in (f"--{service}KeepAliveTimeout", "120")]
    place = ["--inMemoryPersistence"] if location is None else ["--location", str(location)]
    # The SDKs ask for an API version that Azurite does not know yet.
    return [node, str(SCRIPT), *ports, *patience, *place, "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
