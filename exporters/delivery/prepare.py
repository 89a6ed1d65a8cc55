"""Prepare a run: check access, read the newest snapshots, stage what is to be sent. Writes nothing at the provider."""

import hashlib
import logging
import tempfile
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Self

from exporters import log
from exporters.delivery.access import with_provider
from exporters.errors import SegmentError, StorageConflictError
from exporters.model.fields import ContactShape
from exporters.model.run import ExportState, Plan, Run
from exporters.parts import Parts
from exporters.planning.plan import PlanInputs, make_plan
from exporters.providers.base import Access, Envelope, Provider
from exporters.segments.reading import LocalSegment, fetch_segment
from exporters.segments.snapshots import newest_snapshot
from exporters.storage import paths
from exporters.storage.blobs import BlobStore

#: Batches on their way to storage while the next one is made; each is held in memory until it has arrived.
UPLOADS_AT_ONCE = 3


def prepare(parts: Parts, run: Run) -> Plan:
    """The plan of a run, its batches staged under a folder of this attempt's own.

    Repeating it makes another attempt; the run document decides which one counts. Raises ConfigError, SegmentError,
    NotCompleteError, ThrottledError, TransientError.
    """
    access, envelope = with_provider(parts, run.connection, lambda provider: _check(run, provider))
    attempt = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        work = Path(folder)
        segments = [_fetch(parts, segment, access.shape, work) for segment in run.export.segments]
        ledger, file = _ledger_in_force(parts, run, work)
        compared = None if run.full else ledger
        inputs = PlanInputs(
            segments=segments,
            shape=access.shape,
            limits=parts.facts(run.connection).limits,
            envelope=envelope,
            ledger=None if compared is None else file,
        )
        plan_folder = work / "plan"
        plan_folder.mkdir()
        with Uploads(parts.state, lambda number: paths.staged_batch(run.id, attempt, number)) as uploads:
            planned = make_plan(
                inputs,
                work=plan_folder,
                stage=uploads.put,
                memory_mb=parts.plan_memory_mb,
                threads=parts.plan_threads,
            )
        if planned.counts.read == 0:
            raise SegmentError(f"No profile in {_names(run)}: an empty segment is not exported; check its source")
        parts.state.upload(paths.staged_contacts(run.id, attempt), planned.contacts)
        parts.state.upload(paths.staged_rejects(run.id, attempt), planned.rejects)
    return Plan(
        segments=planned.segments,
        counts=planned.counts,
        omitted=planned.omitted,
        reasons=planned.reasons,
        mapping_version=mapping_version(access.shape),
        ledger=ledger,
        compared_with=compared,
        list_name=access.list_name,
        list_count=access.list_count,
        attempt=attempt,
        batches=planned.batches,
        bytes=planned.bytes,
    )


def mapping_version(shape: ContactShape) -> str:
    """Digest of everything that decides how a profile becomes a contact."""
    return hashlib.sha256(repr(shape).encode()).hexdigest()[:16]


def _check(run: Run, provider: Provider) -> tuple[Access, Envelope]:
    access = provider.check_access(run.export.list_id, run.export.mapping)
    return access, provider.envelope(run.export.list_id)


def _fetch(parts: Parts, segment: str, shape: ContactShape, work: Path) -> LocalSegment:
    snapshot = newest_snapshot(parts.segments, segment, now=parts.now(), settle=parts.settle)
    return fetch_segment(parts.segments, snapshot, columns=shape.columns, folder=work)


def _ledger_in_force(parts: Parts, run: Run, work: Path) -> tuple[str, Path] | tuple[None, None]:
    """The run whose ledger says who is on this list already, and its file; None when nobody is known to be."""
    found = parts.documents.read(ExportState, paths.export_state(run.export.id))
    if found is None or found.value.ledger is None or found.value.ledger_target != run.target:
        return None, None
    file = work / "ledger.parquet"
    try:
        parts.state.download(paths.ledger(run.export.id, found.value.ledger), file)
    except StorageConflictError:
        log.step("plan", "ledger is gone", level=logging.WARNING, run_id=run.id)
        return None, None
    return found.value.ledger, file


def _names(run: Run) -> str:
    return " and ".join(run.export.segments)


class Uploads:
    """Sends blobs in the background, a few at a time. Leaving it waits for all of them and raises what one raised."""

    def __init__(self, store: BlobStore, path: Callable[[int], str]) -> None:
        self._store = store
        self._path = path
        self._pool = ThreadPoolExecutor(max_workers=UPLOADS_AT_ONCE)
        self._under_way: set[Future[str]] = set()

    def put(self, number: int, data: bytes) -> None:
        """Hand over a batch; waits while too many are on their way."""
        while len(self._under_way) >= UPLOADS_AT_ONCE:
            done, self._under_way = wait(self._under_way, return_when=FIRST_COMPLETED)
            for upload in done:
                upload.result()
        self._under_way.add(self._pool.submit(self._store.put, self._path(number), data))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)
        if error is None:
            for upload in self._under_way:
                upload.result()
