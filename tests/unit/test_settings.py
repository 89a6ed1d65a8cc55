"""Settings: what code reads, what the sample shows and what the README says are one list."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from exporters.model.caller import SignIn
from exporters.settings import Settings
from infra.check.platform import BY_AZURE, OF_THE_PLATFORM

ROOT = Path(__file__).parents[2]
LOCAL = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "KEY_VAULT_URL": "https://127.0.0.1:8443",
    "LOCAL_MODE": "true",
}
IN_AZURE = {
    "AzureWebJobsStorage__accountName": "exporter",
    "KEY_VAULT_URL": "https://example.vault.azure.net",
    "WEBSITE_SITE_NAME": "exporter",
}


def names() -> set[str]:
    return {str(field.validation_alias) for field in Settings.model_fields.values()} - set(BY_AZURE)


def settings(monkeypatch, values: dict[str, str]) -> Settings:
    for name in names() | set(BY_AZURE):
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_the_sample_holds_every_setting_and_no_other():
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]

    assert set(sample) == names() | set(OF_THE_PLATFORM)


def test_the_sample_can_be_used_as_it_is(monkeypatch):
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]

    assert settings(monkeypatch, sample).storage_account is None


def test_the_readme_s_table_names_every_setting_and_its_default():
    _, _, table = (ROOT / "README.md").read_text().partition("| setting | default |")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", table.partition("\n\n")[0], flags=re.MULTILINE))

    assert set(rows) == names() | set(OF_THE_PLATFORM)
    for field in Settings.model_fields.values():
        name = str(field.validation_alias)
        if name in rows and field.default not in {None, False} and not field.is_required():
            assert rows[name].strip("`") == written(field.default), name


def written(default: object) -> str:
    """A default as an operator would write it."""
    return f"{default!s:0>8}" if isinstance(default, timedelta) else str(default).removesuffix(".0")


def test_a_step_is_taken_for_dead_after_the_time_that_host_json_lets_it_live():
    timeout = json.loads((ROOT / "host.json").read_text())["functionTimeout"]

    assert written(Settings.model_fields["step_limit"].default) == timeout


def test_an_app_setting_changes_the_time_that_a_step_may_live(monkeypatch):
    name = "AzureFunctionsJobHost__functionTimeout"

    assert settings(monkeypatch, LOCAL | {name: "00:00:12"}).step_limit == timedelta(seconds=12)


def test_each_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())


def test_local_mode_refuses_to_start_in_azure(monkeypatch):
    with pytest.raises(ValidationError, match="must not be set in Azure"):
        settings(monkeypatch, LOCAL | {"WEBSITE_SITE_NAME": "exporter"})


def test_local_mode_takes_only_a_vault_on_this_machine(monkeypatch):
    with pytest.raises(ValidationError, match="on this machine"):
        settings(monkeypatch, LOCAL | {"KEY_VAULT_URL": "https://example.vault.azure.net"})


@pytest.mark.parametrize(
    ("base", "changes", "expected"),
    [
        (IN_AZURE, {}, SignIn.OFF),
        (IN_AZURE, {"SIGN_IN": ""}, SignIn.OFF),
        (IN_AZURE, {"WEBSITE_AUTH_ENABLED": "True"}, SignIn.OFF),
        (IN_AZURE, {"SIGN_IN": "platform"}, SignIn.PLATFORM),
        (IN_AZURE, {"SIGN_IN": "platform", "WEBSITE_AUTH_ENABLED": "True"}, SignIn.PLATFORM),
        (LOCAL, {}, SignIn.LOCAL),
        (LOCAL, {"SIGN_IN": "platform"}, SignIn.PLATFORM),
    ],
)
def test_who_is_signed_in_is_believed_where_a_setting_says_so_alone(monkeypatch, base, changes, expected):
    assert settings(monkeypatch, base | changes).sign_in is expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"WEBSITE_AUTH_ENABLED": "False"}, "Azure that it is not"),
        ({"WEBSITE_SITE_NAME": ""}, "SIGN_IN is for Azure"),
    ],
)
def test_the_sign_in_header_is_not_believed_where_others_could_write_it(monkeypatch, changes, words):
    with pytest.raises(ValidationError, match=words):
        settings(monkeypatch, IN_AZURE | {"SIGN_IN": "platform"} | changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"AzureWebJobsStorage": ""}, "AzureWebJobsStorage"),
        ({"KEY_VAULT_URL": ""}, "KEY_VAULT_URL"),
        ({"PLAN_MEMORY_MB": "lots"}, "PLAN_MEMORY_MB"),
        ({"PLAN_THREADS": "0"}, "PLAN_THREADS"),
        ({"SIGN_IN": "yes"}, "SIGN_IN"),
        ({"PYTHON_ENABLE_OPENTELEMETRY": "true"}, "APPLICATIONINSIGHTS_CONNECTION_STRING"),
    ],
)
def test_a_missing_or_unreadable_setting_is_named(monkeypatch, changes, named):
    with pytest.raises(ValidationError, match=named):
        settings(monkeypatch, LOCAL | changes)
