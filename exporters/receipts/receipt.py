"""A receipt: what a run has read and done, for whoever has to show it later. No person is in it."""

import json
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt

from exporters import VERSION
from exporters.history.batches import BatchKind, BatchState
from exporters.model.drift import Drift
from exporters.model.names import Id, RunId
from exporters.model.run import Corrections, Run, RunStatus, SegmentRead, Trigger
from exporters.model.sums import RemovalSums, Sums


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Target(_Part):
    """Where people were sent, and how."""

    provider: str
    connection: Id
    list_id: str
    list_name: str  #: as the provider calls it; empty where the run never came to ask
    mapping_version: str  #: digest of everything that decides how a profile becomes a contact


class Wanted(_Part):
    """What the run was to do; nothing of it: send what is new and changed."""

    full: bool
    corrects: Corrections | None
    retries: RunId | None
    reconciles: bool
    repairs: RunId | None
    goes_back_to: RunId | None
    compared_with: RunId | None  #: the run whose ledger was compared; None: everyone was planned


class People(_Part):
    """Who has started it and decided about it, as they were signed in; empty where nobody has."""

    started: str
    approved: str
    rejected: str
    canceled: str


class Times(_Part):
    """When what happened."""

    created: AwareDatetime
    approved: AwareDatetime | None
    canceled: AwareDatetime | None
    finished: AwareDatetime | None


class Batch(_Part):
    """One batch, and the import jobs that it was at the provider."""

    number: NonNegativeInt
    kind: BatchKind
    people: NonNegativeInt
    state: BatchState
    jobs: tuple[str, ...]
    requests: NonNegativeInt
    delivered: NonNegativeInt
    removed: NonNegativeInt
    absent: NonNegativeInt
    refused: NonNegativeInt
    unknown: NonNegativeInt


class Receipt(_Part):
    """What a run has read and done."""

    version: Literal[1] = 1  #: of this form
    app: str = f"segment-exporter {VERSION}"  #: what has written it
    run: RunId
    export: Id
    name: str  #: of the export, as it was at the start
    trigger: Trigger
    status: RunStatus
    reason: str
    wanted: Wanted
    people: People
    times: Times
    target: Target
    inputs: tuple[SegmentRead, ...] = Field(description="snapshots that were read, file by file, with ETags and sizes")
    sums: Sums | None  #: None where it has no plan, or never began to send
    removal: RemovalSums | None
    drift: Drift | None
    omitted_values: NonNegativeInt
    requests: NonNegativeInt  #: write requests made at the provider
    batches: tuple[Batch, ...]

    def canonical(self) -> bytes:
        """The bytes that are signed: JSON in UTF-8 with sorted names and without white space."""
        members = self.model_dump(mode="json")
        return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def receipt_of(run: Run, batches: tuple[Batch, ...]) -> Receipt:
    """The receipt of a run that has ended, the same each time."""
    plan, result, removal = run.plan, run.result, run.removal
    return Receipt(
        run=run.id,
        export=run.export.id,
        name=run.export.name,
        trigger=run.trigger,
        status=run.status,
        reason=run.reason,
        wanted=Wanted(
            full=run.full,
            corrects=run.corrects,
            retries=run.retries,
            reconciles=run.reconciles,
            repairs=run.repairs,
            goes_back_to=run.goes_back_to,
            compared_with=None if plan is None else plan.compared_with,
        ),
        people=People(
            started=run.started_by, approved=run.approved_by, rejected=run.rejected_by, canceled=run.canceled_by
        ),
        times=Times(created=run.created, approved=run.approved, canceled=run.canceled, finished=run.finished),
        target=Target(
            provider=run.connection.provider,
            connection=run.connection.id,
            list_id=run.export.list_id,
            list_name="" if plan is None else plan.list_name,
            mapping_version="" if plan is None else plan.mapping_version,
        ),
        inputs=() if plan is None else plan.segments,
        sums=None if plan is None or result is None else Sums.of(plan.counts, result),
        removal=None if plan is None or removal is None else RemovalSums.of(plan.counts, removal),
        drift=run.drift,
        omitted_values=0 if plan is None else plan.omitted,
        requests=(0 if result is None else result.requests) + (0 if removal is None else removal.requests),
        batches=batches,
    )
