"""An export: which segments go to which list, when, and how columns become fields. `config/exports/<id>.json`."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from exporters.model.fields import EMAIL_FIELD, Formats, StandardField
from exporters.model.names import Id
from exporters.model.receiver import Receiver
from exporters.model.source import Column, Source

#: Path of a segment below the segments container: its folder, or its file without the ending.
SegmentPath = Annotated[
    str, StringConstraints(min_length=1, max_length=900, pattern=r"^[^/\\\x00-\x1f].*[^/\x00-\x1f]$|^[^/\\\x00-\x1f]$")
]


class Mapping(BaseModel):
    """What fills which field: a column, a constant, or a template of columns. The address comes from a column."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: Column
    first_name: Source | None = None
    last_name: Source | None = None
    address_line_1: Source | None = None
    address_line_2: Source | None = None
    city: Source | None = None
    state: Source | None = None
    postal_code: Source | None = None
    country: Source | None = None
    phone: Source | None = None
    custom: dict[str, Source] = Field(
        default_factory=dict, description="SendGrid custom field or Brevo attribute, by its name there: what fills it"
    )
    formats: Formats = Formats()

    def standard(self) -> dict[StandardField, Source]:
        """Mapped standard fields and what fills them, in the order of `StandardField`."""
        sources = {field: getattr(self, field.value) for field in StandardField}
        return {field: source for field, source in sources.items() if source is not None}


#: For what needs no field but the address, which then comes from a column of that name.
ADDRESS_ONLY = Mapping(email=EMAIL_FIELD)


class Schedule(BaseModel):
    """When runs start by themselves: a five-field cron expression, read in an IANA time zone.

    Across daylight saving an occurrence at a time that does not exist runs right after the gap, and one at a time that
    exists twice runs once, as cronsim (after Debian's cron) defines it: https://github.com/cuu508/cronsim
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str
    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:  # not found is a KeyError, a folder an OSError
            raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Zagreb") from error
        return value

    @model_validator(mode="after")
    def _readable_cron(self) -> Self:
        if len(self.cron.split()) != 5:
            raise ValueError("cron takes five fields: minute, hour, day of month, month, day of week")
        try:
            CronSim(self.cron, datetime.now(UTC))
        except CronSimError as error:
            raise ValueError(f"{self.cron!r} is not a cron expression: {error}") from error
        return self


class Mode(StrEnum):
    """What a run does about people who are on the list already."""

    UPDATE = "update"  #: adds and updates
    MIRROR = "mirror"  #: and removes people whom this export put there and who have left the segment


class Brakes(BaseModel):
    """When a run is held for a person to look at, before anything is written at the provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_share_of_last: float = Field(
        default=0.5, ge=0, le=1, description="hold when a segment has fewer profiles than this share of the last run's"
    )
    max_share_removed: float = Field(
        default=0.1, ge=0, le=1, description="hold when a run would remove more than this share of the people delivered"
    )
    max_profiles: PositiveInt | None = Field(
        default=None, description="hold when the segments have more profiles; default: the provider's stated limit"
    )


def _excluded(value: str) -> str:
    entry = value.strip().lower()
    name, _, domain = entry.partition("@")
    if not domain or "@" in domain or "*" in name or any(character.isspace() for character in entry):
        raise ValueError("write an address, or @domain for all addresses of a domain")
    return entry


#: An address, or all addresses of a domain as @example.com; in lower case.
Excluded = Annotated[str, StringConstraints(max_length=254), AfterValidator(_excluded)]


class Export(BaseModel):
    """What is configured for one export."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    name: str = Field(min_length=1, max_length=200)
    connection: Id
    segments: tuple[SegmentPath, ...] = Field(min_length=1, max_length=50)
    list_id: str = Field(min_length=1, max_length=100, description="id of the contact list at the provider")
    mapping: Mapping
    schedule: Schedule | None = None
    mode: Mode = Mode.UPDATE
    withhold: bool = Field(default=False, description="leave out people whom the provider has suppressed")
    exclude: tuple[Excluded, ...] = Field(
        default=(), max_length=1000, description="placeholder addresses that are nobody's, or @domain for all of one"
    )
    brakes: Brakes = Brakes()
    notify: Receiver | None = None

    @field_validator("segments")
    @classmethod
    def _no_repeats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a segment is named twice")
        if any(part in {".", ".."} for path in value for part in path.split("/")):
            raise ValueError("a segment path may not contain . or ..")
        return value
