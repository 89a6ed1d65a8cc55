"""What makes the days of `test_chaos` bad: kills, outages, providers in trouble; and who works through them."""

import itertools
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from infra.local.cloud import LocalCloud
from tests.integration.accounts import Account
from tests.integration.desk import SIGNED_IN, LiveExport
from tests.integration.segments import Person

#: Longest answer that anybody waits for. Requests to a host whose storage is away hang for longer.
ANSWER_WITHIN_S = 10.0
PAUSE_S = 0.2
#: Troubles that a provider's answers may meet. Jobs that never end are not among them: they are followed for hours.
KINDS: Sequence[Mapping[str, Any]] = (
    {"kind": "throttle", "reset_s": 1},
    {"kind": "error", "status": 500},
    {"kind": "error", "status": 503},
    {"kind": "html_error", "status": 502},
    {"kind": "html_error", "status": 504},
    {"kind": "cut_before"},
    {"kind": "cut_after"},
    {"kind": "truncated"},
)
#: The file of refused rows. Brevo's jobs count nothing, so where it has none nobody could know.
REPORTS = [{"report_file": "csv"}] * 5 + [{"report_file": kind} for kind in ("gzip", "missing", "unknown_columns")]
ERRORS_WITHOUT_NAMES = {"sendgrid": {"report_file": "none"}, "brevo": {"report_numbers": True}}
#: Routes on which people are taken off a list, as faults name them.
REMOVALS = {
    "sendgrid": "DELETE /v3/marketing/lists/{list_id}/contacts",
    "brevo": "POST /v3/contacts/lists/{list_id}/contacts/remove",
}
#: As the hosts log it.
STARTS = re.compile(r"host: the host starts, process")
STARTED = re.compile(r"host\.function: (\w+) started")
ENDED = re.compile(r"host\.function: (\w+) (?:succeeded|failed)")
OF_QUEUES = {"move_run", "send_batch", "poll_batch", "abandon_run", "abandon_send", "abandon_poll"}


class Weather:
    """Bad days at the providers. The same people are refused on all of them."""

    def __init__(self, accounts: Mapping[str, Account], rng: random.Random) -> None:
        self._accounts = accounts
        self._rng = rng
        self.refused: Sequence[str] = ()  #: addresses

    def change(self) -> None:
        """Other troubles at each of the providers."""
        for account in self._accounts.values():
            self._trouble(account)

    def calm(self) -> None:
        """No more troubles; but some people are refused as before."""
        for account in self._accounts.values():
            account.control.faults(refuse_emails=list(self.refused))

    def clear(self) -> None:
        """All is well."""
        for account in self._accounts.values():
            account.control.faults()

    def _trouble(self, account: Account) -> None:
        routes = [account.import_route, account.import_route, account.poll_route, REMOVALS[account.provider], None]
        troubles = [
            {**self._rng.choice(KINDS), "route": self._rng.choice(routes)} for _ in range(self._rng.randint(0, 2))
        ]
        report = self._rng.choice([*REPORTS, ERRORS_WITHOUT_NAMES[account.provider]])
        account.control.faults(next=troubles, refuse_emails=list(self.refused), **report)


@dataclass(kw_only=True)
class Chaos:
    """Kills hosts at random moments, takes storage away now and then, and changes the weather."""

    cloud: LocalCloud
    weather: Weather
    rng: random.Random
    logs: Path  #: folder with a log of each host
    kills: int  #: at least so many
    kills_at_work: int  #: of these, so many at least of a host that held a message
    outages: int
    unit_s: float  #: what pauses are measured by, as everything takes longer on a busy machine
    done: threading.Event = field(default_factory=threading.Event)  #: nothing more will happen
    killed: int = 0
    #: Kills while somebody waited for the answer to a start.
    killed_in_a_start: int = 0

    def run(self) -> None:
        outages = sorted(self.rng.sample(range(3, self.kills - 2), self.outages))
        try:
            while self.killed < self.kills or self.killed_at_work() < self.kills_at_work or outages:
                time.sleep(self.rng.uniform(0.5, 5) * self.unit_s)
                self.weather.change()
                if outages and self.killed >= outages[0]:
                    outages.pop(0)
                    self._take_storage_away()
                self.kill_someone()
        finally:
            self.weather.calm()
            self.done.set()

    def killed_at_work(self) -> int:
        """How many hosts held a message when they were killed."""
        return sum(map(killed_at_work, self.logs.glob("host-*.log")))

    def kill_someone(self) -> None:
        """Preferably a host that is up: one that has only begun to start is easily replaced."""
        hosts = range(len(self.cloud.host_urls))
        up = [number for number in hosts if is_listening(self.cloud.host_urls[number])]
        self.killed += self.cloud.kill_host(self.rng.choice(up or hosts))

    def kill_during_a_start(self, host: int) -> None:
        if not self.done.is_set() and self.cloud.kill_host(host):
            self.killed += 1
            self.killed_in_a_start += 1

    def _take_storage_away(self) -> None:
        self.cloud.stop_storage()
        try:
            time.sleep(self.rng.uniform(0.5, 4))
            self.kill_someone()  # so that a host starts while storage is away
            time.sleep(self.rng.uniform(0.5, 3))
        finally:
            self.cloud.start_storage()


class Caller:
    """An automation that starts runs and waits for them, whatever becomes of the host that it talks to."""

    def __init__(self, export: LiveExport, chaos: Chaos, rng: random.Random) -> None:
        self._export = export
        self._chaos = chaos
        self._rng = rng
        self.lost = 0  #: starts whose answer never came

    def start(self, key: str) -> str:
        """Start a run under an Idempotency-Key, over and over until an answer says where it is; the address."""
        where: set[str] = set()
        if self._rng.random() < 0.2:
            delay_s = self._rng.uniform(0, 0.1)
            threading.Timer(delay_s, self._chaos.kill_during_a_start, [first := self._rng.randrange(2)]).start()
        else:
            first = self._rng.randrange(2)
        for host in itertools.chain([first], itertools.cycle([1 - first, first])):
            answer = self._ask(lambda host=host: self._export.start(key=key, host=host))
            if answer is None:
                self.lost += 1
                time.sleep(PAUSE_S)
            elif answer.status_code == 202:
                where.add(answer.headers["Location"])
                if self._rng.random() < 0.5:
                    break
            else:
                assert answer.status_code == 503, (answer.status_code, answer.text)
        assert len(where) == 1, where
        return where.pop()

    def verdict(self, location: str, *, within_s: float) -> dict[str, Any]:
        """The run at this address once it has ended, which it does in so much time without any trouble."""
        calm_since: float | None = None
        while True:
            answer = self._ask(lambda: self._look(location))
            run = answer.json() if answer is not None and answer.status_code == 200 else None
            if run is not None and run["finished"] is not None:
                return dict(run)
            if calm_since is None and self._chaos.done.is_set():
                calm_since = time.monotonic()
            assert calm_since is None or time.monotonic() < calm_since + within_s, run
            time.sleep(PAUSE_S)

    def _look(self, location: str) -> requests.Response:
        url = self._export.cloud.host_urls[self._rng.randrange(2)] + location
        return requests.get(url, headers=SIGNED_IN, timeout=ANSWER_WITHIN_S)

    @staticmethod
    def _ask(ask: Callable[[], requests.Response]) -> requests.Response | None:
        try:
            return ask()
        except requests.RequestException:
            return None


@dataclass(kw_only=True)
class Crowd:
    """People of a segment, who change, leave and come back."""

    domain: str
    rng: random.Random
    size: int
    notes: int  #: long texts that each of them has
    names: dict[int, str] = field(default_factory=dict)  #: number of a person -> first name now
    _next: int = 0

    def __post_init__(self) -> None:
        for _ in range(self.size):
            self._join()

    def change(self) -> None:
        """The next state of the segment."""
        known = sorted(self.names)
        for number in self.rng.sample(known, len(known) // 10):
            self.names[number] = f"Name {self.rng.randrange(10**6)}"
        left = [number for number in range(self._next) if number not in self.names]
        for number in self.rng.sample(known, len(known) // 50):
            del self.names[number]
        for number in self.rng.sample(left, len(left) // 2):
            self.names[number] = f"Back {number}"
        for _ in range(len(known) // 100):
            self._join()

    def email(self, number: int) -> str:
        return f"p{number}@{self.domain}"

    @property
    def expected(self) -> dict[str, str]:
        """Address -> first name, of everyone who is to be on the list."""
        return {self.email(number): name for number, name in self.names.items()}

    @property
    def gone(self) -> set[str]:
        """Addresses of those who were in the segment once."""
        return {self.email(number) for number in range(self._next) if number not in self.names}

    def people(self) -> list[Person]:
        """Rows of the segment: everyone, one of them twice, and one without an address that works."""
        rows = [self._row(number, self.email(number), name) for number, name in self.names.items()]
        first = min(self.names)
        return [*rows, self._row(first, self.email(first).upper(), "Twice"), self._row(0, "nowhere", "Invalid")]

    def _join(self) -> None:
        self.names[self._next] = f"Name {self._next}"
        self._next += 1

    def _row(self, number: int, email: str, name: str) -> Person:
        notes = {f"Note{note}": f"{number} {note} ".ljust(950, "x") for note in range(self.notes)}
        return {"EMail": email, "FirstName": name, **notes}


def is_listening(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), timeout=1).close()
    except OSError:
        return False
    return True


def killed_at_work(log: Path) -> int:
    """How many processes of one host ended while they held a message, by its log; but for the one that runs now."""
    count, at_work = 0, 0
    for line in log.read_text().splitlines():
        if STARTS.search(line):
            count += at_work > 0
            at_work = 0
        elif (found := STARTED.search(line)) and found[1] in OF_QUEUES:
            at_work += 1
        elif (found := ENDED.search(line)) and found[1] in OF_QUEUES:
            at_work -= 1
    return count
