"""The configuration as one file: every connection without its key, and every export, in YAML or JSON.

It holds what people set, and nothing that the app notes: who changed what when, when a key was proved, whose consent a
connection has. So the same file can be kept under version control, and be applied to another app.
"""

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exporters.configuration.yaml_text import Parsed, Path, UnreadableTextError, dump, load, load_json
from exporters.model.connection import Connection, ConnectionSettings, NamedSecret
from exporters.model.consent import AcceptedConsent
from exporters.model.export import EXAMPLE, Export, ExportSettings
from exporters.model.faults import plain_faults
from exporters.model.names import Id
from exporters.model.schedule import EveryRefresh, Schedule
from exporters.model.sizes import too_long

#: Ours: ten thousand exports take about five.
MAX_BYTES = 8_000_000
#: Ours: whoever has more corrects these first.
MAX_FAULTS = 100
#: Ours: twice and ten times what an app is meant for.
MAX_EXPORTS = 20_000
MAX_CONNECTIONS = 1_000
#: Members that one list or object within a connection or an export may have: as many as `exclude`, which takes most.
MAX_MEMBERS = 1_000
NOT_NAMED = "what is not in the file is to be removed: name this too, as [] where there is to be none"
TOO_MANY = "has more than {most:,} members"
#: Ours: names of unknown fields may have any length.
LONGEST_PLACE = 200
#: What somebody would call a key in a file.
KEY_FIELDS = frozenset({"key", "api_key", "apikey", "api-key", "value", "password", "token"})
NO_KEYS = "no key belongs into a file: put it into the vault, and write the name of its secret as secret"


class Format(StrEnum):
    """How a file is written."""

    YAML = "yaml"
    JSON = "json"


#: https://www.rfc-editor.org/rfc/rfc9512 and the names that were in use before.
MEDIA_TYPES = {
    "application/yaml": Format.YAML,
    "application/x-yaml": Format.YAML,
    "text/yaml": Format.YAML,
    "text/x-yaml": Format.YAML,
    "application/json": Format.JSON,
}


class Fault(BaseModel):
    """One thing that is wrong with a file. Never quotes a value."""

    place: str = Field(description="where in the file, such as exports[3].mapping.email")
    line: int | None = Field(description="the line, from 1, of a YAML file")
    message: str


class UnusableFileError(Exception):
    """A file that cannot be applied, with all that is wrong with it, up to `MAX_FAULTS`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.place}: {fault.message}" for fault in faults))
        self.faults = tuple(faults[:MAX_FAULTS])


class ConnectionInFile(ConnectionSettings):
    """A connection. Its key lies in the vault."""

    id: Id
    secret: NamedSecret = Field(description="name of the Key Vault secret that holds the API key")
    consent: AcceptedConsent | None = Field(
        default=None, description="needed for a connection that is new: whoever applies the file accepts the text"
    )

    @property
    def settings(self) -> ConnectionSettings:
        """What people set about it, but for its key."""
        return ConnectionSettings.model_validate(self.model_dump(exclude={"id", "secret", "consent"}))


class ExportInFile(ExportSettings):
    """An export."""

    id: Id
    schedule: Schedule = Field(default=EveryRefresh(), description="when runs start by themselves")

    @property
    def settings(self) -> ExportSettings:
        """What people set about it."""
        return ExportSettings.model_validate(self.model_dump(exclude={"id"}))


class ConfigurationFile(BaseModel):
    """Connections without their keys, and exports."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "version": 1,
                    "connections": [
                        {
                            "id": "main",
                            "provider": "sendgrid",
                            "display_name": "SendGrid, marketing",
                            "secret": "sendgrid-api-key",
                            "used_by": "contributors",
                        }
                    ],
                    "exports": [{"id": "newsletter", **EXAMPLE}],
                }
            ]
        },
    )

    version: Literal[1] = Field(default=1, description="of this form of a file")
    connections: tuple[ConnectionInFile, ...] = Field(default=(), max_length=MAX_CONNECTIONS)
    exports: tuple[ExportInFile, ...] = Field(default=(), max_length=MAX_EXPORTS)


def as_file(connections: Sequence[Connection], exports: Sequence[Export]) -> ConfigurationFile:
    """What is stored, as a file; sorted by id, so that equal configurations are equal files."""
    return ConfigurationFile.model_construct(  # of more than a file may have too: it can be looked at
        connections=tuple(
            ConnectionInFile.model_validate(each.model_dump(include=_SHOWN_OF_CONNECTION))
            for each in sorted(connections, key=lambda each: each.id)
        ),
        exports=tuple(
            ExportInFile.model_validate(each.model_dump(include=set(ExportInFile.model_fields)))
            for each in sorted(exports, key=lambda each: each.id)
        ),
    )


_SHOWN_OF_CONNECTION = set(ConnectionInFile.model_fields) - {"consent"}


def write(file: ConfigurationFile, how: Format) -> str:
    """A file as text, which `read` reads as the same file."""
    value = _without_nothing(file.model_dump(mode="json"))
    return dump(value) if how is Format.YAML else json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _without_nothing(value: Any) -> Any:
    """Without what is null: each such setting may as well be left out."""
    if isinstance(value, dict):
        named = sorted(value.items(), key=lambda item: item[0] != "id")
        return {name: _without_nothing(each) for name, each in named if each is not None}
    return [_without_nothing(each) for each in value] if isinstance(value, list) else value


class FileRead:
    """A file, and where in its text everything stands."""

    def __init__(self, file: ConfigurationFile, parsed: Parsed) -> None:
        self.file = file
        self._parsed = parsed

    def fault(self, path: Path, message: str) -> Fault:
        """What is wrong at a place of the file."""
        return _fault(self._parsed, path, message)


def read(body: bytes, how: Format, *, whole: bool = False) -> FileRead:
    """The file that a text holds. Raises UnusableFileError with everything that is wrong with its form.

    One that is to be the whole configuration has to name what it has none of too: a template that was filled with
    nothing must not remove everything.
    """
    try:
        text = body.decode("utf-8-sig")
        parsed = load(text) if how is Format.YAML else load_json(text)
        file = _file(parsed)
    except UnicodeDecodeError:
        raise UnusableFileError([Fault(place="file", line=None, message="is not UTF-8")]) from None
    except UnreadableTextError as error:
        raise UnusableFileError([Fault(place="file", line=error.line, message=str(error))]) from None
    found = FileRead(file, parsed)
    connections, exports = [each.id for each in file.connections], [each.id for each in file.exports]
    if missing := [name for name in _ENTRIES if whole and name not in file.model_fields_set]:
        raise UnusableFileError([found.fault((name,), NOT_NAMED) for name in missing])
    if repeated := [*_repeated(found, "connections", connections), *_repeated(found, "exports", exports)]:
        raise UnusableFileError(repeated)
    return found


def _file(parsed: Parsed) -> ConfigurationFile:
    """The file that a value is; looks at one entry after the other until enough is wrong. Raises UnusableFileError."""
    outer = dict(parsed.value) if isinstance(parsed.value, dict) else None
    found: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, (kind, most) in _ENTRIES.items():
        if outer is None or not isinstance(outer.get(name), list):
            continue
        entries = outer.pop(name)
        if len(entries) > most:
            raise UnusableFileError([_fault(parsed, (name,), TOO_MANY.format(most=most))])
        read = (_entry(kind, parsed, (name, number), entry, faults) for number, entry in enumerate(entries))
        found[name] = tuple(read)
    try:
        file = ConfigurationFile.model_validate_json(json.dumps(parsed.value if outer is None else outer))
    except ValidationError as error:
        faults = [*islice(_faults(error, parsed, ()), MAX_FAULTS), *faults]
    if faults:
        raise UnusableFileError(faults)
    return file.model_copy(update=found)


_ENTRIES: dict[str, tuple[type[ConnectionInFile | ExportInFile], int]] = {
    "connections": (ConnectionInFile, MAX_CONNECTIONS),
    "exports": (ExportInFile, MAX_EXPORTS),
}


def _entry(
    kind: type[ConnectionInFile | ExportInFile], parsed: Parsed, place: Path, entry: Any, faults: list[Fault]
) -> ConnectionInFile | ExportInFile | None:
    """One connection or export; None, with its faults among the others, where it cannot be used.

    Raises UnusableFileError once there are enough of them.
    """
    long = too_long(entry, MAX_MEMBERS) if isinstance(entry, dict | list) else None
    if long is not None:
        faults.append(_fault(parsed, (*place, *long), TOO_MANY.format(most=MAX_MEMBERS)))
    else:
        try:
            return kind.model_validate_json(json.dumps(entry))
        except ValidationError as error:
            faults.extend(islice(_faults(error, parsed, place), MAX_FAULTS))
    if len(faults) >= MAX_FAULTS:
        raise UnusableFileError(faults)
    return None


def _repeated(found: FileRead, name: str, ids: Sequence[str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, each in enumerate(ids):
        if each in seen:
            yield found.fault((name, number, "id"), f"{each} stands in the file twice")
        seen.add(each)


def _faults(error: ValidationError, parsed: Parsed, place: Path) -> Iterator[Fault]:
    for fault in plain_faults(error):
        path = (*place, *fault.place)
        is_key = fault.kind == "extra_forbidden" and path[:1] == ("connections",) and path[-1] in KEY_FIELDS
        yield _fault(parsed, path, NO_KEYS if is_key else fault.words)


def _fault(parsed: Parsed, path: Path, message: str) -> Fault:
    """A fault with its place. Parts of a path that are not in the file are left out, such as a kind of schedule, but
    for the last one, which may be what is missing.
    """
    value, there = parsed.value, []
    for number, part in enumerate(path):
        is_there = _has(value, part)
        if is_there or number == len(path) - 1:
            there.append(part)
        value = value[part] if is_there else value
    line = parsed.lines.get(tuple(there)) or parsed.lines.get(tuple(there[:-1]))
    return Fault(place=_written(there) or "file", line=line, message=message)


def _has(value: Any, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _written(path: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")[:LONGEST_PLACE]
