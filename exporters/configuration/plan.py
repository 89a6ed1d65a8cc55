"""What would change if a file became the configuration: worked out before anything is done, and shown as it is."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from exporters.configuration.as_code import ConfigurationFile, ConnectionInFile, ExportInFile, Format, as_file, write
from exporters.errors import ConfigError
from exporters.model.connection import Connection
from exporters.model.export import Export
from exporters.parts import Parts
from exporters.storage import paths
from exporters.storage.documents import Document, Versioned

#: Documents that are read at once. Ours: fewer than the ten connections that the storage client keeps open.
READS_AT_ONCE = 8
#: Documents that cannot be used and are named at once. Ours.
TOLD = 10

Kind = Literal["connection", "export"]
Of = tuple[Kind, str]  #: kind and id


class Change(StrEnum):
    """What happens to one connection or export."""

    CREATE = "create"
    EDIT = "edit"
    REMOVE = "remove"  #: it is not in the file, and the file is to be all there is
    KEEP = "keep"  #: it is not in the file, which does not matter
    NONE = "unchanged"


class ChangeOutcome(StrEnum):
    """What came of it."""

    PLANNED = "planned"  #: nothing yet
    NOTHING = "nothing to do"
    DONE = "done"
    NOT_DONE = "not done"


class FieldChange(BaseModel):
    """One setting before and after; null where there is none."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(description="such as mapping.email")
    before: JsonValue
    after: JsonValue


class PlannedChange(BaseModel):
    """What happens to one connection or export."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    id: str
    change: Change
    fields: tuple[FieldChange, ...] = Field(default=(), description="of an edit: what is different")
    outcome: ChangeOutcome = ChangeOutcome.PLANNED
    reason: str = Field(default="", description="why it was not done")
    warnings: tuple[str, ...] = Field(default=(), description="what may go wrong later")

    @property
    def of(self) -> Of:
        """What it happens to."""
        return self.kind, self.id

    @property
    def is_none(self) -> bool:
        """Whether nothing is to be done."""
        return self.change in {Change.NONE, Change.KEEP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The whole configuration as it is now, by id."""

    connections: Mapping[str, Versioned[Connection]]
    exports: Mapping[str, Versioned[Export]]

    @property
    def file(self) -> ConfigurationFile:
        """It as a file."""
        return as_file(
            [found.value for found in self.connections.values()], [found.value for found in self.exports.values()]
        )

    @property
    def digest(self) -> str:
        """The same for the same settings, whoever has made them and when."""
        return hashlib.sha256(write(self.file, Format.JSON).encode()).hexdigest()[:32]


def stored(parts: Parts) -> Stored:
    """Read the whole configuration. Raises ConfigError where a document of it cannot be used.

    It is no snapshot: what somebody changes meanwhile may be in it or not. Every change is made under the ETag that its
    document had here.
    """
    return Stored(
        connections=_all(parts, Connection, paths.CONNECTIONS, lambda document: document.id),
        exports=_all(parts, Export, paths.EXPORTS, lambda document: document.id),
    )


def _all(
    parts: Parts, kind: type[Document], folder: str, id_of: Callable[[Document], str]
) -> Mapping[str, Versioned[Document]]:
    names = [blob.name for blob in parts.state.list(folder) if blob.name.endswith(".json")]

    def read(name: str) -> Versioned[Document] | ConfigError | None:
        try:
            found = parts.documents.read(kind, name)
        except ConfigError as error:
            return error
        if found is not None and name != f"{folder}{id_of(found.value)}.json":
            return ConfigError(f"{name} says that its id is {id_of(found.value)}: make id and file name the same")
        return found

    with parts.uploaders(READS_AT_ONCE) as pool:
        found = [each for each in pool.map(read, names) if each is not None]
    if damaged := [each for each in found if isinstance(each, ConfigError)]:
        raise ConfigError("; ".join(str(error) for error in damaged[:TOLD]))
    return {id_of(each.value): each for each in found if isinstance(each, Versioned)}


def plan(before: Stored, file: ConfigurationFile, *, prune: bool) -> Sequence[PlannedChange]:
    """What has to happen so that everything in a file is as it is there, in the order in which it can be done.

    Connections come before the exports that use them. What is not in the file stays, or with `prune` goes at the end,
    exports before the connections that they use.
    """
    now = before.file
    connections = list(_changes("connection", now.connections, file.connections, prune=prune))
    exports = list(_changes("export", now.exports, file.exports, prune=prune))
    removed = [change for change in (*exports, *connections) if change.change is Change.REMOVE]
    return [*(change for change in (*connections, *exports) if change.change is not Change.REMOVE), *removed]


def _changes(
    kind: Kind,
    before: Sequence[ConnectionInFile] | Sequence[ExportInFile],
    after: Sequence[ConnectionInFile] | Sequence[ExportInFile],
    *,
    prune: bool,
) -> Iterator[PlannedChange]:
    there, wanted = {each.id: each for each in before}, {each.id: each for each in after}
    for name in sorted(there.keys() | wanted.keys()):
        if name not in wanted:
            yield _planned(kind, name, Change.REMOVE if prune else Change.KEEP)
        elif name not in there:
            yield _planned(kind, name, Change.CREATE)
        else:
            fields = tuple(_differing("", _settings(there[name]), _settings(wanted[name])))
            yield _planned(kind, name, Change.EDIT if fields else Change.NONE, fields)


def _planned(kind: Kind, name: str, change: Change, fields: tuple[FieldChange, ...] = ()) -> PlannedChange:
    planned = PlannedChange(kind=kind, id=name, change=change, fields=fields)
    return planned.model_copy(update={"outcome": ChangeOutcome.NOTHING}) if planned.is_none else planned


def _settings(entry: ConnectionInFile | ExportInFile) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"id", "consent"}, exclude_none=True)


def _differing(place: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from _differing(f"{place}.{name}" if place else name, before.get(name), after.get(name))
    elif before != after:
        yield FieldChange(field=place, before=before, after=after)
