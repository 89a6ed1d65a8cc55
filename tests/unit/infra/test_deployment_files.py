"""What deploys the app, against the template and the code: `azure.yaml`, and the example of a pipeline."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import azure_cli, publish, sign_in, smoke
from infra.check.bicep import read

ROOT = Path(__file__).parents[3]
AZD = yaml.safe_load((ROOT / "azure.yaml").read_text())
WORKFLOW = yaml.safe_load((ROOT / "docs" / "samples" / "deploy.yml").read_text())
STEPS = [(name, step) for name, job in WORKFLOW["jobs"].items() for step in job["steps"]]
#: Variables that azd has by itself. https://learn.microsoft.com/azure/developer/azure-developer-cli/manage-environment-variables
OF_AZD = {"AZURE_RESOURCE_GROUP", "AZURE_SUBSCRIPTION_ID"}
MODULES = {
    "infra.azure_cli": azure_cli,
    "infra.sign_in": sign_in,
    "infra.smoke": smoke,
    "infra.publish": publish,
}
#: Those that only `azure.yaml` reads.
OF_HOOKS = {"EXPORTER_SIGN_IN_NAME"}


def commands(text: str) -> list[list[str]]:
    """The commands of a script that run something of ours, with their variables unset."""
    lines = text.replace("\\\n", " ").splitlines()
    found = [line[line.index(start) :] for line in lines for start in ("-m infra.", "make ") if start in line]
    return [shlex.split(line.rstrip(")")) for line in found]


def test_azd_finds_the_app_by_the_tag_that_the_template_gives_it():
    [service] = AZD["services"]
    assert f"'azd-service-name': '{service}'" in (ROOT / "infra" / "modules" / "function-app.bicep").read_text()


def test_azd_reads_the_template_and_the_parameters_that_are_there():
    for ending in (".bicep", ".bicepparam"):
        assert (ROOT / AZD["infra"]["path"] / f"{AZD['infra']['module']}{ending}").exists()


def test_every_variable_of_a_hook_is_an_output_of_the_template_or_said_to_be_ours():
    outputs = set(read(ROOT / "infra" / "main.bicep").outputs)
    for hook in AZD["hooks"].values():
        own = set(re.findall(r"^\s*(\w+)=", hook["run"], re.MULTILINE))
        used = set(re.findall(r"\$\{?(\w+)", hook["run"]))
        assert used - own <= outputs | OF_AZD | OF_HOOKS


def test_the_client_id_goes_where_the_parameters_look_for_it():
    assert "azd env set EXPORTER_SIGN_IN_CLIENT_ID" in AZD["hooks"]["preprovision"]["run"]
    assert "readEnvironmentVariable('EXPORTER_SIGN_IN_CLIENT_ID'" in (ROOT / "infra" / "main.bicepparam").read_text()


@pytest.mark.parametrize("script", [hook["run"] for hook in AZD["hooks"].values()], ids=AZD["hooks"])
def test_hooks_call_what_there_is(script):
    called = commands(script)
    assert called
    for command in called:
        check_command(command)


@pytest.mark.parametrize("script", [hook["run"] for hook in AZD["hooks"].values()], ids=AZD["hooks"])
def test_a_hook_looks_first_whether_az_works_in_the_subscription_of_azd(script):
    first, *_ = [line for line in script.splitlines() if line != "set -eu"]
    assert first == 'python3 -m infra.azure_cli "${AZURE_SUBSCRIPTION_ID:-}"'


@pytest.mark.parametrize("subscription", [None, "another"])
def test_a_hook_ends_there_where_it_does_not(tmp_path: Path, subscription: str | None):
    """Nothing but that question is asked of az."""
    az = tmp_path / "az"
    az.write_text(f"""#!/bin/sh\necho "$*" >> {tmp_path / "asked"}\necho '"this"'\n""")
    az.chmod(0o755)
    known = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "EXPORTER_SIGN_IN_NAME": "segment-exporter-test"}
    known |= {} if subscription is None else {"AZURE_SUBSCRIPTION_ID": subscription}
    for hook in AZD["hooks"].values():
        done = subprocess.run(["/bin/sh", "-c", hook["run"]], cwd=ROOT, env=known, capture_output=True, timeout=60)
        assert done.returncode != 0
        assert b"az account set" in done.stderr or b"azd env set AZURE_SUBSCRIPTION_ID" in done.stderr
    asked = (tmp_path / "asked").read_text().splitlines() if subscription else []
    assert all(line.startswith("account show --query id ") for line in asked)
    assert (tmp_path / "asked").exists() is (subscription is not None)


def check_command(command: list[str]) -> None:
    if command[0] == "make":
        target = command[1]
        assert target == ".venv/.ready" or f"\n{target}:" in (ROOT / "Makefile").read_text()
        return
    module = MODULES[command[1]]
    for option in (word for word in command if word.startswith("--")):
        assert f'"{option}"' in Path(str(module.__file__)).read_text()


@pytest.mark.parametrize(("job", "step"), STEPS, ids=[f"{job}-{i}" for i, (job, _) in enumerate(STEPS)])
def test_a_step_of_the_pipeline_is_pinned_and_calls_what_there_is(job: str, step: dict[str, Any]):
    if "uses" in step:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
    else:
        # What others can write must not become part of a script: it comes by the environment.
        assert "${{" not in step["run"]
        for command in commands(step["run"]):
            check_command(command)


def test_the_pipeline_has_no_secret_and_identity_only_where_azure_is_asked():
    text = (ROOT / "docs" / "samples" / "deploy.yml").read_text()
    assert "secrets." not in text
    assert WORKFLOW["permissions"] == {"contents": "read"}
    with_identity = {name for name, job in WORKFLOW["jobs"].items() if "id-token" in job.get("permissions", {})}
    signing_in = {job for job, step in STEPS if step.get("uses", "").startswith("azure/login@")}
    assert with_identity == signing_in == {"what-if", "deploy"}


def test_nothing_is_deployed_unchecked_or_from_a_pull_request():
    deploy = WORKFLOW["jobs"]["deploy"]
    assert deploy["needs"] == "check"
    assert deploy["environment"] == "production"
    assert "!= 'pull_request'" in deploy["if"]


def test_one_deployment_waits_for_the_other_wherever_it_comes_from():
    assert WORKFLOW["jobs"]["deploy"]["concurrency"] == {"group": "production", "cancel-in-progress": False}
    # The group of the whole run, in which the newest stops the others, is shared by pull requests alone.
    assert "github.event_name == 'pull_request' && github.ref || github.run_id" in WORKFLOW["concurrency"]["group"]


def test_what_would_change_is_asked_by_an_identity_that_may_write_nothing():
    [script] = [step["run"] for job, step in STEPS if job == "what-if" and "what-if" in step.get("run", "")]
    assert "--validation-level ProviderNoRbac" in script


def test_no_key_passes_through_a_script():
    """The smoke test gets it itself, and waits for it."""
    for script in [*(hook["run"] for hook in AZD["hooks"].values()), *(step.get("run", "") for _, step in STEPS)]:
        assert "keys list" not in script
