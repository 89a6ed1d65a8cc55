"""Files of people that a provider's jobs write: who is on a list, or on a blocklist. Read in parts, to save memory."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from exporters.errors import ConfigError, TransientError
from exporters.providers.base import Member
from exporters.providers.files import (
    ADDRESS,
    ADDRESS_NAMES,
    Pieces,
    TooLargeError,
    UnreadableError,
    cell,
    content,
    looking_like_address,
    named,
    rows,
)

#: People in one part: some 30 MB while they are Python objects, of the 512 MB that a process has for everything.
PEOPLE_A_PART = 100_000
#: Longest file we read, before and after decompression: ten million bare addresses, or a million contacts of 250 bytes.
#: Never more than a part of it is in memory.
MAX_BYTES = 250_000_000
#: Columns with the contact's id, as `files.ADDRESS_NAMES`; only exact words: "phone_number_id" is none.
ID_NAMES = ("contactid", "id")
_NO_ROW = object()
#: Ids that may stand in a URL, and are as long as is reckoned with there.
_ID = re.compile(r"[0-9a-zA-Z-]{1,36}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some rows of a file, in its order."""

    people: list[Member]  #: of the rows that have an address
    end: int  #: rows of the file up to the end of the part
    more: bool  #: whether there are rows after it


def read(url: str, *, first: int, what: str, remedy: str, limit: int = PEOPLE_A_PART) -> Part:
    """The people of a file from row number `first` on, of at most `limit` rows. Whoever has no address is left out.

    `what` names the file in error texts ("SendGrid's file of the list"), `remedy` says what to do where it is too long.
    Raises ConfigError when it is, TransientError when it cannot be fetched or read.
    """
    try:
        rows_left = _people(url)
        part = list(islice(rows_left, first, first + limit))
        more = next(rows_left, _NO_ROW) is not _NO_ROW
    except TooLargeError as error:
        raise ConfigError(
            f"{what} is larger than {MAX_BYTES / 1_000_000:.0f} MB, which is the most that is read: {remedy}."
        ) from error
    except UnreadableError as error:
        raise TransientError(f"{what} is missing or cannot be read: a later try may succeed.") from error
    return Part(people=[person for person in part if person is not None], end=first + len(part), more=more)


def _people(url: str) -> Iterator[Member | None]:
    """The person of each row of a file, None without an address; columns are found as in an error report.

    Raises UnreadableError, also at the end where no row had an address and the column is not called after e-mail: it
    may be one of streets that nobody filled in.
    """
    found = rows(io.BufferedReader(Pieces(content(url, max_bytes=MAX_BYTES))))
    top = list(islice(found, 2))
    if not top:
        raise UnreadableError("it is empty")
    header = top[0]
    address = named(header, ADDRESS_NAMES)
    if address is None:
        address = looking_like_address(top)
    if address is None:
        raise UnreadableError("it has no addresses")
    has_header = not ADDRESS.fullmatch(cell(header, address))
    contact_id = _id_column(header) if has_header else None
    doubted = has_header and "email" not in "".join(filter(str.isalpha, cell(header, address).lower()))
    row: list[str] = []
    for row in chain(top[1:] if has_header else top, found):
        email, found_id = cell(row, address), cell(row, contact_id)
        if email and "@" not in email:  # a column that is called so for something else: nobody may be absent for that
            raise UnreadableError("it has other things than addresses in their place")
        doubted = doubted and not email
        yield Member(email=email.lower(), id=found_id if _ID.fullmatch(found_id) else "") if email else None
    if doubted and row:
        raise UnreadableError("it has no addresses")


def _id_column(header: list[str]) -> int | None:
    names = ["".join(filter(str.isalpha, name.lower())) for name in header]
    return next((names.index(word) for word in ID_NAMES if word in names), None)
