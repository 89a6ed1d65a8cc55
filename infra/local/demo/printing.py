"""What the demo prints and writes down."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from exporters.model.reject import REASONS, RejectReason
from infra.local.demo.comparing import RejectRow
from infra.local.demo.exporting import Exported
from infra.local.demo.saying import say

SUMS = ("read", "invalid", "duplicate", "withheld", "unchanged", "planned", "delivered", "refused", "unknown")
REASONS_SHOWN = 10


def print_table(console: Console, exported: Sequence[Exported]) -> None:
    """The figures of the first runs, side by side."""
    table = Table()
    table.add_column("")
    for one in exported:
        table.add_column(one.account.title, justify="right")
    for name in SUMS:
        table.add_row(name, *(f"{one.first.sums[name]:,}" for one in exported))
    table.add_row("requests", *(f"{one.first.view['requests']:,}" for one in exported))
    table.add_row("bytes", *(f"{one.first.view['bytes']:,}" for one in exported))
    table.add_row("seconds", *(f"{one.first.seconds:.1f}" for one in exported))
    console.print(table)


def print_reasons(console: Console, exported: Sequence[Exported]) -> None:
    """The most frequent reasons of all rejects, each with the first place where it was met."""
    counts = [Counter(_key(reject) for reject in one.rejects) for one in exported]
    examples: dict[tuple[str, str], RejectRow] = {}
    for reject in (reject for one in exported for reject in one.rejects):
        examples.setdefault(_key(reject), reject)
    say(console, f"The most frequent reasons, at {' / '.join(one.account.title for one in exported)}:")
    for key in sorted(examples, key=lambda key: -max(count[key] for count in counts))[:REASONS_SHOWN]:
        reason, column = key
        example = examples[key]
        each = " / ".join(f"{count[key]:,}" for count in counts)
        sentence = REASONS[RejectReason(reason)].sentence
        where = f"{column}: " if column else ""
        say(console, f"{each:>15}  {where}{sentence} Line {example.line:,} of {example.part}")


def print_second_runs(console: Console, exported: Sequence[Exported]) -> None:
    """What the second run of each export sent, and why."""
    for one in exported:
        sums = one.second.sums
        again = f"{sums['planned']:,} sent again because {one.account.title} refused them the first time"
        unchanged = f"second run: {one.account.title}: {sums['unchanged']:,} unchanged"
        say(console, f"{unchanged}, {again}; {sums['delivered']:,} of them delivered")


def write_figures(path: Path, exported: Sequence[Exported]) -> None:
    """The figures of the table as JSON: a list of name, value, unit, what it is held against, and their ratio."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([figure for one in exported for figure in _figures(one)], indent=2) + "\n")


def _figures(one: Exported) -> list[dict[str, Any]]:
    title, run = one.account.title, one.first
    against = {"delivered": one.on_list}
    return [
        *(_figure(f"{title} {name}", run.sums[name], "profiles", against.get(name)) for name in SUMS),
        _figure(f"{title} requests", run.view["requests"], "requests", one.fewest_requests),
        _figure(f"{title} bytes", run.view["bytes"], "bytes"),
        _figure(f"{title} seconds", round(run.seconds, 2), "s"),
        _figure(f"{title} memory of the largest host process", round(run.peak_mb), "MB"),
        _figure(
            f"{title} unchanged in the second run", one.second.sums["unchanged"], "profiles", run.sums["delivered"]
        ),
    ]


def _figure(name: str, value: float, unit: str, against: float | None = None) -> dict[str, Any]:
    ratio = round(value / against, 4) if against else None
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def _key(reject: RejectRow) -> tuple[str, str]:
    return reject.reason, reject.column
