"""The host as a process of its own, with the toy app."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from infra.local.processes import Child, Processes, StartError
from tests.conftest import Storage

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "infra.local.host", "--port", "0", "--app-dir"]


class Toy:
    """The toy app on as many hosts as are started."""

    def __init__(self, processes: Processes, storage: Storage, app: Path, record: Path) -> None:
        self._processes = processes
        self._app = app
        self._record = record
        self.settings = {
            "AzureWebJobsStorage": storage.connection_string,
            "AzureFunctionsWebHost__hostid": storage.fresh_name(),
            "TOY_QUEUE": storage.queue(),
            "TOY_SCHEDULE": "0 0 0 1 1 *",
            "TOY_RECORD": str(record),
            "LOCAL_FUNCTION_KEY": "function-key",
            "PYTHON_THREADPOOL_THREAD_COUNT": "4",
        }
        self.queue = QueueClient.from_connection_string(
            storage.connection_string, self.settings["TOY_QUEUE"], message_encode_policy=TextBase64EncodePolicy()
        )

    def start(self) -> tuple[Child, str]:
        """A new host and the address of its HTTP functions."""
        child = self._processes.start("host", [*COMMAND, str(self._app)], env=self.settings, cwd=ROOT)
        return child, child.announcement()["url"] + "/api"

    def stop(self, child: Child) -> int:
        [status] = self._processes.stop(child)
        return status

    def events(self, name: str) -> list[dict]:
        lines = self._record.read_text().splitlines() if self._record.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]


@pytest.fixture
def toy(azurite: Storage, toy_app: Path, tmp_path: Path) -> Iterator[Toy]:
    with Processes(logs=tmp_path / "logs") as processes:
        yield Toy(processes, azurite, toy_app, tmp_path / "record.jsonl")


def eventually(condition: Callable[[], object], *, within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def log(tmp_path: Path) -> str:
    return (tmp_path / "logs" / "host.log").read_text()


def test_http_functions_are_served_with_their_keys(toy):
    _, url = toy.start()
    assert requests.get(f"{url}/hello?name=you", timeout=10).text == "hello you"
    assert requests.get(f"{url}/echo/a/1", timeout=10).status_code == 401
    assert requests.get(f"{url}/secret", headers={"x-functions-key": "function-key"}, timeout=10).status_code == 401
    answer = requests.post(
        f"{url}/echo/a/1", data="body", headers={"x-functions-key": "function-key", "X-Toy": "yes"}, timeout=10
    )
    assert answer.status_code == 202
    assert answer.json() == {
        "method": "POST",
        "route": {"name": "a", "number": "1"},
        "query": {},
        "body": "body",
        "header": "yes",
    }


def test_neither_key_nor_query_is_in_the_log_and_the_traceback_is(toy, tmp_path):
    _, url = toy.start()
    requests.get(f"{url}/echo/a/1?code=function-key", timeout=10)
    assert requests.get(f"{url}/broken", timeout=10).content == b""
    assert eventually(lambda: "RuntimeError: as ordered" in log(tmp_path))
    assert "function-key" not in log(tmp_path)


def test_messages_go_to_the_queue_function_and_poison_to_its_own(toy):
    toy.start()
    toy.queue.send_message(json.dumps({"fail": True}))
    assert eventually(lambda: toy.events("bury"))
    assert [event["dequeue_count"] for event in toy.events("work")] == [1, 2]
    assert toy.events("bury")[0]["body"] == '{"fail": true}'


def test_with_two_hosts_a_timer_fires_once_per_occurrence(toy):
    toy.settings["TOY_SCHEDULE"] = "* * * * * *"
    toy.start()
    toy.start()
    assert eventually(lambda: len(toy.events("tick")) >= 4)
    ticks = toy.events("tick")
    assert len({round(tick["at"]) for tick in ticks}) == len(ticks)
    assert len({tick["pid"] for tick in ticks}) == 1


def test_another_host_takes_the_timer_over_when_the_first_one_ends(toy):
    toy.settings["TOY_SCHEDULE"] = "* * * * * *"
    first, _ = toy.start()
    assert eventually(lambda: toy.events("tick"))
    second, _ = toy.start()
    toy.stop(first)
    assert eventually(lambda: toy.events("tick")[-1]["pid"] == second.pid)


def test_sigterm_lets_a_function_finish_and_leaves_no_process(toy):
    child, url = toy.start()
    toy.queue.send_message(json.dumps({"sleep_s": 1.5}))
    assert eventually(lambda: toy.events("work"))
    assert toy.stop(child) == 0
    assert toy.events("work done")
    assert toy.queue.get_queue_properties().approximate_message_count == 0
    assert not psutil.pid_exists(child.pid)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/hello", timeout=10)


def test_a_function_over_the_time_limit_ends_the_process(toy, tmp_path):
    child, _ = toy.start()
    toy.queue.send_message(json.dumps({"sleep_s": 60}))
    assert child.process.wait(15) == 75
    assert eventually(lambda: "Timeout value of 0:00:03 exceeded by function work" in log(tmp_path))
    assert re.search(r"function_app\.py\", line \d+ in work", log(tmp_path))  # where it hung


def test_messages_of_a_killed_host_return_when_their_leases_end(toy):
    toy.settings |= {"LOCAL_LEASE_SECONDS": "2", "AzureFunctionsJobHost__functionTimeout": "00:01:00"}
    first, _ = toy.start()
    toy.queue.send_message(json.dumps({"sleep_s": 4}))
    assert eventually(lambda: toy.events("work"))
    first.kill()
    second, _ = toy.start()
    assert eventually(lambda: toy.events("work done"), within_s=20)
    assert [(event["pid"], event["dequeue_count"]) for event in toy.events("work")] == [(first.pid, 1), (second.pid, 2)]


def test_an_unusable_lease_is_named(toy):
    toy.settings["LOCAL_LEASE_SECONDS"] = "ten"
    with pytest.raises(StartError, match="LOCAL_LEASE_SECONDS is 'ten'"):
        toy.start()


def test_an_app_that_lacks_a_setting_does_not_start_and_says_which(toy):
    del toy.settings["TOY_QUEUE"]
    with pytest.raises(StartError, match=r"ended with status 1(.|\n)*'TOY_QUEUE' is missing"):
        toy.start()


def test_a_wrong_schedule_does_not_start(toy):
    toy.settings["TOY_SCHEDULE"] = "every minute"
    with pytest.raises(StartError, match="'every minute' is not a timer schedule"):
        toy.start()


def test_children_end_when_the_process_that_started_them_is_killed(tmp_path):
    script = (
        "import sys, time\n"
        "from infra.local.processes import Processes\n"
        "with Processes(logs=None) as processes:\n"
        "    child = processes.start('sleep', ['sleep', '600'])\n"
        "    print(child.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        child = int(launcher.stdout.readline())
        time.sleep(0.2)
        assert psutil.pid_exists(child)
        os.kill(launcher.pid, signal.SIGKILL)
    assert eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
