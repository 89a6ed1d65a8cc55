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

    @property
    def ratio(self) -> float:
        """Below 1 is better than what it is held against."""
        return self.value / self.against


def publish(figures: Sequence[Figure]) -> None:
    """Print the table, and write the file."""
    table = Table(title="Segment Exporter, measured on this machine", title_justify="left")
    for heading in ("what", "value", "unit", "against", "ratio"):
        table.add_column(heading, justify="right" if heading in {"value", "against", "ratio"} else "left", no_wrap=True)
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:,.1f}", figure.unit, f"{figure.against:,.1f}", f"{figure.ratio:.2f}")
    Console(width=150).print(table)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(
        json.dumps([asdict(figure) | {"ratio": round(figure.ratio, 3)} for figure in figures], indent=2) + "\n"
    )
