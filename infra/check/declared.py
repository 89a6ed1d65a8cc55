"""What the code declares: settings, functions, and the settings that their bindings name. Nothing is imported."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SETTINGS = Path("exporters/settings.py")
FUNCTIONS = Path("function_app.py")
#: A setting in a binding, which the host puts in.
#: https://learn.microsoft.com/azure/azure-functions/functions-bindings-expressions-patterns#binding-expressions---app-settings
PLACEHOLDER = re.compile(r"%(\w+)%")
#: How Python reads the environment.
ENVIRONMENT = {"os.environ", "os.getenv", "environ", "getenv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting that `Settings` reads."""

    name: str  #: as in the environment
    default: object  #: None where it has none, or one that is no literal
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the app."""

    name: str
    line: int
    settings: tuple[str, ...]  #: those that its trigger names as `%NAME%`


def settings(root: Path) -> list[Setting]:
    """Every field of `Settings`. Raises ValueError where one does not say its name in the environment."""
    return [_setting(field) for field in _fields(_parsed(root / SETTINGS), "Settings")]


def functions(root: Path) -> list[Function]:
    """Every function that has a trigger."""
    return [
        Function(
            name=node.name,
            line=node.lineno,
            settings=tuple(name for text in _texts(node.decorator_list) for name in PLACEHOLDER.findall(text)),
        )
        for node in _parsed(root / FUNCTIONS).body
        if isinstance(node, ast.FunctionDef) and any(_is_trigger(each) for each in node.decorator_list)
    ]


def environment_reads(root: Path) -> Iterator[tuple[Path, int]]:
    """Where code of the app reads the environment past `Settings`. Telling a library its defaults is no reading."""
    for path in sorted([*root.glob("exporters/**/*.py"), root / FUNCTIONS]):
        where = path.relative_to(root)
        if where == SETTINGS or "env" not in path.read_text(encoding="utf-8"):
            continue
        nodes = [node for node in ast.walk(_parsed(path)) if isinstance(node, ast.Attribute | ast.Name)]
        told = {id(node.value) for node in nodes if isinstance(node, ast.Attribute) and node.attr == "setdefault"}
        for node in nodes:
            if ast.unparse(node) in ENVIRONMENT and id(node) not in told:
                yield where, node.lineno


def _setting(field: ast.AnnAssign) -> Setting:
    given = {each.arg: each.value for each in field.value.keywords} if isinstance(field.value, ast.Call) else {}
    name = str(_literal(given.get("validation_alias")) or "")
    if not name:
        raise ValueError(f"{SETTINGS}:{field.lineno}: a setting without validation_alias, its name in the environment")
    return Setting(name=name, default=_literal(given.get("default")), line=field.lineno)


def _fields(module: ast.Module, class_name: str) -> Iterator[ast.AnnAssign]:
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            yield from (each for each in node.body if isinstance(each, ast.AnnAssign))


def _is_trigger(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func).startswith("app.")


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        for each in ast.walk(node):
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield each.value


def _literal(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
