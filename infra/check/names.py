"""Names: every queue, container and function that one side names is there on the other."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from infra.check import declared
from infra.check.look import Finding, Look, finding_at
from infra.check.settings import APP, APP_SETTINGS, app_settings
from infra.check.template import Meant, Template

QUEUES = "Microsoft.Storage/storageAccounts/queueServices/queues"
CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers"
#: What the host puts behind a queue's name for messages that failed too often; there is no such queue for longer names.
#: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger#poison-messages
POISON = "-poison"
#: https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata
LONGEST_NAME = 63
#: How a scale setting names one function.
#: https://learn.microsoft.com/azure/azure-functions/flex-consumption-how-to#set-always-ready-instance-counts
ONE_FUNCTION = "function:"
#: Functions that scale together have one name.
GROUPS = frozenset({"http", "blob", "durable"})


def check(root: Path, template: Template) -> Look:
    """Hold the names of queues, containers and functions against each other."""
    given = app_settings(template)
    queues = _named(given, "_QUEUE")
    poison = {setting: f"{queue}{POISON}" for setting, queue in queues.items() if queue}
    containers = _named(given, "_CONTAINER")
    made_queues, made_containers = _made(template, QUEUES), _made(template, CONTAINERS)
    defaults = {each.name: each.default for each in declared.settings(root)}
    findings = [
        *_missing(root, containers, made_containers, "container"),
        *_missing(root, queues, made_queues, "queue"),
        *_missing(root, poison, made_queues, "queue"),
        *_surplus(template, made_queues - {*queues.values(), *poison.values()}),
        *_other_names(root, {**queues, **containers}, defaults),
        *_functions(root, template),
    ]
    seen = {"queues": len(made_queues), "containers": len(made_containers), "functions": len(declared.functions(root))}
    return Look(findings=tuple(findings), seen=seen)


def _named(given: Mapping[str, list[Meant]], ending: str) -> dict[str, str]:
    """The settings that name a queue or a container, with the name as it is deployed by default."""
    return {
        name: next((str(each.value) for each in meant if isinstance(each.value, str)), "")
        for name, meant in given.items()
        if name.endswith(ending)
    }


def _made(template: Template, type_name: str) -> set[str]:
    return {
        text.rpartition("/")[2]
        for made in template.resources(type_name)
        for text in template.texts(made.body.of(made.resource.body["name"]))
    }


def _missing(root: Path, wanted: Mapping[str, str], made: Collection[str], what: str) -> Iterator[Finding]:
    for setting, name in wanted.items():
        if not name:
            message = f"the name in {setting} cannot be followed to a {what}"
        elif name not in made:
            message = f"{setting}: no resource makes the {what} {name}"
        elif what == "queue" and len(name) > LONGEST_NAME:
            message = f"{name} is too long for a queue"
        else:
            continue
        yield finding_at(root, APP_SETTINGS, message, setting)


def _surplus(template: Template, queues: Collection[str]) -> Iterator[Finding]:
    files = [made.file.path.relative_to(template.root) for made in template.resources(QUEUES)]
    for queue in sorted(queues):
        yield finding_at(template.root, files[0], f"the queue {queue} is made, and no setting names it", QUEUES)


def _other_names(root: Path, named: Mapping[str, str], defaults: Mapping[str, object]) -> Iterator[Finding]:
    """Documents and local settings use the default names: another one in Azure would surprise whoever looks for it."""
    for setting, name in named.items():
        default = defaults.get(setting)
        if default is not None and name and name != default:
            message = f"{setting} is {name} in the template and {default} in the code"
            yield finding_at(root, APP_SETTINGS, message, setting)


def _functions(root: Path, template: Template) -> Iterator[Finding]:
    """Functions that are kept ready."""
    functions = {function.name for function in declared.functions(root)}
    for name in _always_ready(template):
        if name.removeprefix(ONE_FUNCTION) not in (functions if name.startswith(ONE_FUNCTION) else GROUPS):
            yield finding_at(root, APP, f"{name}: there is no such function", name)


def _always_ready(template: Template) -> Iterator[str]:
    for app in template.resources("Microsoft.Web/sites"):
        for ready in template.at(app.body, "properties.functionAppConfig.scaleAndConcurrency.alwaysReady"):
            for each in template.elements(ready):
                for name in template.at(each, "name"):
                    yield from template.texts(name)
