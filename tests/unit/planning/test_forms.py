"""Numbers and dates in the forms that files hold them in."""

from calendar import month_name
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.model.fields import DateOrder
from exporters.planning.forms import MAX_DIGITS, ambiguous, day, number

MARKS = (".", ",")
decimals = st.tuples(st.integers(-(10**12), 10**12), st.integers(0, 8)).map(
    lambda pair: Decimal(pair[0]).scaleb(-pair[1])
)
#: What stands before and behind a number.
dresses = st.sampled_from(
    [("", ""), ("€", ""), ("€ ", ""), ("", "€"), ("", " $"), ("USD ", ""), ("", "\u00a0EUR"), ("HRK", "")]
)
signs = st.sampled_from(["-", "\u2212", "- ", "()", "+"])


def read(text: str, mark: str) -> Decimal | None:
    found = number(text, mark)
    return None if found is None else Decimal(found)


def plain(value: Decimal, mark: str) -> str:
    return format(abs(value), "f").replace(".", mark)


def grouped(value: Decimal, separator: str, mark: str) -> str:
    whole, _, decimals = plain(value, ".").partition(".")
    return f"{int(whole):,}".replace(",", separator) + (mark + decimals if decimals else "")


def signed(text: str, value: Decimal, sign: str) -> str:
    """With its sign: a minus, brackets, or where there is nothing to say perhaps a plus."""
    if value >= 0:
        return sign + text if sign == "+" else text
    return f"({text})" if sign == "()" else f"{'-' if sign == '+' else sign}{text}"


@given(decimals, st.sampled_from(MARKS), st.sampled_from([" ", "'", "\u2019", "\u00a0", "\u202f"]), signs, dresses)
def test_groups_that_no_decimals_could_begin_read_back(
    value: Decimal, mark: str, separator: str, sign: str, dress: tuple[str, str]
) -> None:
    before, behind = dress
    text = signed(before + grouped(value, separator, mark) + behind, value, sign)
    assert read(text, mark) == value


@given(decimals, st.sampled_from(MARKS), signs, dresses)
def test_groups_divided_by_the_other_mark_read_back(
    value: Decimal, mark: str, sign: str, dress: tuple[str, str]
) -> None:
    other = "," if mark == "." else "."
    before, behind = dress
    assert read(signed(before + grouped(value, other, mark) + behind, value, sign), mark) == value


@given(decimals, st.sampled_from(MARKS), signs, dresses)
def test_numbers_without_groups_read_back(value: Decimal, mark: str, sign: str, dress: tuple[str, str]) -> None:
    before, behind = dress
    assert read(signed(before + plain(value, mark) + behind, value, sign), mark) == value


@given(decimals, st.sampled_from(MARKS), st.sampled_from("eE"))
def test_numbers_with_an_exponent_read_back(value: Decimal, mark: str, letter: str) -> None:
    text = f"{value:e}".replace("e", letter).replace(".", mark)
    assert read(text, mark) == value


@given(st.text("0123456789.,' +-()eE€", max_size=12), st.sampled_from(MARKS))
def test_what_is_read_is_a_number_as_json_has_it_and_reads_as_itself(text: str, mark: str) -> None:
    found = number(text, mark)
    if found is not None:
        whole, _, decimals = found.removeprefix("-").partition(".")
        assert whole == str(int(whole))
        assert not decimals.endswith("0")
        assert found not in {"-0", ""}
        assert number(found, ".") == found


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("1,234", "1234", "1.234"),
        ("1.234", "1.234", "1234"),
        ("999,999", "999999", "999.999"),
        ("0,234", "0.234", "0.234"),
        ("1234,567", "1234.567", "1234.567"),
        ("1,23", "1.23", "1.23"),
        ("1.234,5", "1234.5", "1234.5"),
        ("1,234.5", "1234.5", "1234.5"),
        ("1,234,567", "1234567", "1234567"),
        ("1.234.567", "1234567", "1234567"),
        ("1 234.567", "1234.567", "1234.567"),
        ("1.5e3", "1500", "1500"),
        ("-0,0", "0", "0"),
        (",5", "0.5", "0.5"),
        ("5.", "5", "5"),
        ("0" * 40 + "7", "7", "7"),
    ],
)
def test_a_mark_counts_only_where_a_separator_could_be_two_things(text: str, point: str, comma: str) -> None:
    assert (number(text, "."), number(text, ",")) == (point, comma)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "€",
        "1 2",
        "1,23,4",
        "1.2.3",
        "1,234 567",
        "1.234,567.8",
        "12,34,567",
        "1''234",
        "--5",
        "-(5)",
        "(5",
        "5)",
        "5 %",
        "5 kn",
        "0x1F",
        "1_000",
        "NaN",
        "Infinity",
        "٣",
        "½",
        "1e100",
        "1e",
        "1" * (MAX_DIGITS + 1),
        "." + "1" * (MAX_DIGITS + 1),
    ],
)
def test_what_is_no_number_is_none_with_either_mark(text: str) -> None:
    assert [number(text, mark) for mark in MARKS] == [None, None]


Written = Callable[[date], str]
MONTHS = list(month_name)


def ordinal(n: int) -> str:
    return f"{n}{'th' if 10 < n < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def month(day: date) -> str:
    return MONTHS[day.month]


#: Forms that can be read in one way only.
CLEAR: tuple[Written, ...] = (
    lambda day: f"{day:%Y-%m-%d}",
    lambda day: f"{day:%Y/%m/%d}",
    lambda day: f"{day:%Y.%m.%d}",
    lambda day: f"{day.year}-{day.month}-{day.day}",
    lambda day: f"{day:%Y%m%d}",
    lambda day: f"{day.day} {month(day)} {day.year}",
    lambda day: f"{day.day}-{month(day)[:3]}-{day.year}",
    lambda day: f"{day.day:02} {month(day)[:3].upper()} {day.year}",
    lambda day: f"{ordinal(day.day)} {month(day)}, {day.year}",
    lambda day: f"{month(day)} {ordinal(day.day)}, {day.year}",
    lambda day: f"{month(day)[:3]}. {day.day} {day.year}",
    lambda day: f"{month(day).lower()} {day.day},{day.year}",
)
POINTS: tuple[Written, ...] = (
    lambda day: f"{day:%d.%m.%Y}",
    lambda day: f"{day:%d.%m.%Y.}",
    lambda day: f"{day.day}. {day.month}. {day.year}.",
)
dates = st.dates(date(1000, 1, 1), date(2999, 12, 31))
orders = st.sampled_from([None, *DateOrder])
times = st.one_of(
    st.just(""),
    st.builds(
        lambda gap, at, zone: f"{gap}{at}{zone}",
        st.sampled_from(["T", " ", ", "]),
        st.one_of(
            st.times().map(time.isoformat),
            st.times().map(lambda at: f"{at:%H:%M}"),
            st.times().map(lambda at: f"{at.hour % 12 or 12}:{at:%M %p}"),
        ),
        st.sampled_from(["", "Z", " UTC", "+01:00", "-0530", "+02"]),
    ),
)


@given(dates, st.sampled_from(CLEAR), times, orders)
def test_dates_that_can_be_read_in_one_way_read_back(
    day_: date, written: Written, at: str, order: DateOrder | None
) -> None:
    assert day(written(day_) + at, order) == day_
    assert not ambiguous(written(day_) + at, order)


@given(dates, st.sampled_from(POINTS), times, st.sampled_from([None, DateOrder.DAY_FIRST]))
def test_dates_with_points_are_day_first(day_: date, written: Written, at: str, order: DateOrder | None) -> None:
    assert day(written(day_) + at, order) == day_


@given(dates, st.sampled_from(["/", "-"]), times)
def test_dates_of_two_numbers_are_read_in_the_order_of_the_mapping(day_: date, mark: str, at: str) -> None:
    text = f"{day_.day}{mark}{day_.month}{mark}{day_.year}{at}"
    other = f"{day_.month:02}{mark}{day_.day:02}{mark}{day_.year}{at}"
    assert day(text, DateOrder.DAY_FIRST) == day(other, DateOrder.MONTH_FIRST) == day_
    two_ways = day_.day <= 12 and day_.day != day_.month
    found = (None, True) if two_ways else (day_, False)
    assert [(day(each, None), ambiguous(each, None)) for each in (text, other)] == [found, found]
    assert not any(ambiguous(text, order) for order in DateOrder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "n/a",
        "2023-02-29",
        "29.2.2023",
        "31.01.26",
        "0001-01-01",
        "3000-01-01",
        "2026-01",
        "2026-1/31",
        "1/2-2026",
        "20261301",
        "32 January 2026",
        "13/13/2026",
        "Januar 31, 2026",
        "2026-01-31 25:00",
        "2026-01-31T",
        "٢٠٢٦-٠١-٣١",
        "46053",
    ],
)
def test_what_names_no_day_is_none_and_not_ambiguous(text: str) -> None:
    assert [(day(text, order), ambiguous(text, order)) for order in (None, *DateOrder)] == [(None, False)] * 3


def test_points_are_month_first_only_where_the_mapping_says_so() -> None:
    assert day("1.2.2026", DateOrder.MONTH_FIRST) == date(2026, 1, 2)
    assert day("31.1.2026", DateOrder.MONTH_FIRST) is None


@pytest.mark.parametrize("text", ["USD5EUR", "€ 5 $", "0.123.456", "0,123,456"])
def test_two_currencies_and_groups_that_begin_with_zero_are_no_number(text: str) -> None:
    assert number(text, ".") is None
