"""Erasures in a world: start one, let it come to its end, and look everywhere whether the person is still named."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from exporters.exporter import Exporter
from exporters.model.erasure import Holding
from exporters.privacy import holdings
from tests.list_world import NO_BRAKES, ListWorld
from tests.simulation.planning import PlainPlanning
from tests.unit.planning.plans import rows
from tests.world import World

ANN, BEN, CLEO = "ann@example.com", "ben@example.com", "cleo@example.com"
#: People who come twice, and somebody whose address is none.
PEOPLE = (ANN, BEN, ANN.upper(), CLEO, "no address")


def segment(*emails: str) -> str:
    """A segment of these people."""
    return "EMail,FirstName\n" + "".join(f"{email},{email.split('@')[0]}\n" for email in emails)


def plain_world(**export: object) -> ListWorld:
    """A world that plans in plain Python: quick, for many lives of it."""
    world = ListWorld()
    world.parts = replace(world.parts, planning=PlainPlanning())
    world.exporter = Exporter(world.parts)
    world.export(brakes=NO_BRAKES, **export)
    return world


def erase(world: World, email: str = ANN, **members: Any) -> str:
    """Start an erasure; answers its address below /api."""
    answer = world.call("POST", "/people/erasures", body=json.dumps({"email": email, **members}).encode())
    assert answer.status == 202, answer.body
    return answer.headers["Location"].removeprefix("/api")


def receipt(world: World, address: str) -> dict[str, Any]:
    """The receipt as it is now."""
    answer = world.call("GET", address)
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def finish(world: World, *addresses: str, minutes: int = 120) -> list[dict[str, Any]]:
    """Let time pass until erasures have ended; answers their receipts."""
    for _ in range(minutes):
        world.pump()
        receipts = [receipt(world, address) for address in addresses]
        if all(found["finished"] for found in receipts):
            return receipts
        minute(world)
    raise AssertionError([receipt(world, address) for address in addresses])


def minute(world: World) -> None:
    """Let a minute pass."""
    world.pass_time(minutes=1)
    world.exporter.tick()
    world.pump()


def names(world: World, email: str = ANN) -> list[str]:
    """Every blob of the state container that names somebody, read in another way than the app does."""
    return [blob.name for blob in world.state.list("") if email in _text(world, blob.name)]


def kinds(world: World) -> set[Holding]:
    """Which kinds of files are there."""
    return {held.holding for held in holdings.files(world.parts)}


def _text(world: World, name: str) -> str:
    blob = world.state.get(name)
    assert blob is not None
    if not blob.data.endswith(b"PAR1"):
        return blob.data.decode().lower()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "file.parquet"
        file.write_bytes(blob.data)
        return repr(rows(file)).lower()
