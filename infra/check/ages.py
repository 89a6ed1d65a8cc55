"""What is deleted by its age: only what may go, and only where the app really writes."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from exporters.storage import paths
from infra.check.bicep import at
from infra.check.look import Finding
from infra.check.template import Meant, Template
from infra.check.where import found

LIFECYCLE = "Microsoft.Storage/storageAccounts/managementPolicies"

#: One path of each kind that is needed for as long as the app is there: a ledger in force looks like a former one.
KEPT = (
    paths.connection(""),
    paths.export(""),
    paths.RECEIPT_KEYS,
    paths.export_state(""),
    paths.known_account(""),
    paths.old_key(""),
    "state/overview.json",
    "state/segments/",
    paths.run("", ""),
    paths.outcomes("", ""),
    paths.receipt("", ""),
    paths.journal(),
    paths.journal(""),
    paths.ledger("", ""),
    paths.lane(""),
    paths.withheld(""),
    paths.erasure(""),
    paths.open_erasure(""),
    paths.person_to_erase(""),
)
#: And of each kind that may go, when nobody looks for it any more.
MAY_GO = (
    paths.staging(""),
    paths.notification("", "", ""),
    paths.rejects("", ""),
    paths.drift("", ""),
    paths.AUDIT,
)


def findings(template: Template) -> Iterator[Finding]:
    """Rules that delete too much, or nothing."""
    for file in template.files.values():
        for policy in file.of_type(LIFECYCLE):
            rules = list(template.elements(Meant(policy.at("properties.policy.rules"), file)))
            if not rules:
                yield found(template, file, policy.line, "no rule of it can be read")
            for rule in rules:
                name = at(rule.value, "name")
                yield from (found(template, file, policy.line, f"rule {name}: {w}") for w in _rule(template, rule))


def _rule(template: Template, rule: Meant) -> Iterator[str]:
    prefixes = list(template.elements(rule.of(at(rule.value, "definition.filters.prefixMatch"))))
    if not prefixes:
        yield "it is for every blob of the account"
    if not at(rule.value, "definition.actions"):
        yield "it does nothing"
    deletes = at(rule.value, "definition.actions.baseBlob.delete") is not None
    for prefix in prefixes:
        container, _, folder = str(prefix.value).partition("/")
        if deletes and not (isinstance(prefix.value, str) and container):
            yield f"nobody can tell what {prefix.value} is"
        elif deletes and (kept := next((each for each in KEPT if _overlap(folder, each)), None)):
            yield f"it deletes what lies below {_folder(kept)}, which is needed for ever"
        elif deletes and not any(_overlap(folder, each) for each in MAY_GO):
            yield f"it is for {folder}, where the app writes nothing"


def _overlap(prefix: str, path: str) -> bool:
    return path.startswith(prefix) or prefix.startswith(_folder(path))


def _folder(path: str) -> str:
    """What is the same in all paths of a kind, which were made with empty names here."""
    fixed = path.split("//")[0]
    return f"{fixed.rstrip('/')}/" if fixed != path or path.endswith("/") else f"{PurePosixPath(path).parent}/"
