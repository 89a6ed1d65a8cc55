"""Planning from literal files: everything between a container in memory and the staged batches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from exporters.model.fields import ContactShape, FieldType, Formats, TargetField, email_field
from exporters.model.source import Source
from exporters.planning.plan import PlanInputs, Planned, make_plan
from exporters.providers.base import BatchLimits, Envelope
from exporters.segments.reading import fetch_segment
from exporters.segments.snapshots import newest_snapshot
from exporters.storage.memory import MemoryBlobStore

WRITTEN = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
LATER = WRITTEN + timedelta(hours=1)

EMAIL = email_field("EMail")


def target(source: str | dict[str, str], path: tuple[str, ...], **facts: Any) -> TargetField:
    """A field, named by its path."""
    return TargetField(name=".".join(path), source=Source.model_validate(source), path=path, **facts)


SHAPE = ContactShape(
    email=EMAIL, fields=(target("FirstName", ("first_name",), max_chars=50), target("City", ("city",)))
)
LIMITS = BatchLimits(max_contacts=1_000, max_body_bytes=100_000)
ENVELOPE = Envelope(head=b'{"contacts":[', tail=b"]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A plan with what it staged."""

    planned: Planned
    staged: Sequence[bytes]

    @property
    def contacts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for batch in self.staged for line in batch.splitlines()]

    @property
    def rejects(self) -> list[dict[str, Any]]:
        return rows(self.planned.rejects)


def rows(file: Path) -> list[dict[str, Any]]:
    """A Parquet file as dicts, in its order."""
    answer = aside().execute("SELECT * FROM read_parquet($file)", {"file": str(file)})
    names = [column[0] for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def parquet(file: Path, columns: str, values: Sequence[Sequence[object]]) -> Path:
    """A Parquet file with these columns, as in CREATE TABLE, and rows."""
    aside().execute(f"CREATE OR REPLACE TABLE made ({columns})")
    for row in values:
        aside().table("made").insert(row)
    aside().execute(f"COPY made TO '{file}' (FORMAT parquet)")
    return file


@cache
def aside() -> duckdb.DuckDBPyConnection:
    """A database of the tests' own, for making and reading files; a new one takes longer than what it does."""
    return duckdb.connect()


def container(blobs: Mapping[str, bytes]) -> MemoryBlobStore:
    store = MemoryBlobStore(now=lambda: WRITTEN)
    for name, data in blobs.items():
        store.put(name, data)
    return store


def plan(
    blobs: Mapping[str, bytes],
    work: Path,
    *,
    segments: Sequence[str] = ("people",),
    shape: ContactShape = SHAPE,
    limits: BatchLimits = LIMITS,
    envelope: Envelope = ENVELOPE,
    **others: Any,
) -> Outcome:
    """Plan the newest snapshots of the segments, in a folder that must not exist yet."""
    work.mkdir(parents=True)
    store = container(blobs)
    snapshots = [newest_snapshot(store, segment, now=LATER, settle=timedelta(minutes=5)) for segment in segments]
    local = [fetch_segment(store, snapshot, columns=shape.columns, folder=work) for snapshot in snapshots]
    staged: list[bytes] = []

    def stage(number: int, contacts: bytes) -> None:
        assert number == len(staged)
        staged.append(contacts)

    inputs = PlanInputs(segments=local, shape=shape, limits=limits, envelope=envelope, **others)
    planned = make_plan(inputs, work=work, stage=stage, memory_mb=200, threads=2)
    return Outcome(planned=planned, staged=staged)


def one_field(kind: FieldType, *, formats: Formats | None = None, **facts: Any) -> ContactShape:
    """A shape with the address and one custom field from the column Value."""
    return ContactShape(
        email=EMAIL, fields=(target("Value", ("custom", "f"), type=kind, **facts),), formats=formats or Formats()
    )
