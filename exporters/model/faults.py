"""What is wrong with a document or a query, place by place, in words that people understand who know no pydantic."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from exporters.model.connection import VAULT_NAME_PATTERN
from exporters.model.export import SEGMENT_PATTERN
from exporters.model.names import ADDRESS_PATTERN, ID_PATTERN, PLAIN_TEXT_PATTERN, RUN_ID_PATTERN
from exporters.model.schedule import CLOCK_PATTERN, KINDS

Place = tuple[str | int, ...]

_TRUE_OR_FALSE = "must be true or false"
_WHOLE_NUMBER = "must be a whole number"
_NUMBER = "must be a number"
_LIST = "must be a list"
_OBJECT = "must be an object"
_TIME = "must be a time such as 2026-11-23T06:00:00Z"
#: Kind of a fault -> words. The kinds: https://docs.pydantic.dev/latest/errors/validation_errors/
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "bool_type": _TRUE_OR_FALSE,
    "bool_parsing": _TRUE_OR_FALSE,
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "string_type": "must be a text",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "model_type": _OBJECT,
    "dict_type": _OBJECT,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "timezone_aware": f"needs a time zone: it {_TIME}",
}
#: Kind of a fault -> words with what pydantic says about it.
_MEASURES = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    "string_too_short": "needs at least {min_length} {characters}",
    "string_too_long": "has more than {max_length} {characters}",
    "too_short": "needs at least {min_length} {items}",
    "too_long": "has more than {max_length} {items}",
}
_PATTERNS = {
    ID_PATTERN: "must be an id: lower-case letters, digits, and hyphens within, 63 at most",
    RUN_ID_PATTERN: "must be the id of a run, as the list of runs has it",
    PLAIN_TEXT_PATTERN: "holds control characters, line breaks, or signs that turn the direction of writing",
    ADDRESS_PATTERN: "must be an e-mail address",
    CLOCK_PATTERN: "must be a time of day such as 06:30",
    VAULT_NAME_PATTERN: "must be the name of a secret: letters, digits and hyphens, 127 at most",
    SEGMENT_PATTERN: "must be the path of a segment: without a slash at its ends, and without control characters",
}
#: Parts of a place that are no names: they say which of several types a fault is about.
_TYPE = re.compile(r"literal\[.*\]|function-[a-z]+\[.*\]|constrained-[a-z]+", re.DOTALL)
#: Last part of the place of a fault in the name of a member.
_KEY = "[key]"


@dataclass(frozen=True, slots=True)
class PlainFault:
    """One thing that is wrong."""

    place: Place  #: names and numbers; empty for the whole
    kind: str  #: pydantic's
    words: str  #: what follows the place in a sentence


def plain_faults(error: ValidationError) -> Sequence[PlainFault]:
    """What is wrong, each place once, without the values that were given.

    Where one of several types would do, their faults are put together. That a list is too short is left out where that
    is only because there is something wrong with its items.
    """
    found: dict[Place, PlainFault] = {}
    for fault in _read(error):
        place, former = fault.place, found.get(fault.place)
        if former is None:
            found[place] = fault
        elif fault.words not in former.words:
            words = f"{former.words}, or {fault.words.removeprefix('must be ')}"
            found[place] = PlainFault(place, former.kind, words)
    return [fault for fault in found.values() if not (fault.kind == "too_short" and _within(fault.place, found))]


def faults_of(error: ValidationError) -> str:
    """The same in one text."""
    return "; ".join(_sentence(fault) for fault in plain_faults(error))


def _sentence(fault: PlainFault) -> str:
    if not fault.place:
        return fault.words if fault.kind == "value_error" else f"document: {fault.words}"
    return f"{'.'.join(str(part) for part in fault.place)}: {fault.words}"


def _read(error: ValidationError) -> Iterator[PlainFault]:
    for fault in error.errors(include_url=False, include_input=False):
        words, place = _words(fault), fault["loc"]
        if place[-1:] == (_KEY,):
            words, place = f"has a name that {words.replace('must be', 'is not', 1)}", place[:-2]
        yield PlainFault(_named(place), fault["type"], words)


def _named(place: Place) -> Place:
    """A place without the types that a fault is about."""
    return tuple(part for number, part in enumerate(place) if not _is_type(part, after=place[:number]))


def _is_type(part: str | int, *, after: Place) -> bool:
    return isinstance(part, str) and bool(_TYPE.fullmatch(part) or (after[-1:] == ("schedule",) and part in KINDS))


def _within(place: Place, found: Mapping[Place, PlainFault]) -> bool:
    return any(len(other) > len(place) and other[: len(place)] == place for other in found)


def _words(fault: ErrorDetails) -> str:
    kind, about = fault["type"], fault.get("ctx", {})
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in _MEASURES:
        return _MEASURES[kind].format(**_measures(about))
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(about["pattern"], "has not the form that the API's description gives")
    if kind == "literal_error":
        return f"must be {about['expected']}".replace("must be True", "must be true")
    said = re.sub(r"^(Value error|Assertion failed), ", "", fault["msg"])
    return re.sub(r"^[A-Z][A-Za-z]* should ", "must ", said).partition(", unable to")[0]


def _measures(about: Mapping[str, Any]) -> Mapping[str, str]:
    measures = {
        name: f"{value:,}".removesuffix(".0") for name, value in about.items() if isinstance(value, int | float)
    }
    is_one = "1" in (measures.get("min_length"), measures.get("max_length"))
    nouns = {"characters": "character", "items": "item"} if is_one else {"characters": "characters", "items": "items"}
    return {**measures, **nouns}
