"""An export: which segments go to which list, when, and how columns become fields. `config/exports/<id>.json`."""

from datetime import UTC, datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from exporters.model.fields import StandardField
from exporters.model.names import Id

Column = Annotated[str, StringConstraints(min_length=1, max_length=256)]
#: Path of a segment below the segments container: its folder, or its file without the ending.
SegmentPath = Annotated[
    str, StringConstraints(min_length=1, max_length=900, pattern=r"^[^/\\\x00-\x1f].*[^/\x00-\x1f]$|^[^/\\\x00-\x1f]$")
]


class Mapping(BaseModel):
    """Which column fills which field. Every value is the name of a column of the segment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: Column
    first_name: Column | None = None
    last_name: Column | None = None
    address_line_1: Column | None = None
    address_line_2: Column | None = None
    city: Column | None = None
    state: Column | None = None
    postal_code: Column | None = None
    country: Column | None = None
    phone: Column | None = None
    custom: dict[str, Column] = Field(
        default_factory=dict, description="SendGrid custom field or Brevo attribute, by its name there: column"
    )

    def standard(self) -> dict[StandardField, str]:
        """Mapped standard fields and their columns, in the order of `StandardField`."""
        columns = {field: getattr(self, field.value) for field in StandardField}
        return {field: column for field, column in columns.items() if column is not None}


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

    @field_validator("segments")
    @classmethod
    def _no_repeats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a segment is named twice")
        if any(part in {".", ".."} for path in value for part in path.split("/")):
            raise ValueError("a segment path may not contain . or ..")
        return value
