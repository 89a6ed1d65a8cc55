"""Ids for what people only give a name to."""

import re
import unicodedata
from collections.abc import Collection

#: Characters of a name that go into an id: with a number after them they are no more than an id may have.
MAX_CHARS = 50
#: For a name without a letter or digit of the Latin alphabet.
NAMELESS = "unnamed"


def free_id(name: str, taken: Collection[str]) -> str:
    """An id that reads like the name and that nobody has: `Kunden Süd (2)` is `kunden-sud-2`, then `kunden-sud-2-2`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    wanted = re.sub("[^a-z0-9]+", "-", plain)[:MAX_CHARS].strip("-") or NAMELESS
    free, number = wanted, 2
    while free in taken:
        free, number = f"{wanted}-{number}", number + 1
    return free
