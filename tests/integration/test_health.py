"""How the app is, over HTTP: every part that it needs, what is wrong with one, and the lines that alerts read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.accounts import Control, eventually
from tests.integration.desk import SIGNED_IN, Operator

QUEUES = ("plan-runs", "send-batches", "poll-jobs", "notify", "erase-people")
NAMES = ["state", "audit", "segments", *(f"queue {queue}{end}" for queue in QUEUES for end in ("", "-poison")), "vault"]


def parts(operator: Operator, query: str = "", *, host: int = 0) -> dict[str, Any]:
    """The words about each part."""
    url = f"{operator.cloud.host_urls[host]}/api/health/parts{query}"
    answer = requests.get(url, headers=SIGNED_IN, timeout=60)
    assert answer.status_code == 200, answer.text
    return {part["part"]: part["words"] for part in answer.json()["parts"]}


@contextmanager
def without_queue(operator: Operator, name: str) -> Iterator[None]:
    operator.cloud.queues.delete_queue(name)
    try:
        yield
    finally:
        operator.cloud.queues.create_queue(name)


def test_all_parts_of_a_cloud_that_is_well_can_be_used(operator: Operator) -> None:
    assert parts(operator) == dict.fromkeys(NAMES, "")
    assert parts(operator, host=1) == dict.fromkeys(NAMES, "")


def test_the_function_key_opens_it_at_its_own_door_and_nobody_else_gets_in(operator: Operator) -> None:
    url, key = operator.cloud.host_urls[0], {"x-functions-key": operator.cloud.function_key}
    opened = requests.get(f"{url}/api/automation/health/parts", headers=key, timeout=60)
    viewer = {"Authorization": "Bearer person:Viewer:viewer@example.com"}

    assert (opened.status_code, opened.json()["status"]) == (200, "ok")
    statuses = [requests.get(f"{url}/api/health/parts", headers=each, timeout=10).status_code for each in ({}, viewer)]
    assert statuses == [401, 403]


def test_a_vault_behind_a_closed_firewall_is_named_with_what_to_do(operator: Operator, vault: Control) -> None:
    vault.faults(firewall_closed=True)
    found = parts(operator)
    vault.faults()

    assert "let the app through the vault's firewall" in found.pop("vault")
    assert set(found.values()) == {""}
    assert parts(operator)["vault"] == ""


def test_a_queue_that_is_gone_is_named(operator: Operator) -> None:
    with without_queue(operator, "erase-people-poison"):
        found = parts(operator)

    assert "There is no queue erase-people-poison" in found.pop("queue erase-people-poison")
    assert set(found.values()) == {""}


@pytest.mark.parametrize("provider", ["sendgrid", "brevo"])
def test_a_connection_is_tried_with_its_own_key(operator: Operator, provider: str) -> None:
    people = [{"EMail": "ann@health.example", "FirstName": "Ann"}]
    good, bad = operator.export(provider, people), operator.export(provider, people, secret="refused-key")
    operator.cloud.write_secret("refused-key", "not-the-key")
    ids = [export.id for export in (good, bad)]  # as their connections are called too
    found = parts(operator, "?" + "&".join(f"connection={each}" for each in ids))

    assert found[f"connection {ids[0]}"] == ""
    assert "401" in found[f"connection {ids[1]}"]
    assert "not-the-key" not in str(found)


def test_the_tick_writes_what_it_has_measured(operator: Operator, logs: Path) -> None:
    wanted = [
        b"action=tick outcome=done duration_s=",
        b"action=queue outcome=measured queue=plan-runs-poison messages=",
        b"action=overdue outcome=",
        b"action=lane outcome=moving",
        b"action=vault outcome=reached",
    ]

    def written() -> bool:
        text = b"".join(file.read_bytes() for file in logs.rglob("*") if file.is_file())
        return all(line in text for line in wanted)

    eventually(written)
