"""The whole cloud, with the real app."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
import requests
from azure.keyvault.secrets import SecretClient

from exporters.bootstrap import LocalCredential
from infra.local.app_settings import QUEUES, SETTINGS
from infra.local.cloud import LocalCloud
from infra.local.hosts import HostKind
from infra.local.processes import StartError

OUTAGE = {
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
    "TICK_SCHEDULE": "0 0 0 1 1 *",  # a tick would wait for storage as long as its SDK does
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(hosts=2, logs=tmp_path_factory.mktemp("logs")) as cloud:
        yield cloud


def eventually(condition: Callable[[], object], *, within_s: float = 15) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def messages(cloud: LocalCloud, queue: str) -> int:
    return cloud.queues.get_queue_client(queue).get_queue_properties().approximate_message_count or 0


def is_well(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/health", timeout=10).ok
    except requests.ConnectionError:
        return False


def test_each_host_serves_the_app(cloud):
    assert [is_well(url) for url in cloud.host_urls] == [True, True]


def test_the_automation_s_door_wants_the_key(cloud):
    address = f"{cloud.api_url}/automation/exports/none/runs"
    assert requests.post(address, timeout=10).status_code == 401
    assert requests.post(address, headers={"x-functions-key": cloud.function_key}, timeout=10).status_code == 404


def test_containers_and_queues_with_their_poison_twins_are_there(cloud):
    assert {container.name for container in cloud.blobs.list_containers()} >= {"segments", "exporter-state"}
    queues = {SETTINGS[name] for name in QUEUES}
    assert queues >= {"plan-runs", "send-batches", "poll-jobs"}
    assert {queue.name for queue in cloud.queues.list_queues()} == queues | {f"{name}-poison" for name in queues}


def test_the_vault_holds_the_keys_that_the_sandboxes_accept(cloud):
    vault = SecretClient(
        cloud.vault_url, LocalCredential(), verify_challenge_resource=False, connection_verify=cloud.vault_certificate
    )
    with vault:
        assert vault.get_secret("sendgrid-api-key").value == cloud.sendgrid_key
        assert vault.get_secret("brevo-api-key").value == cloud.brevo_key
    sendgrid = requests.get(
        f"{cloud.sendgrid_url}/v3/marketing/lists",
        headers={"Authorization": f"Bearer {cloud.sendgrid_key}"},
        timeout=10,
    )
    brevo = requests.get(f"{cloud.brevo_url}/v3/contacts/lists", headers={"api-key": cloud.brevo_key}, timeout=10)
    assert (sendgrid.status_code, brevo.status_code) == (200, 200)


def test_a_host_that_is_killed_is_started_again_at_its_address(cloud):
    url, old = cloud.host_urls[0], cloud.host_pids[0]
    os.kill(old, signal.SIGKILL)
    assert eventually(lambda: cloud.host_pids[0] != old and is_well(url))


def test_a_host_that_is_killed_while_it_starts_is_started_again(cloud):
    url = cloud.host_urls[1]
    for _ in range(2):
        old = cloud.host_pids[1]
        assert cloud.kill_host(1)
        assert eventually(lambda old=old: cloud.host_pids[1] != old)
    assert eventually(lambda: is_well(url), within_s=40)


def test_hosts_live_through_an_outage_of_storage_and_what_was_stored_is_there_afterwards(tmp_path):
    with LocalCloud(hosts=1, logs=tmp_path / "logs", data=tmp_path / "data", settings=OUTAGE) as cloud:
        pids = cloud.host_pids
        cloud.state.upload_blob("kept", b"before")
        cloud.queues.get_queue_client("poll-jobs").send_message("bm9uc2Vuc2U=", visibility_timeout=1)
        cloud.stop_storage()
        time.sleep(3)  # listeners meet nobody, several times
        cloud.start_storage()
        assert cloud.state.download_blob("kept").readall() == b"before"
        # It is no message of ours, so its function fails five times, and the one of the poison queue drops it.
        names = ("poll-jobs", "poll-jobs-poison")
        assert eventually(lambda: not any(messages(cloud, name) for name in names), within_s=30)
        assert is_well(cloud.host_urls[0])
        assert cloud.host_pids == pids
    log = (tmp_path / "logs" / "host-1.log").read_text()
    assert log.count("poll_batch: cannot fetch from poll-jobs:") == 1
    assert log.count("poll_batch: fetches from poll-jobs again") == 1
    assert "Moving message to queue 'poll-jobs-poison'" in log


def test_nothing_is_left_when_the_cloud_ends(tmp_path):
    before = {child.pid for child in psutil.Process().children()}
    with LocalCloud(logs=tmp_path) as cloud:
        started = [child for child in psutil.Process().children() if child.pid not in before]
        commands = "\n".join(" ".join(child.cmdline()) for child in started)
        for part in ("azurite.js", "sandbox.sendgrid", "sandbox.brevo", "sandbox.key_vault", "infra.local.host"):
            assert part in commands
        url = cloud.host_urls[0]
    assert not is_well(url)
    assert [child.pid for child in started if psutil.pid_exists(child.pid)] == []


@pytest.mark.skipif(shutil.which("func") is not None, reason="Core Tools are installed here")
def test_without_core_tools_the_message_says_where_to_get_them(tmp_path):
    with pytest.raises(StartError, match="Core Tools"), LocalCloud(host=HostKind.FUNC, logs=tmp_path):
        pass
