"""Storage queues: the protocol, and Azure Queue Storage behind it."""

from dataclasses import dataclass
from typing import Protocol

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

#: Longest delay of a message: visibility timeouts end at seven days.
#: https://learn.microsoft.com/rest/api/storageservices/put-message
MAX_DELAY_S = 7 * 24 * 3600
#: What the host appends to the name of a queue for messages that it gives up.
#: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger#poison-messages
POISON = "-poison"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLook:
    """How full a queue is."""

    messages: int  #: about so many, hidden ones included
    #: Id of the message that shows itself first; None where every message is hidden: delayed, or being worked on.
    #: Nothing tells since when it shows itself: a queue knows only when it was sent, which may be hours before.
    head: str | None


class Queues(Protocol):
    """The queues by name. Delivery is at least once, in no certain order."""

    def send(self, queue: str, body: str, *, delay_s: float = 0) -> None:
        """Put a message that shows itself after a delay and never expires."""

    def look(self, queue: str) -> QueueLook | None:
        """How full a queue is, leaving its messages where they are; None where there is no such queue."""


class AzureQueues:
    """Queues of one storage account, or of Azurite. Bodies travel as base64, as host.json's `messageEncoding` says."""

    def __init__(self, service: QueueServiceClient) -> None:
        self._service = service

    def send(self, queue: str, body: str, *, delay_s: float = 0) -> None:
        client = self._service.get_queue_client(queue, message_encode_policy=TextBase64EncodePolicy())
        # -1: never expires. The service's default of seven days would lose what must not be lost.
        client.send_message(body, visibility_timeout=min(round(delay_s), MAX_DELAY_S), time_to_live=-1)

    def look(self, queue: str) -> QueueLook | None:
        client = self._service.get_queue_client(queue)
        try:
            # https://learn.microsoft.com/rest/api/storageservices/get-queue-metadata and …/peek-messages
            messages = client.get_queue_properties().approximate_message_count or 0
            peeked = client.peek_messages(max_messages=1)
        except ResourceNotFoundError:
            return None
        return QueueLook(messages=messages, head=peeked[0].id if peeked else None)
