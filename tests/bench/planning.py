"""From the blobs of a segment to the first request: beside the least it could take, and beside other tools.

Each measurement is a process of its own, and of several the shortest time and the most memory count. The floor and the
plan take turns, so that a busy minute of the machine hits both.
"""

import shutil
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.local.sample.snapshot import write_files
from tests.bench.effort import Effort, in_own_process
from tests.bench.figures import FILE, Figure
from tests.bench.segment_files import change_some, multiply

PEOPLE = 1_000_000
ROUNDS = 3
#: Ratios and sizes that are promised.
TIMES_FLOOR, TIMES_FLOOR_CHANGED = 4.0, 2.5
PROMISED_MB = 512.0

MANY_TIMES = 10
TIMES_MANY = 12.0
PROMISED_MANY_MB = 768.0
#: Disk that the large segment needs, in sizes of its files: they, their copy, the plan's database and what it spills.
DISK_SIZES = 5

#: Module -> the tool's name. What they leave out stands in their docstrings.
TOOLS = {"pandas_script": "pandas", "dlt_script": "dlt"}
TOOL_ROUNDS = 2


def measure() -> Iterator[Figure]:
    """All rows of this part."""
    FILE.parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=FILE.parent, prefix="planning-") as folder:
        before, after = Path(folder, "before"), Path(folder, "after")
        before.mkdir()
        _say(f"{PEOPLE:,} profiles: making the segment")
        write_files(before, PEOPLE, bad=False)
        changed = change_some(before, after)
        ours = yield from _beside_the_floor(before, after, changed)
        yield from _beside_tools(before, ours)
        yield from _many(before, ours)


@dataclass(frozen=True, slots=True)
class Best:
    """The shortest time and the most memory of several rounds."""

    efforts: Sequence[Effort]

    @property
    def seconds(self) -> float:
        return min(effort.seconds for effort in self.efforts)

    @property
    def peak_mb(self) -> float:
        return max(effort.peak_mb for effort in self.efforts)


def _beside_the_floor(before: Path, after: Path, changed: int) -> Generator[Figure, None, Best]:
    """Returns the best of our full plans, for the other rows."""
    ledger = before.parent / "ledger.parquet"
    floors, fulls, updates = [], [], []
    for _ in range(ROUNDS):
        floors.append(_run("floor", before, PEOPLE))
        fulls.append(_run("our_plan", before, PEOPLE, f"--write-ledger={ledger}"))
        updates.append(_run("our_plan", after, None, f"--ledger={ledger}"))
    floor, full, update = Best(floors), Best(fulls), Best(updates)
    size = f"{PEOPLE:,} profiles"
    yield Figure(
        name=f"{size}: plan, against DuckDB reading the same CSV into JSON",
        value=full.seconds,
        unit="s",
        against=floor.seconds,
        at_most=TIMES_FLOOR,
    )
    yield Figure(
        name=f"{size}: peak memory of the planning process, against the promise",
        value=full.peak_mb,
        unit="MB",
        against=PROMISED_MB,
        at_most=1,
    )
    yield Figure(
        name=f"{size}, 1 % changed: plan, against DuckDB reading the same CSV into JSON",
        value=update.seconds,
        unit="s",
        against=floor.seconds,
        at_most=TIMES_FLOOR_CHANGED,
    )
    yield Figure(
        name=f"{size}, 1 % changed: contacts staged, against the contacts changed",
        value=max(effort.contacts for effort in updates),
        unit="contacts",
        against=changed,
        at_most=1,
    )
    return full


def _beside_tools(segment: Path, ours: Best) -> Iterator[Figure]:
    for module, tool in TOOLS.items():
        theirs = Best([_run(module, segment, PEOPLE) for _ in range(TOOL_ROUNDS)])
        size = f"{PEOPLE:,} profiles"
        yield Figure(
            name=f"{size}: plan, against {tool}, without ledger or verdicts",
            value=ours.seconds,
            unit="s",
            against=theirs.seconds,
        )
        yield Figure(
            name=f"{size}: peak memory of the planning process, against {tool}",
            value=ours.peak_mb,
            unit="MB",
            against=theirs.peak_mb,
        )


def _many(before: Path, ours: Best) -> Iterator[Figure]:
    people = PEOPLE * MANY_TIMES
    size = f"{people:,} profiles"
    needed = DISK_SIZES * MANY_TIMES * sum(part.stat().st_size for part in before.iterdir())
    free = shutil.disk_usage(before).free
    if free < needed:
        _say(f"{size}: SKIPPED, as it needs {needed / 1e9:.0f} GB of disk and {free / 1e9:.0f} GB are free")
        return
    _say(f"{size}: making the segment")
    segment = before.parent / "many"
    multiply(before, segment, MANY_TIMES)
    many = _run("our_plan", segment, people)
    yield Figure(
        name=f"{size}: plan, against {PEOPLE:,} profiles",
        value=many.seconds,
        unit="s",
        against=ours.seconds,
        at_most=TIMES_MANY,
    )
    yield Figure(
        name=f"{size}: peak memory of the planning process, against the promise",
        value=many.peak_mb,
        unit="MB",
        against=PROMISED_MANY_MB,
        at_most=1,
    )


def _run(module: str, segment: Path, people: int | None, *options: str) -> Effort:
    """Measure once. Exits where the work was not done for so many people: the figures would mean nothing."""
    with TemporaryDirectory(dir=segment.parent, prefix="work-") as work:
        effort = in_own_process(module, segment, work, *options)
    _say(f"{module}, {segment.name}: {effort.contacts:,} contacts, {effort.seconds:.1f} s, {effort.peak_mb:.0f} MB")
    if people not in {None, effort.contacts}:
        raise SystemExit(f"{module} made {effort.contacts:,} contacts of {people:,}: the figures would mean nothing")
    return effort


def _say(text: str) -> None:
    print(text, file=sys.stderr)
