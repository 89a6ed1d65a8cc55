"""What a contact is made of: the fields of the mapping and their places in a provider's body."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

import phonenumbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from exporters.model.source import Source


class StandardField(StrEnum):
    """Fields that every export can map, by our own names; a provider file says what they are called there."""

    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    ADDRESS_LINE_1 = "address_line_1"
    ADDRESS_LINE_2 = "address_line_2"
    CITY = "city"
    STATE = "state"  #: state, province or region
    POSTAL_CODE = "postal_code"
    COUNTRY = "country"  #: country or region, name or code
    PHONE = "phone"


class FieldType(StrEnum):
    """Type of a field at the provider; decides how a value is read from the segment and written into the body."""

    TEXT = "text"
    NUMBER = "number"  #: written as a JSON number
    DATE = "date"  #: written in the field's `date_format`
    BOOLEAN = "boolean"  #: written as true or false
    PHONE = "phone"  #: written as + and digits


class DateOrder(StrEnum):
    """What the first two numbers of a date such as 03/04/2026 are."""

    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"


def _known_country(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{value!r} is not a country of ISO 3166-1 in two capital letters, such as HR")
    return value


Country = Annotated[
    str,
    AfterValidator(_known_country),
    WithJsonSchema({"type": "string", "enum": sorted(phonenumbers.SUPPORTED_REGIONS)}),
]


class Formats(BaseModel):
    """How values of the segment that could mean two things are to be read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    date_order: DateOrder | None = Field(
        default=None, description="day_first or month_first, for dates such as 03/04/2026; without it they are left out"
    )
    decimal_mark: Literal[".", ","] = Field(
        default=".", description="the mark before decimals, for numbers such as 1,234 that could be either"
    )
    phone_country: Country | None = Field(
        default=None, description="country of telephone numbers without country code, such as HR"
    )


#: Name of the address among the fields of a contact.
EMAIL_FIELD = "email"


def custom_name(name: str) -> str:
    """How a custom field or attribute is called among the fields of a contact."""
    return f"custom.{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetField:
    """One mapped field: where its value comes from and where it stands in a contact's JSON object."""

    name: str  #: as the mapping calls it: first_name, or custom.<name>
    source: Source
    path: tuple[str, ...]  #: keys from the contact's object down to the value, for example ("custom_fields", "e1_T")
    type: FieldType = FieldType.TEXT
    max_chars: int | None = None  #: longest text the provider takes, in Unicode code points
    date_format: str = "%Y-%m-%d"  #: strftime form, for dates


def email_field(column: str) -> TargetField:
    """The address, which every provider takes at the top of a contact's object."""
    return TargetField(name=EMAIL_FIELD, source=Source(column=column), path=("email",))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactShape:
    """How contacts of one run are made. `fields` stand in the JSON object in this order, after the e-mail address."""

    email: TargetField  #: from a column
    fields: tuple[TargetField, ...]
    formats: Formats = field(default_factory=Formats)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the segment that the shape reads, without repeats, in order."""
        every = (self.email, *self.fields)
        return tuple(dict.fromkeys(column for each in every for column in each.source.columns))
