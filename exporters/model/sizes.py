"""How large a part of a value is: what a model takes at most is told before each of its members is looked at."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

#: A number of people that somebody sets. Ours: more than there are.
People = Annotated[int, Field(ge=1, le=10_000_000_000, strict=True)]
#: No model has more levels: what lies deeper is refused further up. Ours.
DEEPEST = 10

Path = tuple[str | int, ...]


def too_long(value: Any, most: int) -> Path | None:
    """Where in a value, as JSON has it, a list or an object has more than so many members; None where none has.

    A model tells what is wrong with each of a million members before it says that there are too many of them.
    """
    left: list[tuple[Path, Any]] = [((), value)]
    while left:
        path, part = left.pop()
        if len(part) > most:
            return path
        if len(path) < DEEPEST:
            members: Iterable[tuple[Any, Any]] = part.items() if isinstance(part, dict) else enumerate(part)
            left.extend(((*path, name), each) for name, each in members if isinstance(each, dict | list))
    return None
