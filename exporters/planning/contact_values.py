"""The values of a contact by the names of its fields, as people read them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from exporters.model.run import PlannedField


def values_of(contact: str, fields: Sequence[PlannedField]) -> Mapping[str, str]:
    """Field -> text of its value, for the fields that have one: digits as they stand, days as yyyy-mm-dd.

    `contact` is the JSON object of a contact as it is sent.
    """
    sent = json.loads(contact, parse_int=str, parse_float=str)
    found = {field.name: _text(_at(sent, field.path), field.date_format) for field in fields}
    return {name: text for name, text in found.items() if text}


def _at(value: object, path: Sequence[str]) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: object, date_format: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _iso_day(str(value), date_format) if date_format else str(value)


def _iso_day(text: str, date_format: str) -> str:
    try:
        return datetime.strptime(text, date_format).date().isoformat()  # noqa: DTZ007 (a day has no zone)
    except ValueError:
        return text
