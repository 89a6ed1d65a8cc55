"""Roles: every id is the role that it is said to be, and none allows more than a run needs."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.check.look import Finding, Look, line_of, template_files
from infra.check.template import Template

#: The built-in roles that a template of this app may give. https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES: Mapping[str, str] = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "19e7f393-937e-4f77-808e-94535e297925": "Storage Queue Data Reader",
    "8a0f0c08-91a1-4084-bc3d-661d67233fed": "Storage Queue Data Message Processor",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "Storage Queue Data Message Sender",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
#: Roles with which one could give oneself any other, or do anything to a resource.
#: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles#privileged
TOO_WIDE: Mapping[str, str] = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
    "17d1049b-9a84-46fb-8f53-869881c3d3ab": "Storage Account Contributor",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": "Key Vault Administrator",
}
#: What a role of the template's own may allow; docs/identity.md says which step needs which.
#: https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations
NEEDED = frozenset(
    {
        "Microsoft.Storage/storageAccounts/queueServices/queues/read",
        "Microsoft.Storage/storageAccounts/queueServices/queues/messages/read",
        "Microsoft.Storage/storageAccounts/queueServices/queues/messages/write",
        "Microsoft.Storage/storageAccounts/queueServices/queues/messages/add/action",
        "Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action",
        # Not blobs/write, which would let lines of the audit trail be overwritten.
        "Microsoft.Storage/storageAccounts/blobServices/containers/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
        "Microsoft.KeyVault/vaults/secrets/getSecret/action",
        "Microsoft.KeyVault/vaults/secrets/setSecret/action",
        "Microsoft.KeyVault/vaults/secrets/delete",
    }
)
ID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
#: The part of a name that says what a role is on; it may be left out where the place says it.
AREAS = ("Storage ", "Key Vault ", "Monitoring ")
ACTIONS = ("actions", "dataActions")


def check(root: Path, template: Template) -> Look:
    """Hold every role id and every role of the template's own against the table of roles."""
    found = [each for path in template_files(root) for each in _ids(root, path)]
    own = list(_own_roles(template))
    findings = [finding for _, finding in found if finding] + [finding for _, finding in own if finding]
    return Look(
        findings=tuple(findings),
        seen={"built-in roles": len({role for role, _ in found}), "actions of roles of its own": len(own)},
    )


def _ids(root: Path, path: Path) -> Iterator[tuple[str, Finding | None]]:
    """Every id in a file, with what is wrong with it."""
    lines = (root / path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        for found in ID.finditer(line):
            role = found[0].lower()
            message = _judged(role, line, lines[number - 2] if number > 1 else "")
            yield role, Finding(path=path, line=number, message=message) if message else None


def _judged(role: str, line: str, before: str) -> str:
    """What is wrong with an id on this line, below that one; empty when nothing is."""
    if role in TOO_WIDE:
        return f"{TOO_WIDE[role]} allows more than any step of a run needs"
    if role not in ROLES:
        return f"{role} is no role that this template may give"
    if ROLES[role] not in (_said(line) or _said(before)):
        return f"{role} is {ROLES[role]}, and neither this line nor the one before says so"
    return ""


def _said(line: str) -> set[str]:
    """The built-in roles that a line names, in words or as the name of a variable."""
    letters = _letters(line)
    return {
        name for name in ROLES.values() if any(_letters(name.removeprefix(area)) in letters for area in ("", *AREAS))
    }


def _own_roles(template: Template) -> Iterator[tuple[str, Finding | None]]:
    """Every action of a role that the template defines, with what is wrong with it."""
    for made in template.resources("Microsoft.Authorization/roleDefinitions"):
        for permission in template.at(made.body, "properties.permissions"):
            for each in template.elements(permission):
                for kind in ACTIONS:
                    for actions in template.at(each, kind):
                        for action in template.elements(actions):
                            yield str(action.value), _wide(made.file.path, template.root, str(action.value))


def _wide(path: Path, root: Path, action: str) -> Finding | None:
    if action in NEEDED:
        return None
    line = line_of(path.read_text(encoding="utf-8"), f"'{action}'")
    return Finding(path=path.relative_to(root), line=line, message=f"{action} is nothing that a run needs")


def _letters(words: str) -> str:
    return re.sub(r"[^a-z]", "", words.lower())
