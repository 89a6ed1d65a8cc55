"""Many seeds on all cores, or one with everything that happens in it."""

import gc
import logging
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.life import live

#: Where files go while seeds run: in memory, where there is such a place.
IN_MEMORY = Path("/dev/shm")
#: Seeds that a process gets at once.
PORTION = 20
#: Failing seeds that are named.
NAMED = 10
#: Of what went wrong with a seed, in one line.
LONGEST_LINE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A seed whose world broke a promise."""

    seed: int
    promise: str


def failure_of(seed: int, *, trace: list[str] | None = None) -> Failure | None:
    """Live the life of a seed."""
    try:
        live(seed, trace=trace)
    except Exception as error:  # noqa: BLE001 (whatever a step raises that it may not raise is a failure too)
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        return Failure(seed=seed, promise=f"{kind}{error}"[:LONGEST_LINE])
    return None


def run_all(
    seeds: Sequence[int], *, processes: int | None = None, tell: Callable[[int, Sequence[Failure]], None] | None = None
) -> list[Failure]:
    """Live the lives of all seeds, on all cores; answers those that failed, in their order.

    `tell` is called with how many have lived so far, and with the failures.
    """
    failures: list[Failure] = []
    done = 0
    portions = [seeds[first : first + PORTION] for first in range(0, len(seeds), PORTION)]
    with scratch() as folder:
        # Not by fork: tests and their libraries have threads.
        pool = multiprocessing.get_context("spawn").Pool(processes or os.cpu_count(), _begin, (str(folder),))
        with pool:
            for portion, found in zip(portions, pool.imap(_live_all, portions), strict=True):
                done += len(portion)
                failures += found
                if tell is not None:
                    tell(done, failures)
    return failures


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for temporary files, gone after the block."""
    folder = tempfile.mkdtemp(prefix="simulation-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _begin(folder: str) -> None:
    tempfile.tempdir = folder
    logging.disable(logging.CRITICAL)
    gc.disable()  # a world is gone at its end; see below


def _live_all(seeds: Iterable[int]) -> list[Failure]:
    found = [failure_of(seed) for seed in seeds]
    gc.collect()
    return [failure for failure in found if failure is not None]


class Progress:
    """A line that tells how far it is, and one for each of the first failures as soon as it is known."""

    def __init__(self, seeds: int) -> None:
        self._seeds = seeds
        self._began = time.monotonic()
        self._named = 0

    def __call__(self, done: int, failures: Sequence[Failure]) -> None:
        for failure in failures[self._named : NAMED]:
            print(f"\rseed {failure.seed}: {failure.promise}")
            self._named += 1
        passed = time.monotonic() - self._began
        rest = passed / done * (self._seeds - done)
        text = f"{done:,} of {self._seeds:,} seeds, {done / passed:.1f} a second, {rest:.0f} s to go"
        print(f"\r{text}, {len(failures)} failed ", end="", flush=True)
