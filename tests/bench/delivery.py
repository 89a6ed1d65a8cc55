"""From POST to verdict, at SendGrid's sandbox without job delay, beside the script that one would write instead."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import requests

from infra.local.cloud import LocalCloud
from infra.local.sample.accounts import Account, open_sendgrid
from infra.local.sample.snapshot import SEGMENT, SNAPSHOT, write_sample
from tests.bench.effort import peak_mb
from tests.bench.figures import Figure

#: What issue and README promise at 100,000 profiles.
PROMISED_S = 10.0
PROMISED_MB = 512.0
#: How often a caller in a hurry looks at its run; each look costs the app some time.
LOOK_EVERY_S = 0.5
#: How often each is measured at each size; the best counts.
TIMES = {100_000: 2, 1_000_000: 2}


@dataclass(slots=True)
class Measured:
    """What was seen at one size."""

    ours_s: list[float] = field(default_factory=list)
    theirs_s: list[float] = field(default_factory=list)
    host_mb: float = 0.0
    requests: int = 0
    fewest_requests: int = 0


def measure() -> Iterator[Figure]:
    """All rows of this part."""
    for people, times in TIMES.items():
        print(f"{people:,} profiles: making the segment", file=sys.stderr)
        measured = Measured()
        with LocalCloud() as cloud:
            write_sample(cloud.segments, people, bad=False)
            for number in range(times):
                print(f"{people:,} profiles: the script, then ours, {number + 1} of {times}", file=sys.stderr)
                measured.theirs_s.append(_script(cloud, people))
                measured.ours_s.append(_ours(cloud, people, measured))
            measured.host_mb = max(peak_mb(pid) for pid in cloud.host_pids)
        yield from _figures(people, measured)


def _figures(people: int, measured: Measured) -> Iterator[Figure]:
    ours, theirs = min(measured.ours_s), min(measured.theirs_s)
    size = f"{people:,} profiles to SendGrid"
    if people == 100_000:
        yield Figure(
            name=f"{size}: POST to verdict, against the promise", value=ours, unit="s", against=PROMISED_S, at_most=1
        )
    yield Figure(
        name=f"{size}: POST to verdict, against the SDK script, which gives none", value=ours, unit="s", against=theirs
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
        value=measured.requests,
        unit="requests",
        against=measured.fewest_requests,
    )


def _script(cloud: LocalCloud, people: int) -> float:
    account = _empty_account(cloud)
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


def _ours(cloud: LocalCloud, people: int, measured: Measured) -> float:
    account = _empty_account(cloud)
    account.configure(
        cloud, SEGMENT, brakes={"max_profiles": people}
    )  # more than SendGrid's connector is stated to carry
    started = time.perf_counter()
    run = _follow(cloud, account.export)
    seconds = time.perf_counter() - started
    _expect(people, run["sums"]["delivered"])
    _expect(people, _arrived(account))
    imports = account.imports()
    measured.requests = len(imports)
    measured.fewest_requests = account.fewest_requests(people, sum(one["bytes"] for one in imports))
    return seconds


def _empty_account(cloud: LocalCloud) -> Account:
    """The sandbox account with nobody in it, and a new list, for which no ledger is true."""
    requests.post(f"{cloud.sendgrid_url}/_sandbox/reset", timeout=60).raise_for_status()
    return open_sendgrid(cloud)


def _arrived(account: Account) -> int:
    """How many are on the list."""
    answer = requests.get(f"{account.url}/_sandbox/lists/{account.list_id}/contacts", timeout=120)
    return answer.content.count(b"\n")


def _follow(cloud: LocalCloud, export: str) -> dict[str, Any]:
    """Start a run as an automation would, and wait for its verdict."""
    session = requests.Session()
    session.headers["x-functions-key"] = cloud.function_key
    answer = session.post(f"{cloud.api_url}/exports/{export}/runs", timeout=30)
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
