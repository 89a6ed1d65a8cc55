"""How a run is followed here: with the key of an automation, and without it where a person decides."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from infra.local.__main__ import STARTED
from infra.local.demo.following import run_export
from tests.unit.demo.examples import view

RUN = "/api/automation/runs/newsletter/1"
APPROVE = "/api/runs/newsletter/1/approve"


class App(BaseHTTPRequestHandler):
    """Holds a run until it is approved."""

    held = True
    asked: list[tuple[str, str, str | None]]  #: method, path and key of each request

    def do_GET(self) -> None:
        self._answer(200, self._view())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == APPROVE:
            type(self).held = False
            self._answer(200, self._view())
        else:
            self._answer(202, self._view())

    def _view(self) -> dict[str, Any]:
        return view(status="held", approve=APPROVE) if self.held else view(status="successful")

    def _answer(self, status: int, body: object) -> None:
        self.asked.append((self.command, self.path, self.headers["x-functions-key"]))
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Location", RUN)
        self.send_header("Retry-After", "5")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def app() -> Iterator[tuple[type[App], str]]:
    handler = type("OneApp", (App,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_held_run_is_approved_at_the_people_s_door_and_everything_else_takes_the_key(app):
    handler, url = app
    cloud: Any = SimpleNamespace(host_urls=[url], api_url=f"{url}/api", function_key="function", host_pids=[])

    run_export(cloud, "newsletter", show=lambda _: None, decide=lambda _: "because")

    assert handler.asked == [
        ("POST", "/api/automation/exports/newsletter/runs", "function"),
        ("GET", RUN, "function"),
        ("POST", APPROVE, None),
        ("GET", RUN, "function"),
    ]


def test_the_printed_command_that_approves_a_run_goes_to_the_people_s_door():
    (command,) = [line for line in STARTED.splitlines() if line.endswith("/approve")]

    assert command.format(host="$HOST").strip() == "curl -sS -X POST $HOST${RUN/automation\\//}/approve"
