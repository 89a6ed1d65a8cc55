"""Read the audit trail: the entries of some days, newest first, a page at a time.

A day is read at once: its lines are put together by their ids, so that neither their order nor a line that stands there
twice matters. Of each line only the place is kept until the page is cut; what cannot be read is counted and left out.
"""

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from io import BufferedReader
from pathlib import Path

from pydantic import ValidationError

from exporters.audit.trail import MAX_LINE_BYTES, Action, Entry, Result
from exporters.parts import Parts
from exporters.scratch import scratch_folder
from exporters.storage import paths
from exporters.storage.blobs import BlobInfo

#: What one page reads at most, but for the first day; it ends there with however many entries it has. Ours: so that an
#: answer takes seconds.
MAX_BYTES_READ = 100_000_000
MAX_DAYS_READ = 100
#: Bytes of the documents on one page, but for its first entry.
MAX_PAGE_BYTES = 8 * 1024 * 1024
#: Bytes that are read at once. A blob that is added to while it is read has to be read in ranges: a longer download is
#: one of a single version.
RANGE = 4 * 1024 * 1024

_NAME = re.compile(rf"{paths.AUDIT}(?P<day>\d{{4}}-\d{{2}}-\d{{2}})(\.\d+)?\.jsonl")
#: A second line has this member, and a first one has not, unless within a text.
_SECOND = b'"began":'


#: Times of entries are told apart so far.
_MOMENT = timedelta(microseconds=1)
#: After every id.
_LAST = "\U0010ffff"


class EntryOutcome(StrEnum):
    """What came of an entry."""

    DONE = "done"
    NOT_DONE = "not done"
    NOT_KNOWN = "not known whether done"  #: it is being done now, or the app died meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries are wanted. None and empty: all."""

    since: datetime  #: in UTC
    until: datetime  #: not included
    action: Action | None = None
    subject: str = ""  #: what subjects begin with
    caller: str = ""  #: id of the caller, or a part of the name
    outcome: EntryOutcome | None = None

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is wanted, as far as its first line says."""
        return (
            self.since <= entry.at < self.until
            and self.action in {None, entry.action}
            and entry.subject.startswith(self.subject)
            and (self.caller == entry.caller.id or self.caller.casefold() in entry.caller.label.casefold())
        )


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a page begins: at the first entry that is older; of two at the same time the one with the lower id is."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An entry, and what came of it."""

    entry: Entry
    outcome: EntryOutcome
    ended: datetime | None  #: when that was; None where it is not known
    why: str  #: it was not done


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some entries, newest first."""

    entries: Sequence[Told]
    after: Place | None  #: for the next page; None: there are no more
    unreadable: int  #: lines of the days that were read


@dataclass(frozen=True, slots=True)
class _Line:
    """A first line, where it stands."""

    place: Place
    file: BufferedReader
    offset: int
    bytes: int


@dataclass(slots=True)
class _Day:
    """The lines of a day."""

    firsts: dict[str, _Line] = field(default_factory=dict)
    unreadable: int = 0


def read_page(
    parts: Parts,
    wanted: Wanted,
    *,
    after: Place | None,
    limit: int,
    max_days: int = MAX_DAYS_READ,
    max_bytes: int = MAX_BYTES_READ,
    max_page_bytes: int = MAX_PAGE_BYTES,
) -> Page:
    """The first `limit` entries that are wanted and older than `after`; fewer where there are many days to be read."""
    newest = wanted.until - _MOMENT
    until = (newest if after is None else min(newest, after.at)).date()
    told: list[Told] = []
    later: dict[str, Entry] = {}  # second lines of the day after
    unreadable = bytes_read = page_bytes = days_read = 0
    for day, blobs in _days(parts, since=wanted.since.date(), until=until):
        if days_read and (bytes_read > max_bytes or days_read > max_days):
            return Page(entries=told, after=_end_of(day), unreadable=unreadable)
        with ExitStack() as stack:
            files = [stack.enter_context(file.open("rb")) for file in _downloads(parts, blobs, stack)]
            seconds = _seconds(files)
            if day <= until:
                days_read, bytes_read = days_read + 1, bytes_read + sum(blob.size for blob in blobs)
                found = _firsts(files, wanted)
                unreadable += found.unreadable
                lines = _of_page(found.firsts, {**later, **seconds}, wanted, after)
                for line in heapq.nlargest(limit + 1 - len(told), lines, key=lambda line: line.place):
                    if len(told) == limit or (told and page_bytes > max_page_bytes):
                        last = told[-1].entry
                        return Page(entries=told, after=Place(last.at, last.id), unreadable=unreadable)
                    told.append(_told(_read(line), {**later, **seconds}))
                    page_bytes += line.bytes
        later = seconds
    return Page(entries=told, after=None, unreadable=unreadable)


def _days(parts: Parts, *, since: date, until: date) -> list[tuple[date, list[BlobInfo]]]:
    """Days with their blobs, newest first; with the one after `until`, which may have what came of entries of that."""
    found: dict[date, list[BlobInfo]] = {}
    for blob in parts.trail.list(paths.AUDIT):
        name = _NAME.fullmatch(blob.name)
        if name is not None and str(since) <= name["day"] <= str(until + timedelta(days=1)):
            found.setdefault(date.fromisoformat(name["day"]), []).append(blob)
    return sorted(found.items(), reverse=True)


def _end_of(day: date) -> Place:
    """The place that all entries of a day come after, and none of the next day."""
    return Place(datetime.combine(day, time.max, UTC), _LAST)


def _downloads(parts: Parts, blobs: Sequence[BlobInfo], stack: ExitStack) -> Iterator[Path]:
    folder = stack.enter_context(scratch_folder("audit-"))
    for number, blob in enumerate(blobs):
        file = folder / str(number)
        with file.open("wb") as target:
            for offset in range(0, blob.size, RANGE):
                target.write(parts.trail.read(blob.name, offset=offset, length=min(RANGE, blob.size - offset)))
        yield file


def _lines(file: BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Each line, and where it begins. What is longer than any of ours comes in pieces, none of which can be read."""
    file.seek(0)
    offset = 0
    while line := file.readline(2 * MAX_LINE_BYTES):
        yield offset, line
        offset += len(line)


def _seconds(files: Sequence[BufferedReader]) -> dict[str, Entry]:
    """What came of entries, by their ids."""
    found: dict[str, Entry] = {}
    for file in files:
        for _, line in _lines(file):
            entry = _entry(line) if _SECOND in line else None
            if entry is not None and entry.began is not None and entry.result is not Result.WANTED:
                found.setdefault(entry.id, entry)
    return found


def _firsts(files: Sequence[BufferedReader], wanted: Wanted) -> _Day:
    """Where the wanted entries of a day begin, by their ids."""
    day = _Day()
    for file in files:
        for offset, line in _lines(file):
            entry = _entry(line)
            if entry is None:
                day.unreadable += 1
            elif entry.began is None and wanted.fits(entry):
                here = _Line(Place(entry.at, entry.id), file, offset, len(line))
                first = day.firsts.setdefault(entry.id, here)
                if here.place < first.place:
                    day.firsts[entry.id] = here
    return day


def _entry(line: bytes) -> Entry | None:
    try:
        return Entry.model_validate_json(line)
    except ValidationError:
        return None


def _of_page(
    firsts: Mapping[str, _Line], seconds: Mapping[str, Entry], wanted: Wanted, after: Place | None
) -> Iterator[_Line]:
    for line in firsts.values():
        if after is not None and line.place >= after:
            continue
        if wanted.outcome is None or wanted.outcome is _told(_read(line), seconds).outcome:
            yield line


def _read(line: _Line) -> Entry:
    line.file.seek(line.offset)
    return Entry.model_validate_json(line.file.readline())


def _told(entry: Entry, seconds: Mapping[str, Entry]) -> Told:
    second = seconds.get(entry.id)
    if second is not None:
        return Told(entry=entry, outcome=EntryOutcome(second.result), ended=second.at, why=second.reason)
    if entry.result is Result.WANTED:
        return Told(entry=entry, outcome=EntryOutcome.NOT_KNOWN, ended=None, why="")
    return Told(entry=entry, outcome=EntryOutcome(entry.result), ended=entry.at, why="")
