"""Plans of generated segments and mappings, held against the plain model in `reference.py`."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from exporters.model.batch import Tally
from exporters.model.fields import ContactShape
from exporters.model.reject import RejectKind
from exporters.planning.batches import cut_batches
from exporters.planning.ledger import merge_ledger
from exporters.planning.values import untidy
from exporters.providers.base import BatchLimits, Envelope
from tests.unit.planning import generated, reference
from tests.unit.planning.generated import Files, Part, Person, Style
from tests.unit.planning.plans import ENVELOPE, Outcome, aside, parquet, plan, rows
from tests.unit.planning.reference import Contact, Entry, Expected, Ledger, Said

#: Each example takes long, so there are few of them, and what fails is shown as it is rather than made smaller.
few = settings(
    max_examples=30,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

limits = st.builds(BatchLimits, max_contacts=st.integers(1, 6), max_body_bytes=st.integers(150, 600))
envelopes = st.builds(Envelope, head=st.binary(max_size=20), tail=st.just(b"]}"))
entries = ("a@example.com", "b@example.com", "c@example.com", "b@xn--bcher-kva.example", "stranger@example.com")
#: What the provider says of suppressed people, and since when.
SINCE = {"unsubscribed": None, "bounced": "2026-11-20T10:00:00Z"}
suppressions = st.dictionaries(st.sampled_from([*entries, "d@example.org"]), st.sampled_from(sorted(SINCE)), max_size=2)
exclusions = st.sets(st.sampled_from(["c@example.com", "@example.org", "@other.example", '"q q"@example.com']))
segments = st.sampled_from([["vip"], ["vip", "ž/all people"]]).flatmap(generated.segments)


def ledger_file(file: Path, ledger: Ledger) -> Path:
    """A ledger of an older version, which has no sources."""
    return parquet(
        file,
        "email VARCHAR, fingerprint UBIGINT",
        [
            (email, None if entry.contact is None else reference.fingerprint(entry.contact))
            for email, entry in ledger.items()
        ],
    )


def suppressed_file(file: Path, suppressed: Mapping[str, str]) -> Path:
    values = [(email, kind, SINCE[kind]) for email, kind in suppressed.items()]
    return parquet(file, "email VARCHAR, kind VARCHAR, since VARCHAR", values)


def room(limits: BatchLimits, envelope: Envelope) -> int:
    return limits.max_body_bytes - len(envelope.head) - len(envelope.tail)


def check(outcome: Outcome, model: Expected, limits: BatchLimits, envelope: Envelope, known: int) -> None:
    """Everything that a plan answers is as the model has it."""
    packed = reference.batches([contact.json for contact in model.contacts], limits, envelope)
    check_staged(outcome, packed, envelope)
    check_contacts_file(outcome, model.contacts, packed)
    assert outcome.rejects == model.rejects
    planned = outcome.planned
    assert [
        (reason.kind, reason.reason, reason.column, reason.count, reason.example.model_dump())
        for reason in planned.reasons
    ] == model.reasons
    check_counts(outcome, model, known)
    assert rows(planned.withheld) == [row | {"since": SINCE[row["kind"]]} for row in model.withheld]
    assert [row["email"] for row in rows(planned.leavers)] == model.leavers
    assert sorted(row["email"] for row in rows(planned.renewed_sources)) == sorted(model.renewed)


def check_staged(outcome: Outcome, packed: Sequence[Sequence[bytes]], envelope: Envelope) -> None:
    assert list(outcome.staged) == [b"".join(contact + b"\n" for contact in batch) for batch in packed]
    assert outcome.planned.batches == tuple(map(len, packed))
    assert outcome.planned.bytes == sum(len(envelope.head + b",".join(batch) + envelope.tail) for batch in packed)


def check_contacts_file(outcome: Outcome, contacts: Sequence[Contact], packed: Sequence[Sequence[bytes]]) -> None:
    places = [(batch, row) for batch, lines in enumerate(packed) for row in range(len(lines))]
    found = [{key: row[key] for key in row if key != "source"} for row in rows(outcome.planned.contacts)]
    assert found == [
        {
            "batch": batch,
            "row": row,
            "email": contact.email,
            "fingerprint": reference.fingerprint(contact.json),
            **contact.line.place,
        }
        for (batch, row), contact in zip(places, contacts, strict=True)
    ]


def check_counts(outcome: Outcome, model: Expected, known: int) -> None:
    counts = outcome.planned.counts
    assert counts.closes
    added = sum(not contact.is_known for contact in model.contacts)
    assert counts.model_dump() == {
        "read": model.read,
        "invalid": model.rejected(RejectKind.INVALID),
        "duplicate": model.rejected(RejectKind.DUPLICATE),
        "withheld": len(model.withheld),
        "unchanged": model.unchanged,
        "planned": len(model.contacts),
        "added": added,
        "changed": len(model.contacts) - added,
        "leavers": len(model.leavers),
    }
    assert outcome.planned.known == known
    assert outcome.planned.omitted == model.rejected(RejectKind.OMITTED)
    assert outcome.planned.renewed == len(model.renewed)


@few
@given(
    parts=segments,
    shape=generated.shapes(least=2),
    limits=limits,
    envelope=envelopes,
    suppressed=st.none() | suppressions,
    exclude=exclusions,
    known=st.none() | st.dictionaries(st.sampled_from(entries), st.sampled_from(["same", "other", "nothing"])),
    full=st.booleans(),
)
def test_a_plan_is_that_of_the_model(
    parts: Mapping[str, Sequence[Part]],
    shape: ContactShape,
    limits: BatchLimits,
    envelope: Envelope,
    suppressed: Mapping[str, str] | None,
    exclude: set[str],
    known: Mapping[str, str] | None,
    full: bool,
) -> None:
    files, space = generated.files(parts), room(limits, envelope)
    now = {
        contact.email: contact.json
        for contact in reference.expected(files.lines, shape, room=space, exclude=exclude).contacts
    }
    ledger = {
        email: Entry(contact={"same": now.get(email), "other": b"other"}.get(how), said=None)
        for email, how in (known or {}).items()
    }
    with TemporaryDirectory() as folder:
        work = Path(folder)
        outcome = plan(
            files.blobs,
            work / "plan",
            segments=files.segments,
            shape=shape,
            limits=limits,
            envelope=envelope,
            ledger=None if known is None else ledger_file(work / "ledger", ledger),
            suppressed=None if suppressed is None else suppressed_file(work / "suppressed", suppressed),
            exclude=sorted(exclude),
            full=full,
        )
        model = reference.expected(
            files.lines, shape, room=space, ledger=ledger, suppressed=suppressed, exclude=exclude, full=full
        )
        check(outcome, model, limits, envelope, len(ledger))
        assert [(read.segment, read.profiles) for read in outcome.planned.segments] == [
            (segment, sum(line.segment == segment for line in files.lines)) for segment in files.segments
        ]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(2, 40)), max_size=40, unique_by=lambda pair: pair[0]),
    st.integers(1, 9),
    st.integers(40, 120),
    envelopes,
)
def test_batches_are_full_to_the_byte_wherever_their_contacts_stand(
    contacts: list[tuple[int, int]], most: int, space: int, envelope: Envelope
) -> None:
    limits = BatchLimits(max_contacts=most, max_body_bytes=space + len(envelope.head) + len(envelope.tail))
    placed = sorted(contacts)
    aside().execute("CREATE OR REPLACE TABLE planned (id BIGINT, bytes UINTEGER)")
    if placed:
        aside().executemany("INSERT INTO planned VALUES (?, ?)", placed)
    packed = reference.batches([b"x" * size for _, size in placed], limits, envelope)
    firsts = [sum(map(len, packed[:number])) for number in range(len(packed))]
    assert [
        (batch.first_id, batch.last_id, batch.contacts, batch.body_bytes)
        for batch in cut_batches(aside(), limits, envelope)
    ] == [
        (
            placed[first][0],
            placed[first + len(batch) - 1][0],
            len(batch),
            len(envelope.head + b",".join(batch) + envelope.tail),
        )
        for first, batch in zip(firsts, packed, strict=True)
    ]


@settings(parent=few, max_examples=8)
@given(parts=segments, shape=generated.shapes(least=2), limits=limits)
def test_the_two_passes_make_what_the_one_pass_makes(
    parts: Mapping[str, Sequence[Part]], shape: ContactShape, limits: BatchLimits
) -> None:
    files = generated.files(parts)
    with TemporaryDirectory() as folder:
        nobody = ledger_file(Path(folder) / "nobody", {})
        one, two = (
            plan(files.blobs, Path(folder) / name, segments=files.segments, shape=shape, limits=limits, ledger=ledger)
            for name, ledger in (("one", None), ("two", nobody))
        )
        assert one.staged == two.staged
        assert one.rejects == two.rejects
        assert rows(one.planned.contacts) == rows(two.planned.contacts)
        assert (one.planned.counts, one.planned.reasons) == (two.planned.counts, two.planned.reasons)


#: Contacts of a batch, in runs one after the other.
BATCH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A run: what it finds, and what becomes of it."""

    people: Sequence[int]  #: numbers of people in the segment
    style: Style
    shape: int
    full: bool
    fates: str  #: of planned contacts, over and over: delivered, refused alone or with the Request, unknown
    silent: bool  #: the last batch has no outcome
    leavers: str  #: of leavers, over and over: gone, unsure, or staying on the list
    forgets: bool  #: the ledger is that of an older version: without sources


steps = st.builds(
    Step,
    people=st.randoms(use_true_random=True).map(
        lambda chance: chance.choices(range(28), k=chance.choice([0, 8, 14, 20]))
    ),
    style=st.builds(replace, generated.styles, parquet=st.booleans()),
    shape=st.sampled_from([0, 0, 0, 1]),
    full=st.sampled_from([False, False, False, True]),
    fates=st.sampled_from(["d", "dddu", "ddr", "dRRdu", "udud"]),
    silent=st.sampled_from([False, False, True]),
    leavers=st.sampled_from(["s", "s", "gus"]),
    forgets=st.sampled_from([False, False, False, True]),
)


def tally(fates: str) -> Tally:
    """The verdicts of a batch, a letter a row. Rows between two of a refused request, or two unknown ones, are too."""
    ranges = {fate: (fates.index(fate), fates.rindex(fate) + 1) for fate in "Ru" if fate in fates}
    return Tally(
        refused={row: "no" for row, fate in enumerate(fates) if fate == "r"},
        refused_ranges=((ranges["R"], "no"),) if "R" in ranges else (),
        unknown_ranges=(ranges["u"],) if "u" in ranges else (),
    )


@dataclass
class History:
    """Runs one after the other, beside what the model makes of them."""

    folder: Path
    file: Path | None = None  #: the ledger in force
    ledger: Mapping[str, Entry] = field(default_factory=dict)
    digests: dict[Said, int] = field(default_factory=dict)  #: what was said of people -> as it stands in ledgers
    on_list: dict[str, bytes] = field(default_factory=dict)  #: the form in which people are known to be on the list

    def run(self, number: int, step: Step, everyone: Sequence[Person], shape: ContactShape) -> None:
        work = self.folder / str(number)
        work.mkdir()
        files = generated.files({"people": [Part([everyone[n] for n in step.people], step.style)]})
        limits = BatchLimits(max_contacts=BATCH, max_body_bytes=100_000)
        outcome = plan(files.blobs, work / "plan", shape=shape, limits=limits, ledger=self.file, full=step.full)
        space = room(limits, ENVELOPE)
        model = reference.expected(files.lines, shape, room=space, ledger=self.ledger, full=step.full)
        check(outcome, model, limits, ENVELOPE, len(self.ledger))
        self.check_promise(outcome, files, shape, space, full=step.full)
        self.learn(outcome, model)
        self.finish(step, outcome, model, work)

    def check_promise(self, outcome: Outcome, files: Files, shape: ContactShape, space: int, *, full: bool) -> None:
        """Whoever stands in the segment is planned, unless known to be delivered in just this form."""
        there = {contact.email: contact.json for contact in reference.expected(files.lines, shape, room=space).contacts}
        planned = {row["email"] for row in rows(outcome.planned.contacts)}
        assert planned == {email for email, contact in there.items() if full or self.on_list.get(email) != contact}

    def learn(self, outcome: Outcome, model: Expected) -> None:
        """Equal words have equal digests, and different ones have different digests."""
        digest = {
            row["email"]: row["source"]
            for file in ("contacts", "renewed_sources")
            for row in rows(getattr(outcome.planned, file))
        }
        said = {contact.email: contact.said for contact in model.contacts} | model.renewed
        for email, words in said.items():
            assert self.digests.setdefault(words, digest[email]) == digest[email]
        assert len(set(self.digests.values())) == len(self.digests)

    def finish(self, step: Step, outcome: Outcome, model: Expected, work: Path) -> None:
        fates = "".join(step.fates[n % len(step.fates)] for n in range(len(model.contacts)))
        verdicts = {batch: tally(fates[batch * BATCH :][:BATCH]) for batch in range(len(outcome.staged))}
        if step.silent and verdicts:
            del verdicts[len(verdicts) - 1]
        leavers = {email: step.leavers[n % len(step.leavers)] for n, email in enumerate(model.leavers)}
        gone, unsure = ([email for email, fate in leavers.items() if fate == letter] for letter in "gu")
        self.file, again = (
            self.merge(work / name, outcome, verdicts, gone, unsure, everyone=step.full)
            for name in ("ledger", "ledger of a second finish")
        )
        assert self.file.read_bytes() == again.read_bytes()
        came_of = {
            contact.email: reference.verdict(n % BATCH, verdicts.get(n // BATCH))
            for n, contact in enumerate(model.contacts)
        }
        self.ledger = reference.merged(self.ledger, model, came_of, gone=gone, unsure=unsure, everyone=step.full)
        self.check_ledger()
        # Who was refused although everybody was to be sent anew comes again, as who has no verdict.
        to_send_again = {RejectKind.UNKNOWN, *([RejectKind.REFUSED] if step.full else [])}
        doubtful = [email for email, kind in came_of.items() if kind in to_send_again]
        self.on_list |= {contact.email: contact.json for contact in model.contacts if came_of[contact.email] is None}
        self.on_list = {email: form for email, form in self.on_list.items() if email not in {*gone, *unsure, *doubtful}}
        if step.forgets:
            self.ledger = {email: replace(entry, said=None) for email, entry in self.ledger.items()}
            self.file = ledger_file(work / "older ledger", self.ledger)

    def merge(
        self,
        target: Path,
        outcome: Outcome,
        verdicts: Mapping[int, Tally],
        gone: Sequence[str],
        unsure: Sequence[str],
        *,
        everyone: bool,
    ) -> Path:
        merge_ledger(
            self.file,
            outcome.planned.contacts,
            verdicts,
            target,
            renewed=outcome.planned.renewed_sources,
            gone=parquet(target.with_suffix(".gone"), "email VARCHAR", [(email,) for email in gone]),
            unsure=parquet(target.with_suffix(".unsure"), "email VARCHAR", [(email,) for email in unsure]),
            everyone=everyone,
            work=target.parent,
            memory_mb=100,
            threads=2,
        )
        return target

    def check_ledger(self) -> None:
        assert self.file is not None
        assert rows(self.file) == [
            {
                "email": email,
                "fingerprint": None if entry.contact is None else reference.fingerprint(entry.contact),
                "source": None if entry.said is None else self.digests[entry.said],
            }
            for email, entry in sorted(self.ledger.items())
        ]


@settings(parent=few, max_examples=7)
@given(
    everyone=generated.crowds(),
    both=st.tuples(*[generated.shapes(least=2)] * 2),
    runs=st.lists(steps, min_size=3, max_size=5),
)
def test_runs_one_after_the_other_forget_nobody_and_send_nothing_twice(
    everyone: Sequence[Person], both: Sequence[ContactShape], runs: Sequence[Step]
) -> None:
    with TemporaryDirectory() as folder:
        history = History(Path(folder))
        for number, step in enumerate(runs):
            history.run(number, step, everyone, both[step.shape])


def test_characters_that_need_no_normalising_are_normal_with_any_neighbour() -> None:
    tidy = re.compile(untidy().partition("|")[0])
    safe = [chr(code) for code in range(0xA1, 0x10000) if not 0xD800 <= code < 0xE000 and not tidy.match(chr(code))]
    assert len(safe) > 50_000
    assert unicodedata.is_normalized("NFC", "".join(safe))
    # Only a character that may combine with the one before it could undo this; such a character is not among them.
    assert not [c for c in safe if unicodedata.combining(c)]
    bases = ("e", "A", "か", "가", "\u0415", "ᄀ")
    assert all(unicodedata.is_normalized("NFC", base + c) for base in bases for c in safe)
