"""What a sender can count on, in memory and on Azurite."""

import time
from collections.abc import Callable

import pytest
from azure.storage.queue import TextBase64DecodePolicy

from exporters.storage.memory import MemoryQueues
from exporters.storage.queues import AzureQueues

Take = Callable[[], str | None]


@pytest.fixture(params=["memory", "azure"])
def queue(request) -> tuple[Callable[..., None], Take]:
    """How to send to a queue and how to take its next visible message."""
    if request.param == "memory":
        memory = MemoryQueues()
        return lambda body, **options: memory.send("q", body, **options), lambda: (memory.due() or (None, None))[1]
    azurite = request.getfixturevalue("azurite")
    name = azurite.queue()
    client = azurite.queues.get_queue_client(name, message_decode_policy=TextBase64DecodePolicy())

    def take() -> str | None:
        message = client.receive_message(visibility_timeout=60)
        return None if message is None else str(message.content)

    queues = AzureQueues(azurite.queues)
    return lambda body, **options: queues.send(name, body, **options), take


def test_a_message_comes_out_as_it_went_in(queue):
    send, take = queue
    send('{"name": "Žarko <&>"}')

    assert take() == '{"name": "Žarko <&>"}'
    assert take() is None


def test_a_delayed_message_shows_itself_after_its_delay(queue):
    send, take = queue
    send("later", delay_s=1)
    assert take() is None

    time.sleep(1.3)

    assert take() == "later"


def test_a_delay_of_weeks_is_cut_to_what_a_queue_can_do(queue):
    send, take = queue
    send("much later", delay_s=30 * 24 * 3600)

    assert take() is None
