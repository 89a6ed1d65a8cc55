"""What no type of Azure asks of a template, and a security team does: values, access, networks, ages, joints."""

from collections.abc import Callable, Iterator

from infra.check import access, ages, joints, networks, values
from infra.check.look import Finding, Look
from infra.check.template import Template

CHECKS: tuple[Callable[[Template], Iterator[Finding]], ...] = (
    values.findings,
    access.findings,
    networks.findings,
    ages.findings,
    joints.findings,
)


def look(template: Template) -> Look:
    """All of that."""
    return Look(
        findings=tuple(dict.fromkeys(finding for check in CHECKS for finding in check(template))),
        seen={
            "Bicep files": len(template.files),
            "resources": sum(
                not resource.existing for file in template.files.values() for resource in file.resources.values()
            ),
            "of them by tables": values.looked_at(template),
        },
    )
