"""Settings: what the code reads, the template sets, and the sample and the README describe is one list."""

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from infra.check import declared
from infra.check.bicep import Expression
from infra.check.declared import Setting
from infra.check.look import Finding, Look, finding_at
from infra.check.platform import (
    BY_AZURE,
    FORBIDDEN_PROPERTIES,
    FORBIDDEN_SETTINGS,
    LOCAL_ONLY,
    OF_THE_PLATFORM,
    OF_THE_PLATFORM_IN_AZURE,
    SWITCHED,
)
from infra.check.template import JOINING, Meant, Template

APP = Path("infra/modules/function-app.bicep")
#: The one file that writes app settings, all of them at once: what another one had written would be gone.
APP_SETTINGS = Path("infra/modules/app-settings.bicep")
CONFIG = "Microsoft.Web/sites/config"
#: The other place where they could be written. https://learn.microsoft.com/azure/templates/microsoft.web/sites#siteconfig
OTHER_PLACE = "properties.siteConfig.appSettings"
SAMPLE = Path("local.settings.sample.json")
README = Path("README.md")
#: Head and rows of the table of settings in the README.
TABLE_HEAD = "| setting | default |"
TABLE_ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def check(root: Path, template: Template) -> Look:
    """Hold the settings of code, template, sample and README against each other, and against what Azure takes."""
    read = [each for each in declared.settings(root) if each.name not in BY_AZURE]
    set_in_azure = app_settings(template)
    findings = [
        *_template(root, read, set_in_azure),
        *_switched(root, template, set_in_azure),
        *_forbidden(root, template, set_in_azure),
        *_elsewhere(root, template),
        *_described(root, read),
        *_bindings(root, read, set_in_azure),
        *(
            Finding(path=path, line=line, message="the environment is read here: exporters/settings.py alone does that")
            for path, line in declared.environment_reads(root)
        ),
    ]
    return Look(findings=tuple(findings), seen={"settings read": len(read), "app settings set": len(set_in_azure)})


def app_settings(template: Template) -> dict[str, list[Meant]]:
    """The app settings that the template sets under some condition, with all that each can be."""
    found: dict[str, list[Meant]] = {}
    for settings in _listed(template):
        for each in template.elements(settings):
            for name in template.at(each, "name"):
                found.setdefault(str(name.value), []).extend(template.at(each, "value"))
    return found


def _set_always(template: Template) -> set[str]:
    """The app settings that the template sets whatever its parameters say."""
    return {
        str(name.value)
        for settings in _listed(template)
        for each in _unconditional(settings)
        for name in template.at(each, "name")
    }


def _listed(template: Template) -> Iterator[Meant]:
    """The lists of app settings, each an array of name and value, of which `toObject` makes the properties."""
    for config in template.resources(CONFIG):
        if "appsettings" in template.texts(config.body.of(config.resource.body.get("name"))):
            for properties in template.at(config.body, "properties"):
                if isinstance(properties.value, Expression) and properties.value.function == "toObject":
                    yield properties.of(properties.value.parts[0])


def _elsewhere(root: Path, template: Template) -> Iterator[Finding]:
    """Settings that would be written with the site, and so before the platform checks who signs in."""
    for app in template.resources("Microsoft.Web/sites"):
        if any(template.at(app.body, OTHER_PLACE)):
            yield finding_at(root, APP, f"app settings are for {APP_SETTINGS} alone", "appSettings")


def _unconditional(settings: Meant) -> Iterator[Meant]:
    """The elements of an array that do not hang on a choice."""
    value, variables = settings.value, settings.file.variables
    if isinstance(value, list):
        yield from map(settings.of, value)
    elif isinstance(value, Expression) and value.text in variables:
        yield from _unconditional(settings.of(variables[value.text].value))
    elif isinstance(value, Expression) and value.function in JOINING:
        for part in value.parts:
            yield from _unconditional(settings.of(part))


def _template(root: Path, read: Collection[Setting], given: Collection[str]) -> Iterator[Finding]:
    """What the template sets beside what the code reads."""
    readers = {**OF_THE_PLATFORM, **OF_THE_PLATFORM_IN_AZURE, **{setting.name: "the code" for setting in read}}
    for name, reader in readers.items():
        if name not in given and name not in LOCAL_ONLY and name not in FORBIDDEN_SETTINGS:
            yield finding_at(root, APP_SETTINGS, f"{name} is not set, and read by {reader}", "settings")
    for name in given:
        if name in LOCAL_ONLY:
            message = f"{name} must not be set in Azure: {LOCAL_ONLY[name]}"
        elif name in BY_AZURE:
            message = f"{name} must not be set: {BY_AZURE[name]} sets it"
        elif name not in readers:
            message = f"{name} is set, and neither the code nor the platform reads it"
        else:
            continue
        yield finding_at(root, APP_SETTINGS, message, name)


def _switched(root: Path, template: Template, given: Collection[str]) -> Iterator[Finding]:
    """What hangs on a parameter that should not, and the other way round."""
    always = _set_always(template)
    for name in given:
        if name in SWITCHED and name in always:
            yield finding_at(root, APP_SETTINGS, f"{name} is set always, and is for {SWITCHED[name]} alone", name)
        elif name not in SWITCHED and name not in always:
            yield finding_at(root, APP_SETTINGS, f"{name} is set under a condition, and needed always", name)


def _forbidden(root: Path, template: Template, given: Collection[str]) -> Iterator[Finding]:
    """What Flex Consumption does not want."""
    for name in given:
        if name.upper() in FORBIDDEN_SETTINGS:
            message = f"{name} must not be set on Flex Consumption: {FORBIDDEN_SETTINGS[name.upper()]}"
            yield finding_at(root, APP_SETTINGS, message, name)
    for file in template.files.values():
        for resource in file.resources.values():
            if resource.type.lower().startswith("microsoft.web/sites"):
                keys = {key for each in file.everything(resource.body) if isinstance(each, dict) for key in each}
                for key in sorted(keys & FORBIDDEN_PROPERTIES):
                    path = file.path.relative_to(template.root)
                    yield finding_at(root, path, f"{key} must not be set on Flex Consumption", f"{key}:", key)


def _described(root: Path, read: Collection[Setting]) -> Iterator[Finding]:
    """What the sample and the README say of it."""
    wanted = {setting.name for setting in read} | set(OF_THE_PLATFORM)
    sample = json.loads((root / SAMPLE).read_text(encoding="utf-8"))["Values"]
    _, _, rest = (root / README).read_text(encoding="utf-8").partition(TABLE_HEAD)
    for path, names in ((SAMPLE, set(sample)), (README, set(TABLE_ROW.findall(rest.partition("\n\n")[0])))):
        for name in sorted(wanted - names):
            yield finding_at(root, path, f"{name} is not described", "Values", TABLE_HEAD)
        for name in sorted(names - wanted):
            yield finding_at(root, path, f"nobody reads {name}", name)


def _bindings(root: Path, read: Collection[Setting], given: Collection[str]) -> Iterator[Finding]:
    """Settings that only bindings name: a trigger whose setting is missing does not load."""
    known = {setting.name for setting in read}
    for function in declared.functions(root):
        for name in function.settings:
            if name not in known or name not in given:
                message = f"{function.name} is bound to %{name}%, which is not set: it would not load"
                yield Finding(path=declared.FUNCTIONS, line=function.line, message=message)
