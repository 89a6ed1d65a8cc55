"""Contacts into batches: in order, each as full as the limits of one request allow, counted to the byte."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from exporters.providers.base import BatchLimits, Envelope

#: Profiles whose sizes are looked at together.
CHUNK = 1_000_000
LAST_ID = "SELECT max(id) FROM planned"
# planned -> id and bytes of the contacts from $first to $past, in order
SIZES = "SELECT id, bytes FROM planned WHERE id >= $first AND id < $past"

# planned, written: contacts from $first to $last -> one text, a contact a line
BATCH_LINES = """SELECT encode(string_agg(contact, chr(10) ORDER BY id) || chr(10))
    FROM planned JOIN written USING (place) WHERE id BETWEEN $first AND $last"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One batch: planned contacts that stand next to each other."""

    first_id: int
    last_id: int
    contacts: int
    body_bytes: int


def room_for_contacts(limits: BatchLimits, envelope: Envelope) -> int:
    """Bytes that a request has for contacts and the commas between them."""
    return limits.max_body_bytes - len(envelope.head) - len(envelope.tail)


def cut_batches(database: duckdb.DuckDBPyConnection, limits: BatchLimits, envelope: Envelope) -> Iterator[Slice]:
    """Pack `planned` in its order. No contact in it may be longer than `room_for_contacts`."""
    room = room_for_contacts(limits, envelope)
    first_id, last_id, contacts, used = -1, -1, 0, 0  # of the batch at hand; `used` has a comma after each contact
    for ids, ends in _sizes(database):
        start, past = 0, 0
        while start < len(ids):
            fitting = int(np.searchsorted(ends, past + room + 1 - used, side="right"))
            stop = min(fitting, start + limits.max_contacts - contacts)
            if stop > start:
                first_id, last_id = int(ids[start]) if contacts == 0 else first_id, int(ids[stop - 1])
                contacts, used = contacts + stop - start, used + int(ends[stop - 1]) - past
                start, past = stop, int(ends[stop - 1])
            if start < len(ids):
                if contacts == 0:
                    raise AssertionError("a planned contact is larger than a request")
                body_bytes = limits.max_body_bytes - room + used - 1
                yield Slice(first_id=first_id, last_id=last_id, contacts=contacts, body_bytes=body_bytes)
                contacts, used = 0, 0
    if contacts:
        body_bytes = limits.max_body_bytes - room + used - 1
        yield Slice(first_id=first_id, last_id=last_id, contacts=contacts, body_bytes=body_bytes)


def _sizes(database: duckdb.DuckDBPyConnection) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Ids of planned contacts in order, and where each ends when they stand one after the other with a comma each."""
    (last,) = database.execute(LAST_ID).fetchone() or (None,)
    for first in range(0, 0 if last is None else last + 1, CHUNK):
        found = database.execute(SIZES, {"first": first, "past": first + CHUNK}).fetchnumpy()
        yield np.asarray(found["id"]), np.cumsum(np.asarray(found["bytes"], dtype=np.int64) + 1)


def batch_lines(database: duckdb.DuckDBPyConnection, batch: Slice) -> bytes:
    """The contacts of one batch, one JSON object a line."""
    (lines,) = database.execute(BATCH_LINES, {"first": batch.first_id, "last": batch.last_id}).fetchall()[0]
    return bytes(lines)


def make_batches(
    database: duckdb.DuckDBPyConnection, slices: Sequence[Slice], pool: ThreadPoolExecutor, *, ahead: int
) -> Iterator[bytes]:
    """The contacts of all batches in order, with some of them in the making while one is used."""
    making: deque[Future[bytes]] = deque()
    for batch in slices:
        making.append(pool.submit(batch_lines, database.cursor(), batch))
        if len(making) > ahead:
            yield making.popleft().result()
    while making:
        yield making.popleft().result()
