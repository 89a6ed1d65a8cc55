"""A person's data on request, and erasures: /api/people. Addresses come in bodies, and go into no other document."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from exporters.api.answers import Answer, Request, document, problem
from exporters.api.paging import DEFAULT_LIMIT, Limit, Page, next_page, paged
from exporters.api.reading import read_body, read_query
from exporters.audit.trail import Action, audited
from exporters.model.erasure import (
    ERASURE_ID_PATTERN,
    Erasure,
    ErasureId,
    ExportErasure,
    Holding,
    ListOutcome,
)
from exporters.model.names import ADDRESS_PATTERN, PLAIN_TEXT_PATTERN, Reason
from exporters.parts import Parts
from exporters.planning import person
from exporters.privacy import data, erase, holdings
from exporters.storage import paths
from exporters.storage.documents import Versioned

ADDRESS = "/api/people/erasures"
RETRY_AFTER_S = 60
#: Runs that one sentence names. Ours.
MAX_NAMED = 10
_EXAMPLE = "ann@example.com"
#: More than any address has, as what was rejected can be looked for too.
MAX_ADDRESS_CHARS = 500

Address = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=MAX_ADDRESS_CHARS, pattern=ADDRESS_PATTERN),
]


class LookUpBody(BaseModel):
    """Whose data is wanted."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"email": _EXAMPLE}]}
    )

    email: Address
    reason: Reason = Field(default="", description="such as the number of the request; goes into the audit trail")
    after: Annotated[str, StringConstraints(max_length=1_100, pattern=PLAIN_TEXT_PATTERN)] | None = Field(
        default=None, description="as `next` of the answer before says"
    )


class FoundView(BaseModel):
    """What one file says of the person."""

    kind: Holding
    export: str | None
    run: str | None = Field(description="id of the run that it is about")
    written: AwareDatetime = Field(description="when the file was; of a ledger: since when it has been so")
    in_force: bool = Field(description="of a ledger: it is what the next run compares with")
    connection: str | None = Field(description="of a ledger: of the list that the person was put on")
    list_id: str | None = Field(description="of a ledger: that list")
    rows: tuple[dict[str, Any], ...] = Field(
        description="as they are kept; `fingerprint` and `source` of a ledger are digests of the values sent"
    )
    more: bool = Field(description=f"there may be more than these {holdings.MAX_ROWS} rows")
    readable: bool = Field(description="false: the file is damaged, so nobody can say")


class PersonView(BaseModel):
    """What is kept of a person, as far as files were looked into."""

    email: str = Field(description="as addresses are compared")
    looked_up: AwareDatetime
    found: tuple[FoundView, ...]
    excluded_by: tuple[str, ...] = Field(description="exports whose settings name the address as a placeholder")
    files: int = Field(description="that were looked into for this answer")
    next: str | None = Field(description="send it as `after` to look into further files; null: all were")


class EraseBody(BaseModel):
    """Who is to be erased."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"email": _EXAMPLE, "off_lists": True, "reason": "request 4711"}]},
    )

    email: Address
    off_lists: bool = Field(
        default=False,
        strict=True,
        description="also take the person off each list that an export fills, or has filled",
    )
    reason: Reason = Field(default="", description="such as the number of the request; goes into receipt and audit")


class ErasedListView(BaseModel):
    """What came of taking the person off a list."""

    connection: str
    list_id: str
    outcome: ListOutcome
    words: str = Field(description="the provider's without what they quote, or what to do")


class ErasedExportView(BaseModel):
    """What was done about the files of one export, and of its run at work."""

    export: str
    looked_at: dict[Holding, int] = Field(description="files, by kind")
    erased: dict[Holding, int] = Field(description="rows about the person, by kind of file")
    files_changed: int
    lists: tuple[ErasedListView, ...] = Field(description="empty unless the erasure takes the person off lists")
    waits_for: str = Field(description="why it is not done; empty when it is")
    done: AwareDatetime | None


class ErasureView(BaseModel):
    """The receipt of an erasure. It names nobody: whoever has the proof can show whom it is about."""

    id: ErasureId
    address: str = Field(description="of this receipt")
    status: str = Field(description="at work, finished, or failed", examples=["finished"])
    begun: AwareDatetime
    by: str
    reason: str
    off_lists: bool
    finished: AwareDatetime | None
    digest: str = Field(description="HMAC-SHA-256 of the address in lower case, with the proof as key, in hexadecimal")
    exports: tuple[ErasedExportView, ...] = Field(description="all that were looked at so far")
    staged_runs: tuple[str, ...] = Field(description="ended runs whose staged files were deleted as a whole")
    trouble: str = Field(description="why it does not get on, or has failed; empty where nothing is wrong")
    left: tuple[str, ...] = Field(description="what is left to do by hand, once it is finished")


class BegunView(ErasureView):
    """The receipt of an erasure that has just begun, with the proof."""

    proof: str = Field(description="told this once and kept nowhere; with the address it gives the digest")


class ErasuresQuery(BaseModel):
    """Which page of erasures."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = DEFAULT_LIMIT
    after: ErasureId | None = Field(default=None, description="where the last page ended")


class ErasuresPage(Page[ErasureView]):
    """Erasures, newest first."""

    total: int | None = Field(default=None, description="always null: nobody has counted them")


def look_up(parts: Parts, request: Request) -> Answer:
    """All that is kept of a person, in as many files as can be looked into meanwhile."""
    body = read_body(LookUpBody, request)
    if isinstance(body, Answer):
        return body
    # Without the address, even as a digest: it could be guessed, and nothing is ever erased from the trail.
    with audited(parts, request.caller, Action.PERSON_LOOKED_UP, "/people/data", reason=body.reason):
        looked_up = data.look_up(parts, body.email, after=body.after or "")
        view = PersonView(
            email=person.canonical(body.email),
            looked_up=parts.now(),
            found=tuple(_found_view(found) for found in looked_up.found),
            excluded_by=tuple(data.excluding(parts, body.email)) if body.after is None else (),
            files=looked_up.files,
            next=looked_up.after,
        )
    return document(view)


def start_erasure(parts: Parts, request: Request) -> Answer:
    """202 with the receipt, which tells how far it is. Repeated, it starts another one, which finds little to do."""
    body = read_body(EraseBody, request)
    if isinstance(body, Answer):
        return body
    with audited(parts, request.caller, Action.ERASURE_STARTED, "/people/erasures", reason=body.reason):
        erasure, proof = erase.begin(
            parts, body.email, off_lists=body.off_lists, reason=body.reason, caller=request.caller
        )
    view = BegunView(**_view(erasure).model_dump(), proof=proof)
    headers = {"Location": view.address, "Retry-After": str(RETRY_AFTER_S)}
    return document(view, status=202, headers=headers)


def show_erasure(parts: Parts, request: Request) -> Answer:
    """The receipt."""
    found = _find(parts, request.route["erasure"])
    if found is None:
        return problem("no-such-erasure", "There is no erasure of this id")
    waits = {} if found.value.finished is not None else {"Retry-After": str(RETRY_AFTER_S)}
    return document(_view(found.value), headers={"ETag": found.etag, **waits})


def list_erasures(parts: Parts, request: Request) -> Answer:
    """A page of receipts, newest first."""
    query = read_query(ErasuresQuery, request)
    if isinstance(query, Answer):
        return query
    after = "" if query.after is None else paths.erasure(query.after)
    blobs = parts.state.page(paths.ERASURES, after=after, size=query.limit + 1)
    shown = blobs[: query.limit]
    found = [parts.documents.read(Erasure, blob.name) for blob in shown]
    items = tuple(_view(erasure.value) for erasure in found if erasure is not None)
    following = None
    if len(blobs) > query.limit:
        last = shown[-1].name.removeprefix(paths.ERASURES).removesuffix(".json")
        following = next_page(ADDRESS, query, after=last)
    return paged(ErasuresPage(items=items, next=following))


def _find(parts: Parts, erasure_id: str) -> Versioned[Erasure] | None:
    if not re.fullmatch(ERASURE_ID_PATTERN, erasure_id):
        return None
    return parts.documents.read(Erasure, paths.erasure(erasure_id))


def _found_view(found: data.Found) -> FoundView:
    return FoundView(
        kind=found.held.holding,
        export=found.held.export or None,
        run=found.held.run or None,
        written=found.written,
        in_force=found.in_force,
        connection=found.connection or None,
        list_id=found.list_id or None,
        rows=tuple(dict(row) for row in found.rows),
        more=found.more,
        readable=found.readable,
    )


def _view(erasure: Erasure) -> ErasureView:
    return ErasureView(
        id=erasure.id,
        address=f"{ADDRESS}/{erasure.id}",
        status="failed" if erasure.failed else "at work" if erasure.finished is None else "finished",
        begun=erasure.begun,
        by=erasure.by,
        reason=erasure.reason,
        off_lists=erasure.off_lists,
        finished=erasure.finished,
        digest=erasure.digest,
        exports=tuple(_export_view(name, export) for name, export in sorted(erasure.exports.items())),
        staged_runs=erasure.staged_runs,
        trouble=erasure.trouble,
        left=() if erasure.finished is None else tuple(left_to_do(erasure)),
    )


def _export_view(name: str, export: ExportErasure) -> ErasedExportView:
    erased: Counter[Holding] = Counter()
    for file, rows in export.found.items():
        if (kind := holdings.kind_of(file)) is not None:
            erased[kind] += rows
    return ErasedExportView(
        export=name,
        looked_at=export.looked_at,
        erased=dict(erased),
        files_changed=len(export.found),
        lists=tuple(
            ErasedListView(connection=one.connection, list_id=one.list_id, outcome=one.outcome, words=one.words)
            for one in export.lists
        ),
        waits_for=export.waits_for,
        done=export.done,
    )


def left_to_do(erasure: Erasure) -> Iterator[str]:
    """What the app cannot do, for whoever has to do it."""
    for name, export in sorted(erasure.exports.items()):
        yield from _left_of_export(name, export, off_lists=erasure.off_lists)
    for connection in sorted({one for export in erasure.exports.values() for one in _accounts(export)}):
        yield (
            f"The contact itself, with its values and its history, stays in the account of the connection {connection}:"
            " delete it at the provider"
        )
    yield (
        "What the storage account keeps of deleted and former blobs (soft delete, versions, snapshots, backups) holds"
        " the person until it expires: see the data protection of the account"
    )
    yield "Whatever people have downloaded, or systems have read, holds the person still: rejects, drift, segments"


def _accounts(export: ExportErasure) -> set[str]:
    """Connections to accounts that the person is in, as far as can be told."""
    left = {one.connection for one in export.lists if one.outcome is ListOutcome.REMOVED}
    return left.union(export.connections) if export.found else left


def _left_of_export(name: str, export: ExportErasure, *, off_lists: bool) -> Iterator[str]:
    if export.found and export.segments:
        yield (
            f"The export {name} knew the person. Delete them at the source of {', '.join(export.segments)}: while they"
            " are in a segment, its next run brings them back"
        )
    if any(file.startswith(paths.WITHHELD) for file in export.found):
        yield f"Systems that read {paths.withheld(name)} have read the person there"
    if export.found and not off_lists:
        yield (
            f"The person stays on the list that the export {name} fills, and is a stranger there from now on: erase"
            " them once more with off_lists, or take them off at the provider"
        )
    if export.is_excluded:
        yield (
            f"The settings of the export {name} name the address in exclude, and so do the documents of its runs: take"
            " it out there, unless it is nobody's"
        )
    for one in export.lists:
        if one.outcome not in {ListOutcome.REMOVED, ListOutcome.ABSENT}:
            words = f" ({one.words})" if one.words else ""
            yield f"Take the person off the list {one.list_id} of {one.connection}: {one.outcome}{words}"
    if export.runs_of_no_list:
        yield (
            f"Nobody can say which list these runs of the export {name} have filled, as their documents are gone or"
            f" cannot be read: {', '.join(export.runs_of_no_list[:MAX_NAMED])}"
            f"{' …' if len(export.runs_of_no_list) > MAX_NAMED else ''}. Take the person off there at the provider"
        )
    elif off_lists and not export.lists:
        yield (
            f"Nothing that is kept of the export {name} names a list: where it has filled one, take the person off"
            " there at the provider"
        )
    for file in export.unreadable:
        yield f"Delete {file} from the state container: it cannot be read, so nobody can say whether it has the person"
