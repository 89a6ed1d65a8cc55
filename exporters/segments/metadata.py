"""`model.json`: what the Common Data Model says about the tables of an export, as far as reading them needs it.

https://learn.microsoft.com/common-data-model/model-json
"""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from exporters.errors import SegmentError

Words = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


def _list(value: Any) -> Any:
    return [] if value is None else value


class _Tolerant(BaseModel):
    """Producers add keys of their own; only what is read here has to be right."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)


class _Format(_Tolerant):
    column_headers: bool = False
    delimiter: Words = ","
    encoding: Words = ""


class _Attribute(_Tolerant):
    name: str


class _Partition(_Tolerant):
    location: Words = ""
    file_format_settings: _Format | None = None


class _Entity(_Tolerant):
    name: str
    attributes: Annotated[tuple[_Attribute, ...], BeforeValidator(_list)] = ()
    partitions: Annotated[tuple[_Partition, ...], BeforeValidator(_list)] = ()


class _Model(_Tolerant):
    entities: Annotated[tuple[_Entity, ...], BeforeValidator(_list)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat:
    """What `model.json` says of one table."""

    source: str  #: blob name of the model.json, for messages
    columns: tuple[str, ...]  #: its attributes, in order
    column_headers: bool | None  #: whether parts begin with a header row; None where it is not told
    delimiter: str | None
    encoding: str | None
    locations: tuple[str, ...]  #: of all partitions, decoded; absolute URLs without scheme and host

    def parts_in(self, folder: str) -> frozenset[str]:
        """Blob names of the partitions that lie right below a folder, which is a path without a slash at its end.

        A location begins with the container or, in Azurite, with the account; only what follows the folder's own path
        in it counts.
        """
        found = set()
        for location in self.locations:
            _, inside, name = f"/{location}".rpartition(f"/{folder}/")
            if inside and name:
                found.add(f"{folder}/{name}")
        return frozenset(found)


def read_table_format(data: bytes, *, source: str, table: str) -> TableFormat | None:
    """What a `model.json` says of a table; None where it does not know the table. Raises SegmentError if unreadable."""
    try:
        model = _Model.model_validate_json(data.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(key) for key in fault["loc"]) or "the document"
        raise SegmentError(f"{source} cannot be read: {where}: {fault['msg']}; export the segment again") from error
    entity = next((entity for entity in model.entities if entity.name == table), None)
    if entity is None:
        return None
    formats = [partition.file_format_settings for partition in entity.partitions]
    settings = next((settings for settings in formats if settings is not None), None)
    folder = source.rpartition("/")[0]
    return TableFormat(
        source=source,
        columns=tuple(attribute.name for attribute in entity.attributes),
        column_headers=None if settings is None else settings.column_headers,
        delimiter=None if settings is None else settings.delimiter or ",",
        encoding=None if settings is None else settings.encoding or None,
        locations=tuple(_location(partition.location, folder) for partition in entity.partitions if partition.location),
    )


def _location(location: str, folder: str) -> str:
    """Path of a partition: a URL is percent-encoded, anything else is relative to the folder of model.json."""
    url = urlsplit(location)
    if url.scheme in {"http", "https"}:
        return unquote(url.path).lstrip("/")
    return f"{folder}/{unquote(location).lstrip('/')}".lstrip("/")
