"""The whole app on in-memory parts: a clock that is moved by hand, queues that are pumped, and a simulated provider."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import SecretStr

from exporters.api.answers import Answer, Request
from exporters.errors import AccessError, ConfigError, ExporterError, RefusedError
from exporters.exporter import Exporter
from exporters.model.caller import SignIn
from exporters.model.connection import Connection
from exporters.model.export import Mapping as FieldMapping
from exporters.model.fields import ContactShape, FieldType, StandardField, TargetField, email_field
from exporters.notifications.webhooks import Reply
from exporters.parts import Parts, QueueNames
from exporters.planning.engine import DuckDbPlanning
from exporters.providers.base import (
    Access,
    AccountField,
    BatchLimits,
    ContactList,
    Envelope,
    JobReport,
    JobState,
    Lists,
    Member,
    Members,
    Refusal,
    Removal,
    Suppression,
    SuppressionKind,
    Suppressions,
)
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
    """An import job of the simulated provider, or one that takes people off the list."""

    contacts: list[dict[str, Any]] = field(default_factory=list)
    leavers: frozenset[str] = frozenset()
    report: JobReport | None = None  #: what polling answers instead of success
    polls_until_done: int = 1


@dataclass(kw_only=True)
class Account:
    """What the simulated provider keeps, and what it is going to do wrong."""

    key: str = "good"
    id: str | None = None  #: what tells the account from others, where it says so
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    on_list: set[str] = field(default_factory=set)  #: those of the contacts who are on the list
    suppressed: dict[str, SuppressionKind] = field(default_factory=dict)  #: by address
    jobs: dict[str, Job] = field(default_factory=dict)
    requests: list[list[str]] = field(default_factory=list)  #: addresses of each submit
    removals: list[list[str]] = field(default_factory=list)  #: addresses of each removal
    polls: int = 0
    questions: int = 0  #: for suppressions
    in_flight: int = 0
    most_in_flight: int = 0
    #: Called with the contacts of a submit before anything is kept; may raise or answer the report of the job.
    on_submit: Callable[[list[dict[str, Any]]], JobReport | None] = lambda contacts: None
    #: Called before a poll; may raise.
    on_poll: Callable[[], None] = lambda: None
    polls_until_done: int = 1
    #: Called with the addresses of a removal before anyone leaves; may raise, or answer whom it refuses, with words.
    on_remove: Callable[[Sequence[str]], dict[str, str] | None] = lambda emails: None
    removes_by_job: bool = False  #: people leave when a job has ended, not at once
    #: Called before suppressions are answered; may raise.
    on_suppressions: Callable[[], None] = lambda: None
    #: Called before the people on the list are told; may raise.
    on_members: Callable[[], None] = lambda: None
    members_after: int = 0  #: as `suppressions_after`, for the people on the list
    listings: int = 0  #: questions for the people on the list
    suppressions_after: int = 0  #: questions that are answered with "the file is being written" first
    not_before_s: float | None = None
    polls_not_before_s: float | None = None
    #: Id -> name, in the order in which they are told.
    lists: dict[str, str] = field(default_factory=lambda: {"list-1": "List"})
    max_lists: int = 1_000  #: room for so many
    custom_fields: dict[str, FieldType] = field(default_factory=dict)
    #: Called before the lists or the fields are told, or a list is made; may raise.
    on_question: Callable[[], None] = lambda: None


class SimulatedProvider:
    """A provider in memory that obeys the protocol."""

    name: ClassVar[str] = "simulated"
    title: ClassVar[str] = "Simulated"
    limits: ClassVar[BatchLimits] = BatchLimits(max_contacts=4, max_body_bytes=1_000)
    jobs_in_flight: ClassVar[int] = 2
    poll_delays_s: ClassVar[Sequence[float]] = (1.0, 10.0)
    job_deadline_s: ClassVar[float] = 3600.0
    removal_limit: ClassVar[int] = 3
    removal_limit_by_id: ClassVar[int] = 6
    listing_pays_from: ClassVar[int | None] = None
    suppressions_at_once: ClassVar[bool] = True
    stated_limit: ClassVar[int] = 1_000
    pace_per_minute: ClassVar[float] = 100.0
    max_list_name: ClassVar[int] = 40
    standard_names: ClassVar[Mapping[StandardField, str]] = {name: name.value for name in StandardField}

    #: Suppressions that one answer holds, and how long the file takes that they come in.
    SUPPRESSIONS_A_PAGE: ClassVar[int] = 2
    MEMBERS_A_PAGE: ClassVar[int] = 5
    LISTS_A_PAGE: ClassVar[int] = 3
    FILE_WAIT_S: ClassVar[float] = 5.0

    def __init__(self, account: Account, key: SecretStr) -> None:
        self._account = account
        self._key = key

    @property
    def not_before_s(self) -> float | None:
        return self._account.not_before_s

    @property
    def polls_not_before_s(self) -> float | None:
        return self._account.polls_not_before_s

    @staticmethod
    def canonical_list_id(list_id: str) -> str:
        return list_id.lower()

    def check_access(self, list_id: str, mapping: FieldMapping, *, count_account: bool = False) -> Access:
        self._check_key()
        self._check_list(list_id)
        standard = mapping.standard().items()
        fields = tuple(TargetField(name=name.value, source=source, path=(name.value,)) for name, source in standard)
        return Access(
            list_name="List",
            list_count=len(self._account.on_list),
            shape=ContactShape(email=email_field(mapping.email), fields=fields, formats=mapping.formats),
            account_contacts=len(self._account.contacts) if count_account else None,
        )

    def envelope(self, list_id: str) -> Envelope:
        return Envelope(head=b"[", tail=b"]")

    def submit(self, list_id: str, contacts: Sequence[bytes]) -> str:
        self._check_key()
        account = self._account
        rows = [json.loads(contact) for contact in contacts]
        account.requests.append([row["email"] for row in rows])
        report = account.on_submit(rows)
        return self._begin(Job(contacts=rows, report=report, polls_until_done=account.polls_until_done))

    def import_runs(self) -> bool:
        self._check_key()
        return self._account.in_flight > 0

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
            taken = {row["email"]: row for row in job.contacts if row["email"] not in refused}
            account.contacts |= taken
            account.on_list |= set(taken)
            account.on_list -= job.leavers - refused
        return report

    def suppressions(self, token: str | None) -> Suppressions:
        self._check_key()
        account = self._account
        account.questions += 1
        account.on_suppressions()
        word, _, number = (token or "file:0").partition(":")
        if word == "file" and int(number) < account.suppressions_after:
            return Suppressions(rows=(), token=f"file:{int(number) + 1}", wait_s=self.FILE_WAIT_S)
        first = int(number) if word == "row" else 0
        last = first + self.SUPPRESSIONS_A_PAGE
        rows = [Suppression(email=email, kind=kind, since=None) for email, kind in account.suppressed.items()]
        return Suppressions(rows=rows[first:last], token=f"row:{last}" if last < len(rows) else None)

    def account(self) -> str | None:
        self._check_key()
        return self._account.id

    def lists(self, token: str | None) -> Lists:
        self._check_key()
        self._account.on_question()
        first = int(token or 0)
        last = first + self.LISTS_A_PAGE
        rows = [
            ContactList(id=list_id, name=name, count=len(self._account.on_list) if list_id == "list-1" else 0)
            for list_id, name in self._account.lists.items()
        ]
        return Lists(rows=rows[first:last], token=str(last) if last < len(rows) else None)

    def create_list(self, name: str) -> ContactList:
        self._check_key()
        self._account.on_question()
        if len(self._account.lists) >= self._account.max_lists:
            raise RefusedError("The provider refuses the new list: there is no room for one more.")
        created = ContactList(id=f"list-{len(self._account.lists) + 1}", name=name, count=0)
        self._account.lists[created.id] = name
        return created

    def fields(self) -> Sequence[AccountField]:
        self._check_key()
        self._account.on_question()
        standard = [AccountField(name=name.value, type=FieldType.TEXT, standard=name) for name in StandardField]
        more = self._account.custom_fields.items()
        return [*standard, *(AccountField(name=name, type=kind, standard=None) for name, kind in more)]

    def members(self, list_id: str, token: str | None) -> Members:
        self._check_key()
        self._check_list(list_id)
        account = self._account
        account.listings += 1
        account.on_members()
        word, _, number = (token or "file:0").partition(":")
        if word == "file" and int(number) < account.members_after:
            return Members(rows=(), token=f"file:{int(number) + 1}", wait_s=self.FILE_WAIT_S)
        first = int(number) if word == "row" else 0
        last = first + self.MEMBERS_A_PAGE
        rows = [Member(email=email, id=f"id-{email}") for email in sorted(account.on_list)]
        return Members(rows=rows[first:last], token=f"row:{last}" if last < len(rows) else None)

    def remove(self, list_id: str, people: Sequence[Member]) -> Removal:
        self._check_key()
        self._check_list(list_id)
        account = self._account
        emails = [person.email for person in people]
        limit = self.removal_limit_by_id if all(person.id for person in people) else self.removal_limit
        assert len(emails) == len(set(emails)) <= limit
        account.removals.append(list(emails))
        refused = account.on_remove(emails) or {}
        there = frozenset(emails) & account.on_list - refused.keys()
        absent = frozenset(emails) - there - refused.keys()
        if there and account.removes_by_job:
            job = self._begin(Job(leavers=there, polls_until_done=account.polls_until_done))
            return Removal(absent=absent, refused=refused, pending=there, job=job)
        account.on_list -= there
        return Removal(removed=there, absent=absent, refused=refused)

    def _begin(self, job: Job) -> str:
        account = self._account
        job_id = f"job-{len(account.jobs) + 1}"
        account.jobs[job_id] = job
        account.in_flight += 1
        account.most_in_flight = max(account.most_in_flight, account.in_flight)
        return job_id

    def _check_list(self, list_id: str) -> None:
        if list_id not in self._account.lists:
            raise ConfigError(f"There is no list {list_id}")

    def _check_key(self) -> None:
        if self._key.get_secret_value() != self._account.key:
            raise AccessError("The provider refuses the key: check it")


@dataclass(frozen=True, kw_only=True)
class Post:
    """A notification as it came in."""

    url: str
    body: bytes
    headers: dict[str, str]


@dataclass(kw_only=True)
class SimulatedReceiver:
    """A receiver of notifications in memory."""

    posts: list[Post] = field(default_factory=list)
    #: Called with a post after it was taken in; may raise, or answer a status or a whole reply.
    on_post: Callable[[Post], int | Reply] = lambda post: 204

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Reply:
        posted = Post(url=url, body=body, headers=dict(headers))
        self.posts.append(posted)
        answer = self.on_post(posted)
        return answer if isinstance(answer, Reply) else Reply(status=answer, headers={})


def refusals(*emails: str, errored: int | None = None) -> JobReport:
    """The report of a job that did not take these addresses."""
    named = tuple(Refusal(email=email, words=f"{email} is not wanted") for email in emails)
    return JobReport(state=JobState.DONE, refusals=named, errored=len(named) if errored is None else errored)


class World:
    """An exporter with everything around it."""

    def __init__(self) -> None:
        self.time = START
        self.account = Account()
        self.provider: type[SimulatedProvider] = SimulatedProvider  #: a subclass may declare other facts
        self.state = MemoryBlobStore(now=self.now)
        self.segments = MemoryBlobStore(now=self.now)
        self.queues = MemoryQueues(now=self.now)
        self.secrets = MemorySecrets({"main-key": "good"})
        self.receiver = SimulatedReceiver()
        self.parts = Parts(
            state=self.state,
            segments=self.segments,
            queues=self.queues,
            queue_names=QueueNames(plan="plan", batch="batch", poll="poll", notify="notify", erase="erase"),
            secrets=self.secrets,
            webhooks=self.receiver,
            connect=lambda _, key: self.provider(self.account, key),
            facts=self._facts,
            now=self.now,
            jitter=lambda: 0.0,
            settle=timedelta(seconds=60),
            planning=DuckDbPlanning(memory_mb=64, threads=1),
            step_limit=timedelta(minutes=10),
            sign_in=SignIn.LOCAL,
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

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """A request to an address below /api; its body is JSON where no header says otherwise."""
        named = ({"content-type": "application/json"} if body else {}) | dict(headers or {})
        request = Request(method=method, path=path, headers=named, query=query or {}, body=body)
        return self.exporter.answer(request)

    def start(self, export: str = "newsletter", *, key: str | None = None, body: bytes = b"") -> Answer:
        headers = {} if key is None else {"idempotency-key": key}
        return self.call("POST", f"/exports/{export}/runs", headers=headers, body=body)

    def run_id(self, answer: Answer) -> str:
        return str(json.loads(answer.body)["id"])

    def approve(self, answer: Answer, *, body: bytes = b"") -> Answer:
        """Let the run of a start go on."""
        return self.call("POST", f"{self.address(answer)}/approve", body=body)

    def reject(self, answer: Answer, *, body: bytes = b"") -> Answer:
        """End the run of a start."""
        return self.call("POST", f"{self.address(answer)}/reject", body=body)

    def cancel(self, answer: Answer, *, body: bytes = b"") -> Answer:
        """Have the run of a start end."""
        return self.call("POST", f"{self.address(answer)}/cancel", body=body)

    def retry(self, answer: Answer, *, key: str | None = None) -> Answer:
        """Start a run that sends what the run of a start did not deliver."""
        headers = {} if key is None else {"idempotency-key": key}
        return self.call("POST", f"{self.address(answer)}/retry", headers=headers)

    def preview(self, export: str = "newsletter", *, body: bytes = b"") -> Answer:
        return self.call("POST", f"/exports/{export}/preview", body=body)

    def show(self, answer: Answer) -> dict[str, Any]:
        """The run of a start, as a caller sees it."""
        shown = self.call("GET", self.address(answer))
        assert shown.status == 200
        return dict(json.loads(shown.body))

    def deliver(self, queue: str, body: str) -> None:
        handler = {
            "plan": self.exporter.move_run,
            "batch": self.exporter.send_batch,
            "poll": self.exporter.poll_batch,
            "notify": self.exporter.send_notification,
            "erase": self.exporter.erase_person,
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

    def address(self, answer: Answer) -> str:
        """Where the run of a start is, below /api."""
        address = str(json.loads(answer.body).get("run", answer.headers.get("Location", "")))
        return address.removeprefix("/api")

    def _facts(self, connection: Connection) -> type[SimulatedProvider]:
        if connection.provider != SimulatedProvider.name:
            raise ConfigError(f"There is no provider {connection.provider}")
        return self.provider
