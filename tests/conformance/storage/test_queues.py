"""What a sender, and whoever looks how full queues are, can count on, in memory and on Azurite."""

import time
from collections.abc import Callable

import pytest
from azure.storage.queue import TextBase64DecodePolicy

from exporters.storage.memory import MemoryQueues
from exporters.storage.queues import AzureQueues, QueueLook, Queues

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


class TestLooking:
    @pytest.fixture(params=["memory", "azure"])
    def queues(self, request: pytest.FixtureRequest) -> tuple[Queues, str]:
        """Some queues, and the name of one that is empty."""
        if request.param == "memory":
            memory = MemoryQueues()
            memory.missing = {"not-there"}
            return memory, "q"
        azurite = request.getfixturevalue("azurite")
        return AzureQueues(azurite.queues), azurite.queue()

    def test_an_empty_queue_has_no_head(self, queues):
        there, name = queues

        assert there.look(name) == QueueLook(messages=0, head=None)

    def test_a_queue_that_is_not_there_is_none(self, queues):
        there, _ = queues

        assert there.look("not-there") is None

    def test_all_messages_count_and_the_head_is_one_that_shows_itself(self, queues):
        there, name = queues
        there.send(name, "hidden", delay_s=600)
        assert there.look(name) == QueueLook(messages=1, head=None)

        there.send(name, "shown")
        look = there.look(name)

        assert look is not None
        assert look.messages == 2
        assert look.head is not None

    def test_looking_leaves_everything_where_it_is(self, queues):
        there, name = queues
        there.send(name, "one")
        first = there.look(name)

        assert first == there.look(name)
        assert first is not None
        assert first.head is not None
