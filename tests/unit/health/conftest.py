"""A world, and the lines that the app logs in it."""

import logging
from collections.abc import Iterator

import pytest

from tests.unit.health.lines import Log
from tests.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    with caplog.at_level(logging.INFO):
        yield Log(caplog)
