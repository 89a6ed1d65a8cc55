"""Azurite, Microsoft's emulator of blob and queue storage, on free ports.

https://learn.microsoft.com/azure/storage/common/storage-use-azurite
"""

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from infra.local.processes import Processes, StartError

SCRIPT = Path(__file__).parent / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
#: The account of every Azurite. Its key is public.
#: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite#well-known-storage-account-and-key
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
LISTENING = re.compile(r"Azurite (Blob|Queue) service is successfully listening at (http://\S+)")


class Azurite:
    """A running Azurite. It may be stopped and started again at the same addresses."""

    def __init__(self, processes: Processes, *, location: Path | None) -> None:
        """Start it and wait until it serves. Data is kept in `location`, or else in memory. Raises StartError."""
        self._processes = processes
        self._location = location
        self.blob_url, self.queue_url = "http://127.0.0.1:0", "http://127.0.0.1:0"
        self.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.blob_url}/{ACCOUNT};QueueEndpoint={self.queue_url}/{ACCOUNT};"
        )

    def start(self) -> None:
        """After `stop`: serve at the same addresses, with the data that lies in its folder. Raises StartError."""
        self._child = self._processes.start("azurite", _command(self._location, self.blob_url, self.queue_url))
        lines = self._child.lines(lambda line: LISTENING.match(line) is not None, count=2)
        urls = dict(LISTENING.findall("\n".join(lines)))
        self.blob_url, self.queue_url = urls["Blob"], urls["Queue"]

    def stop(self) -> None:
        """Requests on their way are cut off; what was answered before is on disk."""
        self._processes.stop(self._child)


def _command(location: Path | None, blob_url: str, queue_url: str) -> list[str]:
    node = shutil.which("node")
    if node is None:
        raise StartError("Azurite needs Node.js 18 or newer on the PATH: https://nodejs.org")
    if not SCRIPT.is_file():
        raise StartError("Azurite is not set up: run `make install`")
    urls = {"blob": blob_url, "queue": queue_url, "table": "http://127.0.0.1:0"}
    ports = [word for service, url in urls.items() for word in (f"--{service}Port", str(urlsplit(url).port))]
    # Node closes a connection after five idle seconds; a client that sends at that moment sees a reset.
    patience = [word for service in ("blob", "queue") for word in (f"--{service}KeepAliveTimeout", "120")]
    place = ["--inMemoryPersistence"] if location is None else ["--location", str(location)]
    # The SDKs ask for an API version that Azurite does not know yet.
    return [node, str(SCRIPT), *ports, *patience, *place, "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
