"""Cells that a spreadsheet may open."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporters.segments.spreadsheet import guarded, unguarded

FORMULA = "=+-@＝＋－＠"
#: Texts of what the guard has to do with.
tricky = st.text(alphabet=st.sampled_from(FORMULA + "'\" ,;|\t\r\n\x0019aé"), max_size=12)


@given(st.text() | tricky)
@example("'=1")
@example("''")
@example("\n=")
@example("0123456789012")
def test_every_value_comes_back(value: str) -> None:
    assert unguarded(guarded(value)) == value


@given(tricky)
@example('x;"=1+2"')
@example("line one\n=cmd()")
def test_no_cell_begins_with_a_formula_whatever_the_separator(value: str) -> None:
    cell = guarded(value)
    for separator in ",;|\t\r\n":
        for piece in cell.split(separator):
            begins = piece.lstrip('" \t\r\n')[:1]
            assert not begins or begins not in FORMULA
    assert not re.match(r"[\t\r\n\0]", cell)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("+385912345678", "'+385912345678"),
        ("-12.5", "'-12.5"),
        ("@home", "'@home"),
        ("＝1+1", "'＝1+1"),
        ("\tTab", "'\tTab"),
        ('a";=1+2', "a\";'=1+2"),
        ("01234", "'01234"),
        ("123456789012", "'123456789012"),
    ],
)
def test_what_would_be_run_or_rewritten_gets_an_apostrophe(value: str, cell: str) -> None:
    assert guarded(value) == cell


@pytest.mark.parametrize(
    "value", ["", "Ann", "'s-Hertogenbosch", "O'Brien", "Smith-Jones", "a@x.example", "2026-01-31", "12.5", "0", "0.5"]
)
def test_everything_else_stays_as_it_is(value: str) -> None:
    assert guarded(value) == unguarded(value) == value


@pytest.mark.parametrize("cell", ["+385 91 234 5678", "'s-Hertogenbosch", "'Ann'", "-5"])
def test_what_a_person_types_without_the_apostrophe_is_taken_as_it_is(cell: str) -> None:
    assert unguarded(cell) == cell
