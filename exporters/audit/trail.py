"""The audit trail: an append blob a day, with two lines for each thing that somebody did.

The first line is written before anything is changed, so nothing changes that is not in the trail; the second one says
what came of it. Where it is missing, the app died in between, and what was wanted may or may not have happened. What
the app itself has done, such as the end of a run, has one line, whose id says what it is about: it may be written again
by a step that comes twice. `audit.reading` puts lines of the same id together.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
from typing import Any

from azure.core.exceptions import AzureError
from pydantic import AwareDatetime, BaseModel, ConfigDict

from exporters import log
from exporters.errors import ExporterError, StorageConflictError
from exporters.model.caller import Caller
from exporters.parts import Parts
from exporters.storage import paths

#: Longest line. Ours: documents that people write are far shorter. A block of an append blob may have 4 MiB.
#: https://learn.microsoft.com/azure/storage/blobs/scalability-targets
MAX_LINE_BYTES = 1_000_000
#: Characters of a reason that are kept.
MAX_REASON_CHARS = 1_000
#: What stands in the trail for a key, or for somebody's address: nothing is ever erased from it.
HIDDEN = "[hidden]"
#: API keys of the providers, and signing secrets of webhooks, as they look.
#: https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys
#: https://developers.brevo.com/docs/api-key-authentication
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
_KEY = re.compile(r"SG\.[\w.-]{16,}|xkeysib-[\w-]{16,}|whsec_[\w+/=-]{16,}")
#: Longest parts of an address: https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1
_ADDRESS = re.compile(r"[^\s@<>(),;:\"]{1,64}@[^\s@<>(),;:\"]{1,255}")
#: Members of a document that say who has written it when, as the trail does.
_STAMPS = frozenset({"created", "updated"})
#: Member that holds `Caller.label`, which is an address for most people who sign in.
_BY = "by"


class Action(StrEnum):
    """What can be done. Words of the API, and of the page that shows the trail; none is ever renamed."""

    CONNECTION_CREATED = "connection created"
    CONNECTION_CONNECTED = "connection connected"
    CONNECTION_EDITED = "connection edited"
    CONNECTION_KEY_ROTATED = "connection key rotated"
    CONNECTION_REMOVED = "connection removed"
    LIST_CREATED = "list created"
    EXPORT_CREATED = "export created"
    EXPORT_EDITED = "export edited"
    EXPORT_ATTACHED = "export attached"
    EXPORT_DETACHED = "export detached"
    EXPORT_REMOVED = "export removed"
    RUN_STARTED = "run started"
    RUN_APPROVED = "run approved"
    RUN_REJECTED = "run rejected"
    RUN_CANCELED = "run canceled"
    RUN_ENDED = "run ended"
    OCCURRENCE_SKIPPED = "occurrence skipped"
    PEOPLE_SHOWN = "people shown"
    PERSON_LOOKED_UP = "person looked up"
    ERASURE_STARTED = "erasure started"
    PERSON_ERASED = "person erased"
    CONFIGURATION_APPLIED = "configuration applied"


class Result(StrEnum):
    """What came of it."""

    WANTED = "wanted"  #: not known yet
    DONE = "done"
    NOT_DONE = "not done"


class Entry(BaseModel):
    """One line of the trail. The two lines of one thing have the same id."""

    model_config = ConfigDict(frozen=True)

    id: str
    at: AwareDatetime
    began: AwareDatetime | None = None  #: of a second line: when the first one was written
    action: Action
    caller: Caller
    subject: str  #: address below /api of what it was done to, such as /exports/newsletter
    result: Result
    reason: str = ""  #: what the caller gave as one, or why it was not done
    #: What was different before, without secrets and people's data; None: there was nothing.
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None  #: the same afterwards
    cut: bool = False  #: before and after were too long to keep


class Course:
    """What comes of something while it is done."""

    def __init__(self) -> None:
        self.result = Result.DONE
        self.reason = ""

    def not_done(self, reason: str) -> None:
        """Say that it was refused, and why: for what ends without an exception."""
        self.result, self.reason = Result.NOT_DONE, reason


def write(parts: Parts, entry: Entry) -> None:
    """Add a line to the trail of its day. Raises AzureError or StorageConflictError where it cannot be written.

    Repeating it does no harm: readers see lines of the same id as one entry.
    """
    line = _line(entry)
    day = entry.at.astimezone(UTC)
    try:
        parts.trail.append(paths.audit(day), line)
    except StorageConflictError:
        _append_to_another(parts, day, line)


def note(
    parts: Parts,
    caller: Caller,
    action: Action,
    subject: str,
    *,
    id: str,  # noqa: A002 (as the entry calls it)
    at: datetime,
    reason: str = "",
    before: BaseModel | None = None,
    after: BaseModel | None = None,
) -> None:
    """One line about what has happened already. The same `id` and `at` may come again: that is one entry."""
    entry = Entry(id=id, at=at, action=action, caller=caller, subject=subject, result=Result.DONE, reason=reason)
    write(parts, _telling(entry, before, after))


@contextmanager
def audited(
    parts: Parts,
    caller: Caller,
    action: Action,
    subject: str,
    *,
    reason: str = "",
    before: BaseModel | None = None,
    after: BaseModel | None = None,
) -> Iterator[Course]:
    """What is done within goes into the trail: that it was wanted before, and afterwards whether it was done.

    It was not where an exception leaves the block, or where `Course.not_done` was called. `before` and `after` must not
    hold secrets. Raises as `write` where the first line cannot be written: then nothing may be done. The second line is
    left out where it cannot be written: what was done stays done, and the trail says that it is not known.
    """
    id, at = parts.new_id(), parts.now()  # noqa: A001 (as the entry calls it)
    entry = Entry(id=id, at=at, action=action, caller=caller, subject=subject, result=Result.WANTED, reason=reason)
    entry = _telling(entry, before, after)
    write(parts, entry)
    course = Course()
    try:
        yield course
    except Exception as error:
        # The texts of other errors may quote values.
        course.not_done(str(error) if isinstance(error, ExporterError) else type(error).__name__)
        _say(parts, entry, course)
        raise
    _say(parts, entry, course)


def hidden(text: str) -> str:
    """A text without keys and e-mail addresses, as far as they can be told."""
    without_keys = _KEY.sub(HIDDEN, text)
    return _ADDRESS.sub(HIDDEN, without_keys) if "@" in without_keys else without_keys


def _say(parts: Parts, first: Entry, course: Course) -> None:
    """The second line."""
    bare = {"before": None, "after": None, "reason": course.reason}
    second = first.model_copy(update={**bare, "at": parts.now(), "began": first.at, "result": course.result})
    try:
        write(parts, second)
    except (AzureError, StorageConflictError) as error:
        log.step("audit", "result not written", level=logging.ERROR, id=first.id, error=type(error).__name__)


def _append_to_another(parts: Parts, day: datetime, line: bytes) -> None:
    """Add a line to the next blob of a day whose first one is full: it takes 50,000 additions.

    https://learn.microsoft.com/azure/storage/blobs/scalability-targets
    """
    there = {blob.name for blob in parts.trail.list(paths.audit_day(day))}
    newest = next(number for number in count(2) if paths.audit(day, number + 1) not in there)
    try:
        parts.trail.append(paths.audit(day, newest), line)
    except StorageConflictError:
        parts.trail.append(paths.audit(day, newest + 1), line)


def _telling(entry: Entry, before: BaseModel | None, after: BaseModel | None) -> Entry:
    """The entry with what of a document is different afterwards."""
    was, now = _differing(_document(before), _document(after))
    return entry.model_copy(update={"before": was, "after": now})


def _line(entry: Entry) -> bytes:
    entry = entry.model_copy(update={"reason": hidden(entry.reason)[:MAX_REASON_CHARS]})
    line = entry.model_dump_json(exclude_defaults=True).encode() + b"\n"
    if len(line) <= MAX_LINE_BYTES:
        return line
    short = entry.model_copy(update={"before": None, "after": None, "cut": True})
    return short.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _document(model: BaseModel | None) -> dict[str, Any] | None:
    """What the trail keeps of a document."""
    if model is None:
        return None
    members = model.model_dump(mode="json")
    return {name: _kept(name, value) for name, value in members.items() if name not in _STAMPS}


def _kept(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return _KEY.sub(HIDDEN, value) if name == _BY else hidden(value)
    if isinstance(value, Mapping):
        return {key: _kept(key, inner) for key, inner in value.items()}
    return [_kept(name, inner) for inner in value] if isinstance(value, list | tuple) else value


def _differing(
    before: dict[str, Any] | None, after: dict[str, Any] | None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Of two documents, the members that are not the same in both."""
    if before is None or after is None:
        return before, after
    same = {name for name in before.keys() & after.keys() if before[name] == after[name]}
    return (
        {name: value for name, value in before.items() if name not in same},
        {name: value for name, value in after.items() if name not in same},
    )
