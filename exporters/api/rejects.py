"""GET /api/runs/{export}/{run}/rejects: who was not sent, or not taken, and why; as CSV to correct, or as JSON.

Values stand in the columns of their fields as they would be sent, dates as yyyy-mm-dd, and where a value was left out
the rejected one: it can be corrected in place, and the file posted back (`api.corrections`).
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from exporters.api import pages
from exporters.api.answers import Answer, Request, problem
from exporters.api.pages import PageFormat, PageQuery, Wanted, wanted_page
from exporters.api.reading import read_query
from exporters.api.runs import RETRY_AFTER_S, address_of, find, no_run
from exporters.errors import StorageConflictError
from exporters.model.fields import EMAIL_FIELD, custom_name
from exporters.model.reject import REASONS, RejectKind, RejectReason
from exporters.model.run import PlannedField, Run, RunStatus
from exporters.parts import Parts
from exporters.planning.contact_values import values_of
from exporters.planning.rejects_page import Entry, open_rejects
from exporters.planning.verdicts import KEPT_CHARS
from exporters.scratch import scratch_folder
from exporters.segments.correction import REPORT_COLUMNS
from exporters.storage import paths

#: The kind and the reasons of people who are listed elsewhere: `paths.withheld`.
WITHHELD_WORDS: frozenset[str] = frozenset(
    {RejectKind.WITHHELD, *(reason for reason, text in REASONS.items() if text.kind is RejectKind.WITHHELD)}
)


def _offered(words: type[StrEnum]) -> list[str]:
    return [word for word in words if word not in WITHHELD_WORDS]


def _one_of(words: type[StrEnum]) -> BeforeValidator:
    """Refuses what is none of the words, and those for withheld people, which it does not offer either."""

    def check(word: object) -> object:
        if word in WITHHELD_WORDS:
            raise ValueError(
                "withheld people are no rejects; those of the last run are in withheld/<export>.csv of the state"
                " container"
            )
        if word not in _offered(words):
            raise ValueError(f"use one of {', '.join(_offered(words))}")
        return word

    return BeforeValidator(check)


def _schema(words: type[StrEnum]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": _offered(words)})


class RejectsQuery(PageQuery):
    """Which rejects are wanted."""

    kind: Annotated[RejectKind, _one_of(RejectKind), _schema(RejectKind)] | None = Field(
        default=None, description="rejects of this kind"
    )
    reason: Annotated[RejectReason, _one_of(RejectReason), _schema(RejectReason)] | None = Field(
        default=None, description="rejects for this reason"
    )


class FaultView(BaseModel):
    """One thing that is wrong, with its texts."""

    reason: RejectReason
    sentence: str
    remedy: str
    column: str
    value: str


class RejectedView(BaseModel):
    """One person, or one line that is nobody."""

    kind: RejectKind
    faults: tuple[FaultView, ...]
    provider_words: str
    segment: str
    part: str
    line: int
    contact: Mapping[str, str]  #: field -> value, for the fields that have one


class RejectsView(BaseModel):
    """A page of rejects; `rejects` follows these in the answer."""

    run: str  #: its address
    totals: Mapping[RejectKind, int]  #: of the whole run
    total: int  #: on all pages
    offset: int  #: of this page
    next: str | None  #: address of the next page
    fields: tuple[str, ...]  #: that contacts can have


class RejectsPage(RejectsView):
    """The whole answer."""

    rejects: tuple[RejectedView, ...]


def show(parts: Parts, request: Request) -> Answer:
    """The rejects of a run that has ended, or of the plan of a run that is held.

    `kind` and `reason` narrow them, `limit` and `offset` page, `format` (csv, json) goes before the Accept header.
    Withheld people are not among them: `paths.withheld` has those. It goes into the audit trail.
    """
    run = find(parts, request)
    if run is None:
        return no_run()
    query = read_query(RejectsQuery, request)
    if isinstance(query, Answer):
        return query
    return pages.people_shown(parts, request, lambda: _look(parts, request, run, query))


def _look(parts: Parts, request: Request, run: Run, query: RejectsQuery) -> Answer:
    wanted = wanted_page(request, query)
    found = _find(parts, run, query, wanted)
    if found is None and not run.status.ended:
        # What a held run has staged goes with its end, and that came between.
        run = find(parts, request) or run
        found = _find(parts, run, query, wanted)
    return found or problem("no-rejects", _why_none(run))


def _find(parts: Parts, run: Run, query: RejectsQuery, wanted: Wanted) -> Answer | None:
    """The answer of a run, as it was read; None when its rejects are not there."""
    if run.reconciles:
        return None
    if not run.status.ended and run.status is not RunStatus.HELD:
        return problem(
            "rejects-not-yet",
            f"The run's status is {run.status}: its rejects are known when it has ended, or is held",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    with scratch_folder("rejects-") as folder:
        file = folder / "rejects.parquet"
        if run.plan is None or not _download(parts, run, file):
            return None
        return _page(run, query, wanted, file, folder)


def _why_none(run: Run) -> str:
    if run.reconciles:
        return f"A reconciliation sends nobody: {address_of(run.export.id, run.id)}/drift lists what it has found"
    if run.plan is None:
        return f"The run ended before it had a plan: {run.reason}"
    if run.status is RunStatus.FAILED:
        return f"The run ended before its rejects were kept: {run.reason}"
    return "The rejects of this run were deleted from the state container: start the export again to have new ones"


def _download(parts: Parts, run: Run, file: Path) -> bool:
    name = paths.rejects(run.export.id, run.id)
    if run.plan is not None and not run.status.ended:
        name = paths.staged_rejects(run.id, run.plan.attempt)
    try:
        parts.state.download(name, file)
    except StorageConflictError:
        return False
    return True


def _page(run: Run, query: RejectsQuery, wanted: Wanted, file: Path, work: Path) -> Answer:
    fields = _fields(run)
    names = [field.name for field in fields]
    address = address_of(run.export.id, run.id)
    with open_rejects(file, kind=query.kind, reason=query.reason, work=work) as rejects:
        total = rejects.count()
        views = (_view(entry, run, fields) for entry in rejects.entries(offset=wanted.offset, limit=wanted.limit))
        if wanted.format is PageFormat.CSV:
            rows = pages.cut(pages.csv_row(_cells(view, names)) for view in views)
        else:
            rows = pages.cut(view.model_dump_json().encode() for view in views)
        following = pages.next_address(
            f"{address}/rejects", wanted, shown=len(rows), total=total, kind=query.kind, reason=query.reason
        )
        if wanted.format is PageFormat.CSV:
            body = pages.csv_body([*REPORT_COLUMNS, *names], rows)
        else:
            head = RejectsView(
                run=address,
                totals=rejects.totals(),
                total=total,
                offset=wanted.offset,
                next=following,
                fields=tuple(names),
            )
            body = pages.json_body(head, "rejects", rows)
    return pages.page(wanted, body, name=f"rejects-{run.export.id}-{run.id}", following=following)


def _fields(run: Run) -> Sequence[PlannedField]:
    return () if run.plan is None else run.plan.fields


def _view(entry: Entry, run: Run, fields: Sequence[PlannedField]) -> RejectedView:
    values = dict(values_of(entry.contact, fields)) if entry.contact is not None else {}
    if entry.email:
        values.setdefault(EMAIL_FIELD, entry.email)
    if entry.kind is RejectKind.OMITTED:
        _add_rejected(values, entry, run, fields)
    return RejectedView(
        kind=entry.kind,
        faults=tuple(
            FaultView(
                reason=fault.reason,
                sentence=REASONS[fault.reason].sentence,
                remedy=REASONS[fault.reason].remedy,
                column=fault.column,
                value=fault.value,
            )
            for fault in entry.faults
        ),
        provider_words=entry.words,
        segment=entry.segment,
        part=entry.part,
        line=entry.line,
        contact=values,
    )


def _add_rejected(values: dict[str, str], entry: Entry, run: Run, fields: Sequence[PlannedField]) -> None:
    """Put the values that were left out where they would stand, but for those that are kept only in part.

    Several fields may have their values from one place. Those of them that the contact lacks are those at fault, in the
    order of the faults.
    """
    labels = _labels(run)
    faults = list(entry.faults)
    for field in fields:
        if field.name in values:
            continue
        fault = next((fault for fault in faults if fault.column == labels.get(field.name)), None)
        if fault is not None:
            faults.remove(fault)
            if len(fault.value) < KEPT_CHARS:
                values[field.name] = fault.value


def _labels(run: Run) -> Mapping[str, str]:
    """Field -> how rejects name the place of its value."""
    if run.correction:
        return {field.name: field.name for field in _fields(run)}
    mapping = run.export.mapping
    sources = {field.value: source for field, source in mapping.standard().items()}
    sources |= {custom_name(name): source for name, source in mapping.custom.items()}
    return {name: source.label for name, source in sources.items()}


def _cells(view: RejectedView, names: Sequence[str]) -> list[str]:
    """One line of the CSV: `REPORT_COLUMNS`, then the fields."""

    def each(part: Callable[[FaultView], str], between: str) -> str:
        return between.join(dict.fromkeys(part(fault) for fault in view.faults))

    report = [
        view.kind,
        "; ".join(fault.reason for fault in view.faults),
        each(lambda fault: fault.sentence, " "),
        each(lambda fault: fault.remedy, " "),
        "; ".join(fault.column for fault in view.faults),
        "; ".join(fault.value for fault in view.faults),
        view.provider_words,
        view.segment,
        view.part,
        str(view.line),
    ]
    return [*report, *(view.contact.get(name, "") for name in names)]
