"""Identifiers: what may stand in a blob path and in a URL, and how run ids are made."""

import hashlib
from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints

ID_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
RUN_ID_PATTERN = r"^[0-9]{17}-[0-9a-f]{8}$"

#: Id of a connection or an export, chosen by its owner: lower-case letters, digits and hyphens, 63 at most.
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
RunId = Annotated[str, StringConstraints(pattern=RUN_ID_PATTERN)]

_NINES = str.maketrans("0123456789", "9876543210")


def run_id(export: str, started: datetime, cause: str) -> str:
    """Id of the run that `cause` starts: the same for the same three values, and newest first when sorted.

    The first part is the UTC time to the millisecond with each digit replaced by 9 minus that digit.
    """
    stamp = started.strftime("%Y%m%d%H%M%S") + f"{started.microsecond // 1000:03d}"
    digest = hashlib.sha256(f"{export}\n{started.isoformat()}\n{cause}".encode()).hexdigest()[:8]
    return f"{stamp.translate(_NINES)}-{digest}"
