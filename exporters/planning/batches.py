"""Contacts into batches: in order, each as full as the limits of one request allow, counted to the byte."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import duckdb

from exporters.providers.base import BatchLimits, Envelope

# planned -> the longest run of contacts from row $first on that one request can hold: its end, and its bytes with a
# comma after each contact. `past` are the bytes, counted so, of all contacts up to and with a row.
NEXT_BATCH = """SELECT max(rowid) + 1, min(id), max(id), max(past) FROM planned
    WHERE rowid >= $first AND rowid < $first + $max_contacts AND past <= $past + $room + 1"""

# planned contacts from $first to $last -> one text, a contact a line
BATCH_LINES = """SELECT encode(string_agg(contact, chr(10) ORDER BY id) || chr(10)) FROM contacts
    WHERE id BETWEEN $first AND $last AND id IN (SELECT id FROM planned WHERE id BETWEEN $first AND $last)"""


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
    """Pack the table `planned` in its order. No contact in it may be longer than `room_for_contacts`."""
    room = room_for_contacts(limits, envelope)
    first, past = 0, 0
    while True:
        bounds = {"first": first, "past": past, "room": room, "max_contacts": limits.max_contacts}
        end, first_id, last_id, past_end = database.execute(NEXT_BATCH, bounds).fetchall()[0]
        if end is None:
            return
        body_bytes = limits.max_body_bytes - room + past_end - past - 1
        yield Slice(first_id=first_id, last_id=last_id, contacts=end - first, body_bytes=body_bytes)
        first, past = end, past_end


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
