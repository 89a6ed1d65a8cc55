"""Every problem that the code can answer is in the table, and has its page."""

import ast
import json
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
    """A problem document that is made somewhere."""

    place: str
    code: str | None  #: None: what stands there does not say which one


def answered() -> Iterator[Answered]:
    """Each problem document that is made. Where a function is given the code, the calls of that function count."""
    for path, tree in TREES.items():
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            parameters = [argument.arg for argument in function.args.args]
            for call in calls(function, "problem"):
                code = call.args[0]
                codes: list[ast.expr] = [code]
                if isinstance(code, ast.Name) and code.id in parameters:
                    codes = [given.args[parameters.index(code.id)] for given in calls(tree, function.name)]
                for each in codes:
                    yield Answered(f"{path.name}:{call.lineno}", written(each))


def written(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


ANSWERED = list(answered())


def test_every_problem_that_is_answered_is_in_the_table():
    assert sorted(each.place for each in ANSWERED if each.code not in PROBLEMS) == []


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


def test_a_document_is_made_of_the_table():
    answer = problem("busy", "Try again")

    assert (answer.status, json.loads(answer.body)) == (
        503,
        {"type": f"{TYPE_PREFIX}busy", "title": "Not now", "status": 503, "detail": "Try again"},
    )
