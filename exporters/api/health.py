"""GET /api/health: whether the app is up and reaches its state. Anonymous, so it tells nothing else."""

from azure.core.exceptions import AzureError
from pydantic import BaseModel

from exporters.api.answers import Answer, Request, document, problem
from exporters.parts import Parts
from exporters.storage import paths


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
