"""One suite for both engines of planning: DuckDB, and the one in plain Python that simulations plan with.

What one engine writes only it can read, so each goes its own way through a history of runs; what their files say has to
be the same all along. A fingerprint or a source may be any value, as long as equal things have equal ones: here each
stands for the contact, or for what the segment said, that it came from.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from exporters.errors import StorageConflictError
from exporters.model.batch import Tally
from exporters.model.fields import ContactShape
from exporters.planning import suppressed
from exporters.planning.engine import DuckDbPlanning, Planning
from exporters.planning.members import encode_members
from exporters.planning.person import is_about, spellings
from exporters.planning.plan import PlanInputs, Planned
from exporters.providers.base import BatchLimits, Member, Suppression, SuppressionKind
from exporters.segments.reading import fetch_segment
from exporters.segments.snapshots import newest_snapshot
from tests.simulation.planning import PlainPlanning
from tests.simulation.planning import read as plain_rows
from tests.unit.planning.plans import EMAIL, ENVELOPE, LATER, container, target
from tests.unit.planning.plans import rows as parquet_rows

Rows = list[dict[str, Any]]

SHAPES = (
    ContactShape(email=EMAIL, fields=(target("FirstName", ("first_name",)), target("City", ("city",), max_chars=8))),
    ContactShape(email=EMAIL, fields=(target("FirstName", ("first_name",)),)),
)
ADDRESSES = (
    *(f"p{number}@example.com" for number in range(9)),
    "P1@Example.com ",
    "o'neil@example.com",
    "b@bücher.example",
    "c@xn--bcher-kva.example",
    '"q q"@example.com',
    "",
    " ",
    "no address",
    "x@y",
    f"{'e' * 250}@example.com",
)
NAMES = ("Ann", " Zoë ", "Zoe\u0308", 'Q "X", Y', "", "x" * 200)
CITIES = ("Split", "", "Velika Gorica")
EXCLUSIONS: Sequence[Sequence[str]] = ((), (), ("p3@example.com",), ("@bücher.example", "P4@example.com".lower()))
LIMITS = (
    BatchLimits(max_contacts=3, max_body_bytes=10_000),
    BatchLimits(max_contacts=100, max_body_bytes=160),
    BatchLimits(max_contacts=4, max_body_bytes=260),
)
HISTORIES = 16
RUNS = 3


def segment(chance: random.Random) -> bytes:
    """A file with people who come twice, with people who cannot be reached, and with lines that are none."""
    lines = ["City,EMail,FirstName"]
    for _ in range(chance.choice([0, 1, 6, 14])):
        address = '"' + chance.choice(ADDRESSES).replace('"', '""') + '"'
        name = '"' + chance.choice(NAMES).replace('"', '""') + '"'
        lines.append(f"{chance.choice(CITIES)},{address},{name}")
    if chance.random() < 0.3:
        lines.insert(chance.randint(1, len(lines)), chance.choice(["short", "", "a,b,c,d"]))
    return "\n".join(lines).encode() + chance.choice([b"\n", b""])


def tally(size: int, chance: random.Random) -> Tally:
    """Verdicts of a batch: rows that were refused by name or as a request, and ranges that may hold delivered rows."""
    rows = list(range(size))
    refused = {row: chance.choice(["no", "wrong", ""]) for row in rows if chance.random() < 0.2}
    first = chance.choice(rows)
    ranges = (((first, chance.randint(first + 1, size)), "the request was refused"),) if chance.random() < 0.3 else ()
    start = chance.choice(rows)
    unknown = ((start, chance.randint(start + 1, size)),) if chance.random() < 0.3 else ()
    return Tally(refused=refused, refused_ranges=ranges, unknown_ranges=unknown, unknown=len(unknown))


@dataclass
class Engine:
    """One engine on its way through a history, and its reader of files."""

    planning: Planning
    read: Callable[[Path], Rows]
    work: Path
    ledger: Path | None = None
    contacts: dict[object, str] = field(default_factory=dict)  #: fingerprint -> the contact that it stands for
    staged: list[list[bytes]] = field(default_factory=list)
    planned: Planned | None = None

    def folder(self, name: str) -> Path:
        made = self.work / name
        made.mkdir(parents=True)
        return made

    def file(self, name: str) -> Path:
        return self.work / name

    def plan(
        self, data: bytes, shape: ContactShape, limits: BatchLimits, folder: Path, **others: Any
    ) -> tuple[Planned, Sequence[bytes]]:
        store = container({"people.csv": data})
        snapshot = newest_snapshot(store, "people", now=LATER, settle=LATER - LATER)
        local = fetch_segment(store, snapshot, columns=shape.columns, folder=folder)
        staged: list[bytes] = []
        inputs = PlanInputs(
            segments=[local], shape=shape, limits=limits, envelope=ENVELOPE, ledger=self.ledger, **others
        )
        (folder / "plan").mkdir()
        planned = self.planning.make_plan(
            inputs, work=folder / "plan", stage=lambda number, lines: staged.insert(number, lines)
        )
        self.staged = [lines.split(b"\n")[:-1] for lines in staged]
        self.planned = planned
        self._learn(planned)
        return planned, staged

    def _learn(self, planned: Planned) -> None:
        """What fingerprints stand for: equal ones for the same contact, at any time."""
        for row in self.read(planned.contacts):
            contact = self.staged[row["batch"]][row["row"]].decode()
            assert self.contacts.setdefault(row["fingerprint"], contact) == contact

    def said(self, file: Path) -> Rows:
        """A file's rows, with contacts in the place of their fingerprints, and without sources."""
        told = [{column: value for column, value in row.items() if column != "source"} for row in self.read(file)]
        for row in told:
            if row.get("fingerprint") is not None:
                row["fingerprint"] = self.contacts[row["fingerprint"]]
        return told

    def sources(self, file: Path) -> list[tuple[str, bool, int]]:
        """Who has a source, and who has which one in common, by the first who has it."""
        seen: dict[object, int] = {}
        found = []
        for row in self.read(file):
            source = row["source"]
            found.append((row["email"], source is None, seen.setdefault(source, len(seen))))
        return found


@pytest.fixture
def engines(tmp_path: Path) -> list[Engine]:
    return [
        Engine(DuckDbPlanning(memory_mb=64, threads=1), parquet_rows, tmp_path / "duckdb"),
        Engine(PlainPlanning(), plain_rows, tmp_path / "plain"),
    ]


def same(answers: Iterable[Any]) -> Any:
    """What both engines say."""
    one, other = answers
    assert one == other
    return one


def in_order(rows: Rows, *columns: str) -> Rows:
    """Rows of a file whose order means nothing."""
    return sorted(rows, key=lambda row: [row[column] for column in columns])


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_history_of_runs_is_the_same_with_both(engines, seed):
    chance = random.Random(seed)
    for number in range(RUNS):
        shape, limits = chance.choice([SHAPES[0], SHAPES[0], SHAPES[1]]), chance.choice(LIMITS)
        check_run(engines, f"run-{number}", segment(chance), shape, limits, chance)


def check_run(
    engines: Sequence[Engine], name: str, data: bytes, shape: ContactShape, limits: BatchLimits, chance: random.Random
) -> None:
    answers = some_answers(chance) if chance.random() < 0.4 else None
    full, exclude = chance.random() < 0.15, chance.choice(EXCLUSIONS)
    staged = same(
        [
            engine.plan(
                data,
                shape,
                limits,
                engine.folder(name),
                full=full,
                exclude=exclude,
                suppressed=None if answers is None else merged_answers(engine, name, answers),
            )[1]
            for engine in engines
        ]
    )
    planned = check_plan(engines)
    for engine in engines:
        check_withheld_file(engine, name)
    sizes = [lines.count(b"\n") for lines in staged]
    verdicts = {batch: tally(size, chance) for batch, size in enumerate(sizes)}
    if chance.random() < 0.2 and verdicts:
        del verdicts[chance.choice(list(verdicts))]
    same([write_rejects(engine, name, verdicts) for engine in engines])
    same([engine.read(engine.file(f"{name}/rejects")) for engine in engines])
    removals = cut(planned.counts.leavers, chance) if chance.random() < 0.7 else ()
    removed = {batch: tally(size, chance) for batch, size in enumerate(removals) if chance.random() < 0.8}
    merge(engines, name, verdicts, removals, removed, everyone=full)


def check_plan(engines: Sequence[Engine]) -> Planned:
    plans = [engine.planned for engine in engines]
    for fact in ("segments", "counts", "known", "omitted", "renewed", "reasons", "batches", "bytes"):
        same([getattr(plan, fact) for plan in plans])
    for file in ("rejects", "withheld", "leavers"):
        same([engine.said(getattr(engine.planned, file)) for engine in engines])
    same([in_order(engine.said(engine.planned.contacts), "batch", "row") for engine in engines])
    same([in_order(engine.said(engine.planned.renewed_sources), "email") for engine in engines])
    assert plans[0] is not None
    return plans[0]


def write_rejects(engine: Engine, name: str, verdicts: Mapping[int, Tally]) -> object:
    return engine.planning.write_rejects(
        engine.planned.rejects,
        engine.planned.contacts,
        verdicts,
        engine.file(f"{name}/rejects"),
        staged_lines=lambda batch: engine.staged[batch],
        work=engine.file(name),
    )


def merge(
    engines: Sequence[Engine],
    name: str,
    verdicts: Mapping[int, Tally],
    removals: Sequence[int],
    removed: Mapping[int, Tally],
    *,
    everyone: bool,
) -> None:
    for engine in engines:
        gone, unsure = engine.file(f"{name}/gone"), engine.file(f"{name}/unsure")
        if removals:
            leavers = engine.planned.leavers
            engine.planning.write_gone(leavers, removals, removed, gone=gone, unsure=unsure, work=engine.file(name))
        target = engine.file(f"{name}/ledger")
        engine.planning.merge_ledger(
            engine.ledger,
            engine.planned.contacts,
            verdicts,
            target,
            renewed=engine.planned.renewed_sources,
            gone=gone if removals else None,
            unsure=unsure if removals else None,
            everyone=everyone,
            work=engine.file(name),
        )
        engine.ledger = target
    if removals:
        for file in ("gone", "unsure"):
            same([in_order(engine.read(engine.file(f"{name}/{file}")), "email") for engine in engines])
    same([engine.said(engine.ledger) for engine in engines])
    same([engine.sources(engine.ledger) for engine in engines])


def cut(people: int, chance: random.Random) -> tuple[int, ...]:
    """Sizes of batches that hold all of them."""
    size = chance.randint(1, 3)
    return tuple(min(size, people - first) for first in range(0, people, size))


def some_answers(chance: random.Random) -> list[bytes]:
    """Stored answers about suppressed people; some stand there twice, for different reasons."""
    kinds = list(SuppressionKind)
    return [
        suppressed.encode_answer(
            Suppression(
                email=chance.choice(ADDRESSES[:9]), kind=chance.choice(kinds), since=chance.choice([None, LATER])
            )
            for _ in range(chance.randint(0, 3))
        )
        for _ in range(chance.randint(0, 3))
    ]


def stored(folder: Path, answers: Sequence[bytes]) -> Iterable[Path]:
    """Answers as delivery hands them over: one after the other in the same file."""
    file = folder / "answer.csv"
    for answer in answers:
        file.write_bytes(answer)
        yield file


def merged_answers(engine: Engine, name: str, answers: Sequence[bytes]) -> Path:
    target, work = engine.file(f"{name}-suppressed"), engine.folder(f"{name}-answers")
    engine.planning.merge_suppressed(stored(work, answers), target, work=work)
    return target


def check_withheld_file(engine: Engine, name: str) -> None:
    """The file for other systems says of each withheld person, once, why and since when."""
    target = engine.file(f"{name}/withheld.csv")
    engine.planning.write_withheld(engine.planned.withheld, target, run_id="run-1", work=engine.file(name))
    rows = {(row["email"], row["kind"], row["since"] or "") for row in engine.read(engine.planned.withheld)}
    lines = ["email,reason,since,run", *(f"{email},{kind},{since},run-1" for email, kind, since in sorted(rows))]
    assert target.read_bytes().decode() == "".join(f"{line}\r\n" for line in lines)


@pytest.mark.parametrize("seed", range(6))
def test_suppressed_people_are_merged_the_same_with_both(engines, seed):
    answers = some_answers(random.Random(seed))

    same([engine.read(merged_answers(engine, "run", answers)) for engine in engines])


def test_refused_people_cannot_be_told_once_nothing_is_staged(engines):
    for engine in engines:
        engine.plan(b"City,EMail,FirstName\n,a@example.com,Ann\n", SHAPES[0], LIMITS[0], engine.folder("run"))
        engine.staged = []

        with pytest.raises(StorageConflictError):
            engine.planning.write_rejects(
                engine.planned.rejects,
                engine.planned.contacts,
                {0: Tally(refused={0: "no"})},
                engine.file("run/rejects"),
                staged_lines=lambda batch: None,
                work=engine.file("run"),
            )


def with_ledger(engines: Sequence[Engine], name: str, *numbers: int) -> None:
    """Deliver these people, the last one without a verdict, in a run that knows of nobody."""
    data = "City,EMail,FirstName\n" + "".join(f",p{number}@example.com,Ann\n" for number in numbers)
    for engine in engines:
        engine.ledger = None
        engine.plan(data.encode(), SHAPES[0], BatchLimits(max_contacts=50, max_body_bytes=9_000), engine.folder(name))
    last = len(numbers) - 1
    merge(engines, name, {0: Tally(unknown=1, unknown_ranges=((last, last + 1),))}, (), {}, everyone=False)


@pytest.mark.parametrize("seed", range(6))
def test_people_on_the_list_are_held_against_the_ledger_the_same_with_both(engines, seed):
    chance = random.Random(seed)
    with_ledger(engines, "run", *range(6))
    answers = [
        encode_members(Member(email=f"p{number}@example.com") for number in chance.sample(range(9), 3))
        for _ in range(chance.randint(0, 3))
    ]

    def find(engine: Engine) -> object:
        return engine.planning.find_drift(
            engine.ledger, stored(engine.file("run"), answers), engine.file("drift"), work=engine.folder("drifting")
        )

    same([find(engine) for engine in engines])
    same([engine.read(engine.file("drift")) for engine in engines])
    for engine in engines:
        engine.planning.doubt_missing(
            engine.ledger, engine.file("drift"), engine.file("doubted"), work=engine.folder("doubting")
        )
    same([engine.said(engine.file("doubted")) for engine in engines])
    same([engine.sources(engine.file("doubted")) for engine in engines])


def test_the_way_back_is_the_same_with_both(engines):
    with_ledger(engines, "then", 0, 1, 2, 3)
    then = [engine.ledger for engine in engines]
    with_ledger(engines, "now", 2, 3, 4, 5, 6)

    ways = same(
        [
            engine.planning.find_way_back(
                engine.ledger,
                file,
                put_back=engine.file("back.csv"),
                leavers=engine.file("leavers"),
                work=engine.folder("work"),
            )
            for engine, file in zip(engines, then, strict=True)
        ]
    )

    assert (ways.put_back, ways.leavers) == (2, 3)
    same([engine.file("back.csv").read_bytes() for engine in engines])
    same([engine.read(engine.file("leavers")) for engine in engines])


@pytest.mark.parametrize("seed", range(8))
def test_leavers_are_found_on_the_list_and_cut_the_same_with_both(engines, seed):
    chance = random.Random(seed)
    with_ledger(engines, "run", *range(8))
    answers = [
        encode_members(
            Member(email=f"p{number}@example.com", id=chance.choice([f"id-{number}", ""] if seed % 2 else ["id"]))
            for number in chance.sample(range(12), 4)
        )
        for _ in range(chance.randint(0, 3))
    ]
    for engine in engines:
        engine.plan(b"City,EMail,FirstName\n,p1@example.com,Ann\n", SHAPES[0], LIMITS[0], engine.folder("next"))

    def find(engine: Engine) -> object:
        return engine.planning.find_ids(
            engine.planned.leavers,
            stored(engine.file("next"), answers),
            engine.file("removals"),
            work=engine.folder("finding"),
        )

    same([find(engine) for engine in engines])
    rows = same([engine.read(engine.file("removals")) for engine in engines])
    sizes = cut(len(rows), chance)
    same(
        [
            list(engine.planning.read_leavers(engine.file("removals"), sizes, work=engine.folder("reading")))
            for engine in engines
        ]
    )


def erase_person(engines: Sequence[Engine], files: Sequence[Path], address: str) -> int:
    """Erase somebody with every engine, each from a file of its own; answers how many rows were theirs."""
    of, counts = spellings(address), []
    for engine, file in zip(engines, files, strict=True):
        target, again = engine.file("others"), engine.file("others-again")
        found = engine.planning.find_person(file, of, limit=100, work=engine.folder("find"))
        counts.append(engine.planning.erase_person(file, of, target, work=engine.folder("erase")))
        assert counts[-1] == len(found)
        assert engine.read(target) == [row for row in engine.read(file) if not is_about(row, of)]
        assert engine.planning.find_person(target, of, limit=100, work=engine.folder("find-again")) == []
        assert engine.planning.erase_person(target, of, again, work=engine.folder("erase-again")) == 0
        assert not again.exists()
    same([[row["email"] for row in engine.read(engine.file("others"))] for engine in engines])
    return same(counts)


@pytest.mark.parametrize(
    ("address", "rows"),
    [("P1@example.com", 2), ("o'neil@example.com", 1), ('"q q"@example.com', 1), ("b@bücher.example", 1)],
)
def test_a_person_is_erased_from_rejects_the_same_with_both(engines, address, rows):
    people = ("p1@example.com", "o'neil@example.com", '""q q""@example.com', "b@bücher.example")
    lines = [f',"{email}",Ann' for email in people]
    about_others = ["P1@Example.com,c@example.com,Ann", ",d@example.com,", "P1@Example.com,d@example.com,Ann"]
    data = "\n".join(["City,EMail,FirstName", *lines, *lines, *about_others])
    for engine in engines:
        engine.plan(data.encode(), SHAPES[0], LIMITS[0], engine.folder("next"))

    assert erase_person(engines, [engine.planned.rejects for engine in engines], address) == rows


def test_a_person_is_erased_from_a_ledger_the_same_with_both(engines):
    with_ledger(engines, "run", 0, 1, 2)

    assert erase_person(engines, [engine.ledger for engine in engines], " P1@Example.com ") == 1


def test_each_engine_reads_its_own_files_only(engines):
    """What is compared above are two kinds of files, not one file twice."""
    with_ledger(engines, "run", 0, 1)

    with pytest.raises(duckdb.Error):
        parquet_rows(engines[1].ledger)
    with pytest.raises(ValueError, match=r"."):
        plain_rows(engines[0].ledger)
