"""Every problem that the code can answer is in the table, as the table says it, and has its page."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporters.api.answers import problem
from exporters.api.openapi import ALWAYS, possible
from exporters.api.problems import PROBLEMS, TYPE_PREFIX
from exporters.api.routes import ROUTES
from infra.reference import ANYWHERE, DOCS, problem_page

PACKAGE = Path(__file__).parents[3] / "exporters"
TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


@dataclass(frozen=True, slots=True, order=True)
class Answered:
    """A problem document that is made somewhere; None is what the code does not write down."""

    place: str
    code: str | None
    status: int | None
    title: str | None


def answered() -> Iterator[Answered]:
    """Each problem document that is made. Where a function is given the code, the calls of that function count."""
    for path, tree in TREES.items():
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            parameters = [argument.arg for argument in function.args.args]
            for call in calls(function, "problem"):
                status, code, title = call.args[:3]
                codes: list[ast.expr] = [code]
                if isinstance(code, ast.Name) and code.id in parameters:
                    codes = [given.args[parameters.index(code.id)] for given in calls(tree, function.name)]
                for each in codes:
                    place = f"{path.name}:{call.lineno}"
                    yield Answered(place, written(each), written(status), written(title))


def written(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


ANSWERED = list(answered())


def test_every_problem_is_written_down_as_the_table_says():
    as_meant = {(kind.code, kind.status, kind.title) for kind in PROBLEMS.values()}

    assert sorted(each for each in ANSWERED if (each.code, each.status, each.title) not in as_meant) == []


def test_every_code_of_the_table_is_answered_somewhere():
    assert PROBLEMS.keys() - {each.code for each in ANSWERED} == set()


def test_every_code_belongs_to_an_address():
    routed = {kind.code for route in ROUTES for kind in possible(route)}

    assert routed | ANYWHERE == PROBLEMS.keys()
    assert set(ALWAYS) <= routed


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_code_has_its_page(code):
    page = DOCS / "errors" / f"{code}.md"

    assert page.read_text() == problem_page(PROBLEMS[code], ROUTES), "run python -m infra.reference"


def test_every_page_has_its_code():
    assert {path.stem for path in (DOCS / "errors").glob("*.md")} == PROBLEMS.keys()


def test_a_type_is_made_of_the_code():
    assert f'"{TYPE_PREFIX}busy"'.encode() in problem(503, "busy", "Not now", "Try again").body
