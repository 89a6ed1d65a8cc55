"""One contact as it stands in a request body: the reference that the planner's SQL is compared with."""

import json
from collections.abc import Mapping
from typing import cast

from exporters.model.fields import ContactShape


class Number(str):
    """A number in just the digits that JSON is to hold."""

    __slots__ = ()


#: A value of a field, already checked and of its type; None or "" is no value.
Value = str | int | float | bool | None


def encode(shape: ContactShape, email: str | None, values: Mapping[tuple[str, ...], Value]) -> bytes:
    """The JSON object of one contact: the address, then the fields in the order of the shape, by their paths.

    Compact, UTF-8. Fields with a common beginning of their paths share an object, which stands where the first of them
    does. Empty values are left out, and so are objects that nothing is left in. Raises ValueError for NaN and
    infinities, which JSON does not have.
    """
    contact: dict[str, object] = {}
    for field in (shape.email, *shape.fields):
        place = contact
        for key in field.path[:-1]:
            place = cast("dict[str, object]", place.setdefault(key, {}))
        place[field.path[-1]] = email if field is shape.email else values.get(field.path)
    return _written(_filled(contact)).encode()


def _filled(value: dict[str, object]) -> dict[str, object]:
    """The object without empty values and without objects that hold nothing."""
    whole = {key: _filled(item) if isinstance(item, dict) else item for key, item in value.items()}
    return {key: item for key, item in whole.items() if item is not None and item != "" and item != {}}


def _written(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_written(key)}:{_written(item)}" for key, item in value.items()) + "}"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False, allow_nan=False)
