"""What has to be true of a world at rest, whatever has happened in it."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exporters.api.answers import Answer
from exporters.model.export import Export
from exporters.model.notification import Fate
from exporters.model.receiver import Occasion
from exporters.model.reject import RejectKind
from exporters.model.run import ExportState, Run, RunStatus, Trigger
from exporters.model.schedule import EveryRefresh, Off, Schedule
from exporters.scheduling.occurrences import occurrences
from exporters.storage import paths
from tests.simulation.faults import BrokenPromiseError
from tests.simulation.provider import Sent
from tests.simulation.world import SETTLE, World

#: No run is at work for longer, whatever happens; one that is held waits a week for a decision first.
LONGEST_RUN = timedelta(days=2)
LONGEST_HOLD = timedelta(days=9)
#: Runs that end so have done all they were started for, or have told what is missing.
WELL = frozenset({RunStatus.SUCCESSFUL, RunStatus.WARNINGS})


def _need(condition: bool, promise: str) -> None:
    if not condition:
        raise BrokenPromiseError(promise)


def _any_between(runs: Iterable[Run], before: Sent, sent: Sent) -> bool:
    """Whether a run filled the list between two requests to it, or by one of them."""
    return any(
        run.export.list_id == sent.list_id and run.created <= sent.at and run.finished and run.finished >= before.at
        for run in runs
    )


#: After its end, a run's place is free for the next one: more than the slowest of its last step takes.
UNTIL_FREE = timedelta(minutes=15)


@dataclass(kw_only=True)
class Period:
    """While an export had a schedule."""

    schedule: Schedule
    since: datetime  #: exclusive
    until: datetime | None = None  #: None: it has it still


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a run document says of its start, or of why there was none."""

    id: str
    trigger: str
    created: datetime
    finished: datetime | None
    occurrence: datetime | None
    until: datetime | None  #: it stands for all occurrences until then
    read: datetime | None  #: when the newest part of what it has read was written


def _document(run: Mapping[str, Any]) -> Document:
    read = [segment["written"] for segment in (run["plan"] or {}).get("segments", ())]
    return Document(
        id=run["id"],
        trigger=run["trigger"],
        created=datetime.fromisoformat(run["created"]),
        finished=_time(run["finished"]),
        occurrence=_time(run["occurrence"]),
        until=_time(run["skipped_until"]),
        read=_time(max(read, default=None)),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


class Promises:
    """The promises of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._periods: dict[str, list[Period]] = {}
        self._snapshots: dict[str, list[datetime]] = {}
        self._looked_at: set[str] = set()  #: runs whose documents were looked at before

    def check_answer(self, what: str, answer: Answer, expected: Collection[int]) -> None:
        """A caller gets a sensible answer."""
        _need(answer.status in expected, f"{what} was answered {answer.status}: {answer.body.decode()}")

    def note_schedule(self, export: Export) -> None:
        """Somebody has wanted another schedule for an export; what is stored says whether it has come to that."""
        periods, since = self._periods.setdefault(export.id, []), export.scheduled_since
        assert since is not None
        if periods and periods[-1].since != since:
            periods[-1].until = since
        if not periods or periods[-1].until is not None:
            periods.append(Period(schedule=export.schedule, since=since))

    def note_snapshot(self, export: str) -> None:
        """A snapshot of the export's segment was written."""
        self._snapshots.setdefault(export, []).append(self._world.time)

    def check_rest(self) -> None:
        """Everything that is always true when nothing is at work."""
        state = self._world.state
        left = [blob.name for blob in state.list("staging/")]
        _need(not left, f"something is left under staging/: {left}")
        for info in state.list(paths.LANES):
            lane = self._json(info.name)
            _need(not lane["slots"] and not lane["waiting"], f"the lane {info.name} is not empty: {lane}")
        _need(not self._world.runs_at_work(), "a run is at work, and nothing is going to move it")
        for run in self._new_runs():
            self._check_run(run)
        self._check_notifications()
        for export in self._periods if self._world.looks else ():
            documents = self._documents(export)
            self._check_occurrences(export, documents)
            self._check_refreshes(export, documents)
        for info in state.list(paths.EXPORT_STATES):
            self._check_ledger(ExportState.model_validate_json(self._blob(info.name)))

    def check_nothing_sent_twice(self, *, except_for: Collection[str]) -> None:
        """Where nothing went wrong, nobody was sent again in the same form, but by a full run, or after one that
        somebody has canceled: who was left over then is sent by the next one.
        """
        last: dict[tuple[str, str], Sent] = {}
        full = [run for run in self._runs() if run.full or run.repairs or run.goes_back_to]
        for sent in self._world.account.sent:
            key = sent.list_id, sent.email
            before = last.get(key)
            again = before is not None and before.contact == sent.contact and not self._left_since(before)
            excused = sent.email in except_for or (before is not None and _any_between(full, before, sent))
            _need(not again or excused, f"{sent.email} was sent to {sent.list_id} again for nothing")
            last[key] = sent

    def check_lists(
        self,
        wanted: Mapping[str, Mapping[str, Mapping[str, str]]],
        *,
        mirrored: Set[str],
        withheld: Set[str],
    ) -> None:
        """After a last run without trouble, lists hold whom the segments want, as they want them."""
        account = self._world.account
        shared = self._shared()
        for list_id, people in wanted.items():
            members = account.lists[list_id]
            sure = {
                email
                for email in people
                if (list_id not in withheld or email not in account.suppressed)
                and (list_id, email) not in account.taken_off
            }
            _need(sure <= members, f"{sorted(sure - members)} are missing on {list_id}")
            if list_id in mirrored:
                strangers = members - people.keys() - {"nobody@example.com"} - account.strangers
                _need(not strangers, f"{sorted(strangers)} are on {list_id} and not in the segment")
            for email in sorted(sure - shared):
                there = json.loads(account.contacts[email])
                _need(there == people[email], f"{email} is {there} on {list_id}, and should be {people[email]}")

    def check_nothing_more_sent(self, *, since: int) -> None:
        """A run after one that made everything right has nothing to send."""
        shared = self._shared()
        more = [sent.email for sent in self._world.account.sent[since:] if sent.email not in shared]
        _need(not more, f"{more} were sent though nothing had changed")

    # One run, one ledger.

    def _check_run(self, run: Run) -> None:
        name = f"the run {run.export.id}/{run.id}"
        _need(run.status.ended, f"{name} is {run.status} for ever")
        longest = LONGEST_HOLD if run.plan is not None and run.plan.brakes else LONGEST_RUN
        _need(run.finished is not None and run.finished - run.created < longest, f"{name} took longer than {longest}")
        if run.reconciles and run.status in WELL:
            _need(run.drift is not None and run.drift.closes, f"the sums of {name} do not close")
            return
        if run.plan is None or run.result is None:
            ends = {RunStatus.FAILED, RunStatus.CANCELED, RunStatus.SKIPPED}
            _need(run.status in ends, f"{name} is {run.status} without a result")
            return
        _need(run.plan.counts.closes, f"the first sum of {name} does not close")
        _need(run.result.closes(run.plan.counts.planned), f"the second sum of {name} does not close")
        if run.removal is not None:
            _need(run.removal.closes(run.plan.counts.leavers), f"the third sum of {name} does not close")
        if run.has_ledger:
            self._check_rejects(run, name)
        self._check_opt_outs(run, name)

    def _check_occurrences(self, export: str, documents: Sequence[Document]) -> None:
        """Each occurrence has started just one run, or has one entry that says why not."""
        for period in self._periods[export]:
            if isinstance(period.schedule, Off | EveryRefresh):
                continue
            for moment in occurrences(period.schedule, after=period.since):
                if moment > (period.until or self._world.looks[-1]):
                    break
                found = [
                    each.id
                    for each in documents
                    if each.occurrence is not None and each.occurrence <= moment <= (each.until or each.occurrence)
                ]
                _need(len(found) == 1, f"the occurrence {moment} of {export} has the runs and entries {found}")

    def _check_refreshes(self, export: str, documents: Sequence[Document]) -> None:
        """No snapshot has started two runs, and the newest one was exported where a schedule has waited for it."""
        snapshots, period = self._snapshots[export], self._periods[export][-1]
        started = [each for each in documents if each.trigger == Trigger.REFRESH]
        _need(
            len(started) <= len(snapshots), f"{len(snapshots)} snapshots of {export} have started {len(started)} runs"
        )
        written = snapshots[-1]
        is_waited_for = isinstance(period.schedule, EveryRefresh) and written + SETTLE > period.since
        # A run that is held or at work keeps it waiting, and somebody may have decided after the last look.
        free = max((each.finished + UNTIL_FREE for each in documents if each.finished), default=written)
        if is_waited_for and self._world.looks[-1] >= max(written + SETTLE, free):
            was_read = any(each.read == written for each in documents)
            _need(
                was_read or any(each.created >= written for each in started),
                f"the snapshot of {export} that was written at {written} was left out",
            )

    def _check_rejects(self, run: Run, name: str) -> None:
        assert run.result is not None
        rows = json.loads(self._blob(paths.rejects(run.export.id, run.id)))
        refused = sum(row["kind"] == RejectKind.REFUSED for row in rows)
        unknown = sum(row["kind"] == RejectKind.UNKNOWN for row in rows)
        _need(refused == run.result.refused, f"{name} refused {run.result.refused}, and its rejects name {refused}")
        _need(unknown >= run.result.unknown, f"{name} has {run.result.unknown} unknown, and its rejects name {unknown}")

    def _check_notifications(self) -> None:
        """Whoever was to be told has been told, or could not be."""
        for info in self._world.state.list("notifications/"):
            told = self._json(info.name)
            late = (
                told["occasion"] == Occasion.HELD and not told["tries"]
            )  # it was decided before anybody could be told
            _need(late or told["fate"] != Fate.WAITING, f"{info.name} waits for ever")
        answers = dict(self._world.receiver.posts)
        for name, status in self._world.receiver.posts:
            _need(
                status != 204 or answers[name] == 204 or self._world.faults > 0, f"{name} was posted after it was taken"
            )

    def _check_opt_outs(self, run: Run, name: str) -> None:
        """Whom the provider had suppressed before the run got no request of it, where they are withheld."""
        if not run.export.withhold or run.finished is None:
            return
        suppressed = self._world.account.suppressed
        before = {email for email, row in suppressed.items() if row.since is not None and row.since < run.created}
        for sent in self._world.account.sent:
            if sent.list_id == run.export.list_id and run.created <= sent.at <= run.finished:
                _need(sent.email not in before, f"{name} sent {sent.email}, who was to be withheld")

    def _check_ledger(self, state: ExportState) -> None:
        """The ledger is what the list is: nobody claimed who is not there so, nobody there whom it does not know."""
        if state.ledger is None:
            return
        list_id = state.ledger_target.partition("/")[2]
        account, shared = self._world.account, self._shared()
        members = account.lists[list_id]
        rows = json.loads(self._blob(paths.ledger(state.export, state.ledger)))
        ledger = {row["email"]: row["fingerprint"] for row in rows}
        for email, contact in ledger.items():
            if contact is None or state.ledger_doubtful or (list_id, email) in account.taken_off:
                continue
            _need(email in members, f"the ledger of {state.export} claims {email}, who is not on {list_id}")
            there = account.contacts[email].decode()
            _need(email in shared or there == contact, f"the ledger of {state.export} has {contact}, it is {there}")
        sent = {each.email for each in account.sent if each.list_id == list_id}
        strangers = members - sent - account.strangers
        _need(not strangers, f"{sorted(strangers)} are on {list_id} and were never sent there")
        if not state.ledger_doubtful:
            forgotten = members - ledger.keys() - account.strangers
            _need(not forgotten, f"{sorted(forgotten)} are on {list_id}, and the ledger of {state.export} forgot them")

    def _left_since(self, before: Sent) -> bool:
        return any(
            at >= before.at and (list_id, email) == (before.list_id, before.email)
            for at, list_id, email in self._world.account.removed
        )

    def _shared(self) -> set[str]:
        """People whom more than one export has sent: the last one said what their contact is."""
        lists: dict[str, set[str]] = {}
        for sent in self._world.account.sent:
            lists.setdefault(sent.email, set()).add(sent.list_id)
        return {email for email, found in lists.items() if len(found) > 1}

    def _new_runs(self) -> Iterator[Run]:
        for info in self._world.state.list("runs/"):
            if info.name.endswith("/run.json") and info.name not in self._looked_at:
                self._looked_at.add(info.name)
                yield Run.model_validate_json(self._blob(info.name))

    def _documents(self, export: str) -> list[Document]:
        return [
            _document(self._json(info.name))
            for info in self._world.state.list(f"runs/{export}/")
            if info.name.endswith("/run.json")
        ]

    def _runs(self) -> list[Run]:
        runs = (info.name for info in self._world.state.list("runs/") if info.name.endswith("/run.json"))
        return [Run.model_validate_json(self._blob(name)) for name in runs]

    def _blob(self, name: str) -> bytes:
        blob = self._world.state.get(name)
        if blob is None:
            raise BrokenPromiseError(f"{name} is gone")
        return blob.data

    def _json(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self._blob(name)))
