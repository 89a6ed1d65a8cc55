"""GET /api/health: whether the app is up and reaches its state. Anonymous, so it tells nothing else.

GET /api/health/parts: whether each part that the app needs can be used, and what to do where it cannot.
"""

from enum import StrEnum

from azure.core.exceptions import AzureError
from pydantic import BaseModel, ConfigDict, Field

from exporters.api.answers import Answer, Request, document, problem
from exporters.api.permissions import may_use_connection
from exporters.api.reading import read_query
from exporters.health import probes
from exporters.model.caller import CallerKind
from exporters.model.names import Id
from exporters.parts import Parts
from exporters.storage import paths

#: Connections that one request may have tried. Ours: each is a request to its provider, and a thread meanwhile.
MOST_CONNECTIONS = 10


class Health(BaseModel):
    """All is well."""

    status: str = "ok"


def check(parts: Parts, _: Request) -> Answer:
    """GET /api/health: 200 when the state container can be read, 503 otherwise."""
    try:
        next(iter(parts.state.list(paths.EXPORTS)), None)
    except AzureError:
        return problem("storage-unreachable", "The state container cannot be read")
    return document(Health())


class PartStatus(StrEnum):
    """How a part is."""

    OK = "ok"
    TROUBLE = "trouble"


class PartView(BaseModel):
    """One part that the app needs."""

    part: str = Field(description="state, audit, segments, vault, or a queue or connection with its name")
    status: PartStatus
    words: str = Field(description="what is wrong and what to do; empty where it is ok")


class PartsView(BaseModel):
    """All parts that the app needs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "trouble",
                    "parts": [
                        {"part": "state", "status": "ok", "words": ""},
                        {
                            "part": "queue plan-runs",
                            "status": "trouble",
                            "words": "There is no queue plan-runs: create it, or correct the setting that names it",
                        },
                    ],
                }
            ]
        }
    )

    status: PartStatus = Field(description="ok where every part is")
    parts: tuple[PartView, ...]


class PartsQuery(BaseModel):
    """What is to be tried beside storage and the vault."""

    model_config = ConfigDict(extra="forbid")

    connection: tuple[Id, ...] = Field(
        default=(),
        max_length=MOST_CONNECTIONS,
        description="connection whose key is to be tried with a read of its account's lists; may be repeated",
    )


def show_parts(parts: Parts, request: Request) -> Answer:
    """200 with every part and what is wrong with it, also where something is; 403 for a connection that is not shared.

    The function key may have any connection tried, as it may start any export: nothing that is read is shown.
    """
    query = read_query(PartsQuery, request)
    if isinstance(query, Answer):
        return query
    caller = request.caller
    if caller.kind is not CallerKind.KEY:
        for connection in query.connection:
            if not may_use_connection(parts, caller, connection):
                return problem("forbidden", f"The connection {connection} is not shared with contributors")
    found = probes.look(parts, query.connection)
    views = tuple(_view(each) for each in found)
    trouble = any(view.status is PartStatus.TROUBLE for view in views)
    return document(PartsView(status=PartStatus.TROUBLE if trouble else PartStatus.OK, parts=views))


def _view(found: probes.Found) -> PartView:
    status = PartStatus.TROUBLE if found.words else PartStatus.OK
    return PartView(part=found.part, status=status, words=found.words)
