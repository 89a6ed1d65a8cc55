"""POST /api/runs/{export}/{run}/corrections: corrected rejects of a run, as CSV; starts a run that sends only them.

Everyone who stands in the file is planned, whether their line was changed or not: who is not to be sent is taken out.
The run compares with the ledger and takes nobody off the list.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from azure.core.exceptions import AzureError

from exporters.api.answers import Answer, Request, problem
from exporters.api.runs import find, no_run, read_key, started
from exporters.errors import ExporterError, SegmentError
from exporters.model.export import Mapping
from exporters.model.fields import EMAIL_FIELD, custom_name
from exporters.model.run import Corrections, Order, Run, Trigger
from exporters.parts import Parts
from exporters.scheduling.start import Cause, has_claimed, read_export, start_run
from exporters.scratch import scratch_folder
from exporters.segments.correction import CleanFile, write_clean
from exporters.storage import paths

#: Longest file. The platform lets 100 MB through, but holds a body in memory as a whole, and so do we.
#: https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger#limits
MAX_BODY_BYTES = 16 * 1024 * 1024
#: What browsers and command lines call a CSV file. A form (multipart) or JSON is something else.
MEDIA_TYPES = frozenset(
    {"", "text/csv", "text/plain", "application/csv", "application/vnd.ms-excel", "application/octet-stream"}
)


def start(parts: Parts, request: Request) -> Answer:
    """202 with the address of the run. The same Idempotency-Key, or without one the same file, answers the same run;
    the same file starts another one when that has failed or was canceled. For people only.
    """
    run = find(parts, request)
    if run is None:
        return no_run()
    key = read_key(request)
    if isinstance(key, Answer):
        return key
    if (unusable := _unusable_body(request)) is not None:
        return unusable
    by = request.caller.label
    return started(parts, request, run.export.id, key, lambda: _begin(parts, run, key, request.body, by))


def field_names(mapping: Mapping) -> Sequence[str]:
    """The fields that a file may have columns for, the address first."""
    custom = (custom_name(name) for name in mapping.custom)
    return [EMAIL_FIELD, *(field.value for field in mapping.standard()), *custom]


def _unusable_body(request: Request) -> Answer | None:
    if len(request.body) > MAX_BODY_BYTES:
        return problem(
            "correction-too-large",
            f"Post at most {MAX_BODY_BYTES:,} bytes at once: divide the file, and keep its header on each part",
        )
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in MEDIA_TYPES:
        return None
    detail = "Post the file itself as the body, with Content-Type: text/csv"
    return problem("media-type", detail)


def _begin(parts: Parts, run: Run, key: str | None, body: bytes, by: str) -> Run | Answer | None:
    export, _ = read_export(parts, run.export.id)
    with scratch_folder("correction-") as folder:
        posted, clean = folder / "posted.csv", folder / "clean.csv"
        posted.write_bytes(body)
        try:
            found = write_clean(posted, clean, fields=field_names(export.mapping))
        except SegmentError as error:
            return problem("correction-unusable", str(error))
        return _start(parts, run, key, found, clean, digest=hashlib.sha256(body).hexdigest(), by=by)


def _start(
    parts: Parts, run: Run, key: str | None, found: CleanFile, clean: Path, *, digest: str, by: str
) -> Run | None:
    """Start the run of a file; None when the key has started the run of another one.

    The file is stored under the id of the new run before that is claimed: a run that anybody can know of has its file,
    wherever a process dies. When the claim was not won the file is deleted again; what a process leaves that dies
    before it comes to that lies below `staging/` without a run.
    """
    stored: list[str] = []

    def store(new_run: str) -> None:
        stored.append(new_run)
        parts.state.upload(paths.correction(new_run), clean)

    cause = Cause(
        trigger=Trigger.DEMAND,
        text=f"corrections of {run.id}: {key or digest}",
        order=Order(corrects=Corrections(run=run.id, digest=digest, fields=found.fields)),
        by=by,
        renewable=key is None,
    )
    try:
        begun = start_run(parts, run.export.id, cause, before_claim=store)
    finally:
        _forget_unclaimed(parts, run.export.id, cause, stored)
    same = begun.corrects is not None and begun.corrects.digest == digest
    return begun if same else None


def _forget_unclaimed(parts: Parts, export_id: str, cause: Cause, stored: Sequence[str]) -> None:
    """Delete what was stored for runs that were not started. Where nobody can say whether they were, it stays."""
    with suppress(AzureError, ExporterError):
        for new_run in stored:
            if not has_claimed(parts, export_id, cause, new_run):
                parts.state.delete(paths.correction(new_run))
