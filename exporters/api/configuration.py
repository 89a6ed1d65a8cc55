"""GET and PUT /api/configuration: everything that is set up, as one file; and a file, made into what is set up."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from exporters.api.answers import Answer, Request, document, problem
from exporters.api.reading import read_query, stale
from exporters.configuration.apply import HaltedError, applied, planned, wanted_by
from exporters.configuration.as_code import Fault, Format, UnusableFileError, read, write
from exporters.configuration.plan import ChangeOutcome, PlannedChange, Stored, stored
from exporters.errors import ConfigError
from exporters.parts import Parts

#: https://www.rfc-editor.org/rfc/rfc9512
MEDIA_TYPES = {Format.YAML: "application/yaml", Format.JSON: "application/json"}
#: Seconds after which to go on with a file that time was too short for.
GO_ON_AFTER_S = 1
#: Faults in the detail; all of them are in the member `faults`.
TOLD = 10


class ShowQuery(BaseModel):
    """How the file is written."""

    model_config = ConfigDict(extra="forbid")

    format: Format | None = Field(default=None, description="goes before the header Accept; default: json")


class ApplyQuery(BaseModel):
    """What is done with a file."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = Field(default=False, alias="dry-run", description="say what would change, and change nothing")
    prune: bool = Field(
        default=False, description="remove what is not in the file, which has to name connections and exports then"
    )


class ConfigurationChanges(BaseModel):
    """What a file has changed, or would change, in the order in which that is done."""

    dry_run: bool
    changes: tuple[PlannedChange, ...]


def show(parts: Parts, request: Request) -> Answer:
    """200 with every connection, without its key, and every export. Its ETag is that of all settings together."""
    query = read_query(ShowQuery, request)
    if isinstance(query, Answer):
        return query
    try:
        now, how = stored(parts), query.format or _accepted(request)
    except ConfigError as error:
        return _damaged(error)
    headers = {"Content-Type": MEDIA_TYPES[how], "ETag": _etag(now, how), "Vary": "Accept"}
    return Answer(status=200, body=write(now.file, how).encode(), headers=headers)


def apply(parts: Parts, request: Request) -> Answer:
    """200 with what has changed, or with `dry-run` what would.

    Nothing changes where anything is wrong with the file. A change that somebody has made meanwhile, or that cannot be
    made now, ends it; what was done by then is done, and the same file goes on from there.
    """
    query = read_query(ApplyQuery, request)
    if isinstance(query, Answer):
        return query
    try:
        file = read(request.body, _written(request), whole=query.prune)
    except UnusableFileError as error:
        return problem("request-body", _told(error.faults), faults=_listed(error.faults))
    try:
        wanted = wanted_by(parts, file, prune=query.prune)
    except ConfigError as error:
        return _damaged(error)
    if (old := _stale(request, wanted.before)) is not None:
        return old
    try:
        changes = planned(parts, wanted)
        if not query.dry_run:
            changes = applied(parts, request.caller, wanted, changes)
    except UnusableFileError as error:
        faults = _listed(error.faults)
        return problem("configuration-unusable", _told(error.faults), faults=faults)
    except HaltedError as error:
        return _halted(error)
    return document(ConfigurationChanges(dry_run=query.dry_run, changes=tuple(changes)))


def _damaged(error: ConfigError) -> Answer:
    """Which stored documents cannot be used: there is no whole configuration without them."""
    detail = f"{error}. Correct it; a connection can also be removed"
    return problem("configuration-unusable", detail, faults=[])


def _etag(now: Stored, how: Format) -> str:
    return f'"{now.digest}-{how}"'


def _stale(request: Request, now: Stored) -> Answer | None:
    """As `stale`, for a caller who may leave the version open, and may have read it in either form."""
    if "if-match" not in request.headers:
        return None
    answers = [stale(request, _etag(now, how)) for how in Format]
    return None if None in answers else answers[0]


def _accepted(request: Request) -> Format:
    """YAML where the Accept header names it before JSON, or alone."""
    ranges = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    return next((how for each in ranges for how, media in MEDIA_TYPES.items() if media == each), Format.JSON)


def _written(request: Request) -> Format:
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Format.YAML if named == MEDIA_TYPES[Format.YAML] else Format.JSON


def _told(faults: Sequence[Fault]) -> str:
    """The first faults in a sentence each, with their places."""
    told = [_sentence(fault) for fault in faults[:TOLD]]
    return "; ".join([*told, f"and {len(faults) - TOLD} more"] if len(faults) > TOLD else told)


def _sentence(fault: Fault) -> str:
    line = "" if fault.line is None else f" (line {fault.line})"
    return f"{fault.place}{line}: {fault.message}"


def _listed(faults: Sequence[Fault]) -> list[object]:
    return [fault.model_dump(mode="json") for fault in faults]


def _halted(error: HaltedError) -> Answer:
    """What has been done, and why not the rest."""
    changes = [change.model_dump(mode="json") for change in error.changes]
    done = sum(change.outcome is ChangeOutcome.DONE for change in error.changes)
    left = sum(not change.is_none for change in error.changes) - done
    if error.in_time:
        failed = next(change for change in error.changes if change.outcome is ChangeOutcome.NOT_DONE)
        detail = (
            f"The {failed.kind} {failed.id} could not be changed, and nothing after it: {failed.reason}. {done} changes"
            f" were made, {left} are left: apply the file again when that is settled"
        )
        return problem("configuration-not-applied", detail, changes=changes)
    detail = f"There was no time for all of it: {done} changes were made, {left} are left. Apply the file again"
    headers = {"Retry-After": str(GO_ON_AFTER_S)}
    return problem("configuration-unfinished", detail, headers=headers, changes=changes)
