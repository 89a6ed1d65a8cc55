"""Which of several processes runs a timer: the one that holds the lease of a blob, as in Azure.

https://learn.microsoft.com/rest/api/storageservices/lease-blob
"""

import logging
from datetime import datetime

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.blob import BlobLeaseClient, BlobServiceClient, ContainerClient

from infra.local.host.schedule import Status

log = logging.getLogger("host.timer")

CONTAINER = "azure-webjobs-hosts"
#: The shortest that a blob allows, so that another process takes over soon. In Azure it is a minute.
LEASE_S = 15
RENEW_S = 5.0


class TimerRecord:
    """Lock and status of one timer, in the container where the real host keeps them."""

    def __init__(self, connection_string: str, host_id: str, function: str) -> None:
        # No retries: the listener comes again, and what waits here would lose the lock that it holds.
        service = BlobServiceClient.from_connection_string(connection_string, retry_total=0)
        self._container: ContainerClient = service.get_container_client(CONTAINER)
        self._lock = self._container.get_blob_client(f"locks/{host_id}/Host.Functions.{function}.Listener")
        self._status = self._container.get_blob_client(f"timers/{host_id}/Host.Functions.{function}/status")

    def acquire(self) -> BlobLeaseClient | None:
        """Take the lock; None while another process holds it. Raises AzureError when storage does not answer."""
        self._create_lock()
        try:
            return self._lock.acquire_lease(lease_duration=LEASE_S)
        except HttpResponseError as error:
            if error.status_code == 409:
                return None
            raise

    def load(self) -> Status | None:
        try:
            return Status.model_validate_json(self._status.download_blob().readall())
        except HttpResponseError as error:
            if error.status_code == 404:
                return None
            raise

    def save(self, status: Status) -> None:
        self._status.upload_blob(status.model_dump_json(by_alias=True), overwrite=True)

    def _create_lock(self) -> None:
        if self._lock.exists():
            return
        for create in (self._container.create_container, lambda: self._lock.upload_blob(b"")):
            try:
                create()
            except (ResourceExistsError, HttpResponseError) as error:
                if error.status_code not in {409, 412}:  # another process was first
                    raise


def release(lease: BlobLeaseClient) -> None:
    """Give the lock back; where that fails it ends by itself."""
    try:
        lease.release()
    except AzureError as error:
        log.debug("cannot release a lock: %s", error)


def describe(status: Status) -> dict[str, str]:
    """As `TimerRequest.schedule_status` has it."""
    moments: dict[str, datetime | None] = {"Last": status.last, "Next": status.next, "LastUpdated": status.updated}
    return {name: moment.isoformat() if moment else "0001-01-01T00:00:00" for name, moment in moments.items()}
