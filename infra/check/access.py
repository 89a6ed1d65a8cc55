"""Who may do what: roles and their scopes, secrets that are nowhere, and an app that waits for its rights."""

import re
from collections.abc import Iterator, Mapping

from infra.check.bicep import Bicep, Expression, Module, Resource, at
from infra.check.look import Finding
from infra.check.template import Template
from infra.check.where import called, found

ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
ROLE_DEFINITION = "Microsoft.Authorization/roleDefinitions"
CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers"
DIAGNOSTICS = "Microsoft.Insights/diagnosticSettings"
ENDPOINT = "Microsoft.Network/privateEndpoints"
PUBLISHING = "Microsoft.Web/sites/basicPublishingCredentialsPolicies"
SITE = "Microsoft.Web/sites"
CONFIG = "Microsoft.Web/sites/config"
VAULT = "Microsoft.KeyVault/vaults"

#: Roles that are for one container each, never for an account with all its containers. Id -> name.
#: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage
OF_A_CONTAINER: Mapping[str, str] = {
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
}
#: The log goes into AZKVAuditLogs, which is what queries look into, and not into a table of all services.
#: https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs#resource-specific
OWN_TABLE = "Dedicated"
#: `definition.id`, `definitions[0].id`
ID_OF = re.compile(r"(\w+)(?:\[[^\]]*\])?\.id\b")
#: What gives out a key or a token.
#: https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions-resource#list
GIVES_SECRETS = re.compile(r"(^|\.)(list\w+|getSecret)$", re.IGNORECASE)
#: What a connection string with a secret in it looks like.
HOLDS_SECRETS = re.compile(r"(AccountKey|SharedAccessKey|SharedAccessSignature|Password)\s*=", re.IGNORECASE)


def findings(template: Template) -> Iterator[Finding]:
    """Rights that are too wide or too late, and secrets."""
    for file in template.files.values():
        for role in file.of_type(ROLE_ASSIGNMENT):
            yield from (found(template, file, role.line, f"{role.name}: {words}") for words in _assignment(file, role))
        yield from (found(template, file, line, words) for line, words in _identifiers(file))
        yield from (found(template, file, line, words) for line, words in _secrets(file))
        yield from (found(template, file, line, words) for line, words in _doors(file))
        yield from (found(template, file, line, words) for line, words in _order(template, file))
        yield from (found(template, file, line, words) for line, words in _belief(template, file))


def _assignment(file: Bicep, role: Resource) -> Iterator[str]:
    """The scope has to be a resource, the narrowest one; the name one that no other assignment can have."""
    scope, name = role.body.get("scope"), role.body.get("name")
    target = file.resources.get(str(scope))
    if target is None:
        yield "its scope is no resource of this file"
        return
    definition = role.at("properties.roleDefinitionId")
    wanted = [f"{scope}.id", str(role.at("properties.principalId")), str(definition)]
    given = [str(part) for part in name.parts] if isinstance(name, Expression) and name.function == "guid" else []
    if given != wanted:
        yield f"its name is not guid({', '.join(wanted)})"
    for identifier in OF_A_CONTAINER.keys() & {each for each in file.everything(definition) if isinstance(each, str)}:
        if target.type != CONTAINER:
            yield f"{OF_A_CONTAINER[identifier]} is for a container, not for {target.name}"


def _identifiers(file: Bicep) -> Iterator[tuple[int, str]]:
    """A definition made in a group has an `id` below the group, which no assignment takes."""
    own = {definition.name for definition in file.of_type(ROLE_DEFINITION)}
    for output in file.outputs.values():
        for each in file.everything(output.value):
            members = ID_OF.finditer(each.text) if isinstance(each, Expression) else ()
            for member in members:
                if member[1] in own:
                    yield (
                        output.line,
                        f"{output.name}: {member[0]} is below the group: subscriptionResourceId has the id",
                    )


def _secrets(file: Bicep) -> Iterator[tuple[int, str]]:
    """No key is asked for, none is written down, none comes in as a parameter, none leaves as an output."""
    for line, value in file.values():
        for each in file.everything(value):
            if isinstance(each, Expression) and GIVES_SECRETS.search(each.function):
                yield line, f"{each.function} gives out a secret"
            if isinstance(each, str | Expression) and HOLDS_SECRETS.search(str(each)):
                yield line, "a connection string with a secret"
    for declared in (*file.params.values(), *file.outputs.values()):
        if "secure" in declared.decorators:
            yield declared.line, f"{declared.name} is a secret: an identity has to do"


def _doors(file: Bicep) -> Iterator[tuple[int, str]]:
    """Nobody deploys with a user name and a password, by neither way; and who asks the vault is written down."""
    for site in file.of_type(SITE):
        closed = {each.body.get("name") for each in file.of_type(PUBLISHING) if each.parent == site.name}
        for way in ("ftp", "scm"):
            if way not in closed:
                yield site.line, f"{site.name}: publishing by password over {way} is not closed"
    for log in file.of_type(DIAGNOSTICS):
        if isinstance(log.at("properties.logs"), Expression) and log.condition is True:
            yield log.line, f"{log.name}: it may have nothing to log, which Azure does not take"
    for vault in file.of_type(VAULT):
        logs = [
            each.at("properties.logs")
            for each in file.of_type(DIAGNOSTICS)
            if str(each.at("scope")) == vault.name and each.at("properties.logAnalyticsDestinationType") == OWN_TABLE
        ]
        if not any(at(log, "category") == "AuditEvent" for each in logs if isinstance(each, list) for log in each):
            yield vault.line, f"{vault.name}: nobody writes down who asks it for a secret"


def _order(template: Template, file: Bicep) -> Iterator[tuple[int, str]]:
    """The app starts after its rights and its ways to storage and vault are there; its first start fails otherwise."""
    for app in file.modules.values():
        inside = called(template, file, app)
        if inside is None or not inside.of_type(SITE):
            continue
        for needed in file.modules.values():
            if (
                needed.name not in _waits_for(app)
                and _gives_access(called(template, file, needed))
                and not _is_for(needed, app)
            ):
                yield app.line, f"{app.name} does not wait for {needed.name}"


def _belief(template: Template, file: Bicep) -> Iterator[tuple[int, str]]:
    """SIGN_IN makes the app believe a header that anybody can write until the platform checks who signs in."""
    modules = [(module, called(template, file, module)) for module in file.modules.values()]
    for module, inside in modules:
        for other, before in modules:
            settings_and_sign_in = _configures(inside, "appsettings") and _configures(before, "authsettingsV2")
            if settings_and_sign_in and other.name not in _waits_for(module):
                yield module.line, f"{module.name} does not wait for {other.name}: anybody could sign in as anybody"


def _configures(file: Bicep | None, name: str) -> bool:
    return file is not None and any(each.body.get("name") == name for each in file.of_type(CONFIG))


def _waits_for(module: Module) -> set[str]:
    listed = module.body.get("dependsOn")
    return {str(each) for each in listed} if isinstance(listed, list) else set()


def _gives_access(file: Bicep | None) -> bool:
    return file is not None and bool(file.of_type(ROLE_ASSIGNMENT) or file.of_type(ENDPOINT))


def _is_for(needed: Module, app: Module) -> bool:
    """The endpoint of the app itself comes after it."""
    return any(app.name in value.names for value in needed.params.values() if isinstance(value, Expression))
