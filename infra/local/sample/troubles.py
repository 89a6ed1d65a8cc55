"""What happens to the rows of real files: each function does one thing to a row, and says what should become of it."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from infra.local.sample.people import (
    CITY,
    DATE_OF_BIRTH,
    EMAIL,
    FIRST_NAME,
    LAST_NAME,
    LIFETIME_VALUE,
    LOYALTY_TIER,
    STATE,
    TELEPHONE,
)
from infra.local.sample.truth import Verdict

#: What shops type in where a customer gives no address.
PLACEHOLDER = "noreply@example.com"


@dataclass(slots=True, kw_only=True)
class Row:
    """One person on the way into a file."""

    written: list[str]  #: values as they will stand in the file; a lone surrogate U+DC80 to U+DCFF is one raw byte
    meant: list[str]  #: values as they should arrive
    earlier: Sequence[str]  #: addresses of some people of this sample who are in the file before
    verdict: Verdict = Verdict.PLANNED
    reason: str = ""
    unusable: set[int] = field(default_factory=set)
    columns_more: int = 0  #: values too many, or too few

    def invalid(self, reason: str) -> None:
        self.verdict, self.reason = Verdict.INVALID, reason

    def put(self, column: int, value: str) -> None:
        """A value that should arrive as it is."""
        self.written[column] = self.meant[column] = value

    def spoil(self, column: int, value: str) -> None:
        """A value that the person should be sent without."""
        self.put(column, value)
        self.unusable.add(column)

    def malformed(self, address: str) -> None:
        self.written[EMAIL] = address
        self.invalid("email_malformed")


Trouble = Callable[[Row], None]


# Rows that cannot be a contact.


def no_address(row: Row) -> None:
    row.written[EMAIL] = ""
    row.invalid("email_missing")


def blank_address(row: Row) -> None:
    row.written[EMAIL] = " \u00a0 "
    row.invalid("email_missing")


def address_with_space(row: Row) -> None:
    row.malformed(row.written[EMAIL].replace(".", " ", 1))


def address_with_quote(row: Row) -> None:
    local, _, domain = row.written[EMAIL].partition("@")
    row.malformed(f'{local}"@{domain}')


def address_outside_ascii(row: Row) -> None:
    row.malformed("żółw." + row.written[EMAIL])


def address_with_two_ats(row: Row) -> None:
    row.malformed(row.written[EMAIL].replace("@", "@@"))


def address_without_domain(row: Row) -> None:
    row.malformed(row.written[EMAIL].partition("@")[0] + "@localhost")


def no_address_at_all(row: Row) -> None:
    row.malformed("n/a")


def over_long_address(row: Row) -> None:
    row.written[EMAIL] = row.written[EMAIL].replace("@", "@" + "long." * 50)
    row.invalid("email_too_long")


def nul_bytes(row: Row) -> None:
    row.written[LAST_NAME] += "\0\0"
    row.invalid("nul_byte")


def broken_utf8(row: Row) -> None:
    row.written[LAST_NAME] = "Nu\udcf1ez"  # Windows-1252 in the middle of UTF-8
    row.invalid("encoding_broken")


def column_too_few(row: Row) -> None:
    row.columns_more = -1
    row.invalid("line_malformed")


def columns_too_many(row: Row) -> None:
    row.columns_more = 2
    row.invalid("line_malformed")


# Rows whose address was there before.


def _again(row: Row, address: str) -> None:
    row.put(EMAIL, address)
    row.verdict, row.reason = Verdict.DUPLICATE, "duplicate"


def address_of_a_neighbour(row: Row) -> None:
    if row.earlier:
        _again(row, row.earlier[-1])


def address_of_the_first(row: Row) -> None:
    if row.earlier:
        _again(row, row.earlier[0])


def address_in_capitals(row: Row) -> None:
    if row.earlier:
        _again(row, row.earlier[len(row.earlier) // 2])
        row.written[EMAIL] = f" {row.written[EMAIL].upper()}  "


# Rows that only look bad.


def capitals(row: Row) -> None:
    row.written[EMAIL] = row.written[EMAIL].title()


def domain_in_another_script(row: Row) -> None:
    local = row.written[EMAIL].partition("@")[0]
    row.written[EMAIL], row.meant[EMAIL] = f"{local}@bücher.example", f"{local}@xn--bcher-kva.example"


def signs_in_address(row: Row) -> None:
    row.put(EMAIL, f"o'neil+{row.written[EMAIL]}")


def commas_and_quotes(row: Row) -> None:
    row.put(LAST_NAME, 'de la "Cruz", Jr.')
    row.put(CITY, '"Old Town", \\South')


def line_breaks(row: Row) -> None:
    row.put(CITY, "Haus 7\nHintereingang\n\nWien")


def blanks_around(row: Row) -> None:
    row.written[:] = [f" \t{value}\u00a0 " for value in row.written]


def combining_marks(row: Row) -> None:
    row.put(FIRST_NAME, "Zoë Ångström")
    row.written[FIRST_NAME] = unicodedata.normalize("NFD", row.meant[FIRST_NAME])


def blank_values(row: Row) -> None:
    for column in (FIRST_NAME, STATE, LOYALTY_TIER, LIFETIME_VALUE):
        row.written[column], row.meant[column] = "  ", ""


def over_long_values(row: Row) -> None:
    row.put(FIRST_NAME, "Maria " * 12 + "Anna")
    row.put(CITY, "กรุงเทพมหานคร " * 5 + "อมรรัตนโกสินทร์")


def time_of_birth(row: Row) -> None:
    row.written[DATE_OF_BIRTH] += "T00:00:00Z"


def no_such_day(row: Row) -> None:
    row.spoil(DATE_OF_BIRTH, "1990-02-31")


def date_in_words(row: Row) -> None:
    row.spoil(DATE_OF_BIRTH, "unknown")


def no_number(row: Row) -> None:
    row.spoil(LIFETIME_VALUE, "about 1,200")


def padded_number(row: Row) -> None:
    row.put(LIFETIME_VALUE, "+0012.500")


def no_telephone_number(row: Row) -> None:
    row.spoil(TELEPHONE, "ask reception")


#: Met in turns, one every `snapshot.TROUBLE_EVERY` rows. Rows that only look bad come between those that are.
TROUBLES: Sequence[Trouble] = (
    no_address, commas_and_quotes, address_of_a_neighbour, address_with_space, line_breaks, nul_bytes,
    address_with_quote, blanks_around, address_of_the_first, address_outside_ascii, capitals, column_too_few,
    over_long_address, over_long_values, blank_address, no_such_day, address_with_two_ats, domain_in_another_script,
    columns_too_many, no_number, address_in_capitals, address_without_domain, combining_marks, broken_utf8,
    blank_values, no_address_at_all, signs_in_address, no_telephone_number, date_in_words, padded_number, time_of_birth,
)  # fmt: skip
