"""Identifiers: what may stand in a blob path and in a URL, and how run ids are made."""

import hashlib
from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints

ID_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
RUN_ID_PATTERN = r"^[0-9]{17}-[0-9a-f]{8}$"
#: Whatever may have been meant as an e-mail address.
ADDRESS_PATTERN = r"^[^\x00-\x1f\x7f]+@[^ @\x00-\x1f\x7f]+$"

#: Id of a connection or an export, chosen by its owner: lower-case letters, digits and hyphens, 63 at most.
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
RunId = Annotated[str, StringConstraints(pattern=RUN_ID_PATTERN)]
#: No control characters, line or paragraph separators, and none that turn the direction of writing: they would let a
#: name look like another one, or break a line of a log or a header. Read alike by Python, Rust and JSON Schema.
#: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
PLAIN_TEXT_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]*$"
#: What people call a thing. Ours: 200 characters are more than any page shows.
DisplayName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=PLAIN_TEXT_PATTERN)
]
#: What people give as a reason: a sentence or two, or nothing.
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=PLAIN_TEXT_PATTERN)]
#: What people look for in a list.
Search = Annotated[str, StringConstraints(max_length=200, pattern=PLAIN_TEXT_PATTERN)]

_NINES = str.maketrans("0123456789", "9876543210")


def run_id(export: str, started: datetime, cause: str) -> str:
    """Id of the run that `cause` starts: the same for the same three values, and newest first when sorted.

    The first part is the UTC time to the millisecond with each digit replaced by 9 minus that digit.
    """
    digest = hashlib.sha256(f"{export}\n{started.isoformat()}\n{cause}".encode()).hexdigest()[:8]
    return f"{run_stamp(started)}-{digest}"


def run_stamp(started: datetime) -> str:
    """What the ids of runs begin with that were started at this time, in UTC; a later time sorts first."""
    stamp = started.strftime("%Y%m%d%H%M%S") + f"{started.microsecond // 1000:03d}"
    return stamp.translate(_NINES)
