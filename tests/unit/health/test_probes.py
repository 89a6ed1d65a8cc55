"""GET /api/health/parts: what is wrong with each part, in words that say what to do."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)

from exporters.api.reading import request_of
from exporters.errors import ConfigError, ThrottledError
from exporters.exporter import Exporter
from exporters.health import probes
from exporters.storage.blobs import BlobInfo
from exporters.storage.memory import MemoryBlobStore, MemorySecrets
from tests.world import World

ADDRESS = "https://account.blob.core.example/exporter-state?sig=very-secret"


@pytest.fixture
def world() -> World:
    return World()


def parts_of(world: World, *, query: str = "") -> dict[str, Any]:
    """The words about each part, and the status of the whole."""
    answer = Exporter(world.parts).answer(request_of("GET", f"https://a.example/api/health/parts{query}", {}, b""))
    assert answer.status == 200, answer.body
    body = json.loads(answer.body)
    assert (body["status"] == "trouble") is any(part["status"] == "trouble" for part in body["parts"])
    assert all((part["status"] == "trouble") is bool(part["words"]) for part in body["parts"])
    return {part["part"]: part["words"] for part in body["parts"]}


class Failing(MemoryBlobStore):
    """A container that answers nothing but an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def page(self, prefix: str, *, after: str, size: int) -> Sequence[BlobInfo]:
        raise self._error


def refused(kind: type[HttpResponseError], status: int | None, code: str = "") -> HttpResponseError:
    """An error as the storage client raises it."""
    error = kind(f"{code}: {ADDRESS}")
    error.status_code = status
    error.error_code = code  # type: ignore[attr-defined]
    return error


def test_where_all_is_well_every_part_is_named_and_nothing_is_said(world: World) -> None:
    queues = [f"queue {queue}" for queue in world.parts.queue_names.all]

    assert parts_of(world) == dict.fromkeys(["state", "audit", "segments", *queues, "vault"], "")
    assert len(queues) == 10


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            refused(ResourceNotFoundError, 404, "ContainerNotFound"),
            "is not there: create it, or correct STATE_CONTAINER",
        ),
        (refused(HttpResponseError, 403, "AuthorizationPermissionMismatch"), "role Storage Blob Data Contributor"),
        (refused(HttpResponseError, 403, "AuthorizationFailure"), "firewall"),
        (refused(ClientAuthenticationError, 401, "AuthenticationFailed"), "AZURE_CLIENT_ID"),
        (refused(ClientAuthenticationError, None), "no token"),
        (refused(HttpResponseError, 503, "ServerBusy"), "answered 503"),
        (ServiceRequestError(ADDRESS), "cannot be reached"),
        (KeyError(ADDRESS), "action=health"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_trouble_with_storage_has_its_words_and_hides_no_other_part(
    world: World, error: AzureError, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.parts = replace(world.parts, state=Failing(error))
    found = parts_of(world)

    assert words in found["state"]
    assert "secret" not in json.dumps(found) + caplog.text
    assert found["segments"] == found["vault"] == ""


def test_a_container_of_its_own_for_the_trail_is_named_by_its_setting(world: World) -> None:
    error = refused(ResourceNotFoundError, 404, "ContainerNotFound")
    world.parts = replace(world.parts, audit=Failing(error))
    found = parts_of(world)

    assert "AUDIT_CONTAINER" in found["audit"]
    assert found["state"] == ""


def test_a_queue_that_is_not_there_is_named(world: World) -> None:
    world.queues.missing = {"poll-poison"}
    found = parts_of(world)

    assert found.pop("queue poll-poison").startswith("There is no queue poll-poison: create it")
    assert set(found.values()) == {""}


def test_the_vault_s_refusal_is_told_in_its_words(world: World) -> None:
    world.secrets.trouble = ConfigError("The vault refuses to hand out the secret: give the role")

    assert parts_of(world)["vault"] == "The vault refuses to hand out the secret: give the role"


class TestConnections:
    QUERY = "?connection=main&connection=other"

    def test_those_that_are_named_are_tried(self, world: World) -> None:
        world.connection(id="other", secret="other-key")
        world.secrets.values["other-key"] = "refused"
        found = parts_of(world, query=self.QUERY)

        assert found["connection main"] == ""
        assert found["connection other"].startswith("The provider refuses the key")

    def test_no_other_is(self, world: World) -> None:
        asked: list[bool] = []
        world.account.on_question = lambda: asked.append(True)
        parts_of(world)
        assert asked == []

        parts_of(world, query="?connection=main")
        assert asked == [True]

    @pytest.mark.parametrize(
        ("prepare", "words"),
        [
            (lambda world: world.state.delete("config/connections/main.json"), "There is no connection main"),
            (lambda world: world.secrets.values.clear(), "no secret named main-key"),
            (lambda world: setattr(world.account, "on_question", throttled), "wants a pause"),
        ],
        ids=["none of that name", "no key", "a pause"],
    )
    def test_what_is_wrong_is_said(self, world: World, prepare: Callable[[World], object], words: str) -> None:
        prepare(world)

        assert words in parts_of(world, query="?connection=main")["connection main"]

    @pytest.mark.parametrize(
        "query",
        [
            "?connection=Main",
            "?connection=",
            "?connections=main",
            "?" + "&".join(f"connection=c{n}" for n in range(11)),
        ],
        ids=["no id", "empty", "another name", "too many"],
    )
    def test_what_cannot_be_a_connection_is_refused(self, world: World, query: str) -> None:
        asked = request_of("GET", f"https://a.example/api/health/parts{query}", {}, b"")

        assert world.exporter.answer(asked).status == 400


def throttled() -> None:
    raise ThrottledError("The provider wants a pause", wait_s=60)


def test_nobody_waits_longer_than_said_for_a_part_that_is_silent(world: World) -> None:
    ends = threading.Event()

    class Silent(MemorySecrets):
        def reach(self) -> None:
            ends.wait(60)

    parts = replace(world.parts, secrets=Silent({}))
    try:
        found = {each.part: each.words for each in probes.look(parts, [], within_s=0.2)}
    finally:
        ends.set()

    assert found.pop("vault").startswith("No answer within 0 seconds")
    assert set(found.values()) == {""}
