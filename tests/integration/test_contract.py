"""The OpenAPI document is held against the running app, as everyone who may come: schemathesis, with all its checks.

Nothing answers 5xx or a status, header or body that is not documented, and nobody gets what the document says is not
theirs. `schemathesis.toml` has what is expected where; what is there to be found is set up here, for each caller anew.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import pytest
import requests

from exporters.model.consent import CONSENT_VERSION
from infra.local.cloud import LocalCloud
from tests.integration.accounts import SendGridAccount, eventually
from tests.integration.conftest import FAULTS, SETTINGS
from tests.integration.desk import SIGNED_IN, LiveExport, Operator
from tests.integration.segments import PRIVATE, Person
from tests.integration.test_reconcile import take_off_sendgrid

TEMPLATE = Path(__file__).parent / "schemathesis.toml"
#: What schemathesis makes its cases of. With `coverage`, as `make contract` has it, come some 6,000 more.
PHASES = os.environ.get("CONTRACT_PHASES", "examples,fuzzing")
#: More than it takes on a busy machine.
WITHIN_S = 3_600 if "coverage" in PHASES else 900

Seeds = dict[tuple[str, str], dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Somebody who calls, and how thoroughly."""

    headers: Mapping[str, str]
    may: frozenset[str]  #: values of x-who whose operations may be answered with success
    person: bool = True
    examples: int = 3


def bearer(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"}


VIEWER = frozenset({"anyone", "viewer"})
IDENTITIES = {
    "nobody": Identity(headers={}, may=frozenset({"anyone"})),
    "viewer": Identity(headers=bearer("person:Viewer:Vera"), may=VIEWER),
    "contributor": Identity(headers=bearer("person:Contributor:Cora"), may=VIEWER | {"contributor"}),
    "application": Identity(
        headers=bearer("application:Administrator:deploy"),
        may=VIEWER | {"contributor", "administrator"},
        person=False,
    ),
    "administrator": Identity(
        headers=bearer("person:Administrator:Ann"),
        may=VIEWER | {"contributor", "administrator"},
    ),
}
#: After these, what others need is gone.
TAKES_AWAY = ("DELETE /exports/{export}", "POST /exports/{export}/detach", "POST /connections/{connection}/remove")
#: What a run that just is at work or being planned may be in the way of, the whole time.
AT_TIMES = {
    ("POST", "/exports/{export}/runs"),
    ("POST", "/exports/{export}/reconciliations"),
    ("POST", "/exports/{export}/preview"),
    ("POST", "/exports/{export}/preview/unmasked"),
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """One of its own: what is made here at random would be in the way of other tests."""
    with LocalCloud(hosts=1, logs=tmp_path_factory.mktemp("contract"), settings=SETTINGS, faults=FAULTS) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def desk(cloud: LocalCloud) -> Operator:
    return Operator(cloud, {"sendgrid": SendGridAccount(cloud.sendgrid_url, cloud.sendgrid_key)})


@dataclass(frozen=True, kw_only=True)
class World:
    """What there is to be found."""

    main: LiveExport
    runs: Mapping[str, tuple[str, str]]  #: what kind of run -> its export and its id
    spare: str  #: an export, and a connection, that nobody misses
    rejects: str  #: the CSV of the main export's rejects, corrected


@pytest.fixture(scope="module")
def found_world(desk: Operator) -> World:
    """For callers who change nothing, or next to nothing."""
    return set_up(desk)


def set_up(desk: Operator) -> World:
    people = [{"EMail": f"{name}@contract.{PRIVATE}", "FirstName": name.title()} for name in ("ann", "bo")]
    main = export(desk, [*people, {"EMail": "cy(at)private", "FirstName": "Cy"}])
    ended = main.run()
    held = {kind: hold(desk, people) for kind in ("approve", "reject", "cancel", "retry")}
    post(desk, f"/api/runs/{held['retry'][0]}/{held['retry'][1]}/cancel")
    drifted = export(desk, people)
    drifted.run()
    take_off_sendgrid(desk.cloud, drifted.list_id, people[0]["EMail"])
    eventually(lambda: people[0]["EMail"] not in drifted.emails())
    found = drifted.verdict(post(desk, f"/api/exports/{drifted.id}/reconciliations"))
    runs = {"ended": (main.id, ended["id"]), "drift": (drifted.id, found["id"])}
    # Nothing is at work on these two, whatever was started on the main one.
    runs |= {"reconciliations": runs["drift"], "undo": grown(desk, people)}
    return World(main=main, runs=runs | held, spare=export(desk, people).id, rejects=corrected(desk, main, ended))


def export(desk: Operator, people: Sequence[Person], **changes: Any) -> LiveExport:
    """An export whose connection contributors may use."""
    made = desk.export("sendgrid", people, **changes)
    document = desk.read_state(f"config/connections/{made.id}.json")
    desk.cloud.write_connection(document | {"used_by": "contributors"})
    return made


def grown(desk: Operator, people: Sequence[Person]) -> tuple[str, str]:
    """An export whose list has more people than its first run left there, and that run."""
    brakes = {"max_share_removed": 1, "min_share_of_last": 0}  # so that a run that goes back is not held
    made = export(desk, people, brakes=brakes)
    first = made.run()
    made.deliver([*people, {"EMail": f"di@contract.{PRIVATE}", "FirstName": "Di"}])
    made.run()
    return made.id, first["id"]


def hold(desk: Operator, people: Sequence[Person]) -> tuple[str, str]:
    held = export(desk, people, brakes={"max_profiles": 1})
    return held.id, held.held(held.start())["id"]


def post(desk: Operator, path: str) -> requests.Response:
    answer = requests.post(desk.cloud.host_urls[0] + path, headers=SIGNED_IN, timeout=30)
    assert answer.ok, answer.text
    return answer


def corrected(desk: Operator, export: LiveExport, run: Mapping[str, Any]) -> str:
    address = f"{desk.cloud.api_url}/runs/{export.id}/{run['id']}/rejects"
    answer = requests.get(address, headers=SIGNED_IN | {"Accept": "text/csv"}, timeout=30)
    return answer.content.decode("utf-8-sig").replace("cy(at)private", f"cy@contract.{PRIVATE}")


def with_examples(document: dict[str, Any], world: World, cloud: LocalCloud) -> dict[str, Any]:
    """The document with examples that lead to what is there: those in it are for people who read it."""
    for path, operations in document["paths"].items():
        action = path.rpartition("/")[2]
        export_id, run_id = world.runs.get(action, world.runs["drift" if action == "repair" else "ended"])
        for method, operation in operations.items():
            there = {"export": export_id, "run": run_id, "connection": world.main.id, "path": world.main.name}
            if f"{method.upper()} {path}" in TAKES_AWAY:
                there = there | {"export": world.spare, "connection": world.spare}
            for parameter in operation["parameters"]:
                if (example := (there | {"If-Match": "*"}).get(parameter.get("name"))) is not None:
                    parameter["example"] = example
            if (body := bodies(world, cloud).get((method, path))) is not None:
                content = next(iter(operation["requestBody"]["content"].values()))
                content["examples"] = {f"real-{number}": {"value": value} for number, value in enumerate(body)}
    return document


def bodies(world: World, cloud: LocalCloud) -> Mapping[tuple[str, str], Sequence[object]]:
    consent = {"accepted": True, "version": CONSENT_VERSION}
    settings = {
        "name": "Contract",
        "connection": world.main.id,
        "segments": [world.main.name],
        "list_id": world.main.list_id,
        "mapping": {"email": "EMail", "first_name": "FirstName"},
        "schedule": {"kind": "off"},
    }
    connection = {"provider": "sendgrid", "display_name": "Contract", "used_by": "contributors"}
    return {
        ("post", "/connections"): [connection | {"key": cloud.sendgrid_key, "consent": consent}],
        ("put", "/connections/{connection}"): [connection],
        ("put", "/connections/{connection}/key"): [{"secret": world.main.account.secret}],
        ("post", "/connections/{connection}/remove"): [{"exports": {world.spare: "detach"}}],
        # All worlds share an account, which takes each name once.
        ("post", "/connections/{connection}/lists"): [{"name": f"Contract {world.main.id}"}],
        ("post", "/exports"): [settings],
        ("put", "/exports/{export}"): [settings],
        ("post", "/exports/{export}/attach"): [{"connection": world.main.id}],
        ("post", "/exports/{export}/undo"): [{"run": world.runs["undo"][1]}],
        ("post", "/runs/{export}/{run}/corrections"): [world.rejects],
        ("put", "/configuration"): [{"version": 1}],
    }


def configured(world: World, used: str, folder: Path) -> Path:
    """The configuration; `used` is the export, and the connection, that is asked for most often."""
    path, ids = folder / "schemathesis.toml", {"RUN": world.runs["ended"][1], "SEGMENT": world.main.name}
    path.write_text(Template(TEMPLATE.read_text()).substitute(ids, EXPORT=used, CONNECTION=used))
    return path


def run(cloud: LocalCloud, world: World, identity: Identity, folder: Path) -> Mapping[tuple[str, str], set[int]]:
    """Hold the document against the app, at the end what takes away things that the rest needs. Answers which statuses
    each operation has answered.
    """
    found = _part(cloud, world, identity, folder, "--exclude-name", world.main.id)
    return found | _part(cloud, world, identity, folder, "--include-name", world.spare)


def _part(
    cloud: LocalCloud, world: World, identity: Identity, folder: Path, choice: str, used: str
) -> Mapping[tuple[str, str], set[int]]:
    document = with_examples(requests.get(f"{cloud.api_url}/openapi.json", timeout=30).json(), world, cloud)
    (folder / "openapi.json").write_text(json.dumps(document))
    report = folder / f"report{choice}.ndjson"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configured(world, used, folder)), "run"),
        *(str(folder / "openapi.json"), "--url", cloud.api_url, "--no-color"),
        *("--phases", PHASES, "--max-examples", str(identity.examples)),
        *("--report", "ndjson", "--report-ndjson-path", str(report)),
        *(part for name, value in identity.headers.items() for part in ("-H", f"{name}: {value}")),
        *(part for name in TAKES_AWAY for part in (choice, name)),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 0, done.stdout[-30_000:] + done.stderr[-2_000:]
    return statuses(report)


def statuses(report: Path) -> Mapping[tuple[str, str], set[int]]:
    found: dict[tuple[str, str], set[int]] = {}
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for name, interaction in recorder.get("interactions", {}).items():
            case, answer = recorder["cases"].get(name), interaction["response"]
            if case is not None and answer is not None:
                address = (case["value"]["method"], case["value"]["path"])
                found.setdefault(address, set()).add(answer["status_code"])
    return found


def is_success(status: int) -> bool:
    return 200 <= status < 400


@pytest.mark.timeout(WITHIN_S + 60)
@pytest.mark.parametrize("name", IDENTITIES)
def test_the_app_does_what_the_document_says_whoever_calls(
    cloud: LocalCloud, desk: Operator, found_world: World, tmp_path, name
):
    identity = IDENTITIES[name]
    world = found_world if identity.may <= VIEWER else set_up(desk)
    found = run(cloud, world, identity, tmp_path)

    document = requests.get(f"{cloud.api_url}/openapi.json", timeout=30).json()
    operations = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert found.keys() >= operations.keys()
    allowed = {
        address
        for address, operation in operations.items()
        if operation["x-who"] in identity.may and (identity.person or not operation["x-people-only"])
    }
    succeeded = {address for address in operations if any(is_success(status) for status in found[address])}
    assert succeeded <= allowed
    if name == "administrator":
        assert allowed - succeeded <= AT_TIMES


@pytest.mark.timeout(WITHIN_S + 60)
def test_the_function_key_opens_its_own_door_and_no_other(cloud: LocalCloud, found_world: World, tmp_path):
    identity = Identity(headers={"x-functions-key": cloud.function_key}, may=frozenset({"anyone", "function key"}))
    found = run(cloud, found_world, identity, tmp_path)

    succeeded = {address for address, answers in found.items() if any(is_success(status) for status in answers)}
    assert {path for _, path in succeeded} == {
        *("/health", "/openapi.json", "/receipts/keys"),
        *("/automation/exports/{export}/runs", "/automation/runs/{export}/{run}"),
        *("/automation/runs/{export}/{run}/cancel", "/automation/health/parts"),
    }
