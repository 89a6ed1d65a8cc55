"""Two simulated accounts, shaped like those of SendGrid and Brevo, with limits scaled down; and what they do wrong.

An account keeps what a provider keeps, and looks itself whether the promises to it are kept: no more jobs at once than
it takes, no request before the time that it has named, nothing in a contact that could lift an opt-out.

Jobs of an account take effect in the order in which they were accepted, though they may say so in another order. Of a
provider that mixes them up nobody could tell what is on its lists.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import ClassVar, Protocol, TypeVar

from pydantic import SecretStr

from exporters.errors import (
    AccessError,
    ConfigError,
    ForbiddenError,
    RefusedError,
    ThrottledError,
    TransientError,
)
from exporters.model.export import Mapping as FieldMapping
from exporters.model.fields import ContactShape, FieldType, StandardField, TargetField, email_field
from exporters.providers.base import (
    Access,
    AccountField,
    BatchLimits,
    ContactList,
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
from tests.simulation.faults import BrokenPromiseError
from tests.world import SimulatedProvider

Answered = TypeVar("Answered")

#: Keys that a contact may have. Any other could change more than a name, as `emailBlacklisted` does with Brevo.
HARMLESS_KEYS = {"email", "first_name"}
#: What the provider does wrong with a request, how often beside each other.
TROUBLES: Mapping[str, int] = {
    "throttled": 4,
    "used up": 3,
    "server error": 4,
    "lost answer": 6,
    "refused whole": 2,
    "forbidden": 2,
    "banned": 1,
    "full": 1,
}
#: Troubles that only a request with contacts meets.
OF_SUBMITS = {"refused whole", "full"}
#: Why the provider takes a contact under no circumstances, and how it says so.
NAMED_AT_ONCE, UNNAMED_AT_ONCE, IN_REPORT, COUNTED, NO_REPORT = "named", "unnamed", "in report", "counted", "no report"
WAITS_S = (1, 20, 61, 400, 4000)


class Surroundings(Protocol):
    """What an account has to know of the world around it."""

    chance: Random

    def now(self) -> datetime: ...

    def request(self, what: str, act: Callable[[], Answered]) -> Answered:
        """Carry a request out, unless the step that makes it dies before; or let it die after."""

    def jobs_followed(self) -> set[str]:
        """The import jobs that somebody is going to ask for."""

    def note(self, text: str) -> None: ...


@dataclass(kw_only=True)
class Job:
    """An import job, or one that takes people off a list."""

    list_id: str
    taken: Mapping[str, bytes] = field(default_factory=dict)  #: contacts that it is going to take
    leavers: frozenset[str] = frozenset()
    lands: datetime  #: when it takes effect
    tells: datetime | None  #: from when on it says that it has ended; None: never
    report: JobReport
    landed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One contact of a request that the provider took."""

    at: datetime
    list_id: str
    email: str
    contact: bytes


@dataclass(kw_only=True)
class Account:
    """What a provider keeps of one customer."""

    world: Surroundings
    lists: dict[str, set[str]]
    id: str | None = None
    key: str = "first"
    contacts: dict[str, bytes] = field(default_factory=dict)
    suppressed: dict[str, Suppression] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    removed: list[tuple[datetime, str, str]] = field(default_factory=list)  #: when, from which list, who
    #: List and address of whom somebody has taken off a list by hand, until they are there again; and whom somebody
    #: has put there.
    taken_off: set[tuple[str, str]] = field(default_factory=set)
    strangers: set[str] = field(default_factory=set)
    bad: dict[str, str] = field(default_factory=dict)  #: address -> how it is refused
    troubles_left: int = 0
    trouble_rate: float = 0.0
    jobs_spoilt: float = 0.0  #: share of jobs that fail or never end
    slowest_s: int = 30
    closed_until: datetime | None = None  #: the key is refused until then
    refuses_with: type[AccessError] = AccessError
    not_before: datetime | None = None  #: named to whoever asked
    last_landing: datetime | None = None

    def settle(self) -> None:
        """Let everything happen that is due."""
        for job in self.jobs.values():
            if not job.landed and job.lands <= self.world.now():
                self._land(job)

    def _land(self, job: Job) -> None:
        job.landed = True
        self.contacts.update(job.taken)
        self.lists[job.list_id] |= job.taken.keys()
        self.lists[job.list_id] -= job.leavers
        self.taken_off -= {(job.list_id, email) for email in job.taken}

    def accept(self, list_id: str, *, report: JobReport, taken: Mapping[str, bytes], leavers: frozenset[str]) -> str:
        """Begin a job; answers its id."""
        chance, now = self.world.chance, self.world.now()
        lands = now + timedelta(seconds=chance.randint(0, self.slowest_s))
        lands = lands if self.last_landing is None else max(lands, self.last_landing)
        tells: datetime | None = lands + timedelta(seconds=chance.randint(0, self.slowest_s))
        if self.jobs_spoilt and chance.random() < self.jobs_spoilt:
            if chance.random() < 0.5:
                report, taken, leavers = JobReport(state=JobState.FAILED, words="it failed"), {}, frozenset()
            else:
                some = chance.random()
                tells, taken = None, {email: row for email, row in taken.items() if chance.random() < some}
                leavers = frozenset(email for email in sorted(leavers) if chance.random() < some)
        job_id = f"job-{len(self.jobs) + 1}"
        job = Job(list_id=list_id, taken=taken, leavers=leavers, lands=lands, tells=tells, report=report)
        self.jobs[job_id] = job
        self.last_landing = lands
        self.world.note(f"provider: {job_id} with {len(taken) + len(leavers)} on {list_id}, {report.state}, {tells}")
        return job_id

    def in_flight(self) -> int:
        """Jobs at work that somebody knows of: not those whose acceptance got lost on its way."""
        followed = self.world.jobs_followed()
        now = self.world.now()
        return sum(job_id in followed and (job.tells is None or job.tells > now) for job_id, job in self.jobs.items())


class Shape(SimulatedProvider):
    """What both shapes have in common. Built for one step."""

    job_deadline_s: ClassVar[float] = 1800.0
    takes_back_at_once: ClassVar[bool]  #: removals need no job
    at_fault: ClassVar[Sequence[str]]  #: how it refuses contacts

    def __init__(self, account: Account, key: SecretStr) -> None:
        self._held = account
        self._world = account.world
        self._secret = key
        self._not_before: float | None = None
        self._refuses = False  #: the next contacts as a whole, without naming any

    @property
    def not_before_s(self) -> float | None:
        return self._not_before

    @property
    def polls_not_before_s(self) -> float | None:
        return None

    def check_access(self, list_id: str, mapping: FieldMapping, *, count_account: bool = False) -> Access:
        return self._ask("check access", lambda: self._access(list_id, mapping, count_account))

    def _access(self, list_id: str, mapping: FieldMapping, count_account: bool) -> Access:
        standard = mapping.standard().items()
        fields = tuple(TargetField(name=name.value, source=source, path=(name.value,)) for name, source in standard)
        return Access(
            list_name=list_id,
            list_count=len(self._list(list_id)),
            shape=ContactShape(email=email_field(mapping.email), fields=fields, formats=mapping.formats),
            account_contacts=len(self._held.contacts) if count_account else None,
        )

    def submit(self, list_id: str, contacts: Sequence[bytes]) -> str:
        return self._ask(f"submit {len(contacts)} to {list_id}", lambda: self._submit(list_id, contacts))

    def _submit(self, list_id: str, contacts: Sequence[bytes]) -> str:
        account = self._held
        self._list(list_id)
        rows = {str(json.loads(contact)["email"]): contact for contact in contacts}
        self._check_contacts(list_id, contacts, len(rows))
        at_once = {
            n: email for n, email in enumerate(rows) if account.bad.get(email) in (NAMED_AT_ONCE, UNNAMED_AT_ONCE)
        }
        if at_once:
            named = {n: f"{email} is wrong" for n, email in at_once.items() if account.bad[email] == NAMED_AT_ONCE}
            raise RefusedError("The provider refuses contacts", rows=named)
        if self._refuses and not any(sent.contact == rows.get(sent.email) for sent in account.sent):
            raise RefusedError("The provider answered 400")  # what it has taken before it would take again
        now = self._world.now()
        account.sent += [Sent(at=now, list_id=list_id, email=email, contact=row) for email, row in rows.items()]
        return account.accept(
            list_id,
            report=self._report(rows),
            taken={email: row for email, row in rows.items() if email not in account.bad},
            leavers=frozenset(),
        )

    def _check_contacts(self, list_id: str, contacts: Sequence[bytes], people: int) -> None:
        envelope = self.envelope(list_id)
        body = len(envelope.head) + len(b",".join(contacts)) + len(envelope.tail)
        if people != len(contacts) or people > self.limits.max_contacts or body > self.limits.max_body_bytes:
            raise BrokenPromiseError(f"a request of {len(contacts)} contacts, {people} people and {body} bytes")
        for contact in contacts:
            if strange := json.loads(contact).keys() - HARMLESS_KEYS:
                raise BrokenPromiseError(f"a contact carries {sorted(strange)}, which could lift an opt-out")
        if self._held.in_flight() >= self.jobs_in_flight:
            raise BrokenPromiseError(f"more than {self.jobs_in_flight} jobs in flight")

    def _report(self, rows: Mapping[str, bytes]) -> JobReport:
        refused = {email: self._held.bad[email] for email in rows if email in self._held.bad}
        named = tuple(Refusal(email=email, words="wrong") for email, how in refused.items() if how == IN_REPORT)
        missing = NO_REPORT in refused.values()
        return JobReport(
            state=JobState.DONE,
            refusals=() if missing else named,
            errored=len(refused),
            report_missing=missing,
        )

    def import_runs(self) -> bool:
        return self._ask("ask whether an import is at work", self._import_runs)

    def _import_runs(self) -> bool:
        now = self._world.now()
        return any(job.tells is None or job.tells > now for job in self._held.jobs.values())

    def poll(self, job_id: str) -> JobReport:
        return self._ask(f"poll {job_id}", lambda: self._poll(job_id))

    def _poll(self, job_id: str) -> JobReport:
        job = self._held.jobs[job_id]
        if job.tells is None or job.tells > self._world.now():
            return JobReport(state=JobState.PENDING)
        return job.report

    def suppressions(self, token: str | None) -> Suppressions:
        return self._ask("ask whom it suppresses", lambda: self._suppressions(token))

    def _suppressions(self, token: str | None) -> Suppressions:
        rows = list(self._held.suppressed.values())
        word, _, number = (token or "file:0").partition(":")
        if not self.suppressions_at_once:
            if token is None or int(number) < 2:
                return Suppressions(rows=(), token=f"file:{int(number) + 1}", wait_s=self.FILE_WAIT_S)
            return Suppressions(rows=rows, token=None)
        first = int(number) if word == "row" else 0
        last = first + self.SUPPRESSIONS_A_PAGE
        return Suppressions(rows=rows[first:last], token=f"row:{last}" if last < len(rows) else None)

    def account(self) -> str | None:
        return self._ask("ask for the account", lambda: self._held.id)

    def lists(self, token: str | None) -> Lists:
        return self._ask("ask for the lists", lambda: self._lists(token))

    def _lists(self, token: str | None) -> Lists:
        first = int(token or 0)
        last = first + self.LISTS_A_PAGE
        rows = [ContactList(id=name, name=name, count=len(people)) for name, people in self._held.lists.items()]
        return Lists(rows=rows[first:last], token=str(last) if last < len(rows) else None)

    def create_list(self, name: str) -> ContactList:
        return self._ask("create a list", lambda: self._create_list(name))

    def _create_list(self, name: str) -> ContactList:
        if name in self._held.lists:
            raise RefusedError("The provider has a list of that name")
        self._held.lists[name] = set()
        return ContactList(id=name, name=name, count=0)

    def fields(self) -> Sequence[AccountField]:
        return self._ask("ask for the fields", self._fields)

    def _fields(self) -> Sequence[AccountField]:
        return [AccountField(name="first_name", type=FieldType.TEXT, standard=StandardField.FIRST_NAME)]

    def members(self, list_id: str, token: str | None) -> Members:
        return self._ask("ask who is on the list", lambda: self._members(list_id, token))

    def _members(self, list_id: str, token: str | None) -> Members:
        first = int(token or 0)
        last = first + self.MEMBERS_A_PAGE
        everyone = [Member(email=email, id=f"id-{email}") for email in sorted(self._list(list_id))]
        return Members(rows=everyone[first:last], token=str(last) if last < len(everyone) else None)

    def remove(self, list_id: str, people: Sequence[Member]) -> Removal:
        return self._ask(f"remove {len(people)} from {list_id}", lambda: self._remove(list_id, people))

    def _remove(self, list_id: str, people: Sequence[Member]) -> Removal:
        account, emails = self._held, frozenset(person.email for person in people)
        most = self.removal_limit_by_id if all(person.id for person in people) else self.removal_limit
        if not len(people) == len(emails) <= most:
            raise BrokenPromiseError(f"a removal of {len(people)}, {len(emails)} people")
        there = emails & self._list(list_id)
        account.removed += [(self._world.now(), list_id, email) for email in sorted(emails)]
        if self.takes_back_at_once or not there:
            account.lists[list_id] -= there
            return Removal(removed=there, absent=emails - there)
        if account.in_flight() >= self.jobs_in_flight:
            raise BrokenPromiseError(f"more than {self.jobs_in_flight} jobs in flight")
        done = JobReport(state=JobState.DONE, errored=0)
        job = account.accept(list_id, report=done, taken={}, leavers=there)
        return Removal(absent=emails - there, pending=there, job=job)

    def _list(self, list_id: str) -> set[str]:
        if list_id not in self._held.lists:
            raise ConfigError(f"There is no list {list_id}")
        return self._held.lists[list_id]

    def _ask(self, what: str, answer: Callable[[], Answered]) -> Answered:
        """One request, with all that may go wrong on its way."""
        return self._world.request(what, lambda: self._answer(what, answer))

    def _answer(self, what: str, answer: Callable[[], Answered]) -> Answered:
        account = self._held
        account.settle()
        now = self._world.now()
        if account.not_before is not None and now < account.not_before:
            raise self._throttled((account.not_before - now).total_seconds())
        trouble = self._trouble(what)
        if self._secret.get_secret_value() != account.key or (account.closed_until or now) > now:
            self._world.note("provider: refuses the key")
            raise account.refuses_with("The provider refuses the key: check it")
        if trouble in {"throttled", "used up"}:
            wait_s = self._world.chance.choice(WAITS_S)
            account.not_before = now + timedelta(seconds=wait_s)
            if trouble == "throttled":
                raise self._throttled(wait_s)
            self._not_before = wait_s
        elif trouble == "server error":
            raise TransientError("The provider answered 503")
        elif trouble == "full":
            raise ConfigError("The provider answered 402: the account is full")
        elif trouble == "refused whole":
            self._refuses = True
        answered = answer()
        if trouble == "lost answer":
            raise TransientError("The connection was lost")
        return answered

    def _throttled(self, wait_s: float) -> ThrottledError:
        return ThrottledError("The provider wants a pause", wait_s=wait_s)

    def _trouble(self, what: str) -> str:
        """What goes wrong with this request; empty where nothing does."""
        account, chance = self._held, self._world.chance
        if not account.troubles_left or chance.random() >= account.trouble_rate:
            return ""
        account.troubles_left -= 1
        (trouble,) = chance.choices(list(TROUBLES), list(TROUBLES.values()))
        if trouble in OF_SUBMITS and not what.startswith("submit"):
            trouble = "server error"
        if trouble in {"forbidden", "banned"}:
            account.closed_until = self._world.now() + timedelta(minutes=chance.randint(1, 20))
            account.refuses_with = AccessError if trouble == "forbidden" else ForbiddenError
        self._world.note(f"provider: {trouble}")
        return trouble


class LikeSendGrid(Shape):
    """Several jobs at once; people leave by a job; a contact at fault refuses its request, and is named."""

    title: ClassVar[str] = "Like SendGrid"
    limits: ClassVar[BatchLimits] = BatchLimits(max_contacts=4, max_body_bytes=300)
    jobs_in_flight: ClassVar[int] = 3
    poll_delays_s: ClassVar[Sequence[float]] = (2.0, 20.0, 120.0)
    removal_limit: ClassVar[int] = 2
    removal_limit_by_id: ClassVar[int] = 4
    listing_pays_from: ClassVar[int | None] = 3
    suppressions_at_once: ClassVar[bool] = True
    takes_back_at_once: ClassVar[bool] = False
    at_fault: ClassVar[Sequence[str]] = (NAMED_AT_ONCE, UNNAMED_AT_ONCE, IN_REPORT, NO_REPORT)


class LikeBrevo(Shape):
    """One job at a time; people leave at once; a report tells afterwards who was not taken, or how many."""

    title: ClassVar[str] = "Like Brevo"
    limits: ClassVar[BatchLimits] = BatchLimits(max_contacts=6, max_body_bytes=400)
    jobs_in_flight: ClassVar[int] = 1
    poll_delays_s: ClassVar[Sequence[float]] = (2.0, 15.0, 60.0)
    removal_limit: ClassVar[int] = 3
    removal_limit_by_id: ClassVar[int] = 3
    suppressions_at_once: ClassVar[bool] = False
    takes_back_at_once: ClassVar[bool] = True
    at_fault: ClassVar[Sequence[str]] = (IN_REPORT, COUNTED, NO_REPORT)


SHAPES: Sequence[type[Shape]] = (LikeSendGrid, LikeBrevo)


def suppressed(email: str, chance: Random, since: datetime) -> Suppression:
    """Somebody whom the provider mails nothing from then on."""
    return Suppression(email=email, kind=chance.choice(list(SuppressionKind)), since=since)
