"""`make bench`: every part measures, the table is printed, .local/bench.json written.

`python -m tests.bench planning` measures one part, and the file then holds that part alone.
"""

import argparse

from tests.bench import delivery, planning
from tests.bench.figures import publish

PARTS = {"planning": planning.measure, "delivery": delivery.measure}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("part", nargs="*", help=f"any of {', '.join(PARTS)}; default: all")
    chosen = parser.parse_args().part or list(PARTS)
    if unknown := set(chosen) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    publish([figure for part in chosen for figure in PARTS[part]()])


if __name__ == "__main__":
    main()
