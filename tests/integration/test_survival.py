"""Processes die in the middle of a run, and the run ends as if they had not."""

import os
import signal
import time

import requests

from tests.integration.accounts import eventually
from tests.integration.desk import Operator, sums
from tests.integration.segments import PRIVATE

#: Longer than a host needs to be started again.
WAIT_S = 6


def test_a_run_ends_although_every_host_was_killed_between_two_of_its_steps(operator: Operator):
    """A killed host's messages come back after ten minutes, so these are killed while the run waits in a queue."""
    people = [{"EMail": f"{name}@survival.{PRIVATE}", "FirstName": name} for name in ("ann", "bo")]
    export = operator.export("sendgrid", people)
    route = export.account.import_route
    export.account.control.faults(next=[{"kind": "throttle", "reset_s": WAIT_S, "route": route}])
    cloud = operator.cloud

    started = export.start()
    eventually(lambda: export.show(started.headers["Location"])["waiting_until"])
    eventually(lambda: [operator.messages(queue) for queue in ("plan-runs", "send-batches", "poll-jobs")] == [0, 1, 0])
    time.sleep(0.5)  # until the step that sent the message has returned
    killed = cloud.host_pids
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not set(cloud.host_pids) & set(killed))
    eventually(lambda: all(is_well(url) for url in cloud.host_urls))
    run = export.verdict(started)

    assert (run["status"], sums(run), run["requests"]) == ("successful", (2, 0, 0, 0, 2, 2, 0, 0), 1)
    assert export.emails() == [person["EMail"] for person in people]


def is_well(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/health", timeout=10).ok
    except requests.ConnectionError:
        return False
