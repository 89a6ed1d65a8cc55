"""For real: hosts die by `kill -9` at random moments, storage goes away and comes back, the providers have bad days.

Ten minutes of Azure, the time that a step may live and the lease of a message, are some seconds here: more on a busy
machine. What happens follows from a seed, up to the clocks; a failure prints it, and CHAOS_SEED in the environment
repeats it.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests

from infra.local.cloud import LocalCloud
from tests.integration.accounts import Account, BrevoAccount, SendGridAccount, eventually
from tests.integration.chaos import Caller, Chaos, Crowd, Weather
from tests.integration.desk import LiveExport, Operator, sums
from tests.integration.segments import PRIVATE

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.2",
    "TICK_SCHEDULE": "*/3 * * * * *",
}
#: How long a step may live, as a multiple of what it takes to import the app; its bounds in seconds.
STEP, SHORTEST_STEP_S, LONGEST_STEP_S = 12, 12, 59
#: Brevo's real rates are too small for so many runs in a minute. Jobs take their time, so that kills find some at work;
#: always the same, because an older job must not overtake a newer one.
FAULTS = {
    "sendgrid": {"job_delay_s": 0.7},
    "brevo": {
        "job_delay_s": 0.7,
        "contacts_per_second": 1_000,
        "others_per_hour": 100_000,
    },
}
KILLS, KILLS_AT_WORK = 20, 5
OUTAGES = 2
#: Runs of each export, at least; the second one has people who left the segment.
RUNS = 2
#: After the last trouble every run ends within this multiple of a step's life, and so many seconds. What hung is found
#: dead after one and a half of it, and may still be claimed for one. After questions without an answer a job is asked
#: for once a minute, however short the life of a step is.
ENDS_WITHIN, MINUTES_S = 8, 240
NOTES = 4
#: A batch holds about 1,400 people with notes at SendGrid, and 2,000 at Brevo.
EXPORTS: Mapping[str, Mapping[str, Any]] = {
    "many": {"provider": "sendgrid", "size": 4_000, "notes": NOTES},
    "few": {"provider": "sendgrid", "size": 1_000, "notes": 0},
    "mirrored": {"provider": "sendgrid", "size": 1_500, "notes": 0, "mode": "mirror"},
    "one-by-one": {"provider": "brevo", "size": 4_500, "notes": NOTES},
    "mirrored-there": {"provider": "brevo", "size": 1_500, "notes": 0, "mode": "mirror"},
}
QUIET = {"min_share_of_last": 0, "max_share_removed": 1}


@dataclass(kw_only=True)
class Subject:
    """One export under test: what is in its segment now, and how its last run ended."""

    export: LiveExport
    crowd: Crowd
    mirror: bool
    refused: set[str]
    caller: Caller
    ends_within_s: float  #: after the last trouble
    runs: list[dict[str, Any]] = field(default_factory=list)

    def work(self, chaos: Chaos) -> None:
        """One run after the other, each of another state of the segment, until nothing bad happens any more."""
        while not chaos.done.is_set() or len(self.runs) < RUNS:
            if self.runs:
                self.crowd.change()
            self.export.deliver(self.crowd.people())
            location = self.caller.start(f"{self.export.id}-{len(self.runs)}")
            run = self.caller.verdict(location, within_s=self.ends_within_s)
            self.runs.append(run)
            self.check(run)

    def follow(self, started: requests.Response) -> dict[str, Any]:
        """The verdict of a run that was started on a good day."""
        assert started.status_code == 202, started.text
        return self.caller.verdict(started.headers["Location"], within_s=self.ends_within_s)

    def check(self, run: Mapping[str, Any]) -> None:
        """What the run says is what is on the list."""
        if run["sums"] is None:
            assert run["status"] == "failed", run
            return
        read, invalid, duplicate, unchanged, planned, delivered, refused, unknown = sums(run)
        assert read == invalid + duplicate + unchanged + planned == len(self.crowd.names) + 2
        assert planned == delivered + refused + unknown
        if (removal := run["removal"]) is not None:
            assert removal["leavers"] == sum(removal[word] for word in ("removed", "absent", "refused", "unknown"))
        undelivered = self.undelivered(run)
        if undelivered is None:
            assert run["status"] == "failed", run
            return
        there, known = self.there(), self.ledger(run["id"])
        claimed = {email: name for email, name in self.crowd.expected.items() if email not in undelivered}
        assert {email: there.get(email) for email in claimed} == claimed
        assert not [email for email in claimed if known.get(email) is None]
        assert not [email for email, kind in undelivered.items() if kind == "unknown" and known.get(email) is not None]
        assert not self.refused & there.keys()
        if removal is not None and not removal["refused"] + removal["unknown"]:
            assert not self.crowd.gone & there.keys()
            assert not self.crowd.gone & known.keys()

    def undelivered(self, run: Mapping[str, Any]) -> dict[str, str] | None:
        """Who was "refused", and of whom it is "unknown"; None where the run could not keep that."""
        if not self._has(f"rejects/{self.export.id}/{run['id']}.parquet"):
            return None
        return {row["email"]: row["kind"] for row in self.export.rejects(run) if row["kind"] in {"refused", "unknown"}}

    def left(self) -> dict[str, str] | None:
        """Whom the next run has to send; None where that is everyone, because the last run was cut short."""
        state = Operator(self.export.cloud, {}).read_state(f"state/exports/{self.export.id}.json")
        is_kept = state["ledger"] == self.runs[-1]["id"] and not state["ledger_doubtful"]
        return self.undelivered(self.runs[-1]) if is_kept else None

    def there(self) -> dict[str, str]:
        """Address -> first name, of everyone on the list."""
        return {
            contact["email"]: contact.get("first_name") or contact["attributes"]["FIRSTNAME"]
            for contact in self.export.contacts()
        }

    def ledger(self, run: str) -> dict[str, int | None]:
        """Address -> fingerprint, None where nothing is known of the form, by the ledger of a run."""
        with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
            file = Path(folder) / "ledger.parquet"
            file.write_bytes(self.export.cloud.state.download_blob(f"ledgers/{self.export.id}/{run}.parquet").readall())
            found = database.execute("SELECT email, fingerprint FROM read_parquet(?)", [str(file)]).fetchall()
        return dict(found)

    def _has(self, blob: str) -> bool:
        return blob in self.export.cloud.state.list_blob_names(name_starts_with=blob)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where everything of this cloud lies: logs, blobs and queues, temporary files of the hosts."""
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture
def unit_s() -> float:
    """Seconds that it takes to import the app, on this machine at this moment."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import exporters.bootstrap"], cwd=ROOT, check=True)
    return time.monotonic() - started


@pytest.fixture
def step_s(unit_s: float) -> int:
    """Seconds that a step may live."""
    return max(SHORTEST_STEP_S, min(LONGEST_STEP_S, round(STEP * unit_s)))


@pytest.fixture
def cloud(folder: Path, step_s: int) -> Iterator[LocalCloud]:
    settings = {
        **SETTINGS,
        "AzureFunctionsJobHost__functionTimeout": f"00:00:{step_s}",
        "LOCAL_LEASE_SECONDS": str(step_s),
        "TMPDIR": str(folder / "tmp"),
    }
    with LocalCloud(hosts=2, logs=folder / "logs", data=folder / "azurite", settings=settings, faults=FAULTS) as cloud:
        yield cloud


def set_up(operator: Operator, name: str, chaos: Chaos, rng: random.Random, step_s: int, **wanted: Any) -> Subject:
    provider, notes, size = wanted.pop("provider"), wanted.pop("notes"), wanted.pop("size")
    crowd = Crowd(domain=f"{name}.chaos.{PRIVATE}", rng=rng, size=size, notes=notes)
    custom = {f"note_{number}": f"Note{number}" for number in range(notes)}
    mapping = {"email": "EMail", "first_name": "FirstName", "custom": custom}
    export = operator.export(provider, crowd.people(), lane=provider, mapping=mapping, brakes=QUIET, **wanted)
    refused = {crowd.email(number) for number in range(0, size, 100)}
    return Subject(
        export=export,
        crowd=crowd,
        mirror=wanted.get("mode") == "mirror",
        refused=refused,
        caller=Caller(export, chaos, rng),
        ends_within_s=ENDS_WITHIN * step_s + MINUTES_S,
    )


def run_each(subjects: Sequence[Subject]) -> list[dict[str, Any]]:
    """One run of each export, all at the same time."""
    started = [subject.export.start() for subject in subjects]
    return [subject.follow(answer) for subject, answer in zip(subjects, started, strict=True)]


def check_calm(operator: Operator, subjects: Sequence[Subject]) -> None:
    """Two runs of each export on a good day: the first sends exactly whom the last one left, the second nobody."""
    eventually(lambda: all(map(is_well, operator.cloud.host_urls)), within_s=60)
    exports = [subject.export for subject in subjects]
    left = {subject.export.id: subject.left() for subject in subjects}
    for subject, run in zip(subjects, run_each(subjects), strict=True):
        people = left[subject.export.id]
        assert run["status"] == "successful", run
        assert people is None or run["sums"]["planned"] == len(people)
        there, expected = subject.there(), subject.crowd.expected
        assert {email: there.get(email) for email in expected} == expected
        if subject.mirror:
            assert there.keys() == expected.keys()
        known = {email for email, fingerprint in subject.ledger(run["id"]).items() if fingerprint is not None}
        assert expected.keys() <= known <= there.keys()
    assert any(people is not None for people in left.values())
    writes = [export.account.control.counts(export.account.import_route) for export in exports]
    for run in run_each(subjects):
        assert (run["status"], run["sums"]["planned"], run["requests"], run["removal"]) == ("successful", 0, 0, None)
    assert [export.account.control.counts(export.account.import_route) for export in exports] == writes


def check_nothing_is_left(operator: Operator, temporary: Path, *, within_s: float) -> None:
    """No message, no place taken, nothing staged, no folder of a process that is gone."""
    state, queues = operator.cloud.state, [queue.name for queue in operator.cloud.queues.list_queues()]
    eventually(lambda: not any(operator.messages(name) for name in queues), within_s=within_s)
    lanes = [operator.read_state(name) for name in state.list_blob_names(name_starts_with="lanes/")]
    assert lanes
    assert [lane for lane in lanes if lane["slots"] or lane["waiting"]] == []
    assert list(state.list_blob_names(name_starts_with="staging/")) == []
    [shared] = temporary.glob("segment-exporter-*")
    processes = [path for path in shared.iterdir() if path.is_dir()]
    assert len(processes) <= len(operator.cloud.host_urls)
    assert [path for process in processes for path in process.iterdir()] == []


def is_well(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/health", timeout=10).ok
    except requests.RequestException:
        return False


@pytest.mark.timeout(1_800)
def test_every_run_ends_and_every_promise_holds_whatever_dies(
    cloud: LocalCloud, folder: Path, unit_s: float, step_s: int
):
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"CHAOS_SEED={seed}, a step may live {step_s} s")
    rng = random.Random(seed)
    accounts: Mapping[str, Account] = {
        "sendgrid": SendGridAccount(cloud.sendgrid_url, cloud.sendgrid_key),
        "brevo": BrevoAccount(cloud.brevo_url, cloud.brevo_key),
    }
    for account in accounts.values():
        for number in range(NOTES):
            account.new_text_field(f"note_{number}")
    operator = Operator(cloud, accounts)
    weather = Weather(accounts, random.Random(rng.random()))
    subjects: list[Subject] = []
    chaos = Chaos(
        cloud=cloud,
        weather=weather,
        rng=random.Random(rng.random()),
        logs=folder / "logs",
        kills=KILLS,
        kills_at_work=KILLS_AT_WORK,
        outages=OUTAGES,
        unit_s=unit_s,
    )
    for name, wanted in EXPORTS.items():
        subjects.append(set_up(operator, name, chaos, random.Random(rng.random()), step_s, **wanted))
    weather.refused = sorted(email for subject in subjects for email in subject.refused)
    weather.change()

    with ThreadPoolExecutor(len(subjects) + 1) as pool:
        bad_days = pool.submit(chaos.run)
        work = [pool.submit(subject.work, chaos) for subject in subjects]
    bad_days.result()
    for one in work:
        one.result()
    weather.clear()
    runs = [run for subject in subjects for run in subject.runs]
    lost = sum(subject.caller.lost for subject in subjects)
    print(f"{len(runs)} runs, {chaos.killed} kills, {chaos.killed_at_work()} of them of hosts at work,", end=" ")
    print(f"{chaos.killed_in_a_start} of hosts that were asked for a start, {lost} answers to starts lost")
    for run in runs:
        print(run["id"], run["status"], sums(run) if run["sums"] else None, run["removal"], run["reason"][:80])

    check_calm(operator, subjects)
    check_nothing_is_left(operator, folder / "tmp", within_s=ENDS_WITHIN * step_s + MINUTES_S)
    logs = [path.read_text() for path in (folder / "logs").iterdir()]
    assert not [log for log in logs if PRIVATE in log]
    assert not [log for log in logs if "the host has a bug" in log]
