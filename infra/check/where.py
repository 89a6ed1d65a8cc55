"""Where things stand in a template: findings by file and line, and the file that a module calls."""

from infra.check.bicep import Bicep, Module
from infra.check.look import Finding
from infra.check.template import Template


def found(template: Template, file: Bicep, line: int, message: str) -> Finding:
    """A finding in one of the template's files."""
    return Finding(path=file.path.relative_to(template.root), line=line, message=message)


def called(template: Template, file: Bicep, module: Module) -> Bicep | None:
    """The file that a module calls; None where there is none."""
    return template.files.get((file.path.parent / module.path).resolve())
