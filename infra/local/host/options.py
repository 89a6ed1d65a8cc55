"""What host.json says, as far as this host follows it.

https://learn.microsoft.com/azure/azure-functions/functions-host-json
https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#host-json
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Duration = Annotated[timedelta, Field(ge=timedelta(0))]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="ignore")


class QueueOptions(_Section):
    """How queue triggers fetch messages. Defaults are the real host's."""

    batch_size: int = Field(default=16, ge=1, le=32)
    new_batch_threshold: int = Field(default_factory=lambda data: data["batch_size"] // 2 * (os.cpu_count() or 1))
    max_dequeue_count: int = Field(default=5, ge=1)
    visibility_timeout: Duration = timedelta(0)
    max_polling_interval: Duration = timedelta(minutes=1)
    message_encoding: Literal["base64"] = "base64"


class HttpOptions(_Section):
    route_prefix: str = "api"


class _Extensions(_Section):
    queues: QueueOptions = QueueOptions()
    http: HttpOptions = HttpOptions()


class HostOptions(_Section):
    version: Literal["2.0"]
    function_timeout: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(minutes=30)
    extensions: _Extensions = _Extensions()

    @classmethod
    def read(cls, path: Path) -> "HostOptions":
        """Raises pydantic.ValidationError, which names the setting at fault, and OSError."""
        return cls.model_validate_json(path.read_bytes())
