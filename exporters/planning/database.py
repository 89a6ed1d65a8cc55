"""One DuckDB database per plan: a file in the work folder, so that what does not fit in memory spills to disk."""

from pathlib import Path

import duckdb

from exporters.segments.parquet import READ_PAGE_BY_PAGE


def open_database(work: Path, *, memory_mb: int, threads: int) -> duckdb.DuckDBPyConnection:
    """A new database below `work`, which the caller removes as a whole."""
    database = duckdb.connect(
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
    database.execute(READ_PAGE_BY_PAGE)
    return database


def literal(text: str) -> str:
    """A string constant in SQL, where a parameter cannot stand."""
    return "'" + text.replace("'", "''") + "'"
