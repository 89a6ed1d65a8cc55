"""How a value of the segment becomes a value of the provider: DuckDB macros, and the expression of one contact.

A value is trimmed and put in Unicode NFC, and not otherwise changed. What then does not fit its field is left out, with
a reason. The JSON text is what `json.dumps(contact, ensure_ascii=False, separators=(",", ":"))` would give.
"""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

from exporters.model.fields import ContactShape, FieldType, TargetField
from exporters.model.reject import RejectReason
from exporters.planning.database import literal

#: What is trimmed: everything that Unicode calls white space, zero-width space and byte order mark.
WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
#: Matches a row in which any value has to be trimmed: that costs ten times what normalising costs, and is rare.
PADDED = f"\\x00[{WHITE_SPACE}]|[{WHITE_SPACE}]\\x00"

#: Digits of a number, before and after the point.
MAX_DIGITS = 30
NUMBER = rf"[+-]?([0-9]{{1,{MAX_DIGITS}}}(\.[0-9]{{0,{MAX_DIGITS}}})?|\.[0-9]{{1,{MAX_DIGITS}}})"
TERSE_NUMBER = rf"(0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})(\.[0-9]{{0,{MAX_DIGITS - 1}}}[1-9])?"
#: ISO 8601: a date, or a date and time of which the date is taken as it stands. Years before 1000 are placeholders.
DATE = (
    r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)? ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
#: E.164 takes 15 digits at most, country code first. https://www.itu.int/rec/T-REC-E.164
PHONE = r"\+[1-9][0-9]{6,14}"
PHONE_00 = r"00[1-9][0-9]{6,14}"
#: Taken out of telephone numbers: white space, dots, slashes, brackets and the many dashes.
PHONE_FILLERS = " \u00a0\t./()[]-\u2010\u2011\u2012\u2013\u2014"

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
_NOT_DIALLED = [("(0)", ""), *((filler, "") for filler in PHONE_FILLERS)]

MACROS = (
    # Text, trimmed and in NFC; NULL where nothing is left.
    f"CREATE TEMP MACRO trimmed(v) AS nullif(nfc_normalize(trim(v, {literal(WHITE_SPACE)})), '')",
    # Text -> JSON string, for any text.
    rf"""CREATE TEMP MACRO json_text(v) AS CASE
        WHEN regexp_matches(v, '[\x01-\x1f]') THEN '"' || {_replaced("v", _ESCAPES)} || '"' ELSE json_quote(v) END""",
    # Decimal digits -> JSON number without plus sign, leading or trailing zeros, minus zero; NULL if not a number.
    # Most numbers stand like that already.
    f"""CREATE TEMP MACRO json_number(v) AS CASE
        WHEN regexp_full_match(v, '{TERSE_NUMBER}') THEN v
        WHEN regexp_full_match(v, '{NUMBER}') THEN
            CASE WHEN contains(v, '-') AND regexp_matches(v, '[1-9]') THEN '-' ELSE '' END
            || coalesce(nullif(ltrim(split_part(v, '.', 1), '+-0'), ''), '0')
            || coalesce('.' || nullif(rtrim(split_part(v, '.', 2), '0'), ''), '') END""",
    # ISO date or timestamp -> the same day in another format, as JSON string; NULL if there is no such day.
    f"""CREATE TEMP MACRO json_date(v, form) AS CASE WHEN regexp_full_match(v, '{DATE}')
        THEN json_quote(strftime(try_cast(left(v, 10) AS DATE), form)) END""",
    # Words for yes and no -> true or false; NULL for any other word.
    """CREATE TEMP MACRO json_boolean(v) AS CASE
        WHEN lower(v) IN ('true', 'yes', '1') THEN 'true' WHEN lower(v) IN ('false', 'no', '0') THEN 'false' END""",
    # Telephone number -> + and digits; the (0) that is not dialled from abroad goes.
    f"CREATE TEMP MACRO dialled(v) AS {_replaced('v', _NOT_DIALLED)}",
    f"""CREATE TEMP MACRO json_phone(v) AS CASE
        WHEN regexp_full_match(dialled(v), '{PHONE}') THEN '"' || dialled(v) || '"'
        WHEN regexp_full_match(dialled(v), '{PHONE_00}') THEN '"+' || substr(dialled(v), 3) || '"' END""",
)


@cache
def untidy() -> str:
    """Expression that matches a row, values between NULs, in which any value has to be trimmed, normalised or escaped.

    ASCII that may stand in a JSON string as it is, and `_inert_ranges`, are tidy.
    """
    return rf"[^\x00 !#-\[\]-~{_inert_ranges()}]|\x00 | \x00"


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


def json_member(field: TargetField, value: str) -> str:
    """SQL for one value with its key, as in `"city":"Split"`; NULL where the value is empty or does not fit the field.

    `value` is SQL for the trimmed text; a column `tidy` beside it says that nothing in the row needs to be escaped.
    """
    key = json.dumps(field.path[-1], ensure_ascii=False) + ":"
    match field.type:
        case FieldType.NUMBER:
            return f"{literal(key)} || json_number({value})"
        case FieldType.DATE:
            return f"{literal(key)} || json_date({value}, {literal(field.date_format)})"
        case FieldType.BOOLEAN:
            return f"{literal(key)} || json_boolean({value})"
        case FieldType.PHONE:
            return f"{literal(key)} || json_phone({value})"
        case FieldType.TEXT:
            quoted = f"concat({literal(key + chr(34))}, {value}, '\"')"
            text = f"CASE WHEN tidy THEN {quoted} ELSE {literal(key)} || json_text({value}) END"
            if field.max_chars is None:
                return f"CASE WHEN {value} IS NOT NULL THEN {text} END"
            # Bytes first: they are known, while characters have to be counted.
            fits = f"strlen({value}) <= {field.max_chars} OR length({value}) <= {field.max_chars}"
            return f"CASE WHEN {fits} THEN {text} END"


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


def contact_json(shape: ContactShape, email: str, rest: str) -> str:
    """SQL for a whole contact, from SQL for its address and for the members that follow it."""
    (key,) = shape.email.path  # an address stands at the top of the object with every provider
    start = literal(json.dumps({key: ""}, ensure_ascii=False, separators=(",", ":"))[:-2])
    return f"{start} || {email} || CASE WHEN {rest} = '' THEN '\"}}' ELSE '\",' || {rest} || '}}' END"
