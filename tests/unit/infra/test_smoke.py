"""The smoke test, against an app of a few lines."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from exporters.api.callers import caller_of
from exporters.model.caller import NOBODY, Role, SignIn
from infra import smoke

WELL = [
    {"part": part, "status": "ok", "words": ""} for part in ("state", "audit", "segments", "queue plan-runs", "vault")
]
MAIN = {"part": "connection main", "status": "ok", "words": ""}
SETTINGS = ["AzureWebJobsStorage__accountName", "KEY_VAULT_URL"]


@dataclass
class App:
    """What answers, and what it was asked."""

    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)  #: path to status and document
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)  #: address, key, token
    principals: list[str] = field(default_factory=list)  #: who the requests claimed to come from

    def parts(self, *parts: dict[str, str], door: str = smoke.KEY_DOOR) -> None:
        self.answers[door] = (200, {"status": "ok", "parts": [*parts]})


@pytest.fixture
def app() -> Iterator[App]:
    app = App(answers={"/api/health": (200, {"status": "ok"}), smoke.ME: (401, {})})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            app.asked.append((self.path, self.headers["x-functions-key"], self.headers["Authorization"]))
            if principal := self.headers["X-MS-CLIENT-PRINCIPAL"]:
                app.principals.append(principal)
            status, document = app.answers.get(self.path.partition("?")[0], (404, {}))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{app.url}/elsewhere")
            self.end_headers()
            self.wfile.write(document if isinstance(document, bytes) else json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    app.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield app
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SMOKE_KEY", "the-key")
    return "the-key"


def run(app: App, *options: str) -> int:
    return smoke.main(["--url", app.url, "--within-s", "0", *options])


class TestParts:
    def test_an_app_that_is_well_passes_line_by_line(self, app, key, capsys):
        app.parts(*WELL, MAIN)

        assert run(app, "--key-from-env", "SMOKE_KEY", "--connection", "main") == 0

        said = capsys.readouterr().out
        assert [line for line in said.splitlines() if line.startswith("ok")] == [
            "ok      health",
            "ok      forged sign-in refused",
            "ok      state",
            "ok      audit",
            "ok      segments",
            "ok      queue plan-runs",
            "ok      vault",
            "ok      connection main",
        ]
        assert app.asked[-1] == ("/api/automation/health/parts?connection=main", "the-key", None)

    def test_a_token_goes_through_the_door_of_roles(self, app, monkeypatch):
        monkeypatch.setenv("SMOKE_TOKEN", "the-token")
        app.parts(*WELL, door=smoke.ROLE_DOOR)

        assert run(app, "--token-from-env", "SMOKE_TOKEN") == 0
        assert app.asked[-1] == ("/api/health/parts", None, "Bearer the-token")

    def test_trouble_is_told_in_the_apps_words(self, app, key, capsys):
        app.parts(*WELL[:-1], {"part": "vault", "status": "trouble", "words": "The vault refuses the identity"})

        assert run(app, "--key-from-env", "SMOKE_KEY") == 1
        assert "FAILED  vault: The vault refuses the identity" in capsys.readouterr().out

    @pytest.mark.parametrize("silent", [part["part"] for part in WELL] + ["connection main"])
    def test_a_part_that_the_app_does_not_speak_of_has_not_passed(self, app, key, capsys, silent):
        app.parts(*[part for part in [*WELL, MAIN] if part["part"] != silent])

        assert run(app, "--key-from-env", "SMOKE_KEY", "--connection", "main") == 1
        name = "queue" if silent.startswith("queue") else silent
        assert f"FAILED  {name}: the app said nothing of it" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            ((401, {"detail": "Nobody has\nsigned in"}), "answered 401: Nobody has signed in"),
            ((503, b"<html>"), "answered 503"),
            ((200, b"<html>"), "answered no such document"),
            ((200, []), "answered no such document"),
            ((200, {"status": "ok", "parts": [{"part": "state"}]}), "answered no such document"),
            ((302, {}), "answered 302"),
        ],
    )
    def test_any_other_answer_is_a_failure(self, app, key, capsys, answer, words):
        app.answers[smoke.KEY_DOOR] = answer

        assert run(app, "--key-from-env", "SMOKE_KEY") == 1
        assert words in capsys.readouterr().out

    def test_a_key_is_not_carried_to_where_a_redirect_leads(self, app, key):
        app.answers |= {"/api/health": (302, {}), smoke.KEY_DOOR: (302, {}), "/elsewhere": (200, {})}

        run(app, "--key-from-env", "SMOKE_KEY")
        assert "/elsewhere" not in {path for path, _, _ in app.asked}

    def test_the_key_is_never_printed(self, app, key, capsys):
        app.answers[smoke.KEY_DOOR] = (401, {"detail": "no"})

        run(app, "--key-from-env", "SMOKE_KEY")
        said = capsys.readouterr()
        assert key not in said.out + said.err


class TestHealth:
    @pytest.mark.parametrize("answer", [(503, {"detail": "The state cannot be read"}), (200, {"status": "unwell"})])
    def test_an_app_that_is_not_well_fails(self, app, answer):
        app.answers["/api/health"] = answer
        assert run(app) == 1

    def test_an_app_that_nobody_answers_for_fails(self, app, capsys):
        app.url = "http://127.0.0.1:9"

        assert run(app) == 1
        assert "FAILED  health: GET /api/health failed: ConnectionError" in capsys.readouterr().out

    def test_what_was_not_looked_at_is_said(self, app, capsys):
        assert run(app) == 0

        said = capsys.readouterr().out
        for what in ("parts", "functions", "settings"):
            assert f"not looked at: {what}" in said


class TestSignIn:
    def test_the_forgery_would_do_where_the_platform_lets_it_pass(self, app):
        run(app)

        [principal] = app.principals
        believed = caller_of({"x-ms-client-principal": principal}, SignIn.PLATFORM)
        assert believed.role is Role.ADMINISTRATOR
        assert caller_of({"x-ms-client-principal": principal}, SignIn.OFF) is NOBODY

    def test_it_goes_without_the_key(self, app, key):
        app.parts(*WELL)
        run(app, "--key-from-env", "SMOKE_KEY")
        assert [asked for asked in app.asked if asked[0] == smoke.ME] == [(smoke.ME, None, None)]

    @pytest.mark.parametrize("status", [200, 302, 403, 503])
    def test_any_answer_but_a_refusal_fails(self, app, capsys, status):
        app.answers[smoke.ME] = (status, {"role": "Administrator"})

        assert run(app) == 1
        assert f"FAILED  forged sign-in refused: GET /api/me answered {status}" in capsys.readouterr().out

    def test_no_answer_fails(self, app, capsys):
        app.url = "http://127.0.0.1:9"

        assert run(app) == 1
        assert "FAILED  forged sign-in refused: GET /api/me failed" in capsys.readouterr().out


class TestFunctions:
    def indexed(self, tmp_path: Path, names: set[str]) -> tuple[str, str]:
        place = tmp_path / "functions.txt"
        place.write_text("".join(f"segexp-app/{name}\n" for name in sorted(names)))
        return "--functions", str(place)

    def test_all_of_them_pass(self, app, tmp_path):
        assert run(app, *self.indexed(tmp_path, smoke.function_names())) == 0

    def test_one_that_the_platform_has_not_found_is_named(self, app, tmp_path, capsys):
        assert run(app, *self.indexed(tmp_path, smoke.function_names() - {"send_batch"})) == 1
        assert "has not found send_batch" in capsys.readouterr().out

    def test_an_empty_list_fails(self, app, tmp_path):
        assert run(app, *self.indexed(tmp_path, set())) == 1

    def test_one_that_this_code_does_not_have_is_named(self, app, tmp_path, capsys):
        assert run(app, *self.indexed(tmp_path, smoke.function_names() | {"former"})) == 1
        assert "former are not in this code" in capsys.readouterr().out

    def test_the_code_declares_what_the_platform_should_find(self):
        assert {"tick", "automation", "send_batch", "abandon_send"} <= smoke.function_names()


class TestSettings:
    def given(self, tmp_path: Path, *names: str) -> tuple[str, str]:
        place = tmp_path / "settings.txt"
        place.write_text("\n".join(names))
        return "--settings", str(place)

    def test_those_of_the_template_pass(self, app, tmp_path):
        assert run(app, *self.given(tmp_path, *SETTINGS, "AZURE_CLIENT_ID")) == 0

    @pytest.mark.parametrize("name", ["AzureWebJobsStorage", "DEPLOYMENT_STORAGE_CONNECTION_STRING", "LOCAL_MODE"])
    def test_one_that_overrides_the_identity_fails(self, app, tmp_path, capsys, name):
        assert run(app, *self.given(tmp_path, *SETTINGS, name)) == 1
        assert f"{name} " in capsys.readouterr().out

    @pytest.mark.parametrize("name", SETTINGS)
    def test_one_that_is_needed_is_missed(self, app, tmp_path, capsys, name):
        assert run(app, *self.given(tmp_path, *(other for other in SETTINGS if other != name))) == 1
        assert f"{name} is missing" in capsys.readouterr().out


class TestAzureCli:
    """Names that come from `az`, which is a script here."""

    @pytest.fixture
    def az(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        program = tmp_path / "bin" / "az"
        program.parent.mkdir()
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")
        return program

    def says(self, program: Path, functions: str, settings: str, keys: str = "exit 1") -> None:
        cases = f"*appsettings*) {settings};; *keys*automation*) {keys};; *) {functions};;"
        program.write_text(f'#!/bin/sh\ncase "$*" in {cases} esac\n')
        program.chmod(0o755)

    def of(self, app: App, *options: str) -> int:
        return run(app, "--app", "segexp-app", "--group", "segexp", *options)

    @pytest.fixture
    def indexed(self) -> str:
        return f"echo '{json.dumps([f'segexp-app/{name}' for name in smoke.function_names()])}'"

    def test_they_are_held_against_the_code(self, app, az, indexed):
        self.says(az, indexed, f"echo '{json.dumps(SETTINGS)}'")
        assert self.of(app) == 0

    def test_its_error_is_told(self, app, az, capsys):
        self.says(az, "echo 'ERROR: run az login' >&2; exit 1", "echo '[]'")

        assert self.of(app) == 1
        assert "functions indexed: ERROR: run az login" in capsys.readouterr().out

    def test_it_tells_the_key_of_a_function(self, app, az, indexed, capsys):
        app.parts(*WELL, MAIN)
        self.says(az, indexed, f"echo '{json.dumps(SETTINGS)}'", """echo '"the-key"'""")

        assert self.of(app, "--key-of", "automation", "--connection", "main") == 0
        assert app.asked[-1] == ("/api/automation/health/parts?connection=main", "the-key", None)
        said = capsys.readouterr()
        assert "the-key" not in said.out + said.err

    @pytest.mark.parametrize(
        ("keys", "words"),
        [
            ("echo 'ERROR: Function not found' >&2; exit 3", "ERROR: Function not found"),
            ("true", "the function automation has no default key"),
        ],
    )
    def test_an_app_without_the_key_fails_and_is_asked_all_the_rest(self, app, az, indexed, capsys, keys, words):
        self.says(az, indexed, f"echo '{json.dumps(SETTINGS)}'", keys)

        assert self.of(app, "--key-of", "automation") == 1
        said = capsys.readouterr().out
        assert f"FAILED  parts: {words}" in said
        assert "ok      settings leave the identity alone" in said

    def test_the_key_is_asked_for_again_while_it_waits(self, app, az, indexed, tmp_path):
        """A new app has its functions, and their keys, some time after its deployment."""
        app.parts(*WELL)
        late = tmp_path / "late"
        late.touch()
        keys = f"""if [ -e {late} ]; then rm {late}; exit 1; else echo '"the-key"'; fi"""
        self.says(az, indexed, f"echo '{json.dumps(SETTINGS)}'", keys)
        target = smoke.Target(
            url=app.url,
            credentials=lambda: {"x-functions-key": smoke.function_key("segexp-app", "segexp", "automation")},
            door=smoke.KEY_DOOR,
        )
        pauses: list[float] = []

        assert smoke.smoke(
            [lambda: smoke.check_parts(target)], within_s=60, clock=lambda: sum(pauses), wait=pauses.append
        )
        assert pauses == [smoke.PAUSE_S]


class TestWaiting:
    def looks(self, *results: bool) -> tuple[list[float], bool]:
        """The pauses that were made, and the outcome, where a check answers these results one after the other."""
        now, pauses, left = 0.0, [], list(results)

        def wait(seconds: float) -> None:
            nonlocal now
            now += seconds
            pauses.append(seconds)

        def check() -> Iterator[smoke.Finding]:
            yield smoke.Finding(check="role", words="" if left.pop(0) else "not yet")

        outcome = smoke.smoke([check], within_s=25, clock=lambda: now, wait=wait)
        return pauses, outcome

    def test_a_role_that_takes_a_while_is_waited_for(self):
        assert self.looks(False, False, True) == ([10, 10], True)

    def test_it_gives_up_in_time(self):
        assert self.looks(False, False, False, False) == ([10, 10, 5], False)


@pytest.mark.parametrize(
    "options",
    [
        ["--url", "http://app.example.com"],
        ["--url", "https://app.example.com", "--key-from-env", "NOT_SET_ANYWHERE"],
        ["--url", "https://app.example.com", "--connection", "main"],
        ["--url", "https://app.example.com", "--app", "segexp-app"],
        ["--url", "https://app.example.com", "--key-of", "automation"],
        [],
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_asked(options):
    with pytest.raises(SystemExit) as refused:
        smoke.main(options)
    assert refused.value.code == 2
