"""What delivery asks of planning: plans, and the files that a run leaves behind. DuckDB does it.

The one place where delivery meets planning, so that a simulation of hundred thousand runs can bring an engine in plain
Python. Both are held to the same tests (`tests/conformance/planning`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from exporters.model.batch import Tally
from exporters.model.drift import DriftCounts
from exporters.model.reject import ReasonCount
from exporters.planning import drift, leavers, ledger, person, rejects, suppressed, way_back
from exporters.planning.plan import PlanInputs, Planned, Stage, make_plan
from exporters.planning.rejects import StagedLines
from exporters.planning.way_back import WayBack
from exporters.providers.base import Member


class Planning(Protocol):
    """Pure functions from local files to local files. `work` is a folder that the caller removes as a whole."""

    def make_plan(self, inputs: PlanInputs, *, work: Path, stage: Stage) -> Planned:
        """As `planning.plan.make_plan`."""

    def write_rejects(
        self,
        planned: Path,
        contacts: Path,
        verdicts: Mapping[int, Tally],
        target: Path,
        *,
        staged_lines: StagedLines,
        work: Path,
    ) -> tuple[ReasonCount, ...]:
        """As `planning.rejects.write_rejects`."""

    def merge_ledger(
        self,
        previous: Path | None,
        contacts: Path,
        verdicts: Mapping[int, Tally],
        target: Path,
        *,
        renewed: Path | None = None,
        gone: Path | None = None,
        unsure: Path | None = None,
        everyone: bool = False,
        doubtful: bool = False,
        work: Path,
    ) -> None:
        """As `planning.ledger.merge_ledger`."""

    def find_ids(self, file: Path, answers: Iterable[Path], target: Path, *, work: Path) -> int:
        """As `planning.leavers.find_ids`."""

    def read_leavers(self, file: Path, sizes: Sequence[int], *, work: Path) -> Iterator[list[Member]]:
        """As `planning.leavers.read_batches`."""

    def write_gone(
        self, file: Path, sizes: Sequence[int], verdicts: Mapping[int, Tally], *, gone: Path, unsure: Path, work: Path
    ) -> None:
        """As `planning.leavers.write_gone`."""

    def merge_suppressed(self, answers: Iterable[Path], target: Path, *, work: Path) -> None:
        """As `planning.suppressed.merge_answers`."""

    def write_withheld(self, withheld: Path, target: Path, *, run_id: str, work: Path) -> None:
        """As `planning.suppressed.write_withheld`."""

    def find_drift(self, ledger: Path, answers: Iterable[Path], target: Path, *, work: Path) -> DriftCounts:
        """As `planning.drift.find_drift`."""

    def doubt_missing(self, ledger: Path, drift_file: Path, target: Path, *, work: Path) -> None:
        """As `planning.drift.doubt_missing`."""

    def find_way_back(self, now: Path, then: Path, *, put_back: Path, leavers: Path, work: Path) -> WayBack:
        """As `planning.way_back.find_way_back`."""

    def find_person(self, file: Path, of: Sequence[str], *, limit: int, work: Path) -> Sequence[Mapping[str, Any]]:
        """As `planning.person.find_in_table`."""

    def erase_person(self, file: Path, of: Sequence[str], target: Path, *, work: Path) -> int:
        """As `planning.person.erase_from_table`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuckDbPlanning:
    """Planning with DuckDB."""

    memory_mb: int  #: for data; the rest goes to disk
    threads: int

    def make_plan(self, inputs: PlanInputs, *, work: Path, stage: Stage) -> Planned:
        return make_plan(inputs, work=work, stage=stage, memory_mb=self.memory_mb, threads=self.threads)

    def write_rejects(
        self,
        planned: Path,
        contacts: Path,
        verdicts: Mapping[int, Tally],
        target: Path,
        *,
        staged_lines: StagedLines,
        work: Path,
    ) -> tuple[ReasonCount, ...]:
        return rejects.write_rejects(
            planned,
            contacts,
            verdicts,
            target,
            staged_lines=staged_lines,
            work=work,
            memory_mb=self.memory_mb,
            threads=self.threads,
        )

    def merge_ledger(
        self,
        previous: Path | None,
        contacts: Path,
        verdicts: Mapping[int, Tally],
        target: Path,
        *,
        renewed: Path | None = None,
        gone: Path | None = None,
        unsure: Path | None = None,
        everyone: bool = False,
        doubtful: bool = False,
        work: Path,
    ) -> None:
        ledger.merge_ledger(
            previous,
            contacts,
            verdicts,
            target,
            renewed=renewed,
            gone=gone,
            unsure=unsure,
            everyone=everyone,
            doubtful=doubtful,
            work=work,
            memory_mb=self.memory_mb,
            threads=self.threads,
        )

    def find_ids(self, file: Path, answers: Iterable[Path], target: Path, *, work: Path) -> int:
        return leavers.find_ids(file, answers, target, work=work, memory_mb=self.memory_mb, threads=self.threads)

    def read_leavers(self, file: Path, sizes: Sequence[int], *, work: Path) -> Iterator[list[Member]]:
        return leavers.read_batches(file, sizes, work=work, memory_mb=self.memory_mb, threads=self.threads)

    def write_gone(
        self, file: Path, sizes: Sequence[int], verdicts: Mapping[int, Tally], *, gone: Path, unsure: Path, work: Path
    ) -> None:
        leavers.write_gone(
            file,
            sizes,
            verdicts,
            gone=gone,
            unsure=unsure,
            work=work,
            memory_mb=self.memory_mb,
            threads=self.threads,
        )

    def merge_suppressed(self, answers: Iterable[Path], target: Path, *, work: Path) -> None:
        suppressed.merge_answers(answers, target, work=work, memory_mb=self.memory_mb, threads=self.threads)

    def write_withheld(self, withheld: Path, target: Path, *, run_id: str, work: Path) -> None:
        suppressed.write_withheld(
            withheld, target, run_id=run_id, work=work, memory_mb=self.memory_mb, threads=self.threads
        )

    def find_drift(self, ledger: Path, answers: Iterable[Path], target: Path, *, work: Path) -> DriftCounts:
        return drift.find_drift(ledger, answers, target, work=work, memory_mb=self.memory_mb, threads=self.threads)

    def doubt_missing(self, ledger: Path, drift_file: Path, target: Path, *, work: Path) -> None:
        drift.doubt_missing(ledger, drift_file, target, work=work, memory_mb=self.memory_mb, threads=self.threads)

    def find_way_back(self, now: Path, then: Path, *, put_back: Path, leavers: Path, work: Path) -> WayBack:
        return way_back.find_way_back(
            now,
            then,
            put_back=put_back,
            leavers=leavers,
            work=work,
            memory_mb=self.memory_mb,
            threads=self.threads,
        )

    def find_person(self, file: Path, of: Sequence[str], *, limit: int, work: Path) -> Sequence[Mapping[str, Any]]:
        return person.find_in_table(file, of, limit=limit, work=work, memory_mb=self.memory_mb, threads=self.threads)

    def erase_person(self, file: Path, of: Sequence[str], target: Path, *, work: Path) -> int:
        return person.erase_from_table(file, of, target, work=work, memory_mb=self.memory_mb, threads=self.threads)
