"""Brakes: what looks like harm in a plan, so that a person looks at it before anything is written at the provider.

Pure: numbers go in, reasons to hold the run come out.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from exporters.model.brake import Brake, BrakeKind
from exporters.model.export import Export, Mode
from exporters.model.reject import ReasonCount, RejectReason
from exporters.model.run import LastRead, PlanCounts, SegmentRead

#: Fewer people than this leave a list without a question, whatever share they are: small lists change in large shares.
FEWEST_REMOVED = 10

#: Rejects of whole lines, of which no address is known. `_cut_off` looks at the last line of a file.
UNREADABLE_LINES = {RejectReason.LINE_MALFORMED, RejectReason.ENCODING_BROKEN, RejectReason.NUL_BYTE}

_APPROVE = "Approve the run if that is right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a plan has read and counted, and what that is held against."""

    segments: Sequence[SegmentRead]
    counts: PlanCounts
    reasons: Sequence[ReasonCount]
    known: int  #: people in the ledger
    last_read: Mapping[str, LastRead]  #: by segment
    provider: str  #: its name as people know it
    stated_limit: int  #: profiles that the provider's former connector is stated to carry
    account_contacts: int | None = None
    plan_contacts: int | None = None


def find_brakes(
    export: Export, evidence: Evidence, *, correction: bool = False, goes_back: bool = False
) -> tuple[Brake, ...]:
    """Everything that holds a run, in the order in which it should be looked at.

    A correction sends a few people again, whatever their segments are now: only limits can hold it. A run that goes
    back to a former ledger reads no segments either, and removes people whatever the mode is.
    """
    found: list[Brake] = []
    if goes_back:
        found += _mass_removal(export, evidence, remedy="go back to another run")
    elif not correction:
        for segment in evidence.segments:
            found += _segment_brakes(export, segment, evidence.last_read.get(segment.segment))
        found += _cut_off(export, evidence.reasons)
        found += _unreadable(export, evidence)
        if export.mode is Mode.MIRROR:
            found += _mass_removal(export, evidence, remedy="look for those people at the segment's source")
    found += _provider_limit(export, evidence)
    found += _plan_room(evidence)
    return tuple(found)


def _segment_brakes(export: Export, read: SegmentRead, last: LastRead | None) -> Iterator[Brake]:
    if read.profiles == 0:
        yield _empty(export, read, last)
    elif last is not None:
        yield from _shrunken(export, read, last)
    if last is not None:
        yield from _older(read, last)


def _empty(export: Export, read: SegmentRead, last: LastRead | None) -> Brake:
    before = f", and the last run read {last.profiles:,} from it" if last is not None and last.profiles else ""
    outcome = "takes its people off the list" if export.mode is Mode.MIRROR else "sends nobody from it"
    return Brake(
        kind=BrakeKind.EMPTY,
        segment=read.segment,
        value=0,
        limit=1,
        sentence=(
            f"The segment {read.segment} has no profile{before}. Reject the run and correct the segment at its source;"
            f" an approved run {outcome}."
        ),
    )


def _shrunken(export: Export, read: SegmentRead, last: LastRead) -> Iterator[Brake]:
    share = export.brakes.min_share_of_last
    fewest = math.ceil(_part(share, last.profiles))
    if read.profiles < fewest:
        yield Brake(
            kind=BrakeKind.SHRUNKEN,
            segment=read.segment,
            value=read.profiles,
            limit=fewest,
            sentence=(
                f"The segment {read.segment} has {_count(read.profiles, 'profile')}, and the last run read"
                f" {last.profiles:,}: less than {_percent(share)} of it (brakes.min_share_of_last). {_APPROVE}: the"
                " next run is held against this one then. Else reject it, and correct the segment at its source."
            ),
        )


def _older(read: SegmentRead, last: LastRead) -> Iterator[Brake]:
    now, before = read.refreshed, last.refreshed
    if now is None or before is None:
        now, before = read.written, last.written
    if now is not None and before is not None and now < before:
        yield Brake(
            kind=BrakeKind.OLDER,
            segment=read.segment,
            value=int(now.timestamp()),  # both in seconds since 1970
            limit=int(before.timestamp()),
            sentence=(
                f"The newest complete snapshot of the segment {read.segment} is of {_time(now)}, and the last run read"
                f" one of {_time(before)}: a newer one was deleted, or replaced by an old one. {_APPROVE}; else reject"
                " it, and have the segment exported again."
            ),
        )


def _cut_off(export: Export, reasons: Sequence[ReasonCount]) -> Iterator[Brake]:
    cut = [row for row in reasons if row.reason is RejectReason.LINE_CUT_OFF]
    if cut:
        files, place = sum(row.count for row in cut), cut[0].example
        more = "" if files == 1 else f", and so {'does' if files == 2 else 'do'} {_count(files - 1, 'other file')}"
        lost = "; who is missing would be taken off the list" if export.mode is Mode.MIRROR else ""
        yield Brake(
            kind=BrakeKind.CUT_OFF,
            segment=place.segment,
            value=files,
            limit=0,
            sentence=(
                f"{place.part} ends in the middle of line {place.line:,}{more}: people may be missing after it. Reject"
                f" the run and have the segment exported again, or approve it to go on with those who are there{lost}."
            ),
        )


def _unreadable(export: Export, evidence: Evidence) -> Iterator[Brake]:
    """Nobody knows whose lines these are, so somebody who seems to have left may stand in one."""
    rows = [row for row in evidence.reasons if row.reason in UNREADABLE_LINES]
    leavers = evidence.counts.leavers
    if export.mode is Mode.MIRROR and rows and leavers:
        lines, place = sum(row.count for row in rows), rows[0].example
        yield Brake(
            kind=BrakeKind.UNREADABLE,
            segment=place.segment,
            value=lines,
            limit=0,
            sentence=(
                f"{_count(lines, 'line')} cannot be read, the first one at line {place.line:,} of {place.part}, and"
                f" {_count(leavers, 'person', 'people')} would be taken off the list who may stand there. Reject the"
                " run and correct the lines at their source, or approve it to remove those people."
            ),
        )


def _mass_removal(export: Export, evidence: Evidence, *, remedy: str) -> Iterator[Brake]:
    leavers, share = evidence.counts.leavers, export.brakes.max_share_removed
    most = math.floor(_part(share, evidence.known))
    if leavers >= FEWEST_REMOVED and leavers > most:
        yield Brake(
            kind=BrakeKind.MASS_REMOVAL,
            value=leavers,
            limit=most,
            sentence=(
                f"{_count(leavers, 'person', 'people')} of the {evidence.known:,} whom this export has put on the list"
                f" would be taken off it: more than {_percent(share)} (brakes.max_share_removed). {_APPROVE}; else"
                f" reject it, and {remedy}."
            ),
        )


def _provider_limit(export: Export, evidence: Evidence) -> Iterator[Brake]:
    own = export.brakes.max_profiles
    limit = evidence.stated_limit if own is None else own
    if evidence.counts.read > limit:
        if own is None:
            whose = f"that exports to {evidence.provider} are stated to carry"
            remedy = "set brakes.max_profiles of the export to the number that you expect"
        else:
            whose = "that brakes.max_profiles of the export allows"
            remedy = "raise brakes.max_profiles"
        yield Brake(
            kind=BrakeKind.PROVIDER_LIMIT,
            value=evidence.counts.read,
            limit=limit,
            sentence=(
                f"The run has {_count(evidence.counts.read, 'profile')}, more than the {limit:,} {whose}. {_APPROVE},"
                f" and {remedy} so that the next one is not held."
            ),
        )


def _plan_room(evidence: Evidence) -> Iterator[Brake]:
    there, room, added = evidence.account_contacts, evidence.plan_contacts, evidence.counts.added
    if there is not None and room is not None and added and there + added > room:
        yield Brake(
            kind=BrakeKind.PLAN_ROOM,
            value=there + added,
            limit=room,
            sentence=(
                f"The account has {_count(there, 'contact')}, and up to {added:,} would be added, while its plan"
                f" includes {room:,} (plan_contacts of the connection). Make room, or book a larger plan and raise"
                " plan_contacts; approve the run if those people are in the account already."
            ),
        )


def _part(share: float, whole: int) -> Decimal:
    """A share as it was written: 0.07 of 100 is 7, and not a little more."""
    return Decimal(str(share)) * whole


def _percent(share: float) -> str:
    return f"{share * 100:g}%"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
