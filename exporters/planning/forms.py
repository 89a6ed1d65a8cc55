"""Numbers and dates in the many forms that files hold. What stands in the usual form, DuckDB reads by itself.

The rule for numbers: a separator that can be only one thing is read as that; where it could divide thousands or begin
the decimals, as in 1,234, the mapping's `decimal_mark` says which. The rule for dates: the year has four digits; a date
of two numbers and a year is read in the mapping's `date_order`, without one only if it can be read in one way.
"""

import re
import unicodedata
from datetime import date
from decimal import Decimal
from functools import lru_cache

from exporters.model.fields import DateOrder

#: Digits of a number, before and after the point.
MAX_DIGITS = 30
#: Values that are remembered: birthdays and prices repeat.
REMEMBERED = 50_000

_CURRENCY_SIGNS = "".join(chr(code) for code in range(0x10000) if unicodedata.category(chr(code)) == "Sc")
_CURRENCY = f"(?:[{_CURRENCY_SIGNS}]|[A-Z]{{3}})?"  # as a sign, or by its letters in ISO 4217
_AMOUNT = re.compile(
    rf"(?P<open>\()? ?(?P<sign>[-+]?) ?(?P<before>{_CURRENCY}) ?(?P<sign_2>[-+]?)"
    rf"(?P<digits>[0-9][0-9., ']*?|[.,][0-9]+?)(?P<exponent>[eE][-+]?[0-9]{{1,2}})?"
    rf" ?(?P<behind>{_CURRENCY})(?P<close>\))?"
)
#: What people write for a space, an apostrophe and a minus.
_LOOKALIKES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'", "\u2212": "-"})
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:([., '])[0-9]{3})(?:\1[0-9]{3})*")
#: A thousand and more, or a small number with three decimals. No group of thousands begins with a zero.
_EITHER_NUMBER = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")


@lru_cache(maxsize=REMEMBERED)
def number(text: str, decimal_mark: str) -> str | None:
    """A trimmed text as JSON number, all of its digits kept; None where it is no number.

    Takes a sign, brackets for a minus, a currency before or behind, groups of three divided by comma, point, space or
    apostrophe, and an exponent.
    """
    match = _AMOUNT.fullmatch(text.translate(_LOOKALIKES))
    if match is None:
        return None
    signs = match["sign"] + match["sign_2"]
    if (match["open"] is None) != (match["close"] is None) or len(signs) + bool(match["open"]) > 1:
        return None
    if match["before"] and match["behind"]:
        return None
    digits = _plain_digits(match["digits"], decimal_mark)
    if digits is None:
        return None
    if match["exponent"]:
        digits = format(Decimal(digits + match["exponent"]), "f")
    whole, _, decimals = digits.partition(".")
    whole, decimals = whole.lstrip("0"), decimals.rstrip("0")
    if len(whole) > MAX_DIGITS or len(decimals) > MAX_DIGITS:
        return None
    minus = "-" if (match["open"] or signs == "-") and (whole or decimals) else ""
    return minus + (whole or "0") + (f".{decimals}" if decimals else "")


def _plain_digits(digits: str, decimal_mark: str) -> str | None:
    """Digits with a decimal point or none; None where the separators do not add up."""
    separators = [character for character in digits if not character.isdigit()]
    if not separators:
        return digits
    if _EITHER_NUMBER.fullmatch(digits):
        return digits.replace(",", ".") if separators[0] == decimal_mark else digits.replace(separators[0], "")
    if len(separators) == 1 and separators[0] in ".,":
        return digits.replace(",", ".")
    whole, last, decimals = digits.rpartition(separators[-1])
    if last in ".," and last not in whole and _GROUPED.fullmatch(whole):
        return f"{re.sub('[^0-9]', '', whole)}.{decimals}"
    return re.sub("[^0-9]", "", digits) if _GROUPED.fullmatch(digits) else None


_YEAR = "([12][0-9]{3})"  # earlier years are placeholders
_TIME = (
    r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?(?: ?[AaPp][Mm])?"
    r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
#: A date and a time of day; the day is taken as it stands, in whatever zone it was written.
_WITH_TIME = re.compile(rf"(.*[0-9.])(?:T|,? ){_TIME}")
_YEAR_FIRST = re.compile(rf"{_YEAR}(?:-([0-9]{{1,2}})-|/([0-9]{{1,2}})/|\.([0-9]{{1,2}})\.)([0-9]{{1,2}})")
_DIGITS_ONLY = re.compile(rf"{_YEAR}([0-9]{{2}})([0-9]{{2}})")
_POINTS = re.compile(rf"([0-9]{{1,2}})\. ?([0-9]{{1,2}})\. ?{_YEAR}\.?")
_EITHER_ORDER = re.compile(rf"([0-9]{{1,2}})(?:/([0-9]{{1,2}})/|-([0-9]{{1,2}})-){_YEAR}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|january|february|march|april|june|july|august|sept|september"
    r"|october|november|december)\.?"
)
_DAY = "([0-9]{1,2})(?:st|nd|rd|th)?"
_DAY_MONTH = re.compile(rf"{_DAY}[ -]{_MONTH}(?:, ?| |-){_YEAR}")
_MONTH_DAY = re.compile(rf"{_MONTH} {_DAY}(?:, ?| ){_YEAR}")


@lru_cache(maxsize=REMEMBERED)
def day(text: str, order: DateOrder | None) -> date | None:
    """The day that a trimmed text names; None where it names none, or could name two."""
    if match := _WITH_TIME.fullmatch(text):
        text = match[1]
    if match := _YEAR_FIRST.fullmatch(text) or _DIGITS_ONLY.fullmatch(text):
        year, *months, day_ = match.groups()
        return _date(year, next(month for month in months if month), day_)
    if match := _POINTS.fullmatch(text):  # day first, unless the mapping says otherwise
        first, second, year = match.groups()
        return _date(year, first, second) if order is DateOrder.MONTH_FIRST else _date(year, second, first)
    if match := _EITHER_ORDER.fullmatch(text):
        first, second, year = match[1], match[2] or match[3], match[4]
        readings = {
            DateOrder.DAY_FIRST: _date(year, second, first),
            DateOrder.MONTH_FIRST: _date(year, first, second),
        }
        days = set(readings.values()) - {None} if order is None else {readings[order]}
        return days.pop() if len(days) == 1 else None
    lower = text.lower()
    if match := _DAY_MONTH.fullmatch(lower):
        return _date(match[3], _month(match[2]), match[1])
    if match := _MONTH_DAY.fullmatch(lower):
        return _date(match[3], _month(match[1]), match[2])
    return None


def ambiguous(text: str, order: DateOrder | None) -> bool:
    """Whether a text could name two days, so that `day` takes neither."""
    return order is None and all(day(text, each) is not None for each in DateOrder) and day(text, None) is None


def _month(name: str) -> str:
    return str(_MONTHS.index(name[:3]) + 1)


def _date(year: str, month: str, day_: str) -> date | None:
    try:
        return date(int(year), int(month), int(day_))
    except ValueError:
        return None
