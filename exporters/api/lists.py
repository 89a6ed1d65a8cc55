"""Lists and fields of a connection's account over HTTP."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from exporters.api.answers import Answer, Request, document, problem
from exporters.api.connections import ADDRESS, with_problems
from exporters.api.paging import DEFAULT_LIMIT, Limit, Page, next_page, paged
from exporters.api.reading import read_body, read_query
from exporters.configuration import account, connections
from exporters.configuration.account import ListExistsError, ListRefusedError, NoSuchPlaceError
from exporters.model.connection import Connection
from exporters.model.fields import FieldType, StandardField
from exporters.model.names import DisplayName, Search
from exporters.parts import Parts
from exporters.providers.base import ContactList


class ListView(BaseModel):
    """A contact list at the provider."""

    id: str = Field(description="what an export names it by")
    name: str
    count: int | None = Field(description="contacts on it, where the provider tells")


class ListPage(Page[ListView]):
    """A page of lists. It may be empty though others follow: providers have no search."""

    total: int | None = Field(description="always null: providers do not tell")


class ListQuery(BaseModel):
    """Which lists."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = DEFAULT_LIMIT
    after: Annotated[str, Field(max_length=2_000)] | None = Field(
        default=None, description="where the last page ended; taken from the address of the next one"
    )
    search: Search = Field(default="", description="in name and id, without regard to case")


class NewListBody(BaseModel):
    """A list that is to be made."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Newsletter"}]})

    name: DisplayName


class FieldView(BaseModel):
    """A field that a mapping may fill."""

    name: str = Field(description="at the provider; custom fields are mapped by it")
    type: FieldType
    standard: StandardField | None = Field(description="what the mapping calls it; null for custom fields")
    max_chars: int | None = Field(description="longest text; null where there is no limit, or none that is known")


class Fields(BaseModel):
    """All fields of an account."""

    items: tuple[FieldView, ...]


@with_problems
def browse(parts: Parts, request: Request) -> Answer:
    """200 with a page of lists, asked of the provider now; 503 while it wants a pause."""
    query = read_query(ListQuery, request)
    if isinstance(query, Answer):
        return query
    connection = _connection(parts, request)
    try:
        page = account.lists(parts, connection, search=query.search, after=query.after, limit=query.limit)
    except NoSuchPlaceError as error:
        return problem("request-query", str(error))
    address = f"{ADDRESS}/{connection.id}/lists"
    following = None if page.after is None else next_page(address, query, after=page.after)
    return paged(ListPage(items=tuple(_view(one) for one in page.rows), next=following, total=None))


@with_problems
def create(parts: Parts, request: Request) -> Answer:
    """201 with the new list; 409 with the one that has its name."""
    wanted = read_body(NewListBody, request)
    if isinstance(wanted, Answer):
        return wanted
    connection = _connection(parts, request)
    try:
        return document(_view(account.create_list(parts, request.caller, connection, wanted.name)), status=201)
    except ListExistsError as error:
        return problem("list-exists", str(error), id=error.there.id)
    except ListRefusedError as error:
        return problem("list-refused", str(error))


@with_problems
def fields(parts: Parts, request: Request) -> Answer:
    """200 with all fields that a mapping may fill, asked of the provider now."""
    found = account.fields(parts, _connection(parts, request))
    views = (
        FieldView(name=field.name, type=field.type, standard=field.standard, max_chars=field.max_chars)
        for field in found
    )
    return document(Fields(items=tuple(views)))


def _connection(parts: Parts, request: Request) -> Connection:
    return connections.read(parts, request.route.get("connection", "")).value


def _view(one: ContactList) -> ListView:
    return ListView(id=one.id, name=one.name, count=one.count)
