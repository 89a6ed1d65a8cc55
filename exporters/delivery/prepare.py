"""Prepare a run: check access, read the newest snapshots, stage what is to be sent. Writes nothing at the provider."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from exporters.delivery import ledgers, reconcile, undo, withhold
from exporters.delivery.access import with_access
from exporters.delivery.account import known_lane
from exporters.errors import ConfigError
from exporters.model.brake import Brake
from exporters.model.connection import Connection
from exporters.model.export import ADDRESS_ONLY, Export, Mode
from exporters.model.fields import ContactShape, FieldType
from exporters.model.names import RunId
from exporters.model.run import Plan, PlannedField, Run
from exporters.parts import Parts
from exporters.planning.brakes import Evidence, find_brakes
from exporters.planning.plan import PlanInputs, Planned, Stage
from exporters.planning.values import rules
from exporters.providers.base import Access, Envelope, Provider
from exporters.scheduling.start import read_export
from exporters.scratch import scratch_folder
from exporters.segments import counts
from exporters.segments.correction import corrected_shape, fetch_correction
from exporters.segments.reading import LocalSegment, fetch_segment
from exporters.segments.snapshots import newest_snapshot
from exporters.storage import paths
from exporters.storage.blobs import BlobStore

#: Batches on their way to storage while the next one is made; each is held in memory until it has arrived.
UPLOADS_AT_ONCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A plan as it was made; its files lie in the work folder, and nothing of it is stored."""

    access: Access
    planned: Planned
    ledger: RunId | None  #: the run whose ledger was in force
    compared_with: RunId | None  #: the run whose ledger was compared
    doubtful: bool  #: the ledger may be wrong about the form in which people are there
    brakes: tuple[Brake, ...]
    changed_since: int | None = None  #: as `Plan.changed_since`


def prepare(parts: Parts, run: Run) -> Plan:
    """The plan of a run, its batches staged under a folder of this attempt's own.

    Repeating it makes another attempt; the run document decides which one counts. Raises ConfigError, SegmentError,
    NotCompleteError, ThrottledError, TransientError, DiskFullError.
    """
    attempt = parts.new_id()
    with scratch_folder("plan-") as folder:
        access, envelope = with_access(parts, run, lambda provider: check(run, provider))
        path = partial(paths.staged_batch, run.id, attempt)
        with Uploads(parts.state, path, parts.uploaders(UPLOADS_AT_ONCE)) as uploads:
            made = draft(
                parts,
                run,
                access,
                envelope,
                work=folder,
                stage=uploads.put,
                suppressed=_suppressed(parts, run, folder),
            )
        _store_files(parts, run, attempt, made.planned)
    planned = made.planned
    counts.remember(parts, run, planned.segments)
    return Plan(
        segments=planned.segments,
        # Everyone else of the ledger is not in a corrections file, but has not left for that.
        counts=planned.counts.model_copy(update={"leavers": 0}) if run.correction else planned.counts,
        omitted=planned.omitted,
        reasons=planned.reasons,
        mapping_version=rules(access.shape),
        ledger=made.ledger,
        compared_with=made.compared_with,
        doubtful=made.doubtful,
        list_name=access.list_name,
        list_count=access.list_count,
        attempt=attempt,
        batches=planned.batches,
        bytes=planned.bytes,
        fields=planned_fields(access.shape),
        brakes=made.brakes,
        account_contacts=access.account_contacts,
        renewed=planned.renewed,
        changed_since=made.changed_since,
    )


def _suppressed(parts: Parts, run: Run, work: Path) -> Path | None:
    """Whom the provider has suppressed, as it has said before; None where that does not matter."""
    if not run.export.withhold:
        return None
    file = work / "suppressed.parquet"
    withhold.fetch(parts, run, file)
    return file


def look_ahead(parts: Parts, run: Run) -> None:
    """Find what would make planning fail, as far as that is seen at once: before whom to withhold is asked at length.

    Raises as `prepare`.
    """
    with_access(parts, run, lambda provider: check(run, provider))
    if run.export.mode is Mode.MIRROR or run.goes_back_to is not None:
        _check_only_filler(parts, run)
    if run.reads_segments:
        for segment in run.export.segments:
            newest_snapshot(parts.segments, segment, now=parts.now(), settle=parts.settle)


def check(run: Run, provider: Provider) -> tuple[Access, Envelope]:
    """What the provider says before anything is planned; how full the account is only where that could hold the run."""
    export = run.export
    mapping = export.mapping if run.goes_back_to is None else ADDRESS_ONLY
    access = provider.check_access(export.list_id, mapping, count_account=run.connection.plan_contacts is not None)
    if run.corrects is not None:
        access = replace(access, shape=corrected_shape(access.shape, run.corrects.fields))
    return access, provider.envelope(export.list_id)


def draft(
    parts: Parts,
    run: Run,
    access: Access,
    envelope: Envelope,
    *,
    work: Path,
    stage: Stage,
    suppressed: Path | None = None,
) -> Draft:
    """Plan a run in a local folder and look for brakes. Writes nothing anywhere else, but for what `stage` does.

    `suppressed` is the Parquet file of `PlanInputs`. Raises ConfigError, SegmentError, NotCompleteError.
    """
    if run.export.mode is Mode.MIRROR or run.goes_back_to is not None:
        _check_only_filler(parts, run)
    facts = parts.facts(run.connection)
    state = ledgers.read_state(parts, run.export.id)
    reconcile.check_repair(parts, run, state)
    ledger, file = ledgers.in_force(parts, run, state, work)
    way_back = None if run.goes_back_to is None else undo.find(parts, run, run.goes_back_to, file, work)
    full = way_back is None and (run.full or state.ledger_doubtful)
    inputs = PlanInputs(
        segments=_segments(parts, run, access.shape, work) if way_back is None else [way_back.segment],
        shape=access.shape,
        limits=facts.limits,
        envelope=envelope,
        ledger=file if way_back is None else None,
        full=full,
        suppressed=suppressed,
        exclude=run.export.exclude,
    )
    folder = work / "plan"
    folder.mkdir()
    planned = parts.planning.make_plan(inputs, work=folder, stage=stage)
    planned = planned if way_back is None else way_back.of(planned)
    evidence = Evidence(
        segments=planned.segments,
        counts=planned.counts,
        reasons=planned.reasons,
        known=planned.known,
        last_read=state.last_read,
        provider=facts.title,
        stated_limit=facts.stated_limit,
        account_contacts=access.account_contacts,
        plan_contacts=run.connection.plan_contacts,
    )
    return Draft(
        access=access,
        planned=planned,
        ledger=ledger,
        compared_with=None if full else ledger,
        doubtful=way_back is None and state.ledger_doubtful,
        brakes=find_brakes(run.export, evidence, correction=run.correction, goes_back=way_back is not None),
        changed_since=None if way_back is None else way_back.found.changed_since,
    )


def _check_only_filler(parts: Parts, run: Run) -> None:
    """Raises ConfigError when another export fills the same list: each would remove people whom the other wants there,
    and the other would not notice.
    """
    if run.goes_back_to is None:
        why = "in mirror mode people who are in its segments too would be removed without it noticing"
        remedy = "put all segments into one export, or set mode to update"
    else:
        why = "people whom it wants there could be removed without it noticing"
        remedy = "give one of them a list of its own, or start the export instead with its segments as they should be"
    own = _list_of(parts, run.export, run.connection)
    for blob in parts.state.list(paths.EXPORTS):
        try:
            other, connection = read_export(parts, blob.name.removeprefix(paths.EXPORTS).removesuffix(".json"))
            theirs = _list_of(parts, other, connection)
        except ConfigError:
            continue  # it cannot run as it is
        if other.id != run.export.id and theirs == own and _is_one_account(parts, connection, run):
            raise ConfigError(f"The export {other.id} fills the same list, so {why}: {remedy}.")


def _list_of(parts: Parts, export: Export, connection: Connection) -> tuple[str, str]:
    """The list that an export fills, at whatever account: the provider's name, and the id as it reads it."""
    facts = parts.facts(connection)
    return facts.name, facts.canonical_list_id(export.list_id)


def _is_one_account(parts: Parts, connection: Connection, run: Run) -> bool:
    """Whether a connection leads to a run's account, as far as that can be known: they share a lane or a key."""
    # Key Vault does not tell upper from lower case in names, see `SecretName`.
    return known_lane(parts, connection) == run.lane or connection.secret.lower() == run.connection.secret.lower()


def planned_fields(shape: ContactShape) -> tuple[PlannedField, ...]:
    """Where the values of planned contacts stand, the address first."""
    return tuple(
        PlannedField(
            name=field.name, path=field.path, date_format=field.date_format if field.type is FieldType.DATE else ""
        )
        for field in (shape.email, *shape.fields)
    )


def _store_files(parts: Parts, run: Run, attempt: str, planned: Planned) -> None:
    for path, file in (
        (paths.staged_contacts, planned.contacts),
        (paths.staged_rejects, planned.rejects),
        (paths.staged_renewed, planned.renewed_sources),
        (paths.staged_withheld, planned.withheld),
        (paths.staged_leavers, planned.leavers),
    ):
        parts.state.upload(path(run.id, attempt), file)


def _segments(parts: Parts, run: Run, shape: ContactShape, work: Path) -> list[LocalSegment]:
    """What the run reads: the newest snapshots of its segments, or the people of a corrected rejects file."""
    if run.corrects is None:
        return [_fetch(parts, segment, shape, work) for segment in run.export.segments]
    file = paths.correction(run.id)
    return [fetch_correction(parts.state, file, run=run.corrects.run, columns=shape.columns, folder=work)]


def _fetch(parts: Parts, segment: str, shape: ContactShape, work: Path) -> LocalSegment:
    snapshot = newest_snapshot(parts.segments, segment, now=parts.now(), settle=parts.settle)
    return fetch_segment(parts.segments, snapshot, columns=shape.columns, folder=work)


class Uploads:
    """Sends blobs in the background, a few at a time. Leaving it waits for all of them and raises what one raised."""

    def __init__(self, store: BlobStore, path: Callable[[int], str], pool: Executor) -> None:
        self._store = store
        self._path = path
        self._pool = pool
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
