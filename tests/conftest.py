"""Fixtures for all tests. One Azurite serves a whole test session; tests take fresh names in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueServiceClient

from infra.local.azurite import Azurite
from infra.local.processes import Processes

TOY_APP = Path(__file__).parent / "data" / "toy_app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The session's Azurite."""

    connection_string: str
    blobs: BlobServiceClient
    queues: QueueServiceClient

    def container(self) -> ContainerClient:
        """A new, empty container under a name of its own."""
        return self.blobs.create_container(self.fresh_name())

    def queue(self) -> str:
        """Name of a new, empty queue."""
        return self.queues.create_queue(self.fresh_name()).queue_name

    def fresh_name(self) -> str:
        return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with Processes(logs=tmp_path_factory.mktemp("azurite")) as processes:
        text = Azurite(processes, location=None).connection_string
        with (
            BlobServiceClient.from_connection_string(text) as blobs,
            QueueServiceClient.from_connection_string(text) as queues,
        ):
            yield Storage(connection_string=text, blobs=blobs, queues=queues)


@pytest.fixture
def toy_app() -> Path:
    """Folder of an app with queue, timer and HTTP triggers."""
    return TOY_APP
