"""The plan of a run: what is sent, in which batches, and why not the rest."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import duckdb

from exporters.model.fields import ContactShape
from exporters.model.reject import ReasonCount
from exporters.model.run import PlanCounts, SegmentRead
from exporters.planning import changes, loading, verdicts
from exporters.planning.addresses import PLAIN_ADDRESS, judge_unsettled
from exporters.planning.batches import cut_batches, make_batches, room_for_contacts
from exporters.planning.database import open_database
from exporters.planning.values import MACROS
from exporters.providers.base import BatchLimits, Envelope
from exporters.segments.reading import LocalSegment

#: Called with a batch's number, from 0, and its contacts, one JSON object a line with a line break after each.
Stage = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInputs:
    """Everything that decides the plan. The same inputs give the same plan, byte for byte."""

    segments: Sequence[LocalSegment]
    shape: ContactShape
    limits: BatchLimits
    envelope: Envelope
    ledger: Path | None  #: Parquet file; None: everyone is planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan and its two files, which lie in the work folder."""

    segments: tuple[SegmentRead, ...]
    counts: PlanCounts
    omitted: int  #: single values left out of planned contacts
    reasons: tuple[ReasonCount, ...]  #: most frequent first
    batches: tuple[int, ...]  #: contacts of each batch, by number from 0
    bytes: int  #: request bodies, all together
    contacts: Path  #: Parquet: batch, row, email, fingerprint, segment, part, line; in the order of batches and rows
    rejects: Path  #: Parquet: the columns of `verdicts.SCHEMA`


def make_plan(inputs: PlanInputs, *, work: Path, stage: Stage, memory_mb: int, threads: int) -> Planned:
    """Plan a run from parts on local disk. `work` is an empty folder; `stage` gets each batch as soon as it is made.

    May be repeated in another folder: it stages the same batches again.
    """
    with open_database(work, memory_mb=memory_mb, threads=threads) as database:
        for statement in (PLAIN_ADDRESS, *MACROS, *loading.CREATE_TABLES):
            database.execute(statement)
        _load(database, inputs, work)
        judge_unsettled(database)
        changes.compare(
            database, inputs.shape, ledger=inputs.ledger, max_bytes=room_for_contacts(inputs.limits, inputs.envelope)
        )
        slices = list(cut_batches(database, inputs.limits, inputs.envelope))
        contacts = work / "contacts.parquet"
        with ThreadPoolExecutor(max_workers=threads) as pool:
            written = pool.submit(changes.write_contacts, database.cursor(), slices, contacts)
            for number, lines in enumerate(make_batches(database, slices, pool, ahead=threads)):
                stage(number, lines)
            written.result()
        verdicts.collect(database, inputs.shape)
        rejects = work / "rejects.parquet"
        verdicts.write(database, rejects)
        counts, omitted = verdicts.count(database)
        return Planned(
            segments=_segments_read(database, inputs.segments),
            counts=counts,
            omitted=omitted,
            reasons=verdicts.reasons(database),
            batches=tuple(batch.contacts for batch in slices),
            bytes=sum(batch.body_bytes for batch in slices),
            contacts=contacts,
            rejects=rejects,
        )


def _load(database: duckdb.DuckDBPyConnection, inputs: PlanInputs, work: Path) -> None:
    number = count()
    for segment in inputs.segments:
        for part in segment.parts:
            loading.load_part(
                database, part, number=next(number), segment=segment.segment, shape=inputs.shape, work=work
            )


def _segments_read(database: duckdb.DuckDBPyConnection, segments: Sequence[LocalSegment]) -> tuple[SegmentRead, ...]:
    profiles = verdicts.profiles_by_segment(database)
    return tuple(
        SegmentRead(
            segment=segment.segment,
            snapshot=segment.snapshot,
            parts=tuple(part.read for part in segment.parts),
            profiles=profiles.get(segment.segment, 0),
        )
        for segment in segments
    )
