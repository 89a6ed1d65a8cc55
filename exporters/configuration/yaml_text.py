"""YAML as JSON would have it: a subset that means the same to everyone who reads it.

What is written without quotes is null (`null`, `~` or nothing), `true`, `false`, a number as JSON writes it, or text:
`no` is Norway, `06:00` a time of day, `007` a text of three digits. YAML 1.2 calls this its JSON schema. By YAML 1.1,
which most programs still read, the first is a falsehood and the others are numbers.
https://yaml.org/spec/1.2.2/#102-json-schema

No anchors, aliases, tags or merge keys: a file of a few lines could hold millions of values, or ask for objects. No key
stands twice.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any

import yaml

#: Ours: a configuration has six levels.
MAX_DEPTH = 20
#: Characters between values that one text may have: each value takes some microseconds, in which no step goes on. Ours:
#: ten thousand exports with fifteen fields each have 750,000.
MAX_MARKS = 1_000_000
MARKS = "{[,:\n"
#: Ours: a configuration has ten thousand exports in one list.
MAX_MEMBERS = 20_000

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LINE_ENDS = re.compile("[\r\n\x85\u2028\u2029]")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
#: With libyaml, which the wheels hold, ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

Path = tuple[str | int, ...]


class UnreadableTextError(Exception):
    """A text that is no YAML or JSON, or uses what is not taken. `str(error)` says what it is, `line` where."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Parsed:
    """A value as JSON has it, and on which line each part of it begins, the first being 1."""

    value: Any
    lines: Mapping[Path, int] = field(default_factory=dict)


def load(text: str) -> Parsed:
    """The one document of a text. Raises UnreadableTextError."""
    _check_size(text)
    reader = _Reader(text)
    try:
        return Parsed(reader.document(), reader.lines)
    except yaml.MarkedYAMLError as error:
        # Only the kind of fault: its context may quote values.
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise UnreadableTextError(f"is not YAML: {error.problem}", line=line) from None
    except yaml.YAMLError:
        raise UnreadableTextError("holds characters that YAML does not take") from None


def load_json(text: str) -> Parsed:
    """The value of a JSON text, without lines. Raises UnreadableTextError."""

    _check_size(text)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise UnreadableTextError("has a key twice in one object")
        return found

    def no_constant(name: str) -> None:
        raise UnreadableTextError(f"holds {name}, which is not JSON")

    try:
        value = json.loads(text, object_pairs_hook=once, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise UnreadableTextError(f"is not JSON: {error.msg}", line=error.lineno) from None
    except (ValueError, RecursionError):  # numbers of thousands of digits, and thousands of levels
        raise UnreadableTextError("holds numbers that are too long, or has too many levels") from None
    return Parsed(value)


def dump(value: Any) -> str:
    """YAML that `load`, and any other reader of YAML, reads as this value."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))


def _check_size(text: str) -> None:
    """Raises UnreadableTextError for a text that takes too long to read."""
    if sum(text.count(mark) for mark in MARKS) > MAX_MARKS:
        raise UnreadableTextError(f"has more than {MAX_MARKS:,} values, names and lines: divide it into several")


class _Dumper(_DUMPER):  # type: ignore[misc, valid-type]
    """Quotes what YAML 1.1 or 1.2 would take for something else than text. An object met twice is written twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    # Other quotes would fold these as line ends, and give back blanks.
    style = '"' if _LINE_ENDS.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"{_NUMBER.pattern}$"), list("-0123456789"))


class _Reader:
    """Puts values together from the events of a parser, which has no limit to its depth and makes no objects."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))

    def document(self) -> Any:
        self._next()  # the stream begins
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        value = self._value(self._next(), ())
        self._next()  # the document ends
        if not isinstance(event := self._next(), yaml.StreamEndEvent):
            raise _refusal("holds several documents: take one", event)
        return value

    def _next(self) -> Any:
        return next(self._events)

    def _value(self, event: Any, path: Path) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _refusal("uses an anchor or an alias: write the value out each time", event)
        if event.tag is not None:
            raise _refusal("uses a tag: leave out what begins with an exclamation mark, or quote it", event)
        if len(path) > MAX_DEPTH:
            raise _refusal(f"has more than {MAX_DEPTH} levels", event)
        self.lines[path] = _line(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        return self._sequence(path) if isinstance(event, yaml.SequenceStartEvent) else _scalar(event)

    def _mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _refusal("has a key that is not text", event)
            key = event.value
            if key in found:
                raise _refusal("has a key for the second time", event)
            _check_members(found, event)
            found[key] = self._value(self._next(), (*path, key))
            self.lines[*path, key] = _line(event)
        return found

    def _sequence(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            _check_members(found, event)
            found.append(self._value(event, (*path, len(found))))
        return found


def _scalar(event: Any) -> Any:
    if not event.implicit[0]:  # in quotes, or a block
        return event.value
    if event.value in _WORDS:
        return _WORDS[event.value]
    if not _NUMBER.fullmatch(event.value):
        return event.value
    try:
        return json.loads(event.value)
    except ValueError:
        raise _refusal("holds a number that is too long", event) from None


def _check_members(found: Sized, event: Any) -> None:
    if len(found) >= MAX_MEMBERS:
        raise _refusal(f"has more than {MAX_MEMBERS:,} members in one list or mapping", event)


def _refusal(message: str, event: Any) -> UnreadableTextError:
    return UnreadableTextError(message, line=_line(event))


def _line(event: Any) -> int:
    """Where an event stands, from 1."""
    return int(event.start_mark.line) + 1
