"""`make smoke`: whether an app that was just deployed can work, asked from outside, before anybody relies on it.

Deployments end well and leave apps that do not work: no function indexed, a role that has not arrived yet, a setting
that overrides the identity. So this looks at what the platform has found, at the names of the settings, and lets the
app itself say whether its identity reaches each part (`GET /api/health/parts`). It reads, and changes nothing.

A key or a token comes from an environment variable that is named, or a key from the Azure CLI, never from the command
line, where every process of the machine could read it. It goes to the app's own address alone: redirects are not
followed.
"""

import argparse
import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, ValidationError

from exporters.api.health import Health, PartStatus, PartsView
from exporters.model.caller import Role
from exporters.settings import LOOPBACK
from infra.azure_cli import AzureCliError, az
from infra.check import declared

ROOT = Path(__file__).parents[1]
#: The app may start from zero and look at ten parts, each for some seconds; ours.
CONNECTS_WITHIN_S = 10
ANSWERS_WITHIN_S = 90
#: Roles take up to ten minutes to work everywhere. https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
WITHIN_S = 600.0
PAUSE_S = 10.0
#: Settings whose presence alone is a fault, and why.
FORBIDDEN = {
    # https://github.com/Azure/azure-functions-host/issues/11796
    "AzureWebJobsStorage": "overrides the identity: delete it",
    "DEPLOYMENT_STORAGE_CONNECTION_STRING": "overrides the identity: delete it",
    "LOCAL_MODE": "is for one machine: delete it",
}
#: Settings without which nothing here can work, whatever the parts answer.
NEEDED = ("AzureWebJobsStorage__accountName", "KEY_VAULT_URL")
#: What the app has to speak of; a part that it does not mention was not looked at. `queue `: at least one of them.
PARTS = ("state", "audit", "segments", "queue ", "vault")

ROLE_DOOR = "/api/health/parts"
KEY_DOOR = "/api/automation/health/parts"
#: What answers who the app takes the caller for.
ME = "/api/me"
#: What only the platform may say of a caller, made up here.
#: https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
FORGED = {
    "auth_typ": "aad",
    "claims": [
        {"typ": "oid", "val": "00000000-0000-0000-0000-000000000000"},
        {"typ": "preferred_username", "val": "smoke test"},
        {"typ": "roles", "val": Role.ADMINISTRATOR.value},
    ],
}
Document = TypeVar("Document", bound=BaseModel)
#: A list of names, as it is now. Raises AzureCliError.
Names = Callable[[], Iterable[str]]
#: Headers of a request. Raises AzureCliError.
Headers = Callable[[], dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    check: str
    words: str = ""  #: what is wrong and what to do; empty when all is well

    def __str__(self) -> str:
        return f"FAILED  {self.check}: {self.words}" if self.words else f"ok      {self.check}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The app that is asked, and who asks."""

    url: str  #: without a path
    credentials: Headers | None = None  #: asked for anew each time: a new app has no key yet
    door: str = ROLE_DOOR  #: where its parts are told to whoever has these headers
    connections: tuple[str, ...] = ()


def function_names() -> set[str]:
    """Names of all functions that `function_app.py` declares."""
    return {function.name for function in declared.functions(ROOT)}


def function_key(app: str, group: str, function: str) -> str:
    """The default key of a function. Raises AzureCliError, also while the platform has not found the function yet."""
    where = ("--name", app, "--resource-group", group, "--function-name", function)
    key = az("functionapp", "function", "keys", "list", *where, "--query", "default")
    if not key:
        raise AzureCliError(f"the function {function} has no default key")
    return str(key)


def check_functions(indexed: Names, expected: set[str]) -> Iterator[Finding]:
    """Whether the platform has found every function; names may come as `<app>/<function>`, as ARM has them."""
    check = f"{len(expected)} functions indexed"
    try:
        found = {name.strip().rpartition("/")[2] for name in indexed() if name.strip()}
    except AzureCliError as error:
        yield Finding(check=check, words=_one_line(str(error)))
        return
    if missing := sorted(expected - found):
        words = f"the platform has not found {', '.join(missing)}: the app's log says why it did not start"
    elif strangers := sorted(found - expected):
        words = f"{', '.join(strangers)} are not in this code: another version is deployed"
    else:
        words = ""
    yield Finding(check=check, words=words)


def check_settings(names: Names) -> Iterator[Finding]:
    """Whether a setting is there that overrides the identity, and those that name storage and vault."""
    check = "settings leave the identity alone"
    try:
        found = {name.strip() for name in names() if name.strip()}
    except AzureCliError as error:
        yield Finding(check=check, words=_one_line(str(error)))
        return
    wrong = [f"{name} {why}" for name, why in FORBIDDEN.items() if name in found]
    wrong += [f"{name} is missing: deploy the template again" for name in NEEDED if name not in found]
    yield Finding(check=check, words="; ".join(wrong))


def check_health(target: Target) -> Iterator[Finding]:
    """Whether the app is up and reads its state, as anybody may ask."""
    health = _get(target, "/api/health", Health, {})
    if isinstance(health, Health):
        yield Finding(check="health", words="" if health.status == "ok" else f"the status is {health.status!r}")
    else:
        yield Finding(check="health", words=health)


def check_sign_in(target: Target) -> Iterator[Finding]:
    """Whether the app takes nobody's word for who they are: only the platform may write who has signed in."""
    check = "forged sign-in refused"
    forged = base64.b64encode(json.dumps(FORGED).encode()).decode()
    answer = _ask(target, ME, {"X-MS-CLIENT-PRINCIPAL": forged})
    if isinstance(answer, str):
        yield Finding(check=check, words=answer)
    elif answer.status_code == requests.codes.unauthorized:
        yield Finding(check=check)
    else:
        remedy = "App Service authentication has to be on wherever SIGN_IN is set: deploy the template again"
        words = f"GET {ME} answered {answer.status_code} to a header that anybody can write: {remedy}"
        yield Finding(check=check, words=words)


def check_parts(target: Target) -> Iterator[Finding]:
    """What the app says of each of its parts, and whether it speaks of all of them."""
    try:
        headers = target.credentials() if target.credentials else {}
    except AzureCliError as error:
        yield Finding(check="parts", words=_one_line(str(error)))
        return
    told = _get(target, target.door, PartsView, headers, [("connection", name) for name in target.connections])
    if isinstance(told, str):
        yield Finding(check="parts", words=told)
        return
    for part in told.parts:
        wrong = _one_line(part.words) or "in trouble"
        yield Finding(check=_one_line(part.part), words="" if part.status is PartStatus.OK else wrong)
    for name in (*PARTS, *(f"connection {name}" for name in target.connections)):
        if not any(part.part == name or (name.endswith(" ") and part.part.startswith(name)) for part in told.parts):
            yield Finding(check=name.strip(), words="the app said nothing of it: is another version deployed?")


def smoke(
    checks: Sequence[Callable[[], Iterable[Finding]]],
    *,
    within_s: float,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> bool:
    """Look until all is well, or for so long; print what was found at last, and answer whether all is well."""
    end = clock() + within_s
    while True:
        findings = [finding for check in checks for finding in check()]
        failed = [finding for finding in findings if finding.words]
        if not failed or clock() >= end:
            break
        print(f"waiting for {', '.join(finding.check for finding in failed)}", file=sys.stderr, flush=True)
        wait(min(PAUSE_S, end - clock()))
    print("\n".join(map(str, findings)))
    return not failed


def _ask(
    target: Target, path: str, headers: dict[str, str], query: Sequence[tuple[str, str]] = ()
) -> requests.Response | str:
    """What is answered, or why nothing is."""
    try:
        return requests.get(
            target.url + path,
            params=list(query),
            headers=headers,
            timeout=(CONNECTS_WITHIN_S, ANSWERS_WITHIN_S),
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return f"GET {path} failed: {type(error).__name__}"


def _get(
    target: Target, path: str, kind: type[Document], headers: dict[str, str], query: Sequence[tuple[str, str]] = ()
) -> Document | str:
    """The document that is answered, or what is wrong."""
    answer = _ask(target, path, headers, query)
    if isinstance(answer, str):
        return answer
    if answer.status_code != requests.codes.ok:
        return f"GET {path} answered {answer.status_code}{_detail(answer)}"
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError:
        return f"GET {path} answered no such document: something else answers here, or another version"


def _detail(answer: requests.Response) -> str:
    """What a problem document says."""
    try:
        return f": {_one_line(str(answer.json()['detail']))}"
    except (ValueError, KeyError, TypeError):
        return ""


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _lines(place: str) -> Names:
    """Names from a file, or from standard input for `-`; read once."""
    text = sys.stdin.read() if place == "-" else Path(place).read_text(encoding="utf-8")
    return text.splitlines


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise argparse.ArgumentTypeError("the address has to begin with https://: a key would travel in the open")
    return f"{parts.scheme}://{parts.netloc}"


def _secret(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise argparse.ArgumentTypeError(f"the environment has no {name}")
    return value


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.smoke", description=__doc__)
    parser.add_argument("--url", type=_url, required=True, help="the app's address, https://<app>.azurewebsites.net")
    caller = parser.add_mutually_exclusive_group()
    caller.add_argument("--key-from-env", type=_secret, metavar="NAME", dest="key", help="variable with a function key")
    caller.add_argument("--token-from-env", type=_secret, metavar="NAME", dest="token", help="variable with a token")
    caller.add_argument("--key-of", metavar="FUNCTION", help="a function of --app: asks `az` for its default key")
    parser.add_argument(
        "--connection", action="append", default=[], help="a connection to try at its provider; up to ten"
    )
    parser.add_argument("--app", help="name of the function app: asks `az` for functions and settings")
    parser.add_argument("--group", help="its resource group")
    parser.add_argument("--functions", metavar="FILE", help="names of the indexed functions, one a line; - is stdin")
    parser.add_argument("--settings", metavar="FILE", help="names of the app's settings, one a line; - is stdin")
    parser.add_argument("--within-s", type=float, default=WITHIN_S, help="for how long to wait until all is well")
    arguments = parser.parse_args(words)
    if (arguments.app is None) != (arguments.group is None):
        parser.error("--app and --group go together")
    if arguments.key_of and not arguments.app:
        parser.error("--key-of needs --app and --group")
    if arguments.connection and not (arguments.key or arguments.token or arguments.key_of):
        parser.error("--connection needs a key or a token")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """0 when all is well, 1 when something is not, 2 when the command line is wrong."""
    arguments = _arguments(words)
    target = _target(arguments)
    checks: list[Callable[[], Iterable[Finding]]] = [lambda: check_health(target), lambda: check_sign_in(target)]
    if target.credentials:
        checks.append(lambda: check_parts(target))
    else:
        print("not looked at: parts (needs --key-of, --key-from-env or --token-from-env)")
    where = ("--name", arguments.app, "--resource-group", arguments.group, "--query", "[].name")
    if functions := _names(arguments, "functions", "functionapp", "function", "list", *where):
        expected = function_names()
        checks.append(lambda: check_functions(functions, expected))
    if settings := _names(arguments, "settings", "functionapp", "config", "appsettings", "list", *where):
        checks.append(lambda: check_settings(settings))
    return 0 if smoke(checks, within_s=arguments.within_s) else 1


def _target(arguments: argparse.Namespace) -> Target:
    return Target(
        url=arguments.url,
        credentials=_credentials(arguments),
        door=ROLE_DOOR if arguments.token else KEY_DOOR,
        connections=tuple(arguments.connection),
    )


def _credentials(arguments: argparse.Namespace) -> Headers | None:
    if arguments.key_of:
        return lambda: {"x-functions-key": function_key(arguments.app, arguments.group, arguments.key_of)}
    if arguments.key:
        return lambda: {"x-functions-key": arguments.key}
    if arguments.token:
        return lambda: {"Authorization": f"Bearer {arguments.token}"}
    return None


def _names(arguments: argparse.Namespace, option: str, *command: str) -> Names | None:
    """Where names come from: the file that was given, or the Azure CLI where the app was named."""
    if place := getattr(arguments, option):
        return _lines(place)
    if arguments.app:
        return lambda: [str(name) for name in az(*command)]
    print(f"not looked at: {option} (needs --{option}, or --app and --group)")
    return None


if __name__ == "__main__":
    sys.exit(main())
