"""`make simulate`: the lives of many seeds, or the one of a seed with everything that happens in it."""

import argparse
import logging
import sys
import tempfile

from tests.simulation.runner import Progress, failure_of, run_all, scratch


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one")
    parser.add_argument("--processes", type=int, help="default: one for each core")
    parser.add_argument("--seed", type=int, help="this one alone, with its trace")
    options = parser.parse_args()
    if options.seed is not None:
        return _replay(options.seed)
    seeds = range(options.first, options.first + options.seeds)
    failures = run_all(seeds, processes=options.processes, tell=Progress(len(seeds)))
    print()
    if failures:
        print(f"{len(failures):,} of {len(seeds):,} seeds failed: make simulate SEED={failures[0].seed} replays one")
    return 1 if failures else 0


def _replay(seed: int) -> int:
    logging.disable(logging.CRITICAL)
    trace: list[str] = []
    with scratch() as folder:
        tempfile.tempdir = str(folder)
        failure = failure_of(seed, trace=trace)
    print("\n".join(trace))
    print(f"seed {seed}: {'every promise was kept' if failure is None else failure.promise}")
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main())
