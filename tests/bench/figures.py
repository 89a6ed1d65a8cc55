"""The table of `make bench` and its file, to which every part of the benchmark adds rows."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

FILE = Path(".local/bench.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measurement beside what it is to be held against, both from the same run."""

    name: str  #: what was measured, and what it is held against; unique
    value: float
    unit: str  #: of `value` and `against`
    against: float
    at_most: float | None = None  #: what is promised of the ratio

    @property
    def ratio(self) -> float:
        """Below 1 is better than what it is held against."""
        return self.value / self.against


def publish(figures: Sequence[Figure]) -> None:
    """Print the table, and write the file."""
    table = Table(title="Segment Exporter, measured on this machine", title_justify="left")
    for heading in ("what", "value", "unit", "against", "ratio", "at most"):
        table.add_column(heading, justify="left" if heading in {"what", "unit"} else "right", no_wrap=True)
    for figure in figures:
        promise = "" if figure.at_most is None else f"{figure.at_most:.2f}"
        value, against = f"{figure.value:,.1f}", f"{figure.against:,.1f}"
        table.add_row(figure.name, value, figure.unit, against, f"{figure.ratio:.2f}", promise)
    Console(width=160).print(table)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(
        json.dumps([asdict(figure) | {"ratio": round(figure.ratio, 3)} for figure in figures], indent=2) + "\n"
    )
