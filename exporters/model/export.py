"""An export: which segments go to which list, when, and how columns become fields. `config/exports/<id>.json`."""

from enum import StrEnum
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
)
from pydantic.config import JsonDict

from exporters.model.caller import Stamp
from exporters.model.fields import EMAIL_FIELD, Formats, StandardField
from exporters.model.names import PLAIN_TEXT_PATTERN, DisplayName, Id
from exporters.model.receiver import Receiver
from exporters.model.schedule import Off, Schedule
from exporters.model.sizes import People
from exporters.model.source import Column, Source

SEGMENT_PATTERN = r"^[^/\\\x00-\x1f]([^\x00-\x1f]*[^/\x00-\x1f])?$"
#: Path of a segment below the segments container: its folder, or its file without the ending.
SegmentPath = Annotated[str, StringConstraints(min_length=1, max_length=900, pattern=SEGMENT_PATTERN)]
#: Name of a custom field or attribute. Ours: longer than either provider lets one be.
CustomName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PLAIN_TEXT_PATTERN)]
#: Custom fields that one export may map: as many as a SendGrid account may have.
#: https://www.twilio.com/docs/sendgrid/ui/managing-contacts/custom-fields
MAX_CUSTOM = 500


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
    custom: dict[CustomName, Source] = Field(
        default_factory=dict,
        max_length=MAX_CUSTOM,
        description="SendGrid custom field or Brevo attribute, by its name there: what fills it",
    )
    formats: Formats = Formats()

    def standard(self) -> dict[StandardField, Source]:
        """Mapped standard fields and what fills them, in the order of `StandardField`."""
        sources = {field: getattr(self, field.value) for field in StandardField}
        return {field: source for field, source in sources.items() if source is not None}


#: For what needs no field but the address, which then comes from a column of that name.
ADDRESS_ONLY = Mapping(email=EMAIL_FIELD)


class Mode(StrEnum):
    """What a run does about people who are on the list already."""

    UPDATE = "update"  #: adds and updates
    MIRROR = "mirror"  #: and removes people whom this export put there and who have left the segment


class Brakes(BaseModel):
    """When a run is held for a person to look at, before anything is written at the provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_share_of_last: float = Field(
        default=0.5,
        ge=0,
        le=1,
        strict=True,
        description="hold when a segment has fewer profiles than this share of the last run's",
    )
    max_share_removed: float = Field(
        default=0.1,
        ge=0,
        le=1,
        strict=True,
        description="hold when a run would remove more than this share of the people delivered",
    )
    max_profiles: People | None = Field(
        default=None,
        description="hold when the segments have more profiles; default: the provider's stated limit",
    )


def _excluded(value: str) -> str:
    entry = value.strip().lower()
    name, _, domain = entry.partition("@")
    if not domain or "@" in domain or "*" in name or any(character.isspace() for character in entry):
        raise ValueError("write an address, or @domain for all addresses of a domain")
    return entry


#: An address, or all addresses of a domain as @example.com; in lower case.
Excluded = Annotated[
    str,
    StringConstraints(max_length=254, pattern=PLAIN_TEXT_PATTERN),
    AfterValidator(_excluded),
    WithJsonSchema({"type": "string", "maxLength": 254, "pattern": r"^[^\s@*]*@[^\s@]+$"}),
]


#: Settings as the API's description shows them.
EXAMPLE: JsonDict = {
    "name": "Newsletter, high-value customers",
    "connection": "main",
    "segments": ["CustomerInsights_abcd1234/BlobExport/HighValueSegment"],
    "list_id": "2f4d1a60-5f0c-4bd2-9e0a-2a5f3c0c8f11",
    "mapping": {
        "email": "EMail",
        "first_name": "FirstName",
        "custom": {"loyalty_tier": "LoyaltyTier", "full_name": {"template": "{FirstName} {LastName}"}},
    },
    "schedule": {"kind": "daily", "times": ["06:00"], "time_zone": "Europe/Zagreb"},
    "mode": "update",
    "withhold": True,
}


class ExportSettings(BaseModel):
    """What people set about one export."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    name: DisplayName
    connection: Id | None = Field(
        default=None, description="without one the export is detached: it keeps its settings and does not run"
    )
    segments: tuple[SegmentPath, ...] = Field(
        min_length=1, max_length=50, description="paths below the segments container; a person is taken from the first"
    )
    list_id: str = Field(
        min_length=1, max_length=100, pattern=PLAIN_TEXT_PATTERN, description="id of the contact list at the provider"
    )
    mapping: Mapping = Field(description="what fills which field of a contact")
    schedule: Schedule = Field(default=Off(), description="when runs start by themselves")
    mode: Mode = Field(default=Mode.UPDATE, description="mirror also takes those off the list who left the segments")
    withhold: bool = Field(default=False, strict=True, description="leave out people whom the provider has suppressed")
    exclude: tuple[Excluded, ...] = Field(
        default=(), max_length=1000, description="placeholder addresses that are nobody's, or @domain for all of one"
    )
    brakes: Brakes = Field(default=Brakes(), description="when a run is held for somebody to look at")
    notify: Receiver | None = Field(default=None, description="who is told when a run ends or is held")

    @field_validator("schedule", mode="before")
    @classmethod
    def _none_is_off(cls, value: object) -> object:
        return Off() if value is None else value

    @field_validator("segments")
    @classmethod
    def _no_repeats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a segment is named twice")
        if any(part in {".", ".."} for path in value for part in path.split("/")):
            raise ValueError("a segment path may not contain . or ..")
        return value


class Export(ExportSettings):
    """An export as it is stored: its settings, and what the app notes about them."""

    id: Id
    scheduled_since: AwareDatetime | None = (
        None  #: occurrences before are none of its schedule; None: since it is stored
    )
    #: Segments that came later, and when: what was complete before then starts no run by itself.
    added: dict[SegmentPath, AwareDatetime] = Field(default_factory=dict)
    created: Stamp | None = None  #: None where the document was written by hand
    updated: Stamp | None = None
    forgets: bool = False  #: it is being removed or made: what is known under its id goes before it can run
