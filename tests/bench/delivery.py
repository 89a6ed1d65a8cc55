"""From POST to verdict at the sandboxes without job delay, beside the script that one would write instead."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import requests

from exporters.storage import paths
from infra.local.cloud import LocalCloud
from infra.local.sample.accounts import Account, open_brevo, open_sendgrid
from infra.local.sample.snapshot import SEGMENT, SNAPSHOT, write_sample
from tests.bench.effort import peak_mb
from tests.bench.figures import Figure

#: What is promised: at SendGrid of 100,000 profiles, at Brevo of a million.
PROMISED_S = {("sendgrid", 100_000): 10.0, ("brevo", 1_000_000): 60.0}
PROMISED_MB = 512.0
#: How often a caller in a hurry looks at its run; each look costs the app some time.
LOOK_EVERY_S = 0.5
#: How often each is measured at each size; the best counts.
TIMES = 2
OPEN: dict[str, Callable[[LocalCloud], Account]] = {"sendgrid": open_sendgrid, "brevo": open_brevo}
SIZES = {"sendgrid": (100_000, 1_000_000), "brevo": (1_000_000,)}
#: What the connector to Sendinblue that this app replaces maps; the sample's own mapping has eleven columns.
#: https://learn.microsoft.com/dynamics365/customer-insights/data/export-sendinblue
FEW_FIELDS = ("email", "first_name", "last_name", "phone")
#: Questions before the first import, whatever the size: for account, list and attributes or custom fields.
QUESTIONS_BEFORE = 3


@dataclass(slots=True)
class Measured:
    """What was seen at one size."""

    account: Account
    ours_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)  #: of the host process
    theirs_s: list[float] = field(default_factory=list)
    few_fields_s: float = 0.0  #: at Brevo, with `FEW_FIELDS` mapped
    host_mb: float = 0.0
    imports: int = 0
    fewest_imports: int = 0
    questions: int = 0


def measure() -> Iterator[Figure]:
    """All rows of this part."""
    for people in sorted({size for sizes in SIZES.values() for size in sizes}):
        print(f"{people:,} profiles: making the segment", file=sys.stderr)
        for provider in (name for name, sizes in SIZES.items() if people in sizes):
            with LocalCloud() as cloud:  # a host of its own, whose memory is this provider's
                write_sample(cloud.segments, people, bad=False)
                yield from _figures(people, _measured(cloud, provider, people))


def _measured(cloud: LocalCloud, provider: str, people: int) -> Measured:
    measured = Measured(account=OPEN[provider](cloud))
    for number in range(TIMES):
        print(f"{people:,} profiles to {measured.account.title}, {number + 1} of {TIMES}", file=sys.stderr)
        if provider == "sendgrid":
            measured.theirs_s.append(_script(cloud, _empty(cloud, measured), people))
        _ours(cloud, _empty(cloud, measured), people, measured)
    if provider == "brevo":
        account = _empty(cloud, measured)
        mapping = {name: source for name, source in account.mapping.items() if name in FEW_FIELDS}
        account.configure(cloud, SEGMENT, brakes={"max_profiles": people}, mapping=mapping)
        started = time.perf_counter()
        _follow(cloud, account.export)
        measured.few_fields_s = time.perf_counter() - started
    measured.host_mb = max(peak_mb(pid) for pid in cloud.host_pids)
    return measured


def _figures(people: int, measured: Measured) -> Iterator[Figure]:
    ours = min(measured.ours_s)
    size = f"{people:,} profiles to {measured.account.title}"
    promised = PROMISED_S.get((measured.account.provider, people))
    if promised is not None:
        yield Figure(
            name=f"{size}: POST to verdict, against the promise", value=ours, unit="s", against=promised, at_most=1
        )
    if promised is not None and measured.few_fields_s:
        yield Figure(
            name=f"{size}: the same with {len(FEW_FIELDS)} columns mapped",
            value=measured.few_fields_s,
            unit="s",
            against=promised,
            at_most=1,
        )
    if measured.theirs_s:
        yield Figure(
            name=f"{size}: POST to verdict, against the SDK script, which gives none",
            value=ours,
            unit="s",
            against=min(measured.theirs_s),
        )
    yield Figure(
        name=f"{size}: processor time of the host process, against POST to verdict",
        value=min(measured.cpu_s),
        unit="s",
        against=ours,
    )
    yield Figure(
        name=f"{size}: peak memory of the host process, against the promise",
        value=measured.host_mb,
        unit="MB",
        against=PROMISED_MB,
        at_most=1,
    )
    yield Figure(
        name=f"{size}: write requests, against the fewest that the limits allow",
        value=measured.imports,
        unit="requests",
        against=measured.fewest_imports,
    )
    yield Figure(
        name=f"{size}: questions, against one for each import and {QUESTIONS_BEFORE} before",
        value=measured.questions,
        unit="requests",
        against=measured.fewest_imports + QUESTIONS_BEFORE,
    )


def _script(cloud: LocalCloud, account: Account, people: int) -> float:
    environment = {
        **os.environ,
        "SENDGRID_API_KEY": cloud.sendgrid_key,
        "STORAGE": cloud.settings["AzureWebJobsStorage"],
    }
    keys = {field.column: field.key for field in account.fields}
    fields = [keys[column] for column in ("LoyaltyTier", "LifetimeValue", "DateOfBirth")]
    arguments = [account.url, account.list_id, *fields, cloud.segments.container_name, SNAPSHOT]
    command = [sys.executable, "-m", "tests.bench.sdk_script", *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    _expect(people, _arrived(account))
    return float(done.stdout)


def _ours(cloud: LocalCloud, account: Account, people: int, measured: Measured) -> None:
    # More than SendGrid's connector is stated to carry.
    account.configure(cloud, SEGMENT, brakes={"max_profiles": people})
    before, started, processor = _requests(account), time.perf_counter(), _cpu_s(cloud)
    run = _follow(cloud, account.export)
    measured.ours_s.append(time.perf_counter() - started)
    measured.cpu_s.append(_cpu_s(cloud) - processor)
    _expect(people, run["sums"]["delivered"])
    _expect(people, _arrived(account))
    imports = account.imports()
    measured.imports = len(imports)
    measured.fewest_imports = account.fewest_requests(people, sum(one["bytes"] for one in imports))
    measured.questions = _requests(account) - before - len(imports)


def _empty(cloud: LocalCloud, measured: Measured) -> Account:
    """The sandbox account with nobody in it, and a new list. No ledger: Brevo's list has the number of the old one."""
    requests.post(f"{measured.account.url}/_sandbox/reset", timeout=60).raise_for_status()
    measured.account = OPEN[measured.account.provider](cloud)
    for blob in cloud.state.list_blob_names(name_starts_with=paths.export_state(measured.account.export)):
        cloud.state.delete_blob(blob)
    return measured.account


def _cpu_s(cloud: LocalCloud) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in cloud.host_pids]
    return sum(one.user + one.system for one in times)


def _requests(account: Account) -> int:
    """How many requests the account has had."""
    routes = requests.get(f"{account.url}/_sandbox/requests", timeout=60).json()["routes"]
    return sum(route["count"] for route in routes.values())


def _arrived(account: Account) -> int:
    """How many are on the list."""
    answer = requests.get(f"{account.url}/_sandbox/lists/{account.list_id}/contacts", timeout=120)
    return answer.content.count(b"\n")


def _follow(cloud: LocalCloud, export: str) -> dict[str, Any]:
    """Start a run as an automation would, and wait for its verdict."""
    session = requests.Session()
    session.headers["x-functions-key"] = cloud.function_key
    answer = session.post(f"{cloud.api_url}/automation/exports/{export}/runs", timeout=30)
    answer.raise_for_status()
    address = cloud.host_urls[0] + answer.headers["Location"]
    while True:
        run = session.get(address, timeout=30).json()
        if run["finished"] is not None:
            return dict(run)
        time.sleep(LOOK_EVERY_S)


def _expect(people: int, seen: int) -> None:
    if seen != people:
        raise SystemExit(f"{seen:,} of {people:,} people arrived: the figures would mean nothing")
