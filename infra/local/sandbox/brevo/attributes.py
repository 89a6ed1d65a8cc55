"""Attributes of contacts, and which values they take.

https://api.brevo.com/v3/swagger_definition_v3.yml, `/contacts/attributes`
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.local.sandbox.brevo.errors import invalid, json_body, missing
from infra.local.sandbox.routes import Route
from infra.local.sandbox.server import Reply, Request

#: First and last name are named in the language of the account:
#: https://help.brevo.com/hc/en-us/articles/208729849-Create-a-file-to-import-your-contacts
NAME_ATTRIBUTES = {"en": ("FIRSTNAME", "LASTNAME"), "fr": ("PRENOM", "NOM")}

CATEGORIES = ("normal", "transactional", "category", "calculated", "global")
TYPES = ("text", "date", "float", "boolean", "id", "category", "multiple-choice", "user")
NAME = re.compile(r"[A-Z0-9_]{1,50}")

#: Country code first, no sign but + or 00 before it: https://help.brevo.com/hc/en-us/articles/208729849
PHONE = re.compile(r"(?:\+|00)?([1-9]\d{5,17})")

#: Which order of day and month is read depends on the account; the sandbox only looks at the form.
DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?|\d\d?[/-]\d\d?[/-]\d{4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of the account."""

    name: str
    category: str = "normal"
    type: str | None = "text"
    options: Mapping[str, int] | None = None  #: label -> value, of a `category`

    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {"name": self.name, "category": self.category}
        if self.type:
            answer["type"] = self.type
        if self.options is not None:
            answer["enumeration"] = [{"value": value, "label": label} for label, value in self.options.items()]
        return answer


class Attributes:
    """The attributes of one account."""

    def __init__(self, language: str) -> None:
        names = ("EMAIL", *NAME_ATTRIBUTES[language], "SMS")
        self._attributes = {name: Attribute(name=name) for name in names}

    def routes(self) -> Sequence[Route]:
        return (
            Route("GET", "/v3/contacts/attributes", self._list),
            Route("POST", "/v3/contacts/attributes/{category}/{name}", self._create),
        )

    def has(self, name: str) -> bool:
        return name in self._attributes

    def take(self, values: Mapping[str, Any], *, as_text: bool) -> tuple[dict[str, Any], list[str]]:
        """What is kept of a contact's values, and the names of known attributes that are empty.

        Unknown names and values of the wrong type go silently. `as_text` reads numbers and booleans from a CSV file.
        """
        kept: dict[str, Any] = {}
        empty = []
        for name, value in values.items():
            attribute = self._attributes.get(name)
            if attribute is None or name == "EMAIL":
                continue
            if value is None or value == "":
                empty.append(name)
            elif (taken := _read(attribute, value, as_text=as_text)) is not None:
                kept[name] = taken
        return kept, empty

    def _list(self, _: Request) -> Reply:
        return Reply.json({"attributes": [attribute.json() for attribute in self._attributes.values()]})

    def _create(self, request: Request, category: str, name: str) -> Reply:
        wanted = json_body(request) if request.body else {}
        if category not in CATEGORIES:
            raise invalid("Invalid attribute category")
        if not NAME.fullmatch(name):
            raise invalid("Attribute name must be in capital letters")
        if name in self._attributes:
            raise invalid("Attribute name must be unique")
        if category == "category":
            created = Attribute(name=name, category=category, type=None, options=_options(wanted))
        elif wanted.get("type") in TYPES:
            created = Attribute(name=name, category=category, type=wanted["type"])
        else:
            raise invalid("Attribute type is not valid")
        self._attributes[name] = created
        return Reply(status=201)


def _options(wanted: Mapping[str, Any]) -> dict[str, int]:
    enumeration = wanted.get("enumeration")
    if not isinstance(enumeration, list) or not enumeration:
        raise missing("enumeration is missing")
    return {str(option["label"]): int(option["value"]) for option in enumeration}


def _read(attribute: Attribute, value: Any, *, as_text: bool) -> Any:
    """A value as it is stored; None when it does not fit."""
    if attribute.options is not None:
        return _option(attribute.options, value)
    kind = type(value)
    if attribute.name == "SMS":
        match = PHONE.fullmatch(str(value)) if kind in (str, int) else None
        return match[1] if match else None
    match attribute.type:
        case "float":
            return _number(value) if as_text else (value if kind in (int, float) else None)
        case "boolean":
            return {"true": True, "false": False}.get(value.lower()) if as_text else (value if kind is bool else None)
        case "date":
            return value if kind is str and DATE.fullmatch(value) else None
        case "multiple-choice":
            return value if kind is list else None
        case _:
            return value if kind is str else None


def _option(options: Mapping[str, int], value: Any) -> int | None:
    if isinstance(value, int):
        return value if value in options.values() else None
    return options.get(value) if isinstance(value, str) else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
