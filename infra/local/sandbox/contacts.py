"""Contacts in memory, small enough for millions: a key, the stored JSON as bytes, two times, and a flag per list."""

import threading
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import compress, count, repeat

import orjson

#: Lines that leave together when a whole list is read.
LINES_AT_ONCE = 10_000

GROWTH = 65_536


def packed(value: object) -> bytes:
    """A value as JSON, to be kept. The copy matters: what orjson answers holds on to its buffer of 4 KB."""
    return bytes(memoryview(orjson.dumps(value)))


class Members:
    """The contacts of one list, by serial number; one byte each."""

    def __init__(self) -> None:
        self._flags = bytearray()
        self._count = 0
        self.visible = Lagged(0)  #: the size of the list as the vendor tells it

    def __len__(self) -> int:
        return self._count

    def __contains__(self, serial: int) -> bool:
        return serial < len(self._flags) and bool(self._flags[serial])

    def __iter__(self) -> Iterator[int]:
        """Serial numbers, the oldest contact first."""
        return compress(count(), self._flags)

    def add(self, serial: int) -> bool:
        """Whether the contact was not on the list."""
        if serial >= len(self._flags):
            self._flags.extend(bytes(serial + GROWTH - len(self._flags)))
        if self._flags[serial]:
            return False
        self._flags[serial] = 1
        self._count += 1
        return True

    def add_new(self, serials: range) -> None:
        """Take in contacts that have just come to be."""
        if serials.stop > len(self._flags):
            self._flags.extend(bytes(serials.stop + GROWTH - len(self._flags)))
        self._flags[serials.start : serials.stop] = b"\x01" * len(serials)
        self._count += len(serials)

    def discard(self, serial: int) -> bool:
        """Whether the contact was on the list."""
        if serial not in self:
            return False
        self._flags[serial] = 0
        self._count -= 1
        return True


class Lagged:
    """A number that others come to see some time after it changed."""

    def __init__(self, value: int) -> None:
        self._seen = value
        self._coming: deque[tuple[float, int]] = deque()

    def set(self, value: int, visible_at: float) -> None:
        self._coming.append((visible_at, value))

    def get(self, now: float) -> int:
        while self._coming and self._coming[0][0] <= now:
            self._seen = self._coming.popleft()[1]
        return self._seen


class Contacts:
    """All contacts of an account. Hold `lock` around what has to happen together."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.keys: list[str] = []  #: first identifier by serial number
        self._bodies: list[bytes | None] = []
        self._created = array("d")
        self._updated = array("d")
        self._serials: dict[str, int] = {}
        self._aliases: dict[int, tuple[str, ...]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def next_serial(self) -> int:
        return len(self.keys)

    def serial(self, key: str) -> int | None:
        return self._serials.get(key)

    def body(self, serial: int) -> bytes | None:
        """The stored JSON; None for a contact that was deleted or never was."""
        return self._bodies[serial] if 0 <= serial < len(self._bodies) else None

    def times(self, serial: int) -> tuple[float, float]:
        """When the contact was created and last changed."""
        return self._created[serial], self._updated[serial]

    def add(self, key: str, body: bytes, now: float) -> int:
        serial = len(self.keys)
        self._serials[key] = serial
        self.keys.append(key)
        self._bodies.append(body)
        self._created.append(now)
        self._updated.append(now)
        self._count += 1
        return serial

    def add_new(self, rows: Iterable[tuple[str, bytes]], now: float) -> tuple[range, list[int]]:
        """Add those of many contacts, each a key and its JSON, that are new.

        Answers their serial numbers, and the places in `rows` of all others.
        """
        serials, keys, bodies = self._serials, self.keys, self._bodies
        first, others = len(keys), []
        for place, (key, body) in enumerate(rows):
            if key in serials:
                others.append(place)
            else:
                serials[key] = len(keys)
                keys.append(key)
                bodies.append(body)
        added = range(first, len(keys))
        self._created.extend(repeat(now, len(added)))
        self._updated.extend(repeat(now, len(added)))
        self._count += len(added)
        return added, others

    def identifiers(self, serial: int) -> tuple[str, ...]:
        """All keys by which the contact is found."""
        return (self.keys[serial], *self._aliases.get(serial, ()))

    def add_alias(self, key: str, serial: int) -> None:
        """One more identifier by which the contact is found."""
        self._serials[key] = serial
        self._aliases[serial] = (*self._aliases.get(serial, ()), key)

    def drop_alias(self, key: str) -> None:
        serial = self._serials.pop(key)
        self._aliases[serial] = tuple(alias for alias in self._aliases[serial] if alias != key)

    def rename(self, serial: int, key: str) -> None:
        """Give the contact another first identifier."""
        del self._serials[self.keys[serial]]
        self._serials[key] = serial
        self.keys[serial] = key

    def replace(self, serial: int, body: bytes, now: float) -> None:
        self._bodies[serial] = body
        self._updated[serial] = now

    def remove(self, serial: int) -> None:
        """Delete a contact with all its identifiers."""
        for key in self.identifiers(serial):
            del self._serials[key]
        self._aliases.pop(serial, None)
        self._bodies[serial] = None
        self._count -= 1

    def ndjson(self, members: Members) -> Iterator[bytes]:
        """The contacts of a list as they are stored, one JSON object a line, sorted by key."""
        with self.lock:
            serials = list(members)
        serials.sort(key=self.keys.__getitem__)
        for first in range(0, len(serials), LINES_AT_ONCE):
            bodies = map(self.body, serials[first : first + LINES_AT_ONCE])
            yield b"".join(b"%b\n" % body for body in bodies if body is not None)
