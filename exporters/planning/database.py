"""One DuckDB database per plan: a file in the work folder, so that what does not fit in memory spills to disk."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from exporters.scratch import disk_full
from exporters.segments.parquet import READ_PAGE_BY_PAGE

#: Where the disk is full, DuckDB quotes the system; and it spills no more than it saw room for when it began, with an
#: error for want of memory. https://duckdb.org/docs/stable/configuration/overview (max_temp_directory_size)
_DISK_IS_FULL = (os.strerror(errno.ENOSPC), "max_temp_directory_size")


@contextmanager
def open_database(work: Path, *, memory_mb: int, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new database below `work`, which the caller removes as a whole; it is closed with the end of the block.

    Raises DiskFullError where it can write no more.
    """
    try:
        with _connect(work, memory_mb=memory_mb, threads=threads) as database:
            database.execute(READ_PAGE_BY_PAGE)
            yield database
    except duckdb.Error as error:
        if any(words in str(error) for words in _DISK_IS_FULL):
            raise disk_full() from error
        raise


def _connect(work: Path, *, memory_mb: int, threads: int) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        str(work / "plan.duckdb"),
        config={
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": str(work / "spill"),
            "preserve_insertion_order": True,
            # Paths are ours, but nothing in a segment may make DuckDB fetch code.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )


def literal(text: str) -> str:
    """A string constant in SQL, where a parameter cannot stand."""
    return "'" + text.replace("'", "''") + "'"
