"""Mask values of people, so that their shape can be read and the people cannot."""

import string
import unicodedata

from exporters.model.fields import EMAIL_FIELD

#: What stands for letters that are not shown.
HIDDEN = "***"
#: A word of so many characters is hidden as a whole: it can be a name, or a yes or no.
HIDDEN_CHARS = 3
#: Letters of scripts that know capitals. In the others one character can be a whole name.
#: https://www.unicode.org/reports/tr44/#General_Category_Values
_CASED = frozenset({"Lu", "Ll", "Lt"})


def masked(field: str, value: str | float | bool) -> str:
    """A value of a contact for people who have no business with the person.

    Words with letters keep their first one when they are longer than `HIDDEN_CHARS` and it is of a script that knows
    capitals: `Anna-Marie Smith` is `A*** S***`; `yes`, `Ann` and `王小明` are `***`. Without letters every digit and
    whatever else stands for a number becomes #, and all but ASCII punctuation becomes *: `1990-12-31` is `####-##-##`.
    An address keeps as much of its name and of its domain as of a word, and the last label: `a***@e***.com`. A JSON
    true or false is hidden.

    What is left is still a hint: who knows that a field holds one of a few words, such as `male` and `female`, can tell
    them apart by the first letter.
    """
    if isinstance(value, bool):
        return HIDDEN
    if field == EMAIL_FIELD:
        return _address(str(value))
    return " ".join(_word(word) for word in str(value).split())


def masked_example(value: str) -> str:
    """A value of whatever column, masked as `masked` does it; what reads like an address, or several, as addresses."""
    return " ".join(_address(word) if "@" in word[1:-1] else _word(word) for word in value.split())


def _address(address: str) -> str:
    name, _, domain = address.rpartition("@")
    host, dot, last = domain.rpartition(".")
    return f"{_initial(name)}@{_initial(host)}{dot}{last}" if dot else f"{_initial(name)}@{_initial(domain)}"


def _word(word: str) -> str:
    if any(letter.isalpha() for letter in word):
        return _initial(word)
    return "".join(_sign(sign) for sign in word)


def _initial(word: str) -> str:
    if len(word) <= HIDDEN_CHARS:
        return HIDDEN
    return word[0] + HIDDEN if unicodedata.category(word[0]) in _CASED else HIDDEN


def _sign(sign: str) -> str:
    if sign.isnumeric():
        return "#"
    return sign if sign in string.punctuation else "*"
