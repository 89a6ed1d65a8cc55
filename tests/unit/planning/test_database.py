"""The database of a plan, where there is no room for it. Everything that is written to /dev/full meets a full disk.

https://man7.org/linux/man-pages/man4/full.4.html
"""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from exporters.errors import DiskFullError
from exporters.planning.database import open_database
from exporters.planning.person import erase_from_table
from tests.unit.planning.plans import parquet

SMALL: Any = {"memory_mb": 30, "threads": 1}
FULL = Path("/dev/full")
NUMBERS = "SELECT md5(i::VARCHAR) AS a, md5((-i)::VARCHAR) AS b FROM range({rows}) numbers(i)"
#: More than fits into memory, and cannot leave it.
NEVER_SPILLED = "SELECT list(repeat(i::VARCHAR, 100)) FROM range(1_000_000) numbers(i)"


def test_a_file_that_cannot_be_written_to_its_end_says_that_the_disk_is_full(tmp_path):
    with pytest.raises(DiskFullError, match="temporary disk is full"), open_database(tmp_path, **SMALL) as database:
        database.execute(f"COPY ({NUMBERS.format(rows=10)}) TO '{FULL}' (FORMAT csv)")


@pytest.mark.parametrize("file", ["plan.duckdb", "plan.duckdb.wal"])
def test_so_does_a_database_that_cannot_be_written(tmp_path, file):
    (tmp_path / file).symlink_to(FULL)

    with pytest.raises(DiskFullError), open_database(tmp_path, **SMALL) as database:
        database.execute(f"CREATE TABLE people AS {NUMBERS.format(rows=10)}")


def test_so_does_one_that_can_spill_no_more(tmp_path):
    spilled = f"CREATE TEMP TABLE people AS {NUMBERS.format(rows=1_000_000)}"
    with pytest.raises(DiskFullError), open_database(tmp_path, **SMALL) as database:
        database.execute(f"SET max_temp_directory_size = '1MB'; {spilled}")


def test_what_needs_more_memory_is_told_from_what_needs_more_disk(tmp_path):
    with pytest.raises(duckdb.OutOfMemoryException), open_database(tmp_path, **SMALL) as database:
        database.execute(NEVER_SPILLED).fetchall()


def test_whatever_else_is_wrong_is_raised_as_it_is(tmp_path):
    with pytest.raises(duckdb.CatalogException), open_database(tmp_path, **SMALL) as database:
        database.execute("SELECT * FROM nothing")


def test_a_file_is_not_called_damaged_because_the_disk_is_full(tmp_path):
    """Who reads that would delete it."""
    file = parquet(tmp_path / "ledger.parquet", "email VARCHAR", [("ann@example.com",), ("bo@example.com",)])
    (work := tmp_path / "work").mkdir()

    with pytest.raises(DiskFullError):
        erase_from_table(file, ("ann@example.com",), FULL, work=work, **SMALL)
