"""What the host, the worker and azd are told: host.json and azure.yaml, beside the template and the code."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.check.bicep import at
from infra.check.look import Finding, Look, finding_at
from infra.check.settings import APP, APP_SETTINGS, app_settings
from infra.check.template import Meant, Template

HOST = Path("host.json")
PROJECT = Path("pyproject.toml")
AZD = Path("azure.yaml")

#: Where host.json may have which names; the host passes over any other in silence.
#: https://learn.microsoft.com/azure/azure-functions/functions-host-json
HOST_NAMES: Mapping[str, frozenset[str]] = {
    "": frozenset({"version", "extensionBundle", "functionTimeout", "extensions", "logging", "telemetryMode"}),
    "extensionBundle": frozenset({"id", "version"}),
    "extensions": frozenset({"http", "queues"}),
    "extensions.http": frozenset(
        {
            "routePrefix",
            "maxConcurrentRequests",
            "maxOutstandingRequests",
            "dynamicThrottlesEnabled",
            "hsts",
            "customHeaders",
        }
    ),
    # https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#host-json
    "extensions.queues": frozenset(
        {
            "batchSize",
            "newBatchThreshold",
            "maxDequeueCount",
            "maxPollingInterval",
            "messageEncoding",
            "visibilityTimeout",
        }
    ),
    "logging": frozenset({"fileLoggingMode", "logLevel", "console", "applicationInsights"}),
    "logging.applicationInsights": frozenset({"samplingSettings", "enableLiveMetrics", "httpAutoCollectionOptions"}),
}
#: What Azure and the app depend on. https://learn.microsoft.com/azure/azure-functions/functions-host-json
HOST_VALUES: Mapping[str, object] = {
    "version": "2.0",
    "extensionBundle.id": "Microsoft.Azure.Functions.ExtensionBundle",
    "extensionBundle.version": "[4.*, 5.0.0)",
    "extensions.http.routePrefix": "api",
    "extensions.queues.messageEncoding": "base64",
}
#: The host writes of a poisoned message as a warning, in a category below Host, and alerts look for it.
#: https://github.com/Azure/azure-sdk-for-net/blob/main/sdk/storage/Microsoft.Azure.WebJobs.Extensions.Storage.Queues
TOO_QUIET = frozenset({"Error", "Critical", "None"})
#: Where the template says which version of which language runs.
RUNTIME = "properties.functionAppConfig.runtime"
#: The tag by which azd finds the app. https://learn.microsoft.com/azure/developer/azure-developer-cli/azd-schema
SERVICE_TAG = "azd-service-name"
#: What azd calls a function app in Python: host, language.
FUNCTIONS = {("function", "python"), ("function", "py")}


def check(root: Path, template: Template) -> Look:
    """Hold host.json, the range of Python and azure.yaml against the template."""
    host = json.loads((root / HOST).read_text(encoding="utf-8"))
    findings = [
        *(finding_at(root, HOST, why, name.rpartition(".")[2]) for name, why in _host(host)),
        *_limits(root, template, host),
        *_runtime(root, template),
        *_azd(root, template),
    ]
    return Look(findings=tuple(findings), seen={"names in host.json": sum(1 for _ in _names("", host))})


def _host(host: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of host.json with what is wrong with each."""
    for place, name in _names("", host):
        if place in HOST_NAMES and name not in HOST_NAMES[place]:
            yield name, f"the host knows no {name} {f'in {place}' if place else 'here'}"
    for path, wanted in HOST_VALUES.items():
        if at(dict(host), path) != wanted:
            yield path, f"{path} has to be {wanted}"
    for category, level in (at(dict(host), "logging.logLevel") or {}).items():  # type: ignore[union-attr]
        if category.startswith(("default", "Host")) and level in TOO_QUIET:
            yield category, f"{category} above Warning hides that a message was poisoned"
    excluded = at(dict(host), "logging.applicationInsights.samplingSettings.excludedTypes")
    if not {"Request", "Exception"} <= set(str(excluded).split(";")):
        yield "excludedTypes", "sampling must leave out Request and Exception: each invocation and error counts"


def _limits(root: Path, template: Template, host: Mapping[str, Any]) -> Iterator[Finding]:
    """Settings that repeat a number of host.json."""
    wanted = {
        "PYTHON_THREADPOOL_THREAD_COUNT": str(
            sum(_number(host, f"extensions.queues.{name}") for name in ("batchSize", "newBatchThreshold"))
        ),
        "AzureFunctionsJobHost__functionTimeout": host.get("functionTimeout"),
    }
    given = app_settings(template)
    for name, value in wanted.items():
        for meant in given.get(name, []):
            if meant.value != value:
                message = f"{name} is {meant.value}, and host.json makes it {value}"
                yield finding_at(root, APP_SETTINGS, message, name)


def _number(host: Mapping[str, Any], path: str) -> int:
    value = at(dict(host), path)
    return value if isinstance(value, int) else 0


def _runtime(root: Path, template: Template) -> Iterator[Finding]:
    """The newest Python that the project takes is the one that runs, and the tests run on."""
    project = tomllib.loads((root / PROJECT).read_text(encoding="utf-8"))["project"]
    upper = re.search(r"<\s*3\.(\d+)", project["requires-python"])
    newest = f"3.{int(upper[1]) - 1}" if upper else ""
    for made in template.resources("Microsoft.Web/sites"):
        for name, wanted in (("name", "python"), ("version", newest)):
            given = [str(each.value) for each in template.at(made.body, f"{RUNTIME}.{name}")]
            if given != [wanted]:
                message = f"{RUNTIME}.{name} is {', '.join(given) or 'missing'}, and has to be {wanted}"
                yield finding_at(root, APP, message, "runtime")


def _azd(root: Path, template: Template) -> Iterator[Finding]:
    """azd deploys this folder to the app that bears the name of its service."""
    azd: dict[str, dict[str, Any]] = yaml.safe_load((root / AZD).read_text(encoding="utf-8"))
    services, infra = azd.get("services", {}), azd.get("infra", {})
    tags = {name for made in template.resources("Microsoft.Web/sites") for name in _tagged(template, made.body)}
    for name in sorted(tags ^ set(services)):
        message = f"{name} is a service here or a tag {SERVICE_TAG} in {APP}, and not both: azd would not find the app"
        yield finding_at(root, AZD, message, name, "services")
    for name, service in services.items():
        if (service.get("host"), service.get("language")) not in FUNCTIONS:
            yield finding_at(root, AZD, f"{name} has to be a function in python", name)
    module = Path(infra.get("path", "infra"), infra.get("module", "main")).with_suffix(".bicep")
    if not (root / module).is_file():
        yield finding_at(root, AZD, f"there is no {module}", "infra")


def _tagged(template: Template, app: Meant) -> Iterator[str]:
    for tags in template.at(app, "tags"):
        for name, value in template.fields(tags):
            if name == SERVICE_TAG:
                yield from template.texts(value)


def _names(place: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every name in a document, with the place that it stands in."""
    for name, inner in value.items():
        yield place, name
        if isinstance(inner, dict):
            yield from _names(f"{place}.{name}".lstrip("."), inner)
