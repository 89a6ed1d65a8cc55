"""What deploys the app, against the template and the code: `azure.yaml`, and the example of a pipeline."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import publish, sign_in, smoke
from infra.check.bicep import read

ROOT = Path(__file__).parents[3]
AZD = yaml.safe_load((ROOT / "azure.yaml").read_text())
WORKFLOW = yaml.safe_load((ROOT / "docs" / "samples" / "deploy.yml").read_text())
STEPS = [(name, step) for name, job in WORKFLOW["jobs"].items() for step in job["steps"]]
#: Variables that azd has by itself. https://learn.microsoft.com/azure/developer/azure-developer-cli/manage-environment-variables
OF_AZD = {"AZURE_RESOURCE_GROUP"}
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


def check_command(command: list[str]) -> None:
    if command[0] == "make":
        target = command[1]
        assert target == ".venv/.ready" or f"\n{target}:" in (ROOT / "Makefile").read_text()
        return
    module = {"infra.sign_in": sign_in, "infra.smoke": smoke, "infra.publish": publish}[command[1]]
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
