"""That the files fit together: what can be read, calls of modules, parameters files, pages of alerts, descriptions."""

import re
from collections.abc import Iterator
from pathlib import Path

from infra.check.bicep import Bicep, Expression, Kind, Resource
from infra.check.look import Finding
from infra.check.template import Meant, Template
from infra.check.where import called, found

#: Their folder: files in it are called, those beside it are deployed.
MODULES = "modules"
ALERTS = (
    "Microsoft.Insights/scheduledQueryRules",
    "Microsoft.Insights/metricAlerts",
    "Microsoft.Insights/activityLogAlerts",
)
OUTPUT = re.compile(r"(\w+)!?\.outputs\.(\w+)")
PAGE = re.compile(r"operations\.md#(?P<anchor>[\w-]+)")
HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)


def findings(template: Template) -> Iterator[Finding]:
    """Whatever is asked for and not there, there and not asked for, or without a word about it."""
    pages = _pages(template)
    used = {path for file in template.files.values() for path in _uses(file)}
    given = {each for file in template.files.values() for each in _gives(template, file)}
    for path, file in template.files.items():
        for fault in file.faults:
            yield found(template, file, fault.line, fault.message)
        if path.suffix == ".bicep" and path not in used:
            yield found(template, file, 1, "nothing uses this file")
        for param in file.params.values():
            if file.path.parent.name == MODULES and (path, param.name) not in given:
                yield found(template, file, param.line, f"nobody gives {param.name}")
        mentioned = _mentioned(file)
        for declared in (*file.params.values(), *file.variables.values()):
            if declared.name not in mentioned:
                yield found(template, file, declared.line, f"nothing uses {declared.name}")
        for declared in (*file.params.values(), *file.outputs.values()):
            if not declared.description:
                yield found(template, file, declared.line, f"{declared.name} has no description")
        for alert in (alert for type_name in ALERTS for alert in file.of_type(type_name)):
            yield from (found(template, file, alert.line, w) for w in _alert(template, file, alert, pages))
        yield from (found(template, file, line, words) for line, words in _calls(template, file))
        yield from (found(template, file, line, words) for line, words in _outputs(template, file))
        if path.suffix == ".bicepparam":
            yield from (found(template, file, line, words) for line, words in _given(template, file))


def _uses(file: Bicep) -> Iterator[Path]:
    for path in (file.using, *(module.path for module in file.modules.values())):
        yield (file.path.parent / path).resolve()


def _gives(template: Template, file: Bicep) -> Iterator[tuple[Path, str]]:
    for module in file.modules.values():
        inside = called(template, file, module)
        if inside is not None:
            yield from ((inside.path.resolve(), name) for name in module.params)


def _mentioned(file: Bicep) -> set[str]:
    every = (each for _, value in file.values() for each in file.everything(value))
    return {name for each in every if isinstance(each, Expression) for name in each.names}


def _calls(template: Template, file: Bicep) -> Iterator[tuple[int, str]]:
    for module in file.modules.values():
        inside = called(template, file, module)
        if inside is None:
            yield module.line, f"{module.name}: there is no {module.path}"
            continue
        for name in sorted(module.params.keys() - inside.params.keys()):
            yield module.line, f"{module.name}: {module.path} has no parameter {name}"
        for name, param in inside.params.items():
            if param.required and name not in module.params:
                yield module.line, f"{module.name}: {name} is not given"


def _outputs(template: Template, file: Bicep) -> Iterator[tuple[int, str]]:
    for line, value in file.values():
        for each in file.everything(value):
            asked = OUTPUT.fullmatch(each.text) if isinstance(each, Expression) and each.kind is Kind.MEMBER else None
            if asked is None or asked[1] not in file.modules:
                continue
            inside = called(template, file, file.modules[asked[1]])
            if inside is not None and asked[2] not in inside.outputs:
                yield line, f"{asked[1]} has no output {asked[2]}"


def _given(template: Template, file: Bicep) -> Iterator[tuple[int, str]]:
    """A parameters file gives what its template takes, and all that it needs."""
    target = template.files.get((file.path.parent / file.using).resolve())
    if target is None:
        yield 1, f"there is no template {file.using}"
        return
    for name, given in file.given.items():
        if name not in target.params:
            yield given.line, f"{file.using} has no parameter {name}"
    for name, param in target.params.items():
        if param.required and name not in file.given:
            yield 1, f"{name} is not given"


def _alert(template: Template, file: Bicep, alert: Resource, pages: set[str]) -> Iterator[str]:
    """Whoever is woken finds the page that says what to do."""
    items = list(template.elements(Meant(alert.loop, file))) if alert.item else []
    for item in items or [Meant(None, file)]:
        described = Meant(alert.at("properties.description"), file, {alert.item: item} if alert.item else {})
        for text in sorted(set(template.texts(described))) or [""]:
            page = PAGE.search(text)
            if page is None:
                yield f"{alert.name}: {text!r} leads to no page"
            elif page["anchor"] not in pages:
                yield f"{alert.name}: docs/operations.md has no heading #{page['anchor']}"


def _pages(template: Template) -> set[str]:
    """The headings of docs/operations.md, as GitHub makes anchors of them."""
    page = template.root / "docs" / "operations.md"
    titles = HEADING.findall(page.read_text(encoding="utf-8")) if page.exists() else []
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}
