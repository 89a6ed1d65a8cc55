"""Where the value of a field comes from: a column, a constant, or a template of columns."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from exporters.model.names import PLAIN_TEXT_PATTERN

MAX_COLUMN_CHARS = 256
Column = Annotated[str, StringConstraints(min_length=1, max_length=MAX_COLUMN_CHARS, pattern=PLAIN_TEXT_PATTERN)]
MAX_TEXT_CHARS = 1000

#: A doubled brace, the name of a column, or a brace that is neither.
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a template: the name of a column, or text that stands as it is."""

    text: str
    is_column: bool


class Source(BaseModel):
    """One of the three. In JSON a column is just its name: `"FirstName"`, `{"constant": "VIP"}`,
    `{"template": "{FirstName} {LastName}"}`; a brace itself is written twice.

    A template gives no value where all of its columns are empty; any run of white space in what it gives becomes a
    single space, so an empty column leaves no gap.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: Column | None = None
    constant: str | None = Field(default=None, min_length=1, max_length=MAX_TEXT_CHARS)
    template: str | None = Field(default=None, min_length=1, max_length=MAX_TEXT_CHARS)

    @classmethod
    def __get_pydantic_json_schema__(cls, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """All forms in which it is read; it is written in the shortest."""
        column = {"type": "string", "minLength": 1, "maxLength": MAX_COLUMN_CHARS, "pattern": PLAIN_TEXT_PATTERN}
        text = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARS}
        named = [
            {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}
            for name, schema in {"constant": text, "template": text, "column": column}.items()
        ]
        return {"anyOf": [column, *named], "description": "a column by its name, a constant, or a template of columns"}

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if not isinstance(value, str | dict | Source):
            said = "give the name of a column, or one of constant and template"
            raise ValueError(said)  # noqa: TRY004 (pydantic makes faults of ValueErrors only)
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if sum(value is not None for value in (self.column, self.constant, self.template)) != 1:
            raise ValueError("give the name of a column, or one of constant and template")
        for text in (self.constant, self.template):
            if text is not None and any(unicodedata.category(character) == "Cc" for character in text):
                raise ValueError("the text holds line breaks or other control characters; leave them out")
        if self.constant is not None and all(unicodedata.category(character)[0] in "CZ" for character in self.constant):
            raise ValueError("the constant is empty")
        if any(not re.fullmatch(PLAIN_TEXT_PATTERN, column) for column in self.columns):
            raise ValueError("the name of a column holds control characters; leave them out")
        if self.template is not None and not self.columns:
            raise ValueError("the template names no column; write a column as {Name}, or use constant")
        return self

    @model_serializer
    def _as_written(self) -> str | dict[str, str]:
        if self.column is not None:
            return self.column
        return {"constant": self.constant} if self.constant is not None else {"template": self.template or ""}

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """What the value is put together from, in order; text in Unicode NFC."""
        if self.column is not None:
            return (Piece(self.column, is_column=True),)
        if self.constant is not None:
            return (Piece(unicodedata.normalize("NFC", self.constant.strip()), is_column=False),)
        return tuple(_pieces(self.template or ""))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the segment that are read, without repeats, in order."""
        return tuple(dict.fromkeys(piece.text for piece in self.pieces if piece.is_column))

    @property
    def label(self) -> str:
        """How messages name the place of a value: its columns."""
        return ", ".join(self.columns) or "constant"


def _pieces(template: str) -> list[Piece]:
    pieces: list[Piece] = []
    text, end = "", 0
    for match in _BRACES.finditer(template):
        text += template[end : match.start()]
        end = match.end()
        if match[0] in {"{{", "}}"}:
            text += match[0][0]
        elif match[1] is None:
            raise ValueError(f"the brace at character {match.start() + 1} of the template is not closed or not opened")
        else:
            pieces += [*_text(text), Piece(match[1], is_column=True)]
            text = ""
    return [*pieces, *_text(text + template[end:])]


def _text(text: str) -> list[Piece]:
    return [Piece(unicodedata.normalize("NFC", text), is_column=False)] if text else []
