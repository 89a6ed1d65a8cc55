"""Generated mappings and segments: what stands in the files, and the bytes of the files in many styles."""

import gzip
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from exporters.model.fields import ContactShape, DateOrder, FieldType, Formats, TargetField
from exporters.model.reject import RejectReason
from tests.unit.planning.plans import EMAIL, parquet, target
from tests.unit.planning.reference import Line

#: Columns of every file; the last one is never mapped.
TEXT, OTHER_TEXT, NUMBER, DAY, YES, PHONE, UNMAPPED = 'a"b;--', "Grad, {ž}", "Number", "Day", "Yes", "Phone", "Else"
COLUMNS = ("EMail", TEXT, OTHER_TEXT, NUMBER, DAY, YES, PHONE, UNMAPPED)
#: Columns that a template may name: braces in names cannot be written in one.
IN_TEMPLATES = ("EMail", TEXT, NUMBER, DAY, PHONE)


class Trouble(Enum):
    """A line that is no profile."""

    BLANK = auto()  #: passed over
    SHORT = auto()
    NUL = auto()
    NOT_UTF8 = auto()  #: written only where the encoding is certain, as it would tell another one else


#: How trouble looks in a CSV file, and what is said of it. The surrogate stands for a byte that is no text.
TROUBLES = {Trouble.BLANK: "", Trouble.SHORT: "short", Trouble.NUL: "a\0@example.com", Trouble.NOT_UTF8: "a\udcff"}
REASONS = {
    Trouble.SHORT: RejectReason.LINE_MALFORMED,
    Trouble.NUL: RejectReason.NUL_BYTE,
    Trouble.NOT_UTF8: RejectReason.ENCODING_BROKEN,
}

Person = Mapping[str, str]
Row = Person | Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a part is written."""

    columns: tuple[str, ...] = COLUMNS
    delimiter: str = ","
    quote_all: bool = False
    line_end: str = "\n"
    last_line_ends: bool = True
    encoding: str = "utf-8"
    gzip: bool = False
    parquet: bool = False  #: nothing else but the columns counts then
    nulls: bool = False  #: Parquet: NULL for empty values


@dataclass(frozen=True, slots=True)
class Part:
    """Rows in a style."""

    rows: Sequence[Row]
    style: Style


@dataclass(frozen=True, slots=True)
class Files:
    """Blobs, and the lines that are in them in the order of segments, parts and lines."""

    blobs: Mapping[str, bytes]
    lines: Sequence[Line]
    segments: Sequence[str]


# Characters that Unicode knows for long: DuckDB and Python follow its versions at different times.
free_text = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cn", "Cs"), exclude_characters="\0", max_codepoint=0xFFFF),
    max_size=24,
)
texts = st.one_of(
    st.sampled_from(
        [
            "",
            "Ana",
            "Zoë",
            "Zoe\u0308",
            "  Ana  Marija ",
            "\u00a0\u200b",
            'a "b", c',
            "1\n2",
            "1\r2",
            "1\r\n2",
            "\t",
            "🦊 e\u0301",
            "\\\x01",
            "x" * 40,
        ]
    ),
    free_text,
)
GOOD_ADDRESSES = (
    "a@example.com",
    "b@example.com",
    "c@example.com",
    "d@example.org",
    "e@example.com",
    "f+tag@sub.example.co.uk",
    "o'neil@example.com",
    "h@example.com",
    "i@example.com",
    "b@xn--bcher-kva.example",
)
odd_addresses = st.one_of(
    st.sampled_from(
        [
            "A@Example.com ",
            "a@example.com\u200b",
            "b@bücher.example",
            "B@xn--bcher-kva.example",
            '"q q"@example.com',
            "",
            "x@y",
            "ü@example.com",
            "e" * 250 + "@example.com",
        ]
    ),
    st.from_regex(r"[a-z.+'-]{1,3}@[a-z-]{1,3}\.(com|test|c-m)", fullmatch=True),
    free_text,
)
numbers = st.one_of(
    st.from_regex(r"[+-]?[0-9]{0,4}[.,]?[0-9]{0,4}", fullmatch=True),
    st.sampled_from(["-0", "-0.0", "1e5", "٣", "9" * 31, "1,234", "1.234.567,8", "(€ 1 234.50)", "5 kn", "", "n/a"]),
)
days = st.one_of(
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.from_regex(r"2[0-9]{3}-[0-1][0-9]-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(Z|\+01:00)?)?", fullmatch=True),
    st.from_regex(r"[0-3]?[0-9]([/.-])[01]?[0-9]\1[12][0-9]{3}", fullmatch=True),
    st.sampled_from(["03/04/2026", "13/12/2026", "31.1.2026.", "Feb 29, 2024", "20260131", "0001-01-01", ""]),
)
phones = st.one_of(
    st.from_regex(r"(\+|00)? ?[0-9]{2} ?\(0\)?[ ./-]?[0-9]{2,6}-[0-9]{2,6}", fullmatch=True),
    st.sampled_from(["+385 91 1234567", "091/123-4567", "(212) 555-0100", "0044 20 7946 0123", "++12345678", "", "-"]),
)
yes = st.sampled_from(["true", "FALSE", "1", "0", "Yes", "no", "off", "maybe", ""])
VALUES = (texts, texts, numbers, days, yes, phones, texts)
people = st.fixed_dictionaries(dict(zip(COLUMNS, (st.sampled_from(GOOD_ADDRESSES), *VALUES), strict=True)))

formats = st.builds(
    Formats,
    date_order=st.sampled_from([None, *DateOrder]),
    decimal_mark=st.sampled_from([".", ","]),
    phone_country=st.sampled_from([None, "HR", "US"]),
)

PATHS = (
    ("first_name",),
    ("custom", "it's"),
    ("é",),
    ("custom", 'n"1'),
    ("deep", "er", "1"),
    ("custom", "d"),
    ("deep", "est"),
    ("deep", "er", "2"),
)
#: A constant that is always of its type.
CONSTANTS = {
    FieldType.TEXT: ' "VIP"\u2003\u0301 ',
    FieldType.NUMBER: "€ 12",
    FieldType.DATE: "Jan 31, 2026",
    FieldType.BOOLEAN: "yes",
    FieldType.PHONE: "+385 91 1234567",
}
COLUMN_OF_TYPE = {
    FieldType.TEXT: (TEXT, OTHER_TEXT, NUMBER, "EMail"),
    FieldType.NUMBER: (NUMBER, NUMBER, DAY),
    FieldType.DATE: (DAY, DAY, NUMBER),
    FieldType.BOOLEAN: (YES, NUMBER),
    FieldType.PHONE: (PHONE, PHONE, NUMBER),
}
templates = st.lists(
    st.one_of(
        st.sampled_from([f"{{{column}}}" for column in IN_TEMPLATES]),
        st.sampled_from([" ", " - ", "{{", "}}", "\u0301", '"', "\u2003", "x  y", "+"]),
    ),
    min_size=1,
    max_size=4,
).map("".join)


@st.composite
def sources(draw: st.DrawFn, kind: FieldType) -> str | dict[str, str]:
    how = draw(st.sampled_from(["column", "column", "template", "constant"]))
    if how == "column":
        return draw(st.sampled_from(COLUMN_OF_TYPE[kind]))
    if how == "constant":
        return {"constant": CONSTANTS[kind]}
    column = draw(st.sampled_from([name for name in COLUMN_OF_TYPE[kind] if name in IN_TEMPLATES] or ["Day"]))
    return {"template": f"{draw(templates)}{{{column}}}" if kind is FieldType.TEXT else f" {{{column}}}"}


@st.composite
def fields(draw: st.DrawFn, path: tuple[str, ...]) -> TargetField:
    kind = draw(st.sampled_from([FieldType.TEXT, *FieldType]))
    return target(
        draw(sources(kind)),
        path,
        type=kind,
        max_chars=draw(st.sampled_from([None, 8, 12])),
        date_format=draw(st.sampled_from(["%Y-%m-%d", "%m/%d/%Y"])),
    )


@st.composite
def shapes(draw: st.DrawFn, *, least: int = 0) -> ContactShape:
    paths = draw(st.lists(st.sampled_from(PATHS), unique=True, min_size=least, max_size=len(PATHS)))
    return ContactShape(email=EMAIL, fields=tuple(draw(fields(path)) for path in paths), formats=draw(formats))


styles = st.builds(
    Style,
    columns=st.permutations(COLUMNS).map(tuple),
    delimiter=st.sampled_from(",,;\t|"),
    quote_all=st.booleans(),
    line_end=st.sampled_from(["\n", "\n", "\r\n", "\r"]),
    last_line_ends=st.booleans(),
    encoding=st.sampled_from(
        ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "windows-1252"]
    ),
    gzip=st.sampled_from([False, False, False, True]),
    nulls=st.booleans(),
)


@st.composite
def crowds(draw: st.DrawFn) -> list[Person]:
    """People, of whom most can be sent and many share an address.

    They are a few who go by many addresses, put together by chance: to generate each value would take long, and it is
    the mixture that counts.
    """
    few = draw(st.lists(people, min_size=5, max_size=5))
    odd = draw(st.lists(odd_addresses, min_size=3, max_size=3))
    chance = draw(st.randoms(use_true_random=True))
    named = [*GOOD_ADDRESSES * 2, *odd]
    return [*few, *(chance.choice(few) | {"EMail": address} for address in named)]


@st.composite
def segments(draw: st.DrawFn, names: Sequence[str]) -> dict[str, list[Part]]:
    """The parts of each segment, all CSV or all Parquet, from one crowd."""
    crowd = draw(crowds())
    chance = draw(st.randoms(use_true_random=True))
    found = {}
    for name in names:
        parquet = draw(st.sampled_from([False, False, True]))
        written = draw(st.lists(styles, min_size=1, max_size=2))
        found[name] = [Part(_some(crowd, chance), replace(style, parquet=parquet)) for style in written]
    return found


def _some(crowd: Sequence[Person], chance: random.Random) -> list[Row]:
    """Lines of a part: none, all of them profiles, or some trouble between."""
    trouble = chance.choice([0, 0, 1, 5])
    size = chance.choice([0, 6, 10, 14])
    return [
        chance.choice(list(Trouble)) if chance.random() * 20 < trouble else chance.choice(crowd) for _ in range(size)
    ]


def files(parts: Mapping[str, Sequence[Part]]) -> Files:
    """The files of segments, which are to be read in this order."""
    blobs: dict[str, bytes] = {}
    lines: list[Line] = []
    for segment, written in parts.items():
        for number, part in zip((2, 10), written, strict=False):
            write = write_parquet if part.style.parquet else write_csv
            ending = ".parquet" if part.style.parquet else ".csv.gz" if part.style.gzip else ".csv"
            name = f"{segment}/p_{number}{ending}"
            blobs[name], found = write(part)
            lines += [Line(segment=segment, part=name, **facts) for facts in found]
    return Files(blobs=blobs, lines=lines, segments=list(parts))


def write_parquet(part: Part) -> tuple[bytes, list[dict[str, Any]]]:
    columns, found = part.style.columns, []
    rows: list[list[str | None]] = []
    for row in part.rows:
        if row is Trouble.NUL:
            rows.append(["a\0@example.com" if column == "EMail" else "" for column in columns])
            found.append({"line": len(rows), "broken": RejectReason.NUL_BYTE})
        elif not isinstance(row, Trouble):
            rows.append([row[column] or (None if part.style.nulls else "") for column in columns])
            found.append({"line": len(rows), "values": row})
    named = ", ".join('"' + column.replace('"', '""') + '" VARCHAR' for column in columns)
    with TemporaryDirectory() as folder:
        return parquet(Path(folder) / "part", named, rows).read_bytes(), found


def write_csv(part: Part) -> tuple[bytes, list[dict[str, Any]]]:
    style, found = part.style, []
    line_end = "\r\n" if style.line_end == "\r\n" else "\n"
    rows = [row for row in part.rows if row is not Trouble.NOT_UTF8 or style.encoding == "utf-8-sig"]
    text = _csv_line(style.columns, style) + line_end
    for number, row in enumerate(rows):
        at = text.count("\n") + 1
        if isinstance(row, Trouble):
            text += TROUBLES[row] + line_end
            if row is Trouble.SHORT and number + 1 == len(rows) and not style.last_line_ends:
                found.append({"line": at, "broken": RejectReason.LINE_CUT_OFF})
            elif row is not Trouble.BLANK:
                found.append({"line": at, "broken": REASONS[row]})
        else:
            # Where CR ends lines, a line break in a value is read as LF.
            values = {name: _with_lf(value) for name, value in row.items()} if style.line_end == "\r" else row
            text += _csv_line([values[column] for column in style.columns], style) + line_end
            found.append({"line": at, "values": values})
    if not style.last_line_ends:
        text = text.removesuffix(line_end)
    data = _encoded(text.replace("\n", "\r") if style.line_end == "\r" else text, style.encoding)
    return gzip.compress(data) if style.gzip else data, found


def _csv_line(values: Sequence[str], style: Style) -> str:
    return style.delimiter.join(_cell(value, style) for value in values)


def _cell(value: str, style: Style) -> str:
    # Readers may skip a space before a value that is not in quotes; separators of other files are in quotes too, so
    # that they do not count in the first line.
    plain = not style.quote_all and not value.startswith(" ") and not re.search(r'[,;\t|"\r\n]', value)
    return value if plain else '"' + value.replace('"', '""') + '"'


def _encoded(text: str, encoding: str) -> bytes:
    """UTF-8 where the text does not exist in Windows-1252, or might be taken for UTF-8 then."""
    if encoding != "windows-1252":
        return text.encode(encoding, "surrogateescape")
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode()
    return text.encode() if any(_is_utf8(line) for line in data.split(b"\n") if not line.isascii()) else data


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _with_lf(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n")
