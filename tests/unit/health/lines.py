"""Lines of the log by what they say, for tests."""

import logging
from typing import Any

import pytest

#: What every record has, but for its level.
STANDARD = vars(logging.makeLogRecord({})).keys() - {"levelname"} | {"message", "asctime", "action"}


class Log:
    """The lines of the app since the test began."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def of(self, action: str) -> list[dict[str, Any]]:
        """All that the lines of an action say, and their levels."""
        found = [record for record in self._caplog.records if getattr(record, "action", None) == action]
        return [{key: value for key, value in vars(record).items() if key not in STANDARD} for record in found]

    def only(self, action: str) -> dict[str, Any]:
        [line] = self.of(action)
        return line

    def lines(self, action: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Outcome, level and keys of an action's lines."""
        return [(line.pop("outcome"), line.pop("levelname"), line) for line in self.of(action)]

    def outcomes(self, action: str) -> list[str]:
        return [str(line["outcome"]) for line in self.of(action)]

    def forget(self) -> None:
        """Begin anew."""
        self._caplog.clear()
