"""Storage queues: the protocol, and Azure Queue Storage behind it."""

from typing import Protocol

from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

#: Longest delay of a message: visibility timeouts end at seven days.
#: https://learn.microsoft.com/rest/api/storageservices/put-message
MAX_DELAY_S = 7 * 24 * 3600


class Queues(Protocol):
    """The queues by name. Delivery is at least once, in no certain order."""

    def send(self, queue: str, body: str, *, delay_s: float = 0) -> None:
        """Put a message that shows itself after a delay and never expires."""


class AzureQueues:
    """Queues of one storage account, or of Azurite. Bodies travel as base64, as host.json's `messageEncoding` says."""

    def __init__(self, service: QueueServiceClient) -> None:
        self._service = service

    def send(self, queue: str, body: str, *, delay_s: float = 0) -> None:
        client = self._service.get_queue_client(queue, message_encode_policy=TextBase64EncodePolicy())
        # -1: never expires. The service's default of seven days would lose what must not be lost.
        client.send_message(body, visibility_timeout=min(round(delay_s), MAX_DELAY_S), time_to_live=-1)
