"""The OpenAPI document says what the app does: valid, complete, with examples that fit."""

import json
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel

from exporters.api.openapi import AUTOMATION_PREFIX, IDS, document
from exporters.api.routes import AUTOMATION, ROUTES
from exporters.api.routing import Route
from infra.reference import DOCS, filled
from tests.world import World

DOCUMENT = document(ROUTES)
ADDRESSES = {(route.method, route.path): route for route in ROUTES} | {
    (route.method, AUTOMATION_PREFIX + route.path): route for route in AUTOMATION
}


def operation(method: str, path: str) -> dict[str, Any]:
    return dict(DOCUMENT["paths"][path][method.lower()])


def models(route: Route) -> list[type[BaseModel]]:
    contents = route.body if isinstance(route.body, tuple) else (route.body,)
    return [content for content in contents if isinstance(content, type)]


def test_it_is_an_openapi_document():
    validate(DOCUMENT)


def test_it_has_every_address_of_both_doors_and_no_other():
    operations = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}

    assert operations == ADDRESSES.keys()


def test_operations_have_names_of_their_own():
    names = [operation(*address)["operationId"] for address in ADDRESSES]

    assert len(set(names)) == len(names)


def test_schemas_are_called_as_their_classes_so_that_no_file_that_moves_renames_the_types_of_clients():
    names = DOCUMENT["components"]["schemas"]

    assert [name for name in names if not name.isalnum()] == []


@pytest.mark.parametrize("name", IDS)
def test_what_is_not_there_has_a_problem_of_its_own(name):
    assert f"no-such-{name}" in DOCUMENT["components"]["examples"]


@pytest.mark.parametrize(("method", "path"), sorted(ADDRESSES))
def test_every_operation_says_what_it_answers(method, path):
    statuses = operation(method, path)["responses"].keys()

    assert any(status.startswith("2") for status in statuses)
    assert {"500", "503"} <= statuses


@pytest.mark.parametrize(("method", "path"), sorted(ADDRESSES))
def test_every_body_has_an_example_that_fits_it(method, path):
    for model in models(ADDRESSES[method, path]):
        schema = model.model_json_schema()
        assert schema.get("examples"), f"{model.__name__} has no example"
        for example in schema["examples"]:
            model.model_validate_json(json.dumps(example))


def test_who_may_call_what_is_said_with_the_operation():
    start = operation("POST", "/exports/{export}/runs")
    by_key = operation("POST", f"{AUTOMATION_PREFIX}/exports/{{export}}/runs")

    assert (start["x-who"], start["security"]) == ("contributor", [{"entra": []}])
    assert (by_key["x-who"], by_key["security"]) == ("function key", [{"functionKey": []}])
    assert operation("GET", "/health")["security"] == []


def test_anyone_reads_it_and_is_told_when_nothing_has_changed():
    world = World()
    answer = world.call("GET", "/openapi.json")
    again = world.call("GET", "/openapi.json", headers={"if-none-match": answer.headers["ETag"]})

    assert (answer.status, json.loads(answer.body)) == (200, DOCUMENT)
    assert (again.status, again.body) == (304, b"")


def test_the_page_on_the_api_has_the_table_as_it_is():
    page = (DOCS / "api.md").read_text()

    assert filled(page, ROUTES) == page, "run python -m infra.reference"
