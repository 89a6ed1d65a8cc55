"""GET /api/runs/{export}/{run}/drift: who is not on the list as the ledger says, as CSV or as JSON."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, Field

from exporters.api import pages
from exporters.api.answers import Answer, Request, problem
from exporters.api.pages import PageFormat, PageQuery, Wanted, wanted_page
from exporters.api.reading import read_query
from exporters.api.runs import RETRY_AFTER_S, address_of, find, no_run
from exporters.errors import StorageConflictError
from exporters.model.drift import DriftKind
from exporters.model.run import Run
from exporters.parts import Parts
from exporters.planning.drift import open_drift
from exporters.scratch import scratch_folder
from exporters.storage import paths

COLUMNS = ("email", "kind")


class DriftQuery(PageQuery):
    """Which people are wanted."""

    kind: DriftKind | None = Field(default=None, description="only the missing, or only the strangers")


class DifferingView(BaseModel):
    """One person."""

    email: str
    kind: DriftKind


class DriftPageView(BaseModel):
    """A page of people; `people` follows these in the answer."""

    run: str  #: its address
    totals: Mapping[DriftKind, int]  #: of the whole run
    total: int  #: on all pages
    offset: int  #: of this page
    next: str | None  #: address of the next page


class DriftPage(DriftPageView):
    """The whole answer."""

    people: tuple[DifferingView, ...]


def show(parts: Parts, request: Request) -> Answer:
    """The people of a reconciliation who are missing on the list, and the strangers on it.

    `kind` narrows them; `limit`, `offset`, `format` and Accept as for rejects. It goes into the audit trail.
    """
    run = find(parts, request)
    if run is None:
        return no_run()
    query = read_query(DriftQuery, request)
    if isinstance(query, Answer):
        return query
    if run.reconciles and not run.status.ended:
        return problem(
            "drift-not-yet",
            f"The run's status is {run.status}: how list and ledger differ is known when it has ended",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    return pages.people_shown(parts, request, lambda: _find(parts, run, wanted_page(request, query), query.kind))


def _find(parts: Parts, run: Run, wanted: Wanted, kind: DriftKind | None) -> Answer:
    with scratch_folder("drift-") as folder:
        file = folder / "drift.parquet"
        if run.drift is None or not _download(parts, run, file):
            return problem("no-drift", _why_none(run))
        return _page(run, wanted, kind, file, folder)


def _why_none(run: Run) -> str:
    if not run.reconciles:
        return f"This run is not a reconciliation: start one with POST /api/exports/{run.export.id}/reconciliations"
    if run.drift is None:
        return f"The reconciliation ended before it could compare: {run.reason}"
    return "What this reconciliation has found was deleted from the state container: reconcile again"


def _download(parts: Parts, run: Run, file: Path) -> bool:
    try:
        parts.state.download(paths.drift(run.export.id, run.id), file)
    except StorageConflictError:
        return False
    return True


def _page(run: Run, wanted: Wanted, kind: DriftKind | None, file: Path, work: Path) -> Answer:
    address = address_of(run.export.id, run.id)
    with open_drift(file, kind=kind, work=work) as drift:
        totals = drift.totals()
        total = sum(totals.values()) if kind is None else totals[kind]
        people = drift.people(offset=wanted.offset, limit=wanted.limit)
        if wanted.format is PageFormat.CSV:
            rows = pages.cut(pages.csv_row(person) for person in people)
        else:
            rows = pages.cut(DifferingView(email=email, kind=of).model_dump_json().encode() for email, of in people)
    following = pages.next_address(f"{address}/drift", wanted, shown=len(rows), total=total, kind=kind)
    if wanted.format is PageFormat.CSV:
        body = pages.csv_body(COLUMNS, rows)
    else:
        head = DriftPageView(run=address, totals=totals, total=total, offset=wanted.offset, next=following)
        body = pages.json_body(head, "people", rows)
    return pages.page(wanted, body, name=f"drift-{run.export.id}-{run.id}", following=following)
