"""Planning in plain Python, for simulations of hundred thousand runs: DuckDB takes a fifth of a second for each.

What is planned is what the model of the unit tests says (`tests/unit/planning/reference.py`); this file reads and
writes files around it. They hold JSON in the place of Parquet: a list of objects with the same columns. As fingerprint
of a contact stands the contact itself, as source what the segment said. `tests/conformance/planning` holds this and
DuckDB to the same cases. Takes CSV parts, and mappings without constants.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from exporters.errors import StorageConflictError
from exporters.model.batch import Tally
from exporters.model.drift import DriftCounts, DriftKind
from exporters.model.fields import EMAIL_FIELD, ContactShape
from exporters.model.reject import Place, ReasonCount, RejectKind, RejectReason
from exporters.model.run import PlanCounts, SegmentRead
from exporters.planning.addresses import judge
from exporters.planning.batches import room_for_contacts
from exporters.planning.person import is_about
from exporters.planning.plan import PlanInputs, Planned, Stage
from exporters.planning.rejects import MOST_WORDS, StagedLines
from exporters.planning.suppressed import STRONGEST_FIRST, WITHHELD_HEADER
from exporters.planning.way_back import WayBack
from exporters.providers.base import Member
from exporters.segments.lines import BrokenLine, read_records
from exporters.segments.reading import LocalPart, LocalSegment, PartFormat
from tests.unit.planning import reference
from tests.unit.planning.reference import Contact, Entry, Expected, Line, Said

Rows = list[dict[str, Any]]

#: Of the contacts of a plan, what a row of the rejects file says too.
PLACE = ("segment", "part", "line")


def read(file: Path) -> Rows:
    """The rows of a file."""
    return list(json.loads(file.read_bytes()))


def write(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of these rows."""
    file.write_text(json.dumps(list(rows)), encoding="utf-8")


class PlainPlanning:
    """Planning for segments of a few people."""

    def make_plan(self, inputs: PlanInputs, *, work: Path, stage: Stage) -> Planned:
        shape, room = inputs.shape, room_for_contacts(inputs.limits, inputs.envelope)
        lines = [line for segment in inputs.segments for line in _lines(segment)]
        ledger = {} if inputs.ledger is None else _ledger(inputs.ledger, shape)
        suppressed = {} if inputs.suppressed is None else {row["email"]: row for row in read(inputs.suppressed)}
        plan = reference.expected(
            lines,
            shape,
            room=room,
            ledger=ledger,
            suppressed={email: row["kind"] for email, row in suppressed.items()},
            exclude=_excluded(inputs.exclude),
            full=inputs.full,
        )
        batches = reference.batches([contact.json for contact in plan.contacts], inputs.limits, inputs.envelope)
        for number, batch in enumerate(batches):
            stage(number, b"".join(contact + b"\n" for contact in batch))
        files = {name: work / f"{name}.json" for name in ("contacts", "rejects", "renewed", "withheld", "leavers")}
        write(files["contacts"], _contacts(plan.contacts, batches))
        write(files["rejects"], plan.rejects)
        write(files["renewed"], ({"email": email, "source": _source(said)} for email, said in plan.renewed.items()))
        write(files["withheld"], (row | {"since": suppressed[row["email"]]["since"]} for row in plan.withheld))
        write(files["leavers"], ({"email": email} for email in plan.leavers))
        around = len(inputs.envelope.head) + len(inputs.envelope.tail)
        return Planned(
            segments=tuple(_segment_read(segment, lines) for segment in inputs.segments),
            counts=_counts(plan),
            known=len(ledger),
            omitted=plan.rejected(RejectKind.OMITTED),
            renewed=len(plan.renewed),
            reasons=tuple(
                ReasonCount(kind=kind, reason=reason, column=column, count=count, example=Place(**place))
                for kind, reason, column, count, place in plan.reasons
            ),
            batches=tuple(map(len, batches)),
            bytes=sum(around + sum(map(len, batch)) + len(batch) - 1 for batch in batches),
            contacts=files["contacts"],
            rejects=files["rejects"],
            renewed_sources=files["renewed"],
            withheld=files["withheld"],
            leavers=files["leavers"],
        )

    def write_rejects(
        self,
        planned: Path,
        contacts: Path,
        verdicts: Mapping[int, Tally],
        target: Path,
        *,
        staged_lines: StagedLines,
        work: Path,
    ) -> tuple[ReasonCount, ...]:
        staged: dict[int, Sequence[bytes]] = {}
        found: Rows = []
        for row in sorted(read(contacts), key=lambda row: (row["batch"], row["row"])):
            kind, contact = _verdict(row, verdicts), None
            if kind is None:
                continue
            if kind is RejectKind.REFUSED:
                if row["batch"] not in staged:
                    staged[row["batch"]] = _staged(staged_lines, row["batch"])
                contact = staged[row["batch"]][row["row"]].decode()
            found.append(
                {"kind": kind.value, "reason": kind.value, "column": "", "value": "", "email": row["email"]}
                | {part: row[part] for part in PLACE}
                | {"words": _words(row["row"], verdicts.get(row["batch"])), "contact": contact}
            )
        write(target, [*read(planned), *found])
        return _sentences(found)

    def merge_ledger(
        self,
        previous: Path | None,
        contacts: Path,
        verdicts: Mapping[int, Tally],
        target: Path,
        *,
        renewed: Path | None = None,
        gone: Path | None = None,
        unsure: Path | None = None,
        everyone: bool = False,
        doubtful: bool = False,
        work: Path,
    ) -> None:
        before = {} if previous is None else {row["email"]: row for row in read(previous)}
        sent = {row["email"]: (row, _verdict(row, verdicts)) for row in read(contacts)}
        left = set(_emails(gone))
        after: dict[str, dict[str, Any]] = {email: row for email, row in before.items() if email not in left}
        for row in [] if renewed is None else read(renewed):
            if row["email"] in after and row["email"] not in sent:
                after[row["email"]] = after[row["email"]] | {"source": row["source"]}
        doubted = {email for email, (_, kind) in sent.items() if kind is RejectKind.UNKNOWN} | set(_emails(unsure))
        if doubtful:
            doubted |= after.keys()
        if everyone:
            doubted |= {email for email, (_, kind) in sent.items() if kind is not None and email in before}
        for email in doubted:
            if email in after or (email in sent and email not in before):
                after[email] = _entry(email, None, None)
        for email, (row, kind) in sent.items():
            if kind is None:
                after[email] = _entry(email, row["fingerprint"], row["source"])
        write(target, (after[email] for email in sorted(after)))

    def find_ids(self, file: Path, answers: Iterable[Path], target: Path, *, work: Path) -> int:
        ids: dict[str, list[str]] = {}
        for email, number in _members(answers):
            ids.setdefault(email, []).append(number)
        found = {email: min(filter(None, ids.get(email, [])), default="") for email in _emails(file)}
        order = sorted(found, key=lambda email: (not found[email], email))
        write(target, ({"email": email, "id": found[email]} for email in order))
        return sum(bool(number) for number in found.values())

    def read_leavers(self, file: Path, sizes: Sequence[int], *, work: Path) -> Iterator[list[Member]]:
        rows = iter(read(file))
        for size in sizes:
            yield [Member(email=row["email"], id=row.get("id") or "") for row in islice(rows, size)]

    def write_gone(
        self, file: Path, sizes: Sequence[int], verdicts: Mapping[int, Tally], *, gone: Path, unsure: Path, work: Path
    ) -> None:
        places = [(batch, row) for batch, size in enumerate(sizes) for row in range(size)]
        kinds = {
            email: reference.verdict(row, verdicts.get(batch))
            for (batch, row), email in zip(places, _emails(file), strict=True)
        }
        for target, kind in ((gone, None), (unsure, RejectKind.UNKNOWN)):
            write(target, ({"email": email} for email, found in kinds.items() if found is kind))

    def merge_suppressed(self, answers: Iterable[Path], target: Path, *, work: Path) -> None:
        strongest: dict[str, tuple[tuple[int, bool, str], dict[str, Any]]] = {}
        for answer in answers:
            with answer.open(encoding="utf-8", newline="") as file:
                for email, kind, since in csv.reader(file):
                    row = {"email": email, "kind": kind, "since": since or None}
                    rank = [each.value for each in STRONGEST_FIRST].index(kind), not since, since
                    strongest[email] = min(strongest.get(email, (rank, row)), (rank, row), key=lambda found: found[0])
        write(target, (strongest[email][1] for email in sorted(strongest)))

    def write_withheld(self, withheld: Path, target: Path, *, run_id: str, work: Path) -> None:
        rows = {(row["email"], row["kind"], row["since"] or "") for row in read(withheld)}
        with target.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(WITHHELD_HEADER)
            writer.writerows((*row, run_id) for row in sorted(rows))

    def find_drift(self, ledger: Path, answers: Iterable[Path], target: Path, *, work: Path) -> DriftCounts:
        known = {row["email"]: row["fingerprint"] is None for row in read(ledger)}
        listed = {email for email, _ in _members(answers)}
        missing = sorted(email for email, is_unsure in known.items() if not is_unsure and email not in listed)
        strangers = sorted(listed - known.keys())
        kinds = [(DriftKind.MISSING, missing), (DriftKind.STRANGER, strangers)]
        write(target, ({"email": email, "kind": kind.value} for kind, emails in kinds for email in emails))
        return DriftCounts(
            known=len(known),
            listed=len(listed),
            both=sum(email in listed for email, is_unsure in known.items() if not is_unsure),
            missing=len(missing),
            strangers=len(strangers),
            unsure=sum(known.values()),
        )

    def doubt_missing(self, ledger: Path, drift_file: Path, target: Path, *, work: Path) -> None:
        missing = {row["email"] for row in read(drift_file) if row["kind"] == DriftKind.MISSING}
        write(target, (_entry(row["email"], None, None) if row["email"] in missing else row for row in read(ledger)))

    def find_way_back(self, now: Path, then: Path, *, put_back: Path, leavers: Path, work: Path) -> WayBack:
        here, there = ({row["email"]: row["fingerprint"] for row in read(file)} for file in (now, then))
        back, gone = sorted(there.keys() - here.keys()), sorted(here.keys() - there.keys())
        put_back.write_text("".join(f'"{value}"\n' for value in (EMAIL_FIELD, *back)), encoding="utf-8")
        write(leavers, ({"email": email} for email in gone))
        changed = sum(here[email] is None or here[email] != there[email] for email in here.keys() & there.keys())
        return WayBack(put_back=len(back), leavers=len(gone), changed_since=changed, known=len(here))

    def find_person(self, file: Path, of: Sequence[str], *, limit: int, work: Path) -> Sequence[Mapping[str, Any]]:
        return [row for row in read(file) if is_about(row, of)][:limit]

    def erase_person(self, file: Path, of: Sequence[str], target: Path, *, work: Path) -> int:
        rows = read(file)
        others = [row for row in rows if not is_about(row, of)]
        if len(others) < len(rows):
            write(target, others)
        return len(rows) - len(others)


def _lines(segment: LocalSegment) -> Iterator[Line]:
    for part in segment.parts:
        assert part.format is PartFormat.CSV
        if part.has_profiles:
            yield from _lines_of_part(segment.segment, part)


def _lines_of_part(segment: str, part: LocalPart) -> Iterator[Line]:
    with part.path.open("rb") as file:
        for record in read_records(file, delimiter=part.delimiter, width=part.width, header_lines=part.header_lines):
            if isinstance(record, BrokenLine):
                yield Line(segment=segment, part=part.read.name, line=record.line, broken=record.reason)
            else:
                values = {column: record.values[position] for column, position in part.columns.items()}
                yield Line(segment=segment, part=part.read.name, line=record.line, values=values)


def _excluded(entries: Sequence[str]) -> set[str]:
    """Entries with domains in ASCII, as addresses are compared."""
    return {
        "@" + (judge(f"a{entry}") or entry).rpartition("@")[2] if entry.startswith("@") else judge(entry) or entry
        for entry in entries
    }


@lru_cache(maxsize=64)
def _digest(shape: ContactShape) -> str:
    return sha256(repr(shape).encode()).hexdigest()[:16]


def _source(said: Said) -> str:
    shape, values = said
    return json.dumps([_digest(shape), *values])


def _ledger(file: Path, shape: ContactShape) -> dict[str, Entry]:
    return {
        row["email"]: Entry(
            contact=None if row["fingerprint"] is None else row["fingerprint"].encode(),
            said=_said(row.get("source"), shape),
        )
        for row in read(file)
    }


def _said(source: str | None, shape: ContactShape) -> Said | None:
    """What a source says, where it was read by the same rules."""
    if source is None:
        return None
    digest, *values = json.loads(source)
    return (shape, tuple(values)) if digest == _digest(shape) else None


def _contacts(contacts: Sequence[Contact], batches: Sequence[Sequence[bytes]]) -> Iterator[dict[str, Any]]:
    places = ((batch, row) for batch, lines in enumerate(batches) for row in range(len(lines)))
    for (batch, row), contact in zip(places, contacts, strict=True):
        entry = _entry(contact.email, contact.json.decode(), _source(contact.said))
        yield {"batch": batch, "row": row} | entry | contact.line.place


def _entry(email: str, fingerprint: str | None, source: str | None) -> dict[str, Any]:
    return {"email": email, "fingerprint": fingerprint, "source": source}


def _segment_read(segment: LocalSegment, lines: Sequence[Line]) -> SegmentRead:
    return SegmentRead(
        segment=segment.segment,
        snapshot=segment.snapshot,
        parts=tuple(part.read for part in segment.parts),
        profiles=sum(line.segment == segment.segment for line in lines),
        written=segment.written,
        refreshed=segment.refreshed,
    )


def _counts(plan: Expected) -> PlanCounts:
    added = sum(not contact.is_known for contact in plan.contacts)
    return PlanCounts(
        read=plan.read,
        invalid=plan.rejected(RejectKind.INVALID),
        duplicate=plan.rejected(RejectKind.DUPLICATE),
        withheld=len(plan.withheld),
        unchanged=plan.unchanged,
        planned=len(plan.contacts),
        added=added,
        changed=len(plan.contacts) - added,
        leavers=len(plan.leavers),
    )


def _members(answers: Iterable[Path]) -> Iterator[Sequence[str]]:
    for answer in answers:
        yield from csv.reader(answer.read_text("utf-8").splitlines())


def _emails(file: Path | None) -> list[str]:
    return [] if file is None else [row["email"] for row in read(file)]


def _verdict(row: Mapping[str, Any], verdicts: Mapping[int, Tally]) -> RejectKind | None:
    return reference.verdict(row["row"], verdicts.get(row["batch"]))


def _words(row: int, tally: Tally | None) -> str:
    """What the provider said of a row: the first in the order of letters where it said several things."""
    if tally is None:
        return ""
    said = [words for (first, end), words in tally.refused_ranges if first <= row < end]
    return min([*said, *([tally.refused[row]] if row in tally.refused else [])], default="")


def _staged(staged_lines: StagedLines, batch: int) -> Sequence[bytes]:
    lines = staged_lines(batch)
    if lines is None:
        raise StorageConflictError(f"The batch {batch} is not staged any more: the run has ended")
    return lines


def _sentences(found: Rows) -> tuple[ReasonCount, ...]:
    """How often each sentence stands there, most often first, with its first place."""
    counts = Counter((row["kind"], row["words"]) for row in found)
    first = {
        (kind, words): min(
            tuple(row[part] for part in PLACE) for row in found if (row["kind"], row["words"]) == (kind, words)
        )
        for kind, words in counts
    }
    most = sorted(counts.items(), key=lambda item: (-item[1], *item[0]))[:MOST_WORDS]
    return tuple(
        ReasonCount(
            kind=RejectKind(kind),
            reason=RejectReason(kind),
            column="",
            count=count,
            example=Place(**dict(zip(PLACE, first[kind, words], strict=True))),
            words=words,
        )
        for (kind, words), count in most
    )
