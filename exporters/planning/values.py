"""How a value of the segment becomes a value of the provider: DuckDB macros, and the expression of one contact.

A value is trimmed and put in Unicode NFC, and not otherwise changed. What then does not fit its field is left out, with
a reason. The JSON text is what `json.dumps(contact, ensure_ascii=False, separators=(",", ":"))` would give.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import duckdb
from duckdb.func import SPECIAL

from exporters.errors import ConfigError
from exporters.model.fields import ContactShape, FieldType, Formats, TargetField
from exporters.model.reject import REASONS, RejectReason
from exporters.model.source import Source
from exporters.planning import forms, phones
from exporters.planning.addresses import PLAIN_ADDRESS, judge
from exporters.planning.database import literal
from exporters.planning.forms import MAX_DIGITS

#: What is trimmed: everything that Unicode calls white space, zero-width space and byte order mark.
WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
#: Matches a row in which any value has to be trimmed: that costs ten times what normalising costs, and is rare.
PADDED = f"\\x00[{WHITE_SPACE}]|[{WHITE_SPACE}]\\x00"

#: As most numbers stand already, and as JSON has them.
TERSE_NUMBER = rf"(0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})(\.[0-9]{{0,{MAX_DIGITS - 1}}}[1-9])?"
#: Digits with a point or none, and without a point.
PLAIN_NUMBER = rf"[+-]?([0-9]{{1,{MAX_DIGITS}}}(\.[0-9]{{0,{MAX_DIGITS}}})?|\.[0-9]{{1,{MAX_DIGITS}}})"
WHOLE_NUMBER = rf"[+-]?[0-9]{{1,{MAX_DIGITS}}}"
#: ISO 8601: a date, or a date and time of which the date is taken as it stands. Years before 1000 are placeholders.
ISO_DATE = (
    r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)? ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
TRUE_WORDS, FALSE_WORDS = ("true", "t", "yes", "y", "on", "1"), ("false", "f", "no", "n", "off", "0")

#: Why a value of a type is left out. Text has one reason only: its length.
REASON_OF_TYPE = {
    FieldType.TEXT: RejectReason.VALUE_TOO_LONG,
    FieldType.NUMBER: RejectReason.NOT_A_NUMBER,
    FieldType.DATE: RejectReason.NOT_A_DATE,
    FieldType.BOOLEAN: RejectReason.NOT_A_BOOLEAN,
    FieldType.PHONE: RejectReason.NOT_A_PHONE,
}


def _replaced(expression: str, replacements: Iterable[tuple[str, str]]) -> str:
    """SQL that replaces one text after the other; DuckDB does this faster than translate() or a regular expression."""
    for old, new in replacements:
        expression = f"replace({expression}, {literal(old)}, {literal(new)})"
    return expression


#: What json.dumps escapes. DuckDB's own functions write \\u001F for its \\u001f.
_ESCAPES = [(character, json.dumps(character)[1:-1]) for character in ("\\", '"', *map(chr, range(1, 0x20)))]
#: The (0) is not dialled from abroad.
_NOT_DIALLED = [("(0)", ""), *((filler, "") for filler in phones.FILLERS)]


def prepare(database: duckdb.DuckDBPyConnection, formats: Formats) -> None:
    """Create the macros and functions that the expressions below call."""
    text = duckdb.type("VARCHAR")
    functions: Mapping[str, Callable[[str], str | None]] = {
        "other_address": judge,
        "other_number": lambda value: forms.number(value, formats.decimal_mark),
        "other_day": lambda value: None if (day := forms.day(value, formats.date_order)) is None else day.isoformat(),
        "other_phone": lambda value: phones.e164(value, formats.phone_country),
    }
    for name, function in functions.items():
        database.create_function(name, function, [text], text, null_handling=SPECIAL)
    database.create_function(
        "ambiguous_day", lambda value: forms.ambiguous(value, formats.date_order), [text], duckdb.type("BOOLEAN")
    )
    for macro in _macros(formats):
        database.execute(macro)


def check_constants(database: duckdb.DuckDBPyConnection, shape: ContactShape) -> None:
    """See that every constant of the mapping fits its field. Raises ConfigError that names those that do not."""
    faults = []
    for field in shape.fields:
        constant = field.source.constant
        if constant is not None:
            text, tidy = field_text(field.source, {})
            (member,) = database.execute(f"SELECT {json_member(field, text, tidy=tidy)}").fetchone() or (None,)
            if member is None:
                reason = REASON_OF_TYPE[field.type]
                if reason is RejectReason.NOT_A_DATE and forms.ambiguous(constant, shape.formats.date_order):
                    reason = RejectReason.DATE_AMBIGUOUS
                said = REASONS[reason]
                faults.append(f"{field.name}: {said.sentence.partition(';')[0]}. {said.remedy}")
    if faults:
        raise ConfigError(f"A constant of the mapping does not fit its field. {' '.join(faults)}")


def rules(shape: ContactShape) -> str:
    """Digest of everything that decides how a profile becomes a contact: the mapping, our code, the libraries."""
    return hashlib.sha256(f"{shape!r}{_code()}".encode()).hexdigest()[:16]


@cache
def _code() -> str:
    """What else than the mapping decides it. A change that changes nothing costs one slower run for each export."""
    folder = Path(__file__).parent
    modules = [
        (folder / name).read_text() for name in ("addresses.py", "forms.py", "loading.py", "phones.py", "values.py")
    ]
    libraries = [f"{name} {version(name)}" for name in ("duckdb", "email-validator", "phonenumbers")]
    return "\n".join([*modules, *libraries])


def _macros(formats: Formats) -> tuple[str, ...]:
    point = formats.decimal_mark == "."
    terse, plain = (TERSE_NUMBER, PLAIN_NUMBER) if point else (r"0|[1-9][0-9]{0,14}", WHOLE_NUMBER)
    possible, prefixed = phones.plain_international()
    return (
        PLAIN_ADDRESS,
        # Trimmed text -> address as it is sent; NULL where it is none.
        """CREATE TEMP MACRO sent_address(v) AS CASE
            WHEN plain_address(v) IS NOT NULL THEN plain_address(v) WHEN v IS NOT NULL THEN other_address(v) END""",
        # Text, trimmed and in NFC; NULL where nothing is left.
        f"CREATE TEMP MACRO trimmed(v) AS nullif(nfc_normalize(trim(v, {literal(WHITE_SPACE)})), '')",
        # Text with single spaces; NULL where nothing is left.
        f"CREATE TEMP MACRO spaced(v) AS trimmed(regexp_replace(v, '[{WHITE_SPACE}]+', ' ', 'g'))",
        # Text -> JSON string, for any text.
        rf"""CREATE TEMP MACRO json_text(v) AS CASE
            WHEN regexp_matches(v, '[\x01-\x1f]') THEN '"' || {_replaced("v", _ESCAPES)} || '"'
            ELSE json_quote(v) END""",
        # Number -> JSON number without plus sign, leading or trailing zeros, minus zero; NULL if it is none.
        """CREATE TEMP MACRO without_zeros(v) AS
            CASE WHEN contains(v, '-') AND regexp_matches(v, '[1-9]') THEN '-' ELSE '' END
            || coalesce(nullif(ltrim(split_part(v, '.', 1), '+-0'), ''), '0')
            || coalesce('.' || nullif(rtrim(split_part(v, '.', 2), '0'), ''), '')""",
        f"""CREATE TEMP MACRO json_typed_number(v) AS CASE
            WHEN regexp_full_match(v, '{TERSE_NUMBER}') THEN v
            WHEN regexp_full_match(v, '{PLAIN_NUMBER}') THEN without_zeros(v) END""",
        f"""CREATE TEMP MACRO json_number(v) AS CASE
            WHEN regexp_full_match(v, '{terse}') THEN v
            WHEN regexp_full_match(v, '{plain}') THEN without_zeros(v)
            WHEN v IS NOT NULL THEN other_number(v) END""",
        # Date -> the same day in another format, as JSON string; NULL if there is no such day.
        f"""CREATE TEMP MACRO json_date(v, form) AS json_quote(strftime(try_cast(CASE
            WHEN regexp_full_match(v, '{ISO_DATE}') THEN left(v, 10)
            WHEN v IS NOT NULL THEN other_day(v) END AS DATE), form))""",
        # Words for yes and no -> true or false; NULL for any other word.
        f"""CREATE TEMP MACRO json_boolean(v) AS CASE
            WHEN {_is_one_of("lower(v)", TRUE_WORDS)} THEN 'true'
            WHEN {_is_one_of("lower(v)", FALSE_WORDS)} THEN 'false' END""",
        # Telephone number -> + and digits.
        f"CREATE TEMP MACRO without_fillers(v) AS {_replaced('v', _NOT_DIALLED)}",
        """CREATE TEMP MACRO dialled(v) AS CASE WHEN starts_with(without_fillers(v), '00')
            THEN '+' || substr(without_fillers(v), 3) ELSE without_fillers(v) END""",
        f"""CREATE TEMP MACRO json_phone(v) AS '"' || CASE
            WHEN regexp_full_match(dialled(v), {literal(possible)})
                AND NOT regexp_matches(dialled(v), {literal(prefixed)}) THEN dialled(v)
            WHEN regexp_full_match(dialled(v), {literal(phones.DIALLED)}) THEN other_phone(dialled(v)) END || '"'""",
    )


def _is_one_of(value: str, words: Sequence[str]) -> str:
    """SQL without IN, which DuckDB may turn into a join."""
    return "(" + " OR ".join(f"{value} = {literal(word)}" for word in words) + ")"


@cache
def untidy() -> str:
    """Expression that matches a row, values between NULs, in which any value has to be trimmed, normalised or escaped.

    ASCII that may stand in a JSON string as it is, and `_inert_ranges`, are tidy.
    """
    return rf"[^\x00 !#-\[\]-~{_inert_ranges()}]|\x00 | \x00"


@cache
def _inert_ranges() -> str:
    """Characters of which any sequence is in NFC: starters that stay as they are and compose with nothing before them.

    That is the quick check of https://www.unicode.org/reports/tr15/#Detecting_Normalization_Forms, for the characters
    of the basic plane that Python's tables know, without white space and control characters.
    """
    characters = [chr(code) for code in range(0xA1, 0xD800)] + [chr(code) for code in range(0xE000, 0x10000)]
    decomposed = (unicodedata.decomposition(character).split() for character in characters)
    composing = {chr(int(codes[1], 16)) for codes in decomposed if len(codes) == 2 and not codes[0].startswith("<")}
    composing |= {chr(code) for code in range(0x1160, 0x1200)}  # vowels and finals of Hangul compose by rule
    ranges: list[list[int]] = []
    for character in characters:
        if character in composing or not _stays(character):
            continue
        if ranges and ranges[-1][1] == ord(character) - 1:
            ranges[-1][1] += 1
        else:
            ranges.append([ord(character), ord(character)])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


def _stays(character: str) -> bool:
    return (
        unicodedata.category(character)[0] not in "CZ"
        and unicodedata.combining(character) == 0
        and unicodedata.normalize("NFC", character) == character
    )


def json_member(field: TargetField, value: str, *, tidy: str = "tidy", typed: bool = False) -> str:
    """SQL for one value with its key, as in `"city":"Split"`; NULL where the value is empty or does not fit the field.

    `value` is SQL for the trimmed text, `tidy` SQL that says that nothing in it needs to be escaped. `typed` says that
    numbers come from a column of numbers, so that a point in them begins the decimals.
    """
    key = json.dumps(field.path[-1], ensure_ascii=False) + ":"
    match field.type:
        case FieldType.NUMBER:
            return f"{literal(key)} || {'json_typed_number' if typed else 'json_number'}({value})"
        case FieldType.DATE:
            return f"{literal(key)} || json_date({value}, {literal(field.date_format)})"
        case FieldType.BOOLEAN:
            return f"{literal(key)} || json_boolean({value})"
        case FieldType.PHONE:
            return f"{literal(key)} || json_phone({value})"
        case FieldType.TEXT:
            quoted = f"concat({literal(key + chr(34))}, {value}, '\"')"
            text = f"CASE WHEN {tidy} THEN {quoted} ELSE {literal(key)} || json_text({value}) END"
            if field.max_chars is None:
                return f"CASE WHEN {value} IS NOT NULL THEN {text} END"
            # Bytes first: they are known, while characters have to be counted.
            fits = f"strlen({value}) <= {field.max_chars} OR length({value}) <= {field.max_chars}"
            return f"CASE WHEN {fits} THEN {text} END"


def field_text(source: Source, value_of: Mapping[str, str]) -> tuple[str, str]:
    """SQL for the text that fills a field, and SQL that says that nothing in it needs to be escaped.

    `value_of` has SQL for the trimmed value of each column; a column `tidy` beside them is true for whole rows.
    """
    if source.column is not None:
        return value_of[source.column], "tidy"
    pieces = [value_of[piece.text] if piece.is_column else literal(piece.text) for piece in source.pieces]
    if source.constant is not None:
        return pieces[0], "false"
    columns = [value_of[column] for column in source.columns]
    whole = f"concat({', '.join(pieces)})"
    complete = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    plain = all(_is_plain(piece.text) for piece in source.pieces if not piece.is_column)
    edges = source.pieces[0].text[:1] == " " or source.pieces[-1].text[-1:] == " "
    as_it_is = f"tidy AND {complete} AND NOT contains({whole}, '  ')" if plain and not edges else "false"
    text = f"""CASE WHEN {as_it_is} THEN {whole}
        WHEN coalesce({", ".join(columns)}) IS NOT NULL THEN spaced({whole}) END"""
    return text, "tidy" if plain else "false"


def _is_plain(text: str) -> bool:
    """Whether a text is as it stands in a JSON string, with neighbours that are."""
    return re.fullmatch(rf"[ !#-\[\]-~{_inert_ranges()}]*", text) is not None


def json_members(members: Sequence[tuple[tuple[str, ...], str]]) -> str:
    """SQL for the members of a JSON object without its braces, '' where there are none.

    `members` are paths and SQL for what `json_member` gives. Paths with the same first key become one nested object,
    which is left out when it is empty.
    """
    nested: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for path, member in members:
        nested.setdefault(path[0], []).append((path[1:], member))
    written = [_written(key, inner) for key, inner in nested.items()]
    return f"concat_ws(',', {', '.join(written)})" if written else "''"


def _written(key: str, inner: Sequence[tuple[tuple[str, ...], str]]) -> str:
    path, member = inner[0]
    if not path:
        return member
    name = literal(json.dumps(key, ensure_ascii=False) + ":{")
    return f"{name} || nullif({json_members(inner)}, '') || '}}'"


def contact_json(shape: ContactShape, *, email: str, address: str, rest: str) -> str:
    """SQL for a whole contact: `email` as it is sent, or else `address` as it came, and the members that follow it."""
    (key,) = shape.email.path  # an address stands at the top of the object with every provider
    name = json.dumps(key, ensure_ascii=False) + ":"
    start = literal("{" + name + '"')
    plain = f"{start} || {email} || CASE WHEN {rest} = '' THEN '\"}}' ELSE '\",' || {rest} || '}}' END"
    member = f"{literal(name)} || json_text(coalesce({email}, {address}))"
    return f"""CASE WHEN {email} IS NOT NULL AND NOT contains({email}, '"') THEN {plain}
        ELSE '{{' || concat_ws(',', {member}, nullif({rest}, '')) || '}}' END"""
