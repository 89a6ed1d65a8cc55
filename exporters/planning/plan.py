"""The plan of a run: what is sent, in which batches, and why not the rest."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import duckdb

from exporters.errors import ConfigError
from exporters.model.fields import ContactShape
from exporters.model.reject import ReasonCount
from exporters.model.run import PlanCounts, SegmentRead
from exporters.planning import changes, loading, values, verdicts
from exporters.planning.batches import cut_batches, make_batches, room_for_contacts
from exporters.planning.database import open_database
from exporters.providers.base import BatchLimits, Envelope
from exporters.segments.reading import LocalSegment

#: With more mapped columns one thread reads alone: each needs memory for every column, however few profiles there are.
MANY_COLUMNS = 100

#: Called with a batch's number, from 0, and its contacts, one JSON object a line with a line break after each.
Stage = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInputs:
    """Everything that decides the plan. The same inputs give the same plan, byte for byte."""

    segments: Sequence[LocalSegment]
    shape: ContactShape
    limits: BatchLimits
    envelope: Envelope
    ledger: Path | None = None  #: Parquet file of who is known to be delivered
    full: bool = False  #: plan everyone, whatever the ledger says of their contacts
    suppressed: Path | None = None  #: Parquet: email (lower case, once), kind, since; those people are withheld
    exclude: Sequence[str] = ()  #: placeholder addresses in lower case, or @domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan and its two files, which lie in the work folder."""

    segments: tuple[SegmentRead, ...]
    counts: PlanCounts
    known: int  #: people in the ledger
    omitted: int  #: single values left out of planned contacts
    renewed: int  #: rows of the file of that name
    reasons: tuple[ReasonCount, ...]  #: most frequent first
    batches: tuple[int, ...]  #: contacts of each batch, by number from 0
    bytes: int  #: request bodies, all together
    contacts: Path  #: Parquet: batch, row, email, fingerprint, source, segment, part, line; in any order
    rejects: Path  #: Parquet: the columns of `verdicts.SCHEMA`
    renewed_sources: Path  #: Parquet: email, source of unchanged people whose source reads differently now
    withheld: Path  #: Parquet: email, kind, since, segment, part, line; in the order of segments, parts and lines
    leavers: Path  #: Parquet: email; people of the ledger who are in no segment, in the order of addresses


def make_plan(inputs: PlanInputs, *, work: Path, stage: Stage, memory_mb: int, threads: int) -> Planned:
    """Plan a run from parts on local disk. `work` is an empty folder; `stage` gets each batch as soon as it is made.

    May be repeated in another folder: it stages the same batches again. Raises ConfigError for a constant that its
    field does not take, or when the memory does not suffice; DiskFullError when the disk does not.
    """
    try:
        return _make_plan(inputs, work=work, stage=stage, memory_mb=memory_mb, threads=threads)
    except duckdb.OutOfMemoryException as error:
        raise ConfigError(
            f"Planning needs more memory than the {memory_mb} MB that it may use: raise PLAN_MEMORY_MB, map fewer"
            " columns, or have Parquet files written with smaller pages."
        ) from error


def _make_plan(inputs: PlanInputs, *, work: Path, stage: Stage, memory_mb: int, threads: int) -> Planned:
    if len(inputs.shape.columns) > MANY_COLUMNS:
        threads = 1
    with open_database(work, memory_mb=memory_mb, threads=threads) as database:
        values.prepare(database, inputs.shape.formats)
        values.check_constants(database, inputs.shape)
        for statement in loading.CREATE_TABLES:
            database.execute(statement)
        everyone = _find_people(database, inputs, work)
        slices = list(cut_batches(database, inputs.limits, inputs.envelope))
        files = {name: work / f"{name}.parquet" for name in ("contacts", "rejects", "renewed", "withheld", "leavers")}
        with ThreadPoolExecutor(max_workers=threads) as pool:
            written = pool.submit(
                changes.write_contacts, database.cursor(), slices, files["contacts"], everyone=everyone
            )
            for number, lines in enumerate(make_batches(database, slices, pool, ahead=threads)):
                stage(number, lines)
            written.result()
        changes.write_others(database, renewed=files["renewed"], withheld=files["withheld"], leavers=files["leavers"])
        verdicts.collect(database, inputs.shape)
        verdicts.write(database, files["rejects"])
        return Planned(
            segments=_segments_read(database, inputs.segments),
            counts=verdicts.count(database),
            **verdicts.count_others(database),
            reasons=verdicts.reasons(database),
            batches=tuple(batch.contacts for batch in slices),
            bytes=sum(batch.body_bytes for batch in slices),
            contacts=files["contacts"],
            rejects=files["rejects"],
            renewed_sources=files["renewed"],
            withheld=files["withheld"],
            leavers=files["leavers"],
        )


def _find_people(database: duckdb.DuckDBPyConnection, inputs: PlanInputs, work: Path) -> bool:
    """Load all parts and compare. With a ledger, contacts are written only for people whom it knows differently.

    Answers as `changes.compare`.
    """
    at_once = inputs.ledger is None or inputs.full
    number = count()
    loaded = [
        loading.load_part(
            database,
            part,
            number=next(number),
            segment=segment.segment,
            shape=inputs.shape,
            work=work,
            with_contacts=at_once,
        )
        for segment in inputs.segments
        for part in segment.parts
    ]
    tables = [table for table in loaded if table is not None]
    return changes.compare(
        database,
        ledger=inputs.ledger,
        suppressed=inputs.suppressed,
        exclude=inputs.exclude,
        full=inputs.full,
        max_bytes=room_for_contacts(inputs.limits, inputs.envelope),
        make_contacts=None if at_once else lambda: loading.make_contacts(database, tables, inputs.shape),
    )


def _segments_read(database: duckdb.DuckDBPyConnection, segments: Sequence[LocalSegment]) -> tuple[SegmentRead, ...]:
    profiles = verdicts.profiles_by_segment(database)
    return tuple(
        SegmentRead(
            segment=segment.segment,
            snapshot=segment.snapshot,
            parts=tuple(part.read for part in segment.parts),
            profiles=profiles.get(segment.segment, 0),
            written=segment.written,
            refreshed=segment.refreshed,
        )
        for segment in segments
    )
