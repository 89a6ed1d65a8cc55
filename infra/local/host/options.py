"""What host.json says, as far as this host follows it.

https://learn.microsoft.com/azure/azure-functions/functions-host-json
https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#host-json
"""

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

#: App settings that begin so replace a value of host.json, levels divided by two underscores.
#: https://learn.microsoft.com/azure/azure-functions/functions-host-json#override-hostjson-values
OVERRIDE = "AzureFunctionsJobHost__"

#: Setting of this host alone: seconds that a message stays hidden after it was fetched, where tests cannot wait for
#: the ten minutes of Azure.
LEASE = "LOCAL_LEASE_SECONDS"
#: Azure's. https://github.com/Azure/azure-functions-host/issues/10461
LEASE_S = 600

Duration = Annotated[timedelta, Field(ge=timedelta(0))]


class OptionError(Exception):
    """A setting of this host cannot be used; the text says which, and what would do."""


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
    def read(cls, path: Path, settings: Mapping[str, str] | None = None) -> "HostOptions":
        """What the file says, with what the app settings say instead.

        Raises pydantic.ValidationError, which names the setting at fault, and OSError.
        """
        text = path.read_bytes()
        cls.model_validate_json(text)
        said = json.loads(text)
        for name, value in (settings or {}).items():
            if name.startswith(OVERRIDE):
                _put(said, name.removeprefix(OVERRIDE).split("__"), value)
        return cls.model_validate(said)


def lease_s(settings: Mapping[str, str]) -> int:
    """Whole seconds that a message stays hidden after it was fetched, and again after each renewal. Raises OptionError.

    A queue takes up to seven days: https://learn.microsoft.com/rest/api/storageservices/get-messages
    """
    text = settings.get(LEASE) or str(LEASE_S)
    if not text.isdecimal() or not 2 <= int(text) <= 7 * 24 * 3600:
        raise OptionError(f"{LEASE} is {text!r}: give whole seconds, from 2 to a week")
    return int(text)


def _put(section: dict[str, Any], path: list[str], value: str) -> None:
    for name in path[:-1]:
        section = section.setdefault(name, {})
    section[path[-1]] = value
