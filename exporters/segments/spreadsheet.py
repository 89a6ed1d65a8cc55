"""Text that a spreadsheet shows as it is, and the way back.

A cell that begins with one of a few characters is run as a formula, also where a quote or white space stands before it.
A spreadsheet that expects another separator finds cells inside a value, too. So an apostrophe is put in front of
everything that such a cell could begin with; spreadsheets take it for "this is text".
https://owasp.org/www-community/attacks/CSV_Injection

Digits that a spreadsheet would take for a number, and write back without leading zeros or with an exponent, get one as
well. Dates are left alone: their apostrophe would be all over the file.
"""

import re

#: The full-width forms are read as formulas too where Chinese, Japanese and Korean is written.
_FORMULA = r"['\"\s]*[=+\-@\uff1d\uff0b\uff0d\uff20]"
#: Where a cell may begin: at the start of a value, and after what some spreadsheet takes for a separator.
_EDGE = r"(^|[,;|\t\r\n])"
#: Longer numbers are shown, and written, with an exponent.
#: https://support.microsoft.com/office/available-number-formats-in-excel-0afe8f52-97db-41f1-b972-4b46e9f1e8d2
SHOWN_DIGITS = 11
_CHANGED = rf"'*(?:[\t\r\n\0]|0[0-9]+\Z|[0-9]{{{SHOWN_DIGITS + 1},}}\Z)"

_AT_RISK = re.compile(rf"{_EDGE}(?={_FORMULA})|^(?={_CHANGED})")
_GUARDED = re.compile(rf"{_EDGE}'(?={_FORMULA})|^'(?={_CHANGED})")


def guarded(value: str) -> str:
    """A value as the text of a cell, which no spreadsheet runs or rewrites."""
    return _AT_RISK.sub(r"\1'", value)


def unguarded(cell: str) -> str:
    """The value of a cell: what `guarded` did is undone, and nothing else."""
    return _GUARDED.sub(r"\1", cell)
