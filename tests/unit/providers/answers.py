"""Answers copied from the providers: `tests/data/<provider>/`, where a README names their sources."""

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "data"


def recorded(provider: str, name: str) -> Any:
    """One answer, as the JSON value it is."""
    return json.loads((DATA / provider / f"{name}.json").read_text())
