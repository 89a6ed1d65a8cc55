"""The app, and a toy that is easier to question, under the library that runs functions in Azure.

It proves decorators, annotations and the conversion of what goes in and out. It proves nothing about queues, keys,
timer locks or scaling: those are the host's.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local.app_settings import QUEUES, SETTINGS
from infra.local.host.front import claims_of, principal_header
from tests.conftest import Storage

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="azure-functions-runtime needs Python 3.13, which is what Azure runs"
)
ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).parent / "driver.py"


def drive(app_dir: Path, calls: list[dict[str, Any]], settings: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(DRIVER)],
        input=json.dumps({"app_dir": str(app_dir), "calls": calls}),
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class TestToyApp:
    @pytest.fixture
    def record(self, tmp_path: Path) -> Path:
        return tmp_path / "record.jsonl"

    def call(self, toy_app: Path, record: Path, **call: Any) -> dict[str, Any]:
        return drive(toy_app, [call], {"TOY_RECORD": str(record)})["results"][0]

    def test_all_functions_are_found(self, toy_app, record):
        functions = drive(toy_app, [], {})["functions"]
        assert set(functions) == {"work", "bury", "tick", "echo", "hello", "secret", "broken", "sleep"}

    def test_a_queue_function_gets_the_message(self, toy_app, record):
        result = self.call(toy_app, record, function="work", argument="message", queue='{"a": 1}')
        assert result["ok"], result["error"]
        event = json.loads(record.read_text().splitlines()[0])
        assert (event["order"], event["dequeue_count"], event["id"]) == ({"a": 1}, 2, "m-1")

    def test_a_queue_function_that_fails_is_a_failure(self, toy_app, record):
        result = self.call(toy_app, record, function="work", argument="message", queue='{"fail": true}')
        assert not result["ok"]
        assert "as ordered" in result["error"]

    def test_a_timer_function_gets_whether_it_is_late(self, toy_app, record):
        assert self.call(toy_app, record, function="tick", argument="timer", timer=True)["ok"]
        assert json.loads(record.read_text())["past_due"] is True

    def test_an_http_function_gets_the_request_and_its_answer_comes_back(self, toy_app, record):
        http = {
            "method": "POST",
            "url": "http://localhost/api/echo/a/1?b=c",
            "headers": {"X-Toy": "yes"},
            "query": {"b": "c"},
            "params": {"name": "a", "number": "1"},
            "body": "text",
        }
        result = self.call(toy_app, record, function="echo", argument="req", http=http)
        assert (result["status"], result["headers"]["content-type"]) == (202, "application/json")
        assert json.loads(result["body"]) == {
            "method": "POST",
            "route": {"name": "a", "number": "1"},
            "query": {"b": "c"},
            "body": "text",
            "header": "yes",
        }


QUEUE_FUNCTIONS = {
    "move_run": "%PLAN_QUEUE%",
    "send_batch": "%BATCH_QUEUE%",
    "poll_batch": "%POLL_QUEUE%",
    "send_notification": "%NOTIFY_QUEUE%",
    "erase_person": "%ERASE_QUEUE%",
    "abandon_run": "%PLAN_QUEUE%-poison",
    "abandon_send": "%BATCH_QUEUE%-poison",
    "abandon_poll": "%POLL_QUEUE%-poison",
    "abandon_notification": "%NOTIFY_QUEUE%-poison",
    "abandon_erasure": "%ERASE_QUEUE%-poison",
}
#: Route and key. Each takes every method: what the app does not serve it answers itself.
HTTP_FUNCTIONS = {
    "connections": ("connections/{*rest}", "ANONYMOUS"),
    "exports": ("exports/{*rest}", "ANONYMOUS"),
    "runs": ("runs/{*rest}", "ANONYMOUS"),
    "segments": ("segments/{*rest}", "ANONYMOUS"),
    "providers": ("providers/{*rest}", "ANONYMOUS"),
    "schedules": ("schedules/{*rest}", "ANONYMOUS"),
    "configuration": ("configuration", "ANONYMOUS"),
    "audit": ("audit/{*rest}", "ANONYMOUS"),
    "people": ("people/{*rest}", "ANONYMOUS"),
    "receipts": ("receipts/{*rest}", "ANONYMOUS"),
    "me": ("me", "ANONYMOUS"),
    "openapi": ("openapi.json", "ANONYMOUS"),
    "health": ("health/{*rest}", "ANONYMOUS"),
    "automation": ("automation/{*rest}", "FUNCTION"),
}
RUN = "79738868947999999-0123abcd"


@pytest.fixture(scope="module")
def functions() -> dict[str, Any]:
    return drive(ROOT, [], {})["functions"]


class TestSegmentExporter:
    @pytest.fixture
    def settings(self, azurite: Storage) -> dict[str, str]:
        """For an app whose containers and queues are there and empty, and whose vault is away."""
        names = {name: azurite.queue() for name in QUEUES} | {
            name: azurite.container().container_name for name in ("SEGMENTS_CONTAINER", "STATE_CONTAINER")
        }
        return (
            SETTINGS
            | names
            | {
                "AzureWebJobsStorage": azurite.connection_string,
                "KEY_VAULT_URL": "https://127.0.0.1:9",
            }
        )

    def test_it_has_these_functions_and_no_others(self, functions):
        assert set(functions) == {"tick", *QUEUE_FUNCTIONS, *HTTP_FUNCTIONS}

    @pytest.mark.parametrize(("name", "queue"), QUEUE_FUNCTIONS.items())
    def test_queue_functions_listen_to_their_queue(self, functions, name, queue):
        [binding] = functions[name]
        assert binding["type"] == "queueTrigger"
        assert (binding["queueName"], binding["connection"]) == (queue, "AzureWebJobsStorage")

    @pytest.mark.parametrize(("name", "expected"), HTTP_FUNCTIONS.items())
    def test_http_functions_have_their_route_and_key_and_take_every_method(self, functions, name, expected):
        [trigger, answer] = functions[name]
        assert (trigger["route"], trigger["authLevel"]) == expected
        assert not trigger.get("methods")
        assert (answer["type"], answer["name"]) == ("http", "$return")

    def test_the_timer_makes_up_what_it_missed_and_never_fires_at_a_start(self, functions):
        [binding] = functions["tick"]
        assert binding["schedule"] == "%TICK_SCHEDULE%"
        assert (binding["useMonitor"], binding["runOnStartup"]) == (True, False)

    def test_the_timer_and_each_queue_function_take_their_trigger(self, settings):
        run = {"export": "spring", "run": RUN}
        messages = {
            "move_run": run,
            "send_batch": run | {"batch": 0},
            "poll_batch": run | {"batch": 0, "poll": 1},
            "send_notification": run | {"occasion": "ended", "tries": 0},
            "abandon_run": run,
            "abandon_send": run | {"batch": 0},
            "abandon_poll": run | {"batch": 0, "poll": 1},
            "abandon_notification": run | {"occasion": "ended", "tries": 0},
            "erase_person": {"erasure": "0" * 32},
            "abandon_erasure": {"erasure": "0" * 32},
        }
        assert set(messages) == set(QUEUE_FUNCTIONS)
        calls = [
            {"function": "tick", "argument": "timer", "timer": False},
            *(
                {"function": name, "argument": "message", "queue": json.dumps(message)}
                for name, message in messages.items()
            ),
        ]
        for call, result in zip(calls, drive(ROOT, calls, settings)["results"], strict=True):
            assert result["ok"], (call["function"], result["error"])

    def test_what_is_no_message_fails_so_that_it_ends_as_poison(self, settings):
        calls = [{"function": name, "argument": "message", "queue": "nonsense"} for name in ("move_run", "send_batch")]
        assert [result["ok"] for result in drive(ROOT, calls, settings)["results"]] == [False, False]

    def test_http_functions_answer_with_status_type_and_body(self, settings):
        start = {
            "method": "POST",
            "url": "http://localhost/api/automation/exports/spring/runs?code=key",
            "query": {"code": "key"},
            "headers": {"Content-Type": "application/json"},
            "body": "{}",
        }
        show = {"method": "GET", "url": f"http://localhost/api/runs/spring/{RUN}"}
        head = {"method": "HEAD", "url": f"http://localhost/api/runs/spring/{RUN}"}
        health = {"method": "GET", "url": "http://localhost/api/health"}
        asked = [("automation", start), ("runs", show), ("runs", head), ("health", health)]
        calls = [{"function": name, "argument": "req", "http": http} for name, http in asked]
        results = drive(ROOT, calls, settings)["results"]
        assert [result["error"] for result in results] == [None] * 4
        assert [result["status"] for result in results] == [404, 404, 405, 200]
        types = [result["headers"]["content-type"] for result in results]
        assert types == [*["application/problem+json"] * 3, "application/json"]
        assert all(json.loads(result["body"]) for result in results)

    @pytest.mark.parametrize(("sign_in", "status"), [("", 401), ("platform", 200)])
    def test_the_header_of_the_platform_s_authentication_is_believed_where_it_is_on(self, settings, sign_in, status):
        in_azure = {"LOCAL_MODE": "", "WEBSITE_SITE_NAME": "exporter", "SIGN_IN": sign_in}
        header = principal_header(claims_of("person", ["Viewer"], "Ann"))
        asked = {"method": "GET", "url": "https://app.example/api/me", "headers": {"X-MS-CLIENT-PRINCIPAL": header}}
        call = {"function": "me", "argument": "req", "http": asked}

        (result,) = drive(ROOT, [call], settings | in_azure)["results"]

        assert result["status"] == status, result["body"]
