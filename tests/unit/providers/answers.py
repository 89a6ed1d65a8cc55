"""Answers copied from the providers: `tests/data/<provider>/`, where a README names their sources."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporters.providers.base import Member

DATA = Path(__file__).parents[2] / "data"


def recorded(provider: str, name: str) -> Any:
    """One answer, as the JSON value it is."""
    return json.loads((DATA / provider / f"{name}.json").read_text())


def people(emails: Sequence[str]) -> list[Member]:
    """People of whom only the addresses are known."""
    return [Member(email=email) for email in emails]
