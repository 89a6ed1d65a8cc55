"""What a run of an export would do, over HTTP. Nothing is written, neither to the app's state nor at the provider;
only a pause that the provider asks for is noted, so that the runs on its account keep to it.

An HTTP answer has to be there in time. So files that are too large to be planned by then are refused at once, questions
for suppressions end early, and whatever still takes too long is answered without its result.
"""

import json
import math
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict

from exporters import log
from exporters.api.answers import Answer, Request, document, problem
from exporters.api.masking import masked
from exporters.api.pages import people_shown
from exporters.api.reading import read_body
from exporters.api.runs import RejectView, address_of, no_export, reject_view
from exporters.delivery import lanes, pace
from exporters.delivery.access import with_provider
from exporters.delivery.account import known_lane
from exporters.delivery.move import BUSY_S, RETRY_S
from exporters.delivery.prepare import Draft, check, draft, planned_fields
from exporters.errors import ConfigError, DiskFullError, NotCompleteError, SegmentError, ThrottledError, TransientError
from exporters.model.brake import Brake
from exporters.model.connection import Connection
from exporters.model.export import Export
from exporters.model.names import ID_PATTERN, run_id
from exporters.model.run import PlannedField, Run, SegmentRead, Trigger
from exporters.parts import Parts
from exporters.planning.suppressed import encode_answer
from exporters.providers.base import Access, Envelope, Provider
from exporters.scheduling.start import NoSuchExportError, read_export
from exporters.scratch import scratch_folder
from exporters.segments.snapshots import newest_snapshot

CONTACTS_SHOWN = 20
REASONS_SHOWN = 20
#: Seconds after which a preview is answered, ready or not. The platform's load balancer cuts it off after 230.
#: https://learn.microsoft.com/azure/azure-functions/functions-scale#timeout
ANSWER_WITHIN_S = 200.0
#: After so long from the start of a preview, or so many of them, no further question for suppressions is asked.
ASK_UNTIL = timedelta(seconds=60)
QUESTIONS = 40
#: Largest size of all files together, in millions of bytes. Ours: some millions of profiles, a minute or two of work.
MAX_MEGABYTES = 1_000
#: What a byte of a file counts, by the ending of its name: compressed ones hold more. Ours.
PACKED = {".csv": 1, ".gz": 8, ".parquet": 8}
#: What to do where a preview cannot be made in time.
START_A_RUN = (
    "start a run instead: brakes look at the same plan before anything is written, and with brakes.max_profiles at 1"
    " they hold the run in any case, with its sums to look at"
)


class PreviewBody(BaseModel):
    """Body of a preview; may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"full": True}]})

    full: bool = False


class Expected(BaseModel):
    """The first sum: read = invalid + duplicate + withheld + unchanged + planned, with planned = added + changed."""

    read: int
    invalid: int
    duplicate: int
    withheld: int | None  #: None: not known in time, so that those people are still among the others
    unchanged: int
    planned: int
    added: int
    changed: int
    leavers: int
    removals: int  #: leavers who would be taken off the list


class Duration(BaseModel):
    """How long it would take to send the planned contacts."""

    minutes: float
    contacts_per_minute: float
    measured_by: str | None  #: address of the run that the pace is taken from; None: it is the provider's published one


class Room(BaseModel):
    """Room in the account's plan; None where it is not known."""

    account_contacts: int | None
    plan_contacts: int | None
    left: int | None  #: before the run


class Preview(BaseModel):
    """What a run would do now."""

    export: str
    name: str
    provider: str
    connection: str
    list_id: str
    list_name: str
    list_count: int | None
    full: bool
    masked: bool
    sums: Expected
    requests: int  #: imports
    bytes: int
    removal_requests: int
    duration: Duration
    room: Room
    brakes: tuple[Brake, ...]  #: what would hold the run
    omitted_values: int
    compared_with: str | None
    segments: tuple[SegmentRead, ...]
    contacts: tuple[dict[str, Any], ...]  #: the first planned ones, by field name
    rejects: tuple[RejectView, ...]  #: the most frequent ones
    notes: tuple[str, ...]  #: what is not known, and why


def preview_masked(parts: Parts, request: Request) -> Answer:
    """POST /api/exports/{export}/preview"""
    return preview(parts, request)


def preview_unmasked(parts: Parts, request: Request) -> Answer:
    """POST /api/exports/{export}/preview/unmasked"""
    return people_shown(parts, request, lambda: preview(parts, request, masked=False))


def preview(parts: Parts, request: Request, *, masked: bool = True, within_s: float = ANSWER_WITHIN_S) -> Answer:
    """200; 422 with the words that the run would end with, or where the files are
    larger than `MAX_MEGABYTES`; 503 for later, or where the preview was not ready within so many seconds.

    `masked=False` shows people's data, which goes into the audit trail.
    """
    export_id = request.route.get("export", "")
    if not re.fullmatch(ID_PATTERN, export_id):
        return no_export(export_id)
    wanted = read_body(PreviewBody, request)
    if isinstance(wanted, Answer):
        return wanted
    worker = ThreadPoolExecutor(max_workers=1)
    made = worker.submit(_answered, parts, export_id, full=wanted.full, masked=masked, within_s=within_s)
    worker.shutdown(wait=False)
    wait([made], timeout=within_s)
    if made.done():
        return made.result()
    detail = f"The preview was not ready within {within_s:.0f} seconds. Try again later, or {START_A_RUN}"
    return problem("preview-too-slow", detail)


def _answered(parts: Parts, export_id: str, *, full: bool, masked: bool, within_s: float) -> Answer:
    """The answer, however long it takes; past `within_s` nobody waits for it, and it is given up where it can be."""
    if not parts.heavy_work.acquire(blocking=False):
        return _later("busy", "Another run is being planned here; try again", BUSY_S)
    try:
        export, connection = read_export(parts, export_id)
        megabytes = _megabytes(parts, export)
        if megabytes > MAX_MEGABYTES:
            return _too_large(megabytes)
        return document(_preview(parts, export, connection, full=full, masked=masked, within_s=within_s))
    except NoSuchExportError:
        return no_export(export_id)
    except ThrottledError as error:
        return _later("throttled", str(error), error.wait_s)
    except (NotCompleteError, TransientError) as error:
        return _later("not-ready", str(error), RETRY_S)
    except (ConfigError, SegmentError, DiskFullError) as error:
        return problem("export-unusable", str(error))
    finally:
        parts.heavy_work.release()


def _megabytes(parts: Parts, export: Export) -> int:
    """What a run would read, in millions of bytes."""
    snapshots = (
        newest_snapshot(parts.segments, segment, now=parts.now(), settle=parts.settle) for segment in export.segments
    )
    files = (part for snapshot in snapshots for part in snapshot.parts)
    return sum(file.size * PACKED[PurePosixPath(file.name.lower()).suffix] for file in files) // 1_000_000


def _too_large(megabytes: int) -> Answer:
    detail = (
        f"The files of the segments hold about {megabytes:,} MB, more than the {MAX_MEGABYTES:,} MB that a preview can"
        f" plan in time: {START_A_RUN}"
    )
    return problem("preview-too-large", detail)


def _later(name: str, detail: str, wait_s: float) -> Answer:
    return problem(name, detail, headers={"Retry-After": str(max(1, math.ceil(wait_s)))})


def _preview(
    parts: Parts, export: Export, connection: Connection, *, full: bool, masked: bool, within_s: float
) -> Preview:
    now = parts.now()
    run = Run(
        id=run_id(export.id, now, "preview"),
        export=export,
        connection=connection,
        trigger=Trigger.DEMAND,
        created=now,
        updated=now,
        full=full,
        account=known_lane(parts, connection),
    )
    sample: list[bytes] = []

    def stage(_: int, lines: bytes) -> None:
        _check_time(parts, run, within_s)
        _keep_first(sample, lines)

    with scratch_folder("preview-") as work:
        access, envelope, suppressed = _ask(parts, run, work)
        _check_time(parts, run, within_s)
        made = draft(parts, run, access, envelope, work=work, stage=stage, suppressed=suppressed)
    log.step("preview", "made", export=export.id, provider=connection.provider, contacts=made.planned.counts.planned)
    fields = planned_fields(access.shape)
    contacts = tuple(_contact(json.loads(line), fields, masked=masked) for line in sample)
    return _answer(parts, run, made, contacts, masked=masked, withheld_known=suppressed is not None)


def _check_time(parts: Parts, run: Run, within_s: float) -> None:
    """Raises TransientError when nobody waits for the answer any more."""
    if parts.now() - run.created > timedelta(seconds=within_s):
        raise TransientError("The preview was given up: it took too long.")


def _ask(parts: Parts, run: Run, work: Path) -> tuple[Access, Envelope, Path | None]:
    """What the provider says before the plan: as for a run, and of the suppressed what can be had without a write."""
    asks = run.export.withhold and parts.facts(run.connection).suppressions_at_once
    wait_s = lanes.wait_s(parts, run.lane)
    if wait_s > 0:
        raise ThrottledError(f"The provider wants no request on this account for {wait_s:.0f} seconds", wait_s=wait_s)

    def ask(provider: Provider) -> tuple[Access, Envelope, Path | None]:
        access, envelope = check(run, provider)
        return access, envelope, _suppressed(parts, run, provider, work) if asks else None

    return with_provider(parts, run, ask)


def _suppressed(parts: Parts, run: Run, provider: Provider, work: Path) -> Path | None:
    """Whom the provider has suppressed, as `PlanInputs` takes it; None when that takes more questions or time."""
    token, answers = None, list[Path]()
    for number in range(QUESTIONS):
        if parts.now() - run.created >= ASK_UNTIL:
            return None
        answer = provider.suppressions(token)
        answers.append(work / f"suppressed-{number}.csv")
        answers[-1].write_bytes(encode_answer(answer.rows))
        token = answer.token
        if token is None:
            return _merged(parts, answers, work)
        if provider.not_before_s:
            return None
    return None


def _merged(parts: Parts, answers: list[Path], work: Path) -> Path:
    target = work / "suppressed.parquet"
    with tempfile.TemporaryDirectory(dir=work) as folder:
        parts.planning.merge_suppressed(answers, target, work=Path(folder))
    return target


def _keep_first(sample: list[bytes], lines: bytes) -> None:
    missing = CONTACTS_SHOWN - len(sample)
    if missing > 0:
        sample += [line for line in lines.split(b"\n", missing)[:missing] if line]


def _contact(contact: dict[str, Any], fields: tuple[PlannedField, ...], *, masked: bool) -> dict[str, Any]:
    """A planned contact by field name, without those that are empty."""
    values = {field.name: _value(contact, field.path) for field in fields}
    return {name: _shown(name, value, is_masked=masked) for name, value in values.items() if value is not None}


def _value(contact: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if contact is None:
            return None
        contact = contact.get(key)
    return contact


def _shown(name: str, value: Any, *, is_masked: bool) -> Any:
    return masked(name, value) if is_masked else value


def _answer(
    parts: Parts, run: Run, made: Draft, contacts: tuple[dict[str, Any], ...], *, masked: bool, withheld_known: bool
) -> Preview:
    export, access, planned = run.export, made.access, made.planned
    facts = parts.facts(run.connection)
    removals = planned.counts.leavers if run.removes else 0
    sums = planned.counts.model_dump() | {"removals": removals}
    notes = []
    if export.withhold and not withheld_known:
        sums["withheld"] = None
        notes.append(
            f"Whom {facts.title} has suppressed takes more to find out than a preview may do; the run leaves those"
            " people out, so it sends at most what stands here"
        )
    speed = pace.expected(parts, export.id, planned.counts.planned, published=facts.pace_per_minute)
    if speed.measured_by is None:
        notes.append(
            f"No run of this export can tell its pace yet: the minutes are at the published one of {facts.title}"
        )
    return Preview(
        export=export.id,
        name=export.name,
        provider=run.connection.provider,
        connection=run.connection.id,
        list_id=export.list_id,
        list_name=access.list_name,
        list_count=access.list_count,
        full=run.full,
        masked=masked,
        sums=Expected.model_validate(sums),
        requests=len(planned.batches),
        bytes=planned.bytes,
        removal_requests=math.ceil(removals / facts.removal_limit),
        duration=Duration(
            minutes=speed.minutes(planned.counts.planned),
            contacts_per_minute=round(speed.per_minute, 1),
            measured_by=None if speed.measured_by is None else address_of(export.id, speed.measured_by),
        ),
        room=_room(access.account_contacts, run.connection.plan_contacts),
        brakes=made.brakes,
        omitted_values=planned.omitted,
        compared_with=made.compared_with,
        segments=planned.segments,
        contacts=contacts,
        rejects=tuple(reject_view(row) for row in planned.reasons[:REASONS_SHOWN]),
        notes=tuple(notes),
    )


def _room(there: int | None, room: int | None) -> Room:
    left = None if there is None or room is None else max(0, room - there)
    return Room(account_contacts=there, plan_contacts=room, left=left)
