"""The life of a simulated world: what people, pipelines and the provider do in it, all by the seed.

Rounds in which segments, settings and the provider's moods change and runs are started; then a time in which nothing
goes wrong any more, after which everything has to be as it should have been all along.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from exporters.api.answers import Answer, Request
from exporters.exporter import Exporter
from exporters.model.export import Export as Stored
from exporters.model.schedule import EveryRefresh, Off
from exporters.parts import Parts
from exporters.storage import paths
from tests.simulation.faults import Chances, calm, stormy
from tests.simulation.promises import Promises
from tests.simulation.provider import SHAPES, suppressed
from tests.simulation.world import World
from tests.world_receiver import RECEIVER

NAMES = ("Ann", "Bob", "Zoë", "Ana Marija", 'Q "X"', "")
#: Rows of a segment that are nobody.
NOBODY = (("", "No address"), ("not an address", "Ann"), ("two@@example.com", "Bob"))
UNREACHABLE = frozenset(address for address, _ in NOBODY)
EXCLUDED = "nobody@example.com"
LOOSE = {"min_share_of_last": 0, "max_share_removed": 1}
#: Answers to what people ask for: taken, done, not now, somebody was faster, or not while it is detached.
EXPECTED = frozenset({200, 202, 404, 409, 412, 503})
DETACHED = 422


@dataclass(kw_only=True)
class Export:
    """One export, and what stands in its segment."""

    id: str
    document: dict[str, Any]  #: what the test has set; others of its settings are changed over HTTP
    rows: list[tuple[str, str]] = field(default_factory=list)  #: address and first name, as written

    @property
    def list_id(self) -> str:
        return str(self.document["list_id"])

    def wanted(self) -> dict[str, dict[str, str]]:
        """Who should be on the list by the segment, and as what contact."""
        found: dict[str, dict[str, str]] = {}
        for address, name in self.rows:
            email = address.strip().lower()
            if email in UNREACHABLE or email in self.document["exclude"] or email in found:
                continue
            found[email] = {"email": email} | ({"first_name": name} if name else {})
        return found


class Life:
    """One world from its beginning to its end."""

    def __init__(
        self, seed: int, *, trace: list[str] | None = None, change: Callable[[Parts], Parts] = lambda parts: parts
    ) -> None:
        chance = Random(f"life {seed}")
        self.chance = chance
        self.is_calm = chance.random() < 0.1
        self.world = World(
            seed,
            shape=SHAPES[seed % len(SHAPES)],
            chances=calm() if self.is_calm else stormy(chance),
            trace=trace,
            change=change,
        )
        self.world.on_idle = self._look_at_held_runs
        self.world.tick_every = timedelta(seconds=chance.choice([60, 300, 900, 900, 900, 900]))
        self.exports = [self._new_export(number) for number in range(chance.choice([1, 1, 1, 1, 1, 1, 2, 3]))]
        self.faults = self.world.chances.faults_left  #: in each round
        self.keys = 0
        self.decided: set[str] = set()
        self.promises = Promises(self.world)
        account = self.world.account
        account.id = chance.choice([None, "account-1"])
        account.lists = {export.list_id: set() for export in self.exports}
        account.slowest_s = chance.choice([0, 5, 60, 300])
        named = chance.choice([{}, {"account": "shared"}])
        self._write(paths.connection("main"), CONNECTION | named)
        if not self.is_calm:
            account.troubles_left = chance.choice([0, 0, 1, 3, 8])
            account.trouble_rate = chance.choice([0.05, 0.3])
            account.jobs_spoilt = chance.choice([0.0, 0.0, 0.0, 0.1, 0.4])
            self.world.receiver.moods = chance.choice([(204,), (204, 500, 0), (410,), (500, 0)])

    def live(self) -> None:
        """Live; raises BrokenPromiseError, or whatever a step has raised that it may not raise."""
        for number in range(self.chance.choice([1, 1, 1, 1, 1, 2, 3])):
            self._begin_round(number)
            self.world.run()
            self._settle()
            self.promises.check_rest()
        if self.is_calm:
            self.promises.check_nothing_sent_twice(except_for=self.world.account.bad)
        self._end_well()

    def _settle(self) -> None:
        """Let jobs end whose acceptance got lost."""
        account = self.world.account
        if account.last_landing is not None:
            self.world.time = max(self.world.time, account.last_landing)
        account.settle()

    # A round.

    def _begin_round(self, number: int) -> None:
        world, chance = self.world, self.chance
        world.note(f"round {number + 1}")
        for export in self.exports:
            self._change_segment(export, first=number == 0)
            self._change_settings(export)
            world.time += timedelta(seconds=chance.choice([0, 0, 1, 90]))
            if chance.random() < 0.3:
                self._set_schedule(export, chance.choice(SCHEDULES)(world.time))
            else:
                self._start_somehow(export)
            self._plan_schedule(export)
        if not self.is_calm:
            world.chances.faults_left = self.faults
            self._plan_trouble()
        self._plan_changes()

    def _start_somehow(self, export: Export) -> None:
        chance, now = self.chance, self.world.time
        at = now + timedelta(seconds=chance.choice([0, 70, 70, 300, 1200]))
        if chance.random() < 0.3 and self._runs(export):
            self._start_on_a_run(export, at)
            return
        start = partial(self._start, export, key=self._key(), full=chance.random() < 0.1)
        self._at(at, f"start {export.id}", start)
        if chance.random() < 0.3:  # by the same key: its answer was lost, or somebody was impatient
            self._at(at + timedelta(seconds=chance.choice([0, 10, 900])), f"start {export.id} again", start)
        if chance.random() < 0.2:
            other = partial(self._start, export, key=self._key(), full=False)
            self._at(at + timedelta(seconds=chance.choice([5, 100, 1000])), f"start {export.id} by another key", other)

    def _plan_schedule(self, export: Export) -> None:
        """Somebody changes the schedule or the connection of an export, and the timer looks now and then."""
        chance, now = self.chance, self.world.time
        if chance.random() < 0.15:
            soon = now + timedelta(seconds=chance.choice([0, 100, 1500]))
            other = chance.choice(SCHEDULES)(now)
            self._at(soon, f"{export.id} gets a schedule", partial(self._set_schedule, export, other))
        if chance.random() < 0.05:
            soon = now + timedelta(seconds=chance.choice([0, 100, 1500]))
            self._at(soon, f"detach {export.id}", partial(self._connect, export, "detach"))
            later = soon + timedelta(seconds=chance.choice([10, 700, 4000]))
            self._at(later, f"attach {export.id}", partial(self._connect, export, "attach"))
        if self._schedule_of(export) != "off":
            for _ in range(chance.choice([1, 1, 2, 3])):
                now += timedelta(seconds=chance.choice([1, 61, 61, 130, 700, 4000]))
                self.world.at(now, "timer", self.world.tick)

    def _start_on_a_run(self, export: Export, at: datetime) -> None:
        """Ask for something that takes up an earlier run."""
        chance, key = self.chance, self._key()
        what = chance.choice(["retry", "reconcile", "go back"])
        if what == "go back":
            self._at(
                at, f"{export.id} goes back", partial(self._go_back, export, chance.choice(self._runs(export)), key)
            )
        elif what == "retry":
            self._at(at, f"retry {export.id}", partial(self._take_up, "retry", export, key))
        else:
            self._at(at, f"reconcile {export.id}", partial(self._reconcile, export, key))
            repair = partial(self._take_up, "repair", export, self._key())
            self._at(at + timedelta(seconds=chance.choice([30, 900])), f"repair {export.id}", repair)

    def _plan_trouble(self) -> None:
        world, chance, now = self.world, self.chance, self.world.time
        if chance.random() < 0.1:
            changed = now + timedelta(seconds=chance.randint(0, 600))
            self._at(changed, "the key is rotated at the provider", self._rotate_key)
            told = changed + timedelta(seconds=chance.choice([0, 100, 2000]))
            self._at(told, "the vault learns the new key", self._tell_vault)
        if chance.random() < 0.1:
            export = self.chance.choice(self.exports)
            kinds = (
                f'plan {{"export":"{export.id}"',
                f'batch {{"export":"{export.id}"',
                f'poll {{"export":"{export.id}"',
            )
            curse = self.chance.choice(kinds)
            self._at(
                now + timedelta(seconds=chance.choice([0, 100])), f"{curse} is cursed", partial(world.cursed.add, curse)
            )
            self._at(now + timedelta(hours=chance.choice([1, 3])), "no curse any more", world.cursed.clear)

    def _plan_changes(self) -> None:
        """What people do while runs are at work."""
        chance, now = self.chance, self.world.time
        for export in self.exports:
            if chance.random() < 0.15:
                soon = now + timedelta(seconds=chance.choice([60, 75, 200, 900]))
                self._at(soon, f"{export.id} gets a new snapshot", partial(self._change_segment, export, first=False))
            if chance.random() < 0.05:
                soon = now + timedelta(seconds=chance.choice([0, 100, 1000]))
                self._at(soon, f"somebody changes {export.list_id} by hand", partial(self._meddle, export))
            if chance.random() < 0.15:
                soon = now + timedelta(seconds=chance.choice([70, 75, 100, 400, 1500]))
                self._at(soon, f"cancel {export.id}", partial(self._cancel, export))

    def _at(self, moment: datetime, what: str, act: Callable[[], object]) -> None:
        def do() -> None:
            act()

        self.world.at(moment, what, do)

    # What people do.

    def _key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def _ask(self, what: str, handle: Callable[[Exporter], Answer]) -> None:
        """A request of a caller, who hears nothing when its process dies."""

        def use(exporter: Exporter) -> None:
            answer = handle(exporter)
            self.world.note(f"answer {answer.status}")
            detached = any(self._stored(export).get("connection", "none yet") is None for export in self.exports)
            self.promises.check_answer(what, answer, EXPECTED | {DETACHED} if detached else EXPECTED)

        self.world.step(what, use)

    def _start(self, export: Export, *, key: str, full: bool) -> None:
        body = json.dumps({"full": full}).encode()
        request = _post(f"/exports/{export.id}/runs", key=key, body=body)
        self._ask(f"start {export.id}", lambda exporter: exporter.answer(request))

    def _set_schedule(self, export: Export, schedule: Mapping[str, object]) -> None:
        body = json.dumps({"schedule": schedule}).encode()
        headers = {"content-type": "application/json", "if-match": "*"}
        request = Request(method="PUT", path=f"/exports/{export.id}/schedule", headers=headers, body=body)
        self._ask(f"schedule {export.id} {schedule}", partial(Exporter.answer, request=request))
        stored = Stored.model_validate(self._stored(export))
        self.promises.note_schedule(stored)
        if not isinstance(stored.schedule, Off | EveryRefresh):
            later = self.world.time + timedelta(hours=self.chance.choice([1, 5]))
            self._at(later, f"{export.id} has time", partial(self._calm_down, export))

    def _schedule_of(self, export: Export) -> str:
        return str(self._stored(export)["schedule"]["kind"])

    def _calm_down(self, export: Export) -> None:
        """No more occurrences: the world would never come to rest while each of them starts a run that is held."""
        if self._schedule_of(export) not in {"off", "refresh"}:
            self._set_schedule(export, {"kind": "off"})

    def _connect(self, export: Export, what: str) -> None:
        body = json.dumps({"connection": "main"}).encode() if what == "attach" else b""
        headers = {"content-type": "application/json", "if-match": "*"}
        request = Request(method="POST", path=f"/exports/{export.id}/{what}", headers=headers, body=body)
        self._ask(f"{what} {export.id}", partial(Exporter.answer, request=request))

    def _stored(self, export: Export) -> dict[str, Any]:
        """The export as it is stored now."""
        blob = self.world.state.get(paths.export(export.id))
        return {} if blob is None else dict(json.loads(blob.data))

    def _go_back(self, export: Export, run_id: str, key: str) -> None:
        request = _post(f"/exports/{export.id}/undo", key=key, body=json.dumps({"run": run_id}).encode())
        self._ask(f"go back to {run_id}", lambda exporter: exporter.answer(request))

    def _reconcile(self, export: Export, key: str) -> None:
        request = _post(f"/exports/{export.id}/reconciliations", key=key)
        self._ask(f"reconcile {export.id}", lambda exporter: exporter.answer(request))

    def _take_up(self, how: str, export: Export, key: str) -> None:
        """Have the newest run retried, or what it has found repaired."""
        run_id = self._runs(export)[0]
        request = _post(f"/runs/{export.id}/{run_id}/{how}", key=key)
        self._ask(f"take up {run_id}", lambda exporter: exporter.answer(request))

    def _runs(self, export: Export) -> list[str]:
        """Ids of the export's runs, newest first."""
        folder = f"runs/{export.id}/"
        return [name.removeprefix(folder).rstrip("/") for name in self.world.state.folders(folder)]

    def _meddle(self, export: Export) -> None:
        """Somebody takes people off the list, or puts one there, without our knowing."""
        account = self.world.account
        members = account.lists[export.list_id]
        for email in sorted(members):
            if self.chance.random() < 0.3:
                members.discard(email)
                account.taken_off.add((export.list_id, email))
        stranger = f"stranger{self.chance.randint(0, 3)}@example.com"
        account.contacts[stranger] = b"{}"
        account.strangers.add(stranger)
        members.add(stranger)

    def _cancel(self, export: Export) -> None:
        for export_id, run_id in self.world.runs_at_work():
            if export_id == export.id:
                request = _post(f"/runs/{export_id}/{run_id}/cancel")
                self._ask(f"cancel {run_id}", partial(Exporter.answer, request=request))

    def _decide(self, what: str, export_id: str, run_id: str) -> None:
        request = _post(f"/runs/{export_id}/{run_id}/{what}")
        self._ask(f"{what} {run_id}", lambda exporter: exporter.answer(request))

    def _look_at_held_runs(self) -> None:
        """Somebody notices that a run is held, and decides sooner or later, twice, both ways or not at all."""
        for export_id, run_id in self.world.runs_at_work():
            if run_id in self.decided:
                continue
            blob = self.world.state.get(paths.run(export_id, run_id))
            if blob is None or b'"status":"held"' not in blob.data:
                continue
            self.decided.add(run_id)
            soon = self.world.time + timedelta(seconds=self.chance.choice([0, 1, 600, 90_000]))
            decisions = self.chance.choice(DECISIONS)
            for decision in decisions:
                act = partial(self._decide, decision, export_id, run_id)
                self._at(soon, f"{decision} {run_id}", act)
                soon += timedelta(seconds=self.chance.choice([0, 0, 300]))

    def _rotate_key(self) -> None:
        self.world.account.key += "+"

    def _tell_vault(self) -> None:
        self.world.secrets.values["main-key"] = self.world.account.key

    # What stands in segments and settings.

    def _new_export(self, number: int) -> Export:
        document = {
            "id": f"e{number}",
            "name": "Newsletter",
            "connection": "main",
            "segments": [f"S{number}"],
            "list_id": f"list-{number}",
            "mapping": {"email": "EMail", "first_name": "FirstName"},
            "exclude": [],
        }
        return Export(id=f"e{number}", document=document)

    def _change_settings(self, export: Export) -> None:
        chance = self.chance
        changes: dict[str, Any] = {}
        if "mode" not in export.document or chance.random() < 0.2:
            changes["mode"] = chance.choice(["mirror", "mirror", "update"])
            changes["withhold"] = chance.random() < 0.3
            changes["notify"] = RECEIVER if chance.random() < 0.2 else None
            changes["brakes"] = LOOSE if chance.random() < 0.8 else {}
        if chance.random() < 0.1:
            changes["exclude"] = chance.choice([[], [EXCLUDED]])
        self._write_export(export, **changes)

    def _write_export(self, export: Export, **changes: object) -> None:
        """Somebody writes the document itself."""
        export.document.update(changes)
        stored = self._stored(export) or {"schedule": {"kind": "off"}, "scheduled_since": self.world.time.isoformat()}
        self._write(paths.export(export.id), stored | export.document)

    def _change_segment(self, export: Export, *, first: bool) -> None:
        chance, account = self.chance, self.world.account
        if first:
            for _ in range(chance.choice([0, 1, 3, 5, 9, 14])):
                self._join(export)
        else:
            for _ in range(chance.choice([0, 0, 1, 4])):
                self._join(export)
            export.rows = [self._maybe_changed(row) for row in export.rows if chance.random() < 0.85]
        if chance.random() < 0.2:
            export.rows.insert(chance.randint(0, len(export.rows)), chance.choice(NOBODY))
        if chance.random() < 0.2 and export.rows:
            address, _ = chance.choice(export.rows)
            export.rows.append((address.upper(), "Twice"))
        if chance.random() < 0.05:
            export.rows.append((EXCLUDED, "Nobody"))
        for email in export.wanted():
            # Not in the middle of a run: what it refuses once it has refused before.
            if not self.is_calm and chance.random() < 0.04 and not self.world.runs_at_work():
                account.bad[email] = chance.choice(self.world.shape.at_fault)
            if chance.random() < 0.08 and email not in account.suppressed:
                account.suppressed[email] = suppressed(email, chance, self.world.time)
        self._write_segment(export)
        self.promises.note_snapshot(export.id)

    def _join(self, export: Export) -> None:
        number = self.chance.randint(0, 24)
        address = f"p{number}@{'shared' if self.chance.random() < 0.1 else export.id}.example.com"
        if address not in {row[0] for row in export.rows}:
            export.rows.append((address, self.chance.choice(NAMES)))

    def _maybe_changed(self, row: tuple[str, str]) -> tuple[str, str]:
        changed = row[0] not in UNREACHABLE and self.chance.random() < 0.15
        return (row[0], self.chance.choice(NAMES)) if changed else row

    def _write_segment(self, export: Export) -> None:
        lines = ["EMail,FirstName", *(f"{address},{_quoted(name)}" for address, name in export.rows)]
        self.world.segments.put(
            f"{export.document['segments'][0]}.csv", "".join(f"{line}\n" for line in lines).encode()
        )

    def _write(self, path: str, document: dict[str, Any]) -> None:
        self.world.state.put(path, json.dumps(document).encode())

    # The end.

    def _end_well(self) -> None:
        """Nothing goes wrong any more: a last run of each export makes everything right, and one more sends nobody."""
        world = self.world
        world.note("from now on nothing goes wrong")
        world.chances = Chances(every=12, weights=world.chances.weights, faults_left=0, unordered=0.3)
        world.account.bad.clear()
        world.account.troubles_left, world.account.jobs_spoilt = 0, 0.0
        world.account.closed_until, world.account.slowest_s = None, 0
        world.cursed.clear()
        self._tell_vault()
        again = self.chance.random() < 0.2
        for last in range(2 if again else 1):
            sent = len(world.account.sent)
            for export in self.exports:
                self._write_export(export, connection="main", brakes=LOOSE)
                if self._schedule_of(export) != "off":
                    self._set_schedule(export, {"kind": "off"})
                self._at(world.time, f"start {export.id}", partial(self._start, export, key=self._key(), full=False))
            world.time += timedelta(minutes=2)
            world.on_idle = self._approve_all
            world.run()
            self._settle()
            self.promises.check_rest()
            self._check_lists()
            if last:
                self.promises.check_nothing_more_sent(since=sent)
        if world.account.taken_off:
            self._repair_all()

    def _repair_all(self) -> None:
        """Who was taken off a list by hand is found, and put back."""
        world = self.world
        for export in self.exports:
            self._reconcile(export, self._key())
        world.run()
        for export in self.exports:
            self._take_up("repair", export, self._key())
        world.run()
        self._settle()
        self.promises.check_rest()
        world.account.taken_off.clear()
        self._check_lists()

    def _check_lists(self) -> None:
        self.promises.check_lists(
            {export.list_id: export.wanted() for export in self.exports},
            mirrored={export.list_id for export in self.exports if export.document["mode"] == "mirror"},
            withheld={export.list_id for export in self.exports if export.document["withhold"]},
        )

    def _approve_all(self) -> None:
        for export_id, run_id in self.world.runs_at_work():
            blob = self.world.state.get(paths.run(export_id, run_id))
            if blob is not None and b'"status":"held"' in blob.data:
                self._decide("approve", export_id, run_id)


def _at_once(now: datetime, minutes: int) -> dict[str, object]:
    at = now + timedelta(minutes=minutes)
    return {"kind": "cron", "cron": f"{at.minute} {at.hour} {at.day} {at.month} *"}


SCHEDULES: Sequence[Callable[[datetime], Mapping[str, object]]] = (
    lambda now: {"kind": "off"},
    lambda now: {"kind": "refresh"},
    lambda now: {"kind": "refresh"},
    lambda now: _at_once(now, 2),
    lambda now: _at_once(now, 15),
    lambda now: {"kind": "cron", "cron": "*/20 * * * *"},
    lambda now: {"kind": "daily", "times": [f"{(now + timedelta(minutes=minutes)):%H:%M}" for minutes in (2, 9, 70)]},
    lambda now: {"kind": "weekly", "days": ["sunday", "monday"], "times": [f"{(now + timedelta(minutes=3)):%H:%M}"]},
)
CONNECTION = {"id": "main", "provider": "simulated", "display_name": "Main", "secret": "main-key"}
DECISIONS: Sequence[Sequence[str]] = (
    ["approve"],
    ["approve"],
    ["approve", "approve"],
    ["reject"],
    ["reject", "approve"],
    ["approve", "reject"],
    [],
)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def live(seed: int, *, trace: list[str] | None = None) -> None:
    """Live the life of a seed. Raises BrokenPromiseError, or whatever a step has raised that it may not raise."""
    Life(seed, trace=trace).live()


def _post(path: str, *, key: str = "", body: bytes = b"") -> Request:
    headers = ({"idempotency-key": key} if key else {}) | ({"content-type": "application/json"} if body else {})
    return Request(method="POST", path=path, headers=headers, body=body)
