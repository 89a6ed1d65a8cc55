"""Pages of lists: all are as large, and the next one is of what was asked for."""

import json

from pydantic import BaseModel, ConfigDict, Field

from exporters.api.paging import DEFAULT_LIMIT, MAX_LIMIT, Limit, Offset, Page, next_page, paged
from exporters.api.routes import ROUTES


class Query(BaseModel):
    model_config = ConfigDict(validate_by_name=False)

    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0
    search: str = ""
    since: str | None = Field(default=None, alias="from")
    after: str | None = None


class Names(Page[str]):
    total: int


def test_every_list_has_pages_of_the_same_size():
    lists = [
        route
        for route in ROUTES
        if any(isinstance(kind, type) and issubclass(kind, Page) for kind in kinds(route.answers.get(200)))
    ]
    found = {route.path: route.query.model_json_schema()["properties"]["limit"] for route in lists if route.query}
    audit = found.pop("/audit")

    assert len(found) == len(lists) - 1 == 7
    assert {(limit["default"], limit["minimum"], limit["maximum"]) for limit in found.values()} == {
        (DEFAULT_LIMIT, 1, MAX_LIMIT)
    }
    # As CSV it has more; a page of it is as large as the others.
    assert f"{DEFAULT_LIMIT}, at most {MAX_LIMIT}; of a CSV" in audit["description"]


def kinds(content: object) -> tuple[object, ...]:
    return content if isinstance(content, tuple) else (content,)


def test_the_next_page_is_of_what_was_asked_for():
    query = Query.model_validate({"from": "2026-11-22", "search": "a b&c", "limit": 7, "after": "here"})

    assert next_page("/api/names", query, after="there") == (
        "/api/names?limit=7&search=a+b%26c&from=2026-11-22&after=there"
    )


def test_what_nobody_asked_for_is_not_in_its_address():
    assert next_page("/api/names", Query(), offset=50) == "/api/names?offset=50"


def test_a_page_names_the_next_one_in_its_header_too():
    answer = paged(Names(items=("a",), next="/api/names?offset=50", total=51))

    assert answer.status == 200
    assert json.loads(answer.body) == {"items": ["a"], "next": "/api/names?offset=50", "total": 51}
    assert answer.headers["Link"] == '</api/names?offset=50>; rel="next"'


def test_the_last_page_names_none():
    assert "Link" not in paged(Names(items=("a",), next=None, total=1)).headers
