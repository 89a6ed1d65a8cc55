"""Connections over HTTP: their settings, their keys, which never come back, and who may use them."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from exporters.api.answers import Answer, Request, document, problem
from exporters.api.paging import DEFAULT_LIMIT, Limit, Offset, Page, next_page, paged
from exporters.api.reading import changed_meanwhile, read_body, read_query, stale
from exporters.api.runs import run_active
from exporters.configuration import connections, overview
from exporters.configuration.connections import (
    ConnectionBusyError,
    ConnectionExistsError,
    ConnectionInUseError,
    ConsentOutdatedError,
    Decision,
    NoSuchConnectionError,
    OtherAccountError,
    UnusableConnectionError,
)
from exporters.errors import ConfigError, StorageConflictError, TransientError
from exporters.model.caller import Role
from exporters.model.connection import Connection, ConnectionSettings, Consent, NewConnection, NewKey, Proving, UsedBy
from exporters.model.fields import StandardField
from exporters.model.names import Id, Search
from exporters.parts import Parts
from exporters.storage.documents import Versioned

Handler = Callable[[Parts, Request], Answer]

ADDRESS = "/api/connections"
#: Documents that are read at once. Ours: fewer than the ten connections that the storage client keeps open.
READS_AT_ONCE = 8


class ConnectionDetails(BaseModel):
    """What only administrators see. The key is not among it, and nowhere else."""

    account: str | None
    field_names: dict[StandardField, str]
    plan_contacts: int | None
    secret: str = Field(description="name of the Key Vault secret that holds the key")
    consent: Consent | None
    created_by: str | None
    connected_by: str | None
    updated: datetime | None
    updated_by: str | None
    secret_readable: bool | None = Field(
        description="whether the app can read the secret now; null in lists, and where the vault does not answer"
    )
    trouble: str = Field(description="why it cannot; empty where it can")


class ConnectionView(BaseModel):
    """A connection."""

    id: Id
    display_name: str
    provider: str
    used_by: UsedBy
    created: datetime | None = Field(description="null where the document was written by hand")
    connected: datetime | None = Field(description="when its key was proved last")
    exports: int = Field(description="how many exports use it")
    details: ConnectionDetails | None = Field(description="null for everybody but administrators")
    fault: str = Field(description="why its document cannot be used; the other members say nothing then")


class ConnectionPage(Page[ConnectionView]):
    """A page of connections."""

    total: int


Column = Literal["id", "name", "provider", "used_by", "created", "connected", "exports"]
FromTheOtherEnd = Literal["-id", "-name", "-provider", "-used_by", "-created", "-connected", "-exports"]


class ConnectionQuery(BaseModel):
    """Which connections."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0
    search: Search = Field(default="", description="in id, name and provider, without regard to case")
    sort: Column | FromTheOtherEnd = Field(default="name", description="a column; with - before it from the other end")


class RemoveBody(BaseModel):
    """What becomes of the exports that use the connection."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"exports": {"newsletter": "detach", "old": "remove"}}]}
    )

    exports: dict[Id, Decision] = Field(default_factory=dict, max_length=10_000)


def with_problems(handle: Handler) -> Handler:
    """A handler whose use case may find something wrong with a connection."""

    @wraps(handle)
    def answer(parts: Parts, request: Request) -> Answer:
        try:
            return handle(parts, request)
        except NoSuchConnectionError as error:
            return problem("no-such-connection", str(error))
        except ConnectionExistsError as error:
            return problem("connection-exists", str(error))
        except OtherAccountError as error:
            return problem("other-account", str(error))
        except ConnectionInUseError as error:
            return _in_use(error)
        except ConnectionBusyError as error:
            return run_active(error)
        except ConsentOutdatedError as error:
            return problem("consent-outdated", str(error))
        except UnusableConnectionError as error:
            return problem("connection-unusable", str(error))

    return answer


def _in_use(error: ConnectionInUseError) -> Answer:
    named = [{"id": row.id, "name": row.name} for row in error.undecided]
    return problem("connection-in-use", str(error), exports=named)


def browse(parts: Parts, request: Request) -> Answer:
    """200 with a page of connections. Viewers and contributors see what is needed to choose one."""
    query = read_query(ConnectionQuery, request)
    if isinstance(query, Answer):
        return query
    counts = _counts(parts)
    with parts.uploaders(READS_AT_ONCE) as pool:
        every = list(pool.map(lambda name: _row(parts, request, name, counts.get(name, 0)), connections.ids(parts)))
    found = [view for view in every if view is not None and _fits(view, query.search)]
    column = query.sort.removeprefix("-")
    found.sort(key=lambda view: _order(view, column), reverse=query.sort.startswith("-"))
    end = query.offset + query.limit
    following = next_page(ADDRESS, query, offset=end) if end < len(found) else None
    return paged(ConnectionPage(items=tuple(found[query.offset : end]), next=following, total=len(found)))


@with_problems
def show(parts: Parts, request: Request) -> Answer:
    """200 with a connection, for administrators with whether its secret can be read now; 404.

    One whose document cannot be used is shown as in the list, and has no ETag: nobody can change it here.
    """
    connection_id = _id(request)
    try:
        found = connections.read(parts, connection_id)
    except NoSuchConnectionError:
        raise
    except ConfigError as error:
        return document(_damaged(request, connection_id, _counts(parts).get(connection_id, 0), error))
    return _shown(parts, request, found)


@with_problems
def create(parts: Parts, request: Request) -> Answer:
    """201 with the new connection, once its key is proved and lies in the vault."""
    wanted = read_body(NewConnection, request)
    if isinstance(wanted, Answer):
        return wanted
    made = connections.create(parts, request.caller, wanted)
    return _shown(parts, request, made, status=201, headers={"Location": f"{ADDRESS}/{made.value.id}"})


@with_problems
def edit(parts: Parts, request: Request) -> Answer:
    """200 with the connection as it is then."""
    found = connections.read(parts, _id(request))
    if (outdated := stale(request, found.etag)) is not None:
        return outdated
    settings = read_body(ConnectionSettings, request)
    if isinstance(settings, Answer):
        return settings
    try:
        return _shown(parts, request, connections.edit(parts, request.caller, found, settings))
    except StorageConflictError:
        return changed_meanwhile()


@with_problems
def connect(parts: Parts, request: Request) -> Answer:
    """200 with the connection, whose key in the vault was good just now; 409 where it leads to another account."""
    wanted = read_body(Proving, request)
    if isinstance(wanted, Answer):
        return wanted
    return _shown(parts, request, connections.connect(parts, request.caller, _id(request), wanted.consent))


@with_problems
def rotate(parts: Parts, request: Request) -> Answer:
    """200 with the connection, which has the new key from now on."""
    new = read_body(NewKey, request)
    if isinstance(new, Answer):
        return new
    return _shown(parts, request, connections.rotate(parts, request.caller, _id(request), new))


@with_problems
def remove(parts: Parts, request: Request) -> Answer:
    """204; 409 with the exports that use the connection and of which nothing was decided."""
    body = read_body(RemoveBody, request)
    if isinstance(body, Answer):
        return body
    connections.remove(parts, request.caller, _id(request), body.exports)
    return Answer(status=204, body=b"", headers={})


def _id(request: Request) -> str:
    return request.route.get("connection", "")


def _shown(
    parts: Parts,
    request: Request,
    found: Versioned[Connection],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Answer:
    connection = found.value
    view = _view(request, connection, _counts(parts).get(connection.id, 0))
    if view.details is not None:
        view = view.model_copy(update={"details": view.details.model_copy(update=_reachable(parts, connection))})
    return document(view, status=status, headers={"ETag": found.etag, **(headers or {})})


def _reachable(parts: Parts, connection: Connection) -> dict[str, object]:
    """Whether the key can be had from the vault now: nobody should learn that from a run at night."""
    try:
        trouble = connections.why_unreadable(parts, connection)
    except TransientError as error:
        return {"secret_readable": None, "trouble": str(error)}
    return {"secret_readable": trouble is None, "trouble": trouble or ""}


def _counts(parts: Parts) -> dict[str, int]:
    """How many exports use each connection."""
    counts: dict[str, int] = {}
    for row in overview.current(parts).rows.values():
        if row.connection is not None:
            counts[row.connection] = counts.get(row.connection, 0) + 1
    return counts


def _row(parts: Parts, request: Request, connection_id: str, exports: int) -> ConnectionView | None:
    """A connection in a list; None where it is gone since it was listed."""
    try:
        return _view(request, connections.read(parts, connection_id).value, exports)
    except NoSuchConnectionError:
        return None
    except ConfigError as error:
        return _damaged(request, connection_id, exports, error)


def _damaged(request: Request, connection_id: str, exports: int, error: ConfigError) -> ConnectionView:
    """A connection whose document cannot be used; what is wrong with it is for administrators."""
    return ConnectionView(
        id=connection_id,
        display_name=connection_id,
        provider="",
        used_by=UsedBy.ADMINISTRATORS,
        created=None,
        connected=None,
        exports=exports,
        details=None,
        fault=str(error) if request.caller.role is Role.ADMINISTRATOR else "Its document cannot be used",
    )


def _view(request: Request, connection: Connection, exports: int) -> ConnectionView:
    """What the caller may see of a connection."""
    is_administrator = request.caller.role is Role.ADMINISTRATOR
    return ConnectionView(
        id=connection.id,
        display_name=connection.display_name,
        provider=connection.provider,
        used_by=connection.used_by,
        created=None if connection.created is None else connection.created.at,
        connected=None if connection.connected is None else connection.connected.at,
        exports=exports,
        details=_details(connection) if is_administrator else None,
        fault="",
    )


def _details(connection: Connection) -> ConnectionDetails:
    return ConnectionDetails(
        account=connection.account,
        field_names=connection.field_names,
        plan_contacts=connection.plan_contacts,
        secret=connection.secret,
        consent=connection.consent,
        created_by=None if connection.created is None else connection.created.by,
        connected_by=None if connection.connected is None else connection.connected.by,
        updated=None if connection.updated is None else connection.updated.at,
        updated_by=None if connection.updated is None else connection.updated.by,
        secret_readable=None,
        trouble="",
    )


def _fits(view: ConnectionView, search: str) -> bool:
    return any(search.casefold() in text.casefold() for text in (view.id, view.display_name, view.provider))


def _order(view: ConnectionView, column: str) -> tuple[Any, str]:
    """What a column is sorted by; the id decides between equals. Times that are not known come first."""
    values: dict[str, Any] = {
        "id": view.id,
        "name": view.display_name.casefold(),
        "provider": view.provider,
        "used_by": view.used_by,
        "created": 0.0 if view.created is None else view.created.timestamp(),
        "connected": 0.0 if view.connected is None else view.connected.timestamp(),
        "exports": view.exports,
    }
    return (values[column], view.id)
