"""Each kind of drift between code and infrastructure is found: the tree's own files, with one thing in them broken."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.check import declared, hosting, names, policy, roles, settings, workflows
from infra.check.__main__ import TOOLS, emptiness, main
from infra.check.look import Look, line_of, template_files
from infra.check.policy import Report
from infra.check.template import Meant, Template

ROOT = Path(__file__).parents[3]
APP = "infra/modules/function-app.bicep"
APP_SETTINGS = "infra/modules/app-settings.bicep"
HOST_PARTS = "infra/modules/host-parts.bicep"
STATE_PARTS = "infra/modules/state-parts.bicep"
ROLES = "infra/modules/roles.bicep"
OWN_ROLES = "infra/modules/role-definitions.bicep"
SETTINGS = "exporters/settings.py"
SAMPLE = "local.settings.sample.json"
FILES = (SETTINGS, SAMPLE, "function_app.py", "host.json", "azure.yaml", "pyproject.toml", "README.md")
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
NOBODY = "00000000-0000-0000-0000-000000000000"

needs_tools = pytest.mark.skipif(not TOOLS.is_dir(), reason="make infra-check sets checkov and check-jsonschema up")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what is held against each other."""
    for path in (*map(Path, FILES), *template_files(ROOT)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def replace(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text()
    assert old in text, f"{path} has no {old} any more: break something that it has"
    (root / path).write_text(text.replace(old, new))


Part = Callable[[Path, Template], Look]
DRIFT: tuple[Part, ...] = (settings.check, names.check, roles.check, hosting.check)


def messages(look: Look) -> list[str]:
    return [str(finding) for finding in look.findings]


@pytest.mark.parametrize("check", DRIFT)
def test_nothing_has_drifted_and_nothing_was_passed_over(tree, check):
    look = check(tree, Template(tree))

    assert messages(look) == []
    assert emptiness(look) == []


def one_more(name: str) -> tuple[str, str, str]:
    """One more app setting in the template."""
    return (
        APP_SETTINGS,
        "  { name: 'TICK_SCHEDULE'",
        f"  {{ name: '{name}', value: 'x' }}\n  {{ name: 'TICK_SCHEDULE'",
    )


@pytest.mark.parametrize(
    ("path", "old", "new", "words"),
    [
        (APP_SETTINGS, "{ name: 'BREVO_URL', value: brevoUrl }", "", "BREVO_URL is not set, and read by the code"),
        (SETTINGS, '"BREVO_URL"', '"BREVO_ADDRESS"', "BREVO_ADDRESS is not set, and read by the code"),
        (APP_SETTINGS, "'AzureWebJobsStorage__clientId'", "'CLIENT'", "__clientId is not set, and read by the host"),
        (
            APP_SETTINGS,
            "'PYTHON_THREADPOOL_THREAD_COUNT'",
            "'THREADS'",
            "THREAD_COUNT is not set, and read by the worker",
        ),
        (*one_more("SPARE"), "SPARE is set, and neither the code nor the platform reads it"),
        (*one_more("LOCAL_MODE"), "LOCAL_MODE must not be set in Azure"),
        (*one_more("AzureWebJobsStorage"), "AzureWebJobsStorage must not be set in Azure"),
        (*one_more("WEBSITE_SITE_NAME"), "WEBSITE_SITE_NAME must not be set: App Service"),
        (*one_more("FUNCTIONS_WORKER_RUNTIME"), "FUNCTIONS_WORKER_RUNTIME must not be set on Flex Consumption"),
        (
            *one_more("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"),
            "the worker would set up telemetry beside the app's own",
        ),
        (*one_more("website_time_zone"), "website_time_zone must not be set on Flex Consumption"),
        (
            APP_SETTINGS,
            "empty(signInClientId) ? [] : signInSettings",
            "signInSettings",
            "SIGN_IN is set always, and is for signIn",
        ),
        (
            APP_SETTINGS,
            "concat(settings,",
            "concat(openTelemetry ? settings : [],",
            "KEY_VAULT_URL is set under a condition",
        ),
        (
            APP,
            "siteConfig: {",
            "siteConfig: {\n      appSettings: []",
            "app settings are for infra/modules/app-settings.bicep alone",
        ),
        (APP, "http20Enabled: true", "alwaysOn: false", "alwaysOn must not be set on Flex Consumption"),
        (APP, "siteConfig: {", "siteConfig: empty(name) ? { ftpsState: 'Disabled' } : {", "ftpsState must not be set"),
        (SAMPLE, '"BREVO_URL"', '"BREVO_ADDRESS"', "BREVO_URL is not described"),
        (SAMPLE, '"BREVO_URL"', '"BREVO_ADDRESS"', "nobody reads BREVO_ADDRESS"),
        ("README.md", "| `BREVO_URL` |", "| BREVO_URL |", "README.md:"),
        ("function_app.py", "%POLL_QUEUE%", "%PULL_QUEUE%", "bound to %PULL_QUEUE%, which is not set"),
        (
            "function_app.py",
            "import threading",
            "import os, threading\nos.environ['A']",
            "the environment is read here",
        ),
    ],
)
def test_a_setting_that_one_side_does_not_know_is_found(tree, path, old, new, words):
    replace(tree, path, old, new)

    assert any(words in message for message in messages(settings.check(tree, Template(tree))))


@pytest.mark.parametrize(
    ("path", "old", "new", "words"),
    [
        (
            "infra/main.bicep",
            "plan: 'plan-runs'",
            "plan: 'plan-run'",
            "PLAN_QUEUE is plan-run in the template and plan",
        ),
        (HOST_PARTS, "${name}-poison", "${name}-dead", "no resource makes the queue plan-runs-poison"),
        (HOST_PARTS, "${name}-poison", "${name}-dead", "the queue plan-runs-dead is made, and no setting names it"),
        (HOST_PARTS, "concat(names, poisonNames)", "names", "no resource makes the queue notify-poison"),
        (APP_SETTINGS, "value: queues.plan", "value: queues.plans", "the name in PLAN_QUEUE cannot be followed"),
        ("infra/main.bicep", "'plan-runs'", f"'{'q' * 60}'", "-poison is too long for a queue"),
        (STATE_PARTS, "name: auditContainer", "name: 'audits'", "no resource makes the container exporter-audit"),
        ("infra/modules/segments.bicep", "name: container\n", "name: 'parts'\n", "makes the container segments"),
        (APP, "'function:move_run'", "'function:move_runs'", "function:move_runs: there is no such function"),
        (APP, "name: 'http'", "name: 'https'", "https: there is no such function"),
        ("function_app.py", "def move_run(", "def move_one_run(", "function:move_run: there is no such function"),
    ],
)
def test_a_name_that_one_side_does_not_know_is_found(tree, path, old, new, words):
    replace(tree, path, old, new)

    assert any(words in message for message in messages(names.check(tree, Template(tree))))


@pytest.mark.parametrize(
    ("path", "old", "new", "words"),
    [
        (
            ROLES,
            "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
            "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
            "is Storage Blob Data Contributor, and neither this line",
        ),
        (ROLES, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", OWNER, "Owner allows more than any step of a run needs"),
        (ROLES, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", OWNER.upper(), "Owner allows more"),
        (ROLES, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", NOBODY, f"{NOBODY} is no role"),
        (OWN_ROLES, "queues/messages/read'", "queues/messages/*'", "queues/messages/* is nothing that a run needs"),
        (
            OWN_ROLES,
            "containers/blobs/add/action'",
            "containers/blobs/write'",
            "containers/blobs/write is nothing that a run needs",
        ),
        (OWN_ROLES, "actions: []", "actions: ['*']", "* is nothing that a run needs"),
    ],
)
def test_a_role_that_is_another_or_too_wide_is_found(tree, path, old, new, words):
    replace(tree, path, old, new)

    assert any(words in message for message in messages(roles.check(tree, Template(tree))))


@pytest.mark.parametrize(
    ("path", "old", "new", "words"),
    [
        ("host.json", "maxDequeueCount", "maxDequeCount", "the host knows no maxDequeCount in extensions.queues"),
        ("host.json", '"functionTimeout"', '"functionTimeOut"', "the host knows no functionTimeOut here"),
        ("host.json", '"base64"', '"none"', "extensions.queues.messageEncoding has to be base64"),
        (
            "host.json",
            '"batchSize": 4',
            '"batchSize": 8',
            "PYTHON_THREADPOOL_THREAD_COUNT is 8, and host.json makes it 12",
        ),
        ("host.json", '"queues"', '"queue"', "PYTHON_THREADPOOL_THREAD_COUNT is 8, and host.json makes it 0"),
        ("host.json", '"00:10:00"', '"00:05:00"', "functionTimeout is 00:10:00, and host.json makes it 00:05:00"),
        ("host.json", '"default": "Information"', '"default": "Error"', "hides that a message was poisoned"),
        ("host.json", "Exception", "Event", "sampling must leave out Request and Exception"),
        (APP, "version: '3.13'", "version: '3.12'", "runtime.version is 3.12, and has to be 3.13"),
        (APP, "name: 'python', ", "", "runtime.name is missing, and has to be python"),
        ("pyproject.toml", "<3.14", "<3.15", "runtime.version is 3.13, and has to be 3.14"),
        (APP, "'azd-service-name': 'app'", "'azd-service-name': 'api'", "azd would not find the app"),
        ("azure.yaml", "host: function", "host: appservice", "app has to be a function in python"),
        ("azure.yaml", "module: main", "module: azd", "there is no infra/azd.bicep"),
    ],
)
def test_what_host_and_tools_are_told_differently_is_found(tree, path, old, new, words):
    replace(tree, path, old, new)

    assert any(words in message for message in messages(hosting.check(tree, Template(tree))))


def test_a_tree_without_a_template_does_not_pass_for_a_good_one(tree):
    shutil.rmtree(tree / "infra" / "modules")
    (tree / APP).parent.mkdir()
    for path in (APP, APP_SETTINGS):
        (tree / path).touch()

    template = Template(tree)

    assert emptiness(settings.check(tree, template)) == ["no app settings set found to look at"]
    assert emptiness(roles.check(tree, template)) != []


def test_a_setting_without_its_name_in_the_environment_is_an_error(tree):
    replace(tree, SETTINGS, 'validation_alias="BREVO_URL",', "")

    with pytest.raises(ValueError, match=r"settings\.py:\d+: a setting without validation_alias"):
        declared.settings(tree)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("'plain'", ["plain"]),
        ("where", ["here", "there", "anywhere"]),
        ("where == 'here' ? 'a' : 'b'", ["a", "b"]),
        ("'${where}-x'", ["here-x", "there-x", "anywhere-x"]),
        ("words.first", ["one"]),
        ("called.outputs.given", ["from inside"]),
        ("uniqueString('x')", []),
    ],
)
def test_a_value_is_followed_to_all_that_it_can_be(tmp_path, value, expected):
    files = {
        "main.bicep": f"{MAIN}\nvar wanted = {value}\n",
        "called.bicep": "output given string = 'from inside'\n",
        "other.bicep": "module main 'main.bicep' = {\n  params: { where: 'here' }\n}\n",
        "main.bicepparam": "using 'main.bicep'\nparam where = 'there'\n",
    }
    (tmp_path / "infra").mkdir()
    for name, text in files.items():
        (tmp_path / "infra" / name).write_text(text)

    template = Template(tmp_path)
    main_file = template.files[tmp_path / "infra" / "main.bicep"]

    assert sorted(template.texts(Meant(main_file.variables["wanted"].value, main_file))) == sorted(expected)


MAIN = """
param where string = 'anywhere'
var words = { first: 'one', second: 'two' }
module called 'called.bicep' = {}
"""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("['a', 'b']", ["a", "b"]),
        ("concat(['a'], ['b'])", ["a", "b"]),
        ("map(items(words), word => word.value)", ["one", "two"]),
        ("flatten(map(['a'], x => [x, '${x}x']))", ["a", "ax"]),
        ("[for word in ['a', 'b']: '${word}-x']", ["a-x", "b-x"]),
    ],
)
def test_an_array_is_followed_to_its_elements(tmp_path, value, expected):
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "main.bicep").write_text(f"{MAIN}\nvar wanted = {value}\n")

    template = Template(tmp_path)
    (main_file,) = template.files.values()

    wanted = Meant(main_file.variables["wanted"].value, main_file)
    assert [element.value for element in template.elements(wanted)] == expected


def result(rule: str, path: str = "/main.bicep") -> dict[str, object]:
    return {
        "check_id": rule,
        "check_name": "is safe",
        "file_path": path,
        "file_line_range": [1, 3],
        "resource": "Microsoft.Storage/storageAccounts.account",
    }


@pytest.mark.parametrize(
    ("comment", "results", "expected"),
    [
        ("", {"passed_checks": [result("CKV_1")]}, []),
        ("", {"failed_checks": [result("CKV_1")]}, ["infra/main.bicep:1: CKV_1 is safe"]),
        ("checkov:skip=CKV_1:it is so", {"skipped_checks": [result("CKV_1")]}, []),
        (
            "checkov:skip=CKV_1",
            {"skipped_checks": [result("CKV_1")]},
            ["infra/main.bicep:2: CKV_1 is skipped without a reason"],
        ),
        (
            "checkov:skip=CKV_2:it is so",
            {"skipped_checks": [result("CKV_1")]},
            ["infra/main.bicep:2: CKV_2 is skipped, but no such rule is tried here"],
        ),
        (
            "",
            {"parsing_errors": ["/somewhere/infra/main.bicep"]},
            ["infra/main.bicep:1: checkov cannot read it, so no rule was tried"],
        ),
    ],
)
def test_what_a_report_amounts_to(tmp_path, comment, results, expected):
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "main.bicep").write_text(f"resource account 'x' = {{\n  // {comment}\n}}\n")

    assert messages(policy.judged(tmp_path, Report.model_validate({"results": results}), ())) == expected


def test_a_rule_is_passed_over_only_where_it_would_be_broken(tmp_path):
    report = Report.model_validate({"results": {"failed_checks": [result("CKV_1")]}})

    (finding,) = policy.judged(tmp_path, report, ("CKV_1", "CKV_2")).findings

    assert finding.message == "CKV_2 is passed over everywhere, and nothing breaks it"


def test_a_report_of_nothing_does_not_pass_for_a_good_one(tmp_path):
    look = policy.judged(tmp_path, Report.model_validate({"passed": 0, "resource_count": 0}), ())

    assert emptiness(look) == ["no resources with rules found to look at", "no rules on them found to look at"]


@pytest.mark.parametrize(
    ("script", "words"),
    [(None, "there is no checkov in"), ("echo no report; echo it is broken >&2", "no report, but: it is broken")],
)
def test_a_checkov_that_does_not_answer_is_told_of(tree, tmp_path, script, words):
    if script:
        (tmp_path / "checkov").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "checkov").chmod(0o755)

    with pytest.raises(RuntimeError, match=words):
        policy.check(tree, tmp_path)


@needs_tools
def test_checkov_finds_a_broken_rule_in_the_template(tree):
    replace(tree, APP, "httpsOnly: true", "httpsOnly: false")

    look = policy.check(tree, TOOLS)

    assert any(message.startswith(APP) and "CKV_AZURE_70 " in message for message in messages(look))
    assert not any("cannot read it" in message for message in messages(look))
    assert emptiness(look) == []


@needs_tools
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{run: make}]\n", []),
        ("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    stepz: []\n", ["'stepz' was unexpected"]),
        ("on: push\njobs: [\n", ["it is no YAML"]),
    ],
)
def test_a_workflow_is_held_against_its_schema(tmp_path, text, expected):
    (tmp_path / "docs" / "samples").mkdir(parents=True)
    (tmp_path / "docs" / "samples" / "deploy.yml").write_text(text)

    look = workflows.check(tmp_path, TOOLS)

    assert look.seen == {"workflows": 1}
    assert len(look.findings) == len(expected)
    assert all(words in str(finding) for words, finding in zip(expected, look.findings, strict=True))


def test_it_says_how_much_was_looked_at(tree, capsys):
    assert main(["--root", str(tree), "--only", "roles"]) == 0
    assert capsys.readouterr().out.startswith(
        "looked at\n  roles: 7 built-in roles, 11 actions of roles of its own\nno findings in "
    )


def test_it_fails_with_a_line_for_each_finding(tree, capsys):
    replace(tree, ROLES, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", OWNER)

    assert main(["--root", str(tree), "--only", "roles"]) == 1
    first, *_ = capsys.readouterr().out.splitlines()
    line = line_of((tree / ROLES).read_text(), OWNER)
    assert first == f"{ROLES}:{line}: Owner allows more than any step of a run needs"


def test_a_missing_file_is_no_finding_but_an_error(tree, capsys):
    (tree / "host.json").unlink()

    assert main(["--root", str(tree), "--only", "hosting"]) == 2
    assert "host.json" in capsys.readouterr().err
