"""The least that a plan can take: DuckDB reads the same files and writes every row as JSON, and nothing else.

`python -m tests.bench.floor FOLDER WORK`. No mapping, no address looked at, nobody compared with anybody.
"""

import sys
import time
from pathlib import Path

import duckdb

from tests.bench.effort import Made, tell
from tests.bench.our_plan import MEMORY_MB, THREADS

# CSV files -> one JSON object a line, values as they came
COPY = """COPY (
    SELECT * FROM read_csv($parts, header = true, all_varchar = true, delim = ',', quote = '"', escape = '"')
) TO '{target}' (FORMAT json)"""


def main(folder: Path, work: Path) -> Made:
    target = work / "floor.ndjson"
    parts = [str(part) for part in sorted(folder.glob("*.csv"))]
    with duckdb.connect(
        config={"memory_limit": f"{MEMORY_MB}MB", "threads": THREADS, "temp_directory": str(work / "spill")}
    ) as database:
        (rows,) = database.execute(COPY.format(target=target), {"parts": parts}).fetchall()[0]
    return Made(contacts=rows, bytes=target.stat().st_size)


if __name__ == "__main__":
    tell(time.perf_counter(), main(Path(sys.argv[1]), Path(sys.argv[2])))
