"""What a contact is made of: the fields of the mapping and their places in a provider's body."""

from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetField:
    """One mapped field: where its value comes from and where it stands in a contact's JSON object."""

    column: str  #: column of the segment
    path: tuple[str, ...]  #: keys from the contact's object down to the value, for example ("custom_fields", "e1_T")
    type: FieldType = FieldType.TEXT
    max_chars: int | None = None  #: longest text the provider takes, in Unicode code points
    date_format: str = "%Y-%m-%d"  #: strftime form, for dates


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactShape:
    """How contacts of one run are made. `fields` stand in the JSON object in this order, after the e-mail address."""

    email: TargetField
    fields: tuple[TargetField, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the segment that the shape reads, without repeats, in order."""
        return tuple(dict.fromkeys([self.email.column, *(field.column for field in self.fields)]))
