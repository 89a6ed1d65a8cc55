"""The whole app on in-memory parts: a clock that is moved by hand, queues that are pumped, and a simulated provider."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import SecretStr

from exporters.api.answers import Answer, Request
from exporters.errors import AccessError, ConfigError, ExporterError
from exporters.exporter import Exporter
from exporters.model.connection import Connection
from exporters.model.export import Mapping
from exporters.model.fields import ContactShape, TargetField
from exporters.parts import Parts, QueueNames
from exporters.providers.base import Access, BatchLimits, Envelope, JobReport, JobState, Refusal
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore, MemoryQueues, MemorySecrets

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
EXPORT = {
    "id": "newsletter",
    "name": "Newsletter",
    "connection": "main",
    "segments": ["VIP"],
    "list_id": "list-1",
    "mapping": {"email": "EMail", "first_name": "FirstName"},
}


@dataclass(kw_only=True)
class Job:
    """An import job of the simulated provider."""

    contacts: list[dict[str, Any]]
    report: JobReport | None = None  #: what polling answers instead of success
    polls_until_done: int = 1


@dataclass(kw_only=True)
class Account:
    """What the simulated provider keeps, and what it is going to do wrong."""

    key: str = "good"
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    requests: list[list[str]] = field(default_factory=list)  #: addresses of each submit
    polls: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    #: Called with the contacts of a submit before anything is kept; may raise or answer the report of the job.
    on_submit: Callable[[list[dict[str, Any]]], JobReport | None] = lambda contacts: None
    #: Called before a poll; may raise.
    on_poll: Callable[[], None] = lambda: None
    polls_until_done: int = 1
    not_before_s: float | None = None


class SimulatedProvider:
    """A provider in memory that obeys the protocol."""

    name: ClassVar[str] = "simulated"
    title: ClassVar[str] = "Simulated"
    limits: ClassVar[BatchLimits] = BatchLimits(max_contacts=4, max_body_bytes=1_000)
    jobs_in_flight: ClassVar[int] = 2
    poll_delays_s: ClassVar[Sequence[float]] = (1.0, 10.0)
    job_deadline_s: ClassVar[float] = 3600.0

    def __init__(self, account: Account, key: SecretStr) -> None:
        self._account = account
        self._key = key

    @property
    def not_before_s(self) -> float | None:
        return self._account.not_before_s

    def check_access(self, list_id: str, mapping: Mapping) -> Access:
        self._check_key()
        if list_id != "list-1":
            raise ConfigError(f"There is no list {list_id}")
        fields = tuple(TargetField(column=column, path=(name,)) for name, column in mapping.standard().items())
        email = TargetField(column=mapping.email, path=("email",), max_chars=254)
        return Access(
            list_name="List", list_count=len(self._account.contacts), shape=ContactShape(email=email, fields=fields)
        )

    def envelope(self, list_id: str) -> Envelope:
        return Envelope(head=b"[", tail=b"]")

    def submit(self, list_id: str, contacts: Sequence[bytes]) -> str:
        self._check_key()
        account = self._account
        rows = [json.loads(contact) for contact in contacts]
        account.requests.append([row["email"] for row in rows])
        job_id = f"job-{len(account.jobs) + 1}"
        report = account.on_submit(rows)
        account.jobs[job_id] = Job(contacts=rows, report=report, polls_until_done=account.polls_until_done)
        account.in_flight += 1
        account.most_in_flight = max(account.most_in_flight, account.in_flight)
        return job_id

    def poll(self, job_id: str) -> JobReport:
        self._check_key()
        account, job = self._account, self._account.jobs[job_id]
        account.polls += 1
        account.on_poll()
        job.polls_until_done -= 1
        if job.polls_until_done > 0:
            return JobReport(state=JobState.PENDING)
        account.in_flight -= 1
        report = job.report or JobReport(state=JobState.DONE, errored=0)
        refused = {refusal.email for refusal in report.refusals}
        if report.state is JobState.DONE:
            account.contacts |= {row["email"]: row for row in job.contacts if row["email"] not in refused}
        return report

    def _check_key(self) -> None:
        if self._key.get_secret_value() != self._account.key:
            raise AccessError("The provider refuses the key: check it")


def refusals(*emails: str, errored: int | None = None) -> JobReport:
    """The report of a job that did not take these addresses."""
    named = tuple(Refusal(email=email, words=f"{email} is not wanted") for email in emails)
    return JobReport(state=JobState.DONE, refusals=named, errored=len(named) if errored is None else errored)


class World:
    """An exporter with everything around it."""

    def __init__(self) -> None:
        self.time = START
        self.account = Account()
        self.state = MemoryBlobStore(now=self.now)
        self.segments = MemoryBlobStore(now=self.now)
        self.queues = MemoryQueues(now=self.now)
        self.secrets = MemorySecrets({"main-key": "good"})
        self.parts = Parts(
            state=self.state,
            segments=self.segments,
            queues=self.queues,
            queue_names=QueueNames(plan="plan", batch="batch", poll="poll"),
            secrets=self.secrets,
            connect=lambda _, key: SimulatedProvider(self.account, key),
            facts=self._facts,
            now=self.now,
            jitter=lambda: 0.0,
            settle=timedelta(seconds=60),
            plan_memory_mb=64,
            plan_threads=1,
        )
        self.exporter = Exporter(self.parts)
        self.errors: list[ExporterError] = []
        self.connection()
        self.export()

    def now(self) -> datetime:
        return self.time

    def pass_time(self, **delta: float) -> None:
        self.time += timedelta(**delta)

    def connection(self, **changes: object) -> None:
        document = {
            "id": "main",
            "provider": "simulated",
            "display_name": "Main",
            "secret": "main-key",
        } | changes
        self.state.put(paths.connection(str(document["id"])), json.dumps(document).encode())

    def export(self, **changes: object) -> None:
        document = EXPORT | changes
        self.state.put(paths.export(str(document["id"])), json.dumps(document).encode())

    def segment(self, text: str, name: str = "VIP.csv") -> None:
        """Put a segment there that has been complete for a while."""
        self.time -= timedelta(hours=1)
        self.segments.put(name, text.encode())
        self.time += timedelta(hours=1)

    def people(self, count: int, *, first_name: str = "Ann") -> list[str]:
        """A segment of so many people; answers their addresses."""
        emails = [f"p{number}@example.com" for number in range(count)]
        self.segment("EMail,FirstName\n" + "".join(f"{email},{first_name}\n" for email in emails))
        return emails

    def start(self, export: str = "newsletter", *, key: str | None = None, body: bytes = b"") -> Answer:
        headers = {} if key is None else {"idempotency-key": key}
        return self.exporter.start(Request(route={"export": export}, headers=headers, body=body))

    def run_id(self, answer: Answer) -> str:
        return str(json.loads(answer.body)["id"])

    def show(self, answer: Answer) -> dict[str, Any]:
        """The run of a start, as a caller sees it."""
        _, _, _, export, run = json.loads(answer.body).get("run", answer.headers.get("Location", "")).split("/")
        shown = self.exporter.show_run(Request(route={"export": export, "run": run}))
        assert shown.status == 200
        return dict(json.loads(shown.body))

    def deliver(self, queue: str, body: str) -> None:
        handler = {
            "plan": self.exporter.move_run,
            "batch": self.exporter.send_batch,
            "poll": self.exporter.poll_batch,
        }[queue]
        handler(body.encode())

    def pump(self, *, twice: bool = False, limit: int = 10_000) -> None:
        """Deliver messages, moving the clock to the next one, until there is none."""
        for _ in range(limit):
            when = self.queues.next_due()
            if when is None:
                return
            self.time = max(self.time, when)
            message = self.queues.due()
            assert message is not None
            for _ in range(2 if twice else 1):
                self.deliver(*message)
        raise AssertionError("the queues never run empty")

    def export_now(self, **options: Any) -> dict[str, Any]:
        """Start a run, let it come to its end, and show it."""
        answer = self.start(**options)
        assert answer.status == 202, answer.body
        self.pump()
        return self.show(answer)

    def _facts(self, connection: Connection) -> type[SimulatedProvider]:
        if connection.provider != SimulatedProvider.name:
            raise ConfigError(f"There is no provider {connection.provider}")
        return SimulatedProvider
