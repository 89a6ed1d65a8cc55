"""The smoke test, against the app as it runs, with a part broken here and there."""

from pathlib import Path

import pytest

from infra import smoke
from tests.integration.desk import Operator
from tests.integration.segments import PRIVATE, Person


@pytest.fixture
def customers() -> list[Person]:
    return [{"EMail": f"ann@smoke.{PRIVATE}", "FirstName": "Ann"}]


@pytest.fixture
def key(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SMOKE_KEY", operator.cloud.function_key)
    return "SMOKE_KEY"


def run(operator: Operator, *options: str) -> int:
    return smoke.main(["--url", operator.cloud.host_urls[0], "--within-s", "0", *options])


@pytest.mark.parametrize("provider", ["sendgrid", "brevo"])
def test_an_app_that_reaches_everything_passes(operator, customers, key, capsys, provider):
    connection = operator.export(provider, customers).id

    assert run(operator, "--key-from-env", key, "--connection", connection) == 0, capsys.readouterr().out

    said = capsys.readouterr().out
    queues = [f"queue {operator.cloud.settings[name]}" for name in ("PLAN_QUEUE", "BATCH_QUEUE", "POLL_QUEUE")]
    parts = ("state", "audit", "segments", *queues, "vault", f"connection {connection}")
    for check in ("health", "forged sign-in refused", *parts):
        assert f"ok      {check}\n" in said


def test_a_contributors_token_opens_it_too(operator, monkeypatch):
    monkeypatch.setenv("SMOKE_TOKEN", "application:Contributor:deploy")
    assert run(operator, "--token-from-env", "SMOKE_TOKEN") == 0


def test_a_viewers_token_does_not(operator, monkeypatch, capsys):
    monkeypatch.setenv("SMOKE_TOKEN", "application:Viewer:deploy")

    assert run(operator, "--token-from-env", "SMOKE_TOKEN") == 1
    assert "FAILED  parts: GET /api/health/parts answered 403" in capsys.readouterr().out


def test_a_vault_that_refuses_the_identity_is_told(operator, key, vault, capsys):
    vault.faults(forbidden=True)

    assert run(operator, "--key-from-env", key) == 1
    said = capsys.readouterr().out
    assert "FAILED  vault: " in said
    assert "ok      state" in said


def test_a_key_that_the_provider_refuses_is_told(operator, customers, key, capsys):
    operator.cloud.write_secret("smoke-wrong-key", "not-the-key")
    connection = operator.export("sendgrid", customers, secret="smoke-wrong-key").id

    assert run(operator, "--key-from-env", key, "--connection", connection) == 1
    said = capsys.readouterr().out
    assert f"FAILED  connection {connection}: " in said
    assert "not-the-key" not in said


def test_a_wrong_function_key_is_told(operator, monkeypatch, capsys):
    monkeypatch.setenv("SMOKE_KEY", "guessed")

    assert run(operator, "--key-from-env", "SMOKE_KEY") == 1
    assert "answered 401" in capsys.readouterr().out


def test_settings_of_one_machine_would_not_pass_in_azure(operator, key, tmp_path: Path, capsys):
    """The names that this very app has been given: Azurite's connection string and LOCAL_MODE are among them."""
    place = tmp_path / "settings.txt"
    place.write_text("\n".join(operator.cloud.settings))

    assert run(operator, "--settings", str(place)) == 1
    said = capsys.readouterr().out
    assert "AzureWebJobsStorage overrides the identity" in said
    assert "LOCAL_MODE is for one machine" in said
