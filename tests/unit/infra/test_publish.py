"""Uploading a package, against a deployment site of a few lines."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra import publish


@dataclass
class Site:
    """What answers: the first of a list until one is left."""

    url: str = ""
    uploads: list[tuple[int, str]] = field(default_factory=lambda: [(202, '"deployment-1"')])
    states: list[tuple[int, Any]] = field(default_factory=lambda: [(200, {"status": 4})])
    asked: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            site.body = self.rfile.read(int(self.headers["Content-Length"]))
            site.headers = dict(self.headers)
            self.answer(*(site.uploads.pop(0) if len(site.uploads) > 1 else site.uploads[0]))

        def do_GET(self) -> None:
            status, state = site.states.pop(0) if len(site.states) > 1 else site.states[0]
            self.answer(status, json.dumps(state))

        def answer(self, status: int, text: str) -> None:
            site.asked.append((self.command, self.path))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "app.zip"
    package.write_bytes(b"PK of the app")
    return package


@pytest.fixture
def pauses() -> list[float]:
    return []


def test_the_package_is_uploaded_as_it_is_and_followed_to_its_end(site, package, pauses):
    site.states = [(200, {"status": 1}), (404, {}), (200, {"status": 4})]

    publish.publish(site.url, "the-token", package, wait=pauses.append)

    assert site.asked == [
        ("POST", "/api/publish?RemoteBuild=false&Deployer=segment-exporter"),
        *[("GET", "/api/deployments/deployment-1")] * 3,
    ]
    assert site.body == b"PK of the app"
    assert (site.headers["Content-Type"], site.headers["Authorization"]) == ("application/zip", "Bearer the-token")
    assert pauses == [publish.PAUSE_S] * 3


def test_a_role_that_does_not_work_yet_is_waited_for_with_the_whole_package(site, package, pauses):
    site.uploads = [(400, "BlobUploadFailedException"), (403, ""), (202, '"deployment-2"')]

    publish.publish(site.url, "token", package, wait=pauses.append)

    assert site.body == b"PK of the app"
    assert pauses[:2] == [publish.UPLOAD_PAUSE_S] * 2


@pytest.mark.parametrize(("status", "tries"), [(401, 1), (413, 1), (302, 1), (403, publish.UPLOADS)])
def test_a_refusal_that_stays_is_an_error(site, package, pauses, status, tries):
    site.uploads = [(status, "no")]

    with pytest.raises(publish.PublishError, match=f"answered with {status}: no"):
        publish.publish(site.url, "token", package, wait=pauses.append)
    assert len(site.asked) == tries


@pytest.mark.parametrize(
    ("status", "words"), [(3, "failed: no host.json"), (6, "in part"), (-1, "canceled"), (5, "canceled")]
)
def test_a_deployment_that_ends_badly_is_an_error_though_its_answer_is_200(site, package, pauses, status, words):
    site.states = [(200, {"status": status, "status_text": "no host.json"})]

    with pytest.raises(publish.PublishError, match=words):
        publish.publish(site.url, "token", package, wait=pauses.append)


def test_one_that_never_ends_is_an_error(site, package, pauses):
    site.states = [(200, {"status": 1})]

    with pytest.raises(publish.PublishError, match="not ended within 15 minutes"):
        publish.publish(site.url, "token", package, wait=pauses.append)
    assert sum(pauses) == publish.ENDS_WITHIN_S


class TestCommandLine:
    @pytest.fixture
    def az(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        program = tmp_path / "bin" / "az"
        program.parent.mkdir()
        program.write_text(
            "#!/bin/sh\ncase $1 in account) echo '\"the-token\"';; *) echo '\"segexp.scm.example.com\"';; esac\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")
        return program

    def test_the_token_and_the_site_come_from_the_azure_cli(self, az):
        assert publish.deployment_site("segexp-app", "segexp") == "https://segexp.scm.example.com"

    def test_a_failure_is_told_without_the_token(self, az, site, package, capsys):
        site.uploads = [(401, "no")]

        assert publish.main(["--app", "a", "--group", "g", "--site", site.url, "--package", str(package)]) == 1
        said = capsys.readouterr()
        assert "answered with 401" in said.err
        assert "the-token" not in said.out + said.err

    def test_a_package_that_is_not_there_is_told(self, az, site, capsys):
        assert publish.main(["--app", "a", "--group", "g", "--site", site.url, "--package", "gone.zip"]) == 1
        assert "gone.zip" in capsys.readouterr().err

    def test_an_address_in_the_open_is_refused(self):
        with pytest.raises(SystemExit):
            publish.main(["--app", "a", "--group", "g", "--site", "http://scm.example.com"])
