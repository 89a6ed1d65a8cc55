"""Sandboxes as processes of their own."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import requests

from tests.integration.sandbox.clients import wait_until


def _start(name, *options):
    command = [sys.executable, "-m", f"infra.local.sandbox.{name}", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _end(process):
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("name", "header"),
    [("sendgrid", {"Authorization": "Bearer SG.mine"}), ("brevo", {"api-key": "SG.mine"})],
)
def test_a_process_says_where_it_is_in_one_line_and_ends_when_told(name, header, number):
    process = _start(name, "--port", "0", "--api-key", "SG.mine", "--faults", '{"lag_s": 3}')
    try:
        said = json.loads(process.stdout.readline())
        assert said.keys() == {"name", "url"}
        assert said["name"] == name
        path = "/v3/scopes" if name == "sendgrid" else "/v3/account"
        assert requests.get(said["url"] + path, headers=header, timeout=5).status_code == 200
        assert requests.get(f"{said['url']}/_sandbox/faults", timeout=5).json()["lag_s"] == 3
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""
    finally:
        _end(process)


def test_the_vault_names_its_certificate_and_takes_secrets_from_a_file(tmp_path):
    secrets = tmp_path / "secrets.json"
    secrets.write_text('{"brevo-key": "xkeysib-1"}')
    process = _start("key_vault", "--secrets", str(secrets))
    try:
        said = json.loads(process.stdout.readline())
        url = f"{said['url']}/secrets/brevo-key/?api-version=7.5"
        answer = requests.get(url, headers={"Authorization": "Bearer x"}, verify=said["certificate"], timeout=5)
        assert answer.json()["value"] == "xkeysib-1"
        process.terminate()
        assert process.wait(10) == 0
    finally:
        _end(process)


def test_unknown_faults_on_the_command_line_are_refused_by_name():
    command = [sys.executable, "-m", "infra.local.sandbox.brevo", "--faults", '{"unheard_of": 1}']
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "unheard_of: Extra inputs are not permitted" in ended.stderr


def test_a_process_ends_with_the_one_that_started_it():
    parent = textwrap.dedent("""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-m", "infra.local.sandbox.sendgrid"], stdout=subprocess.PIPE)
        child.stdout.readline()
        print(child.pid, flush=True)
        time.sleep(60)
    """)
    starter = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    try:
        child = int(starter.stdout.readline())
    finally:
        _end(starter)
    wait_until(lambda: not _is_running(child))


def _is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
