"""Telephone numbers, as phonenumbers and as the expression for DuckDB have them."""

import random
import re

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from exporters.planning.phones import DIALLED, FILLERS, MAX_DIGITS, e164, plain_international

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
TYPES = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
#: Digits that prefixes for dialling within a country begin with, so that many of them come up.
TELLING = ("", "0", "00", "1", "8", "9", "06", "15", "011", "0111", "11", "44", "99")


def example_numbers(region: str) -> list[phonenumbers.PhoneNumber]:
    found = [phonenumbers.example_number_for_type(region, kind) for kind in TYPES]
    return [number for number in found if number is not None]


def without_fillers(text: str) -> str:
    return "".join(character for character in text if character not in FILLERS)


@pytest.mark.parametrize("region", REGIONS)
def test_numbers_of_every_country_are_had_from_their_national_and_their_international_form(region: str) -> None:
    for number in example_numbers(region):
        expected = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        international = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
        national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        assert e164(without_fillers(international), None) == expected
        assert e164(without_fillers(international), region) == expected
        assert e164(without_fillers(national), region) == expected
        assert e164(without_fillers(national), None) is None


@pytest.mark.parametrize(
    ("text", "country", "sent"),
    [
        ("+385911234567", None, "+385911234567"),
        ("0911234567", "HR", "+385911234567"),
        ("0911234567", None, None),
        ("2125550100", "US", "+12125550100"),
        ("12125550100", "US", "+12125550100"),
        ("0612345678", "IT", "+390612345678"),  # Italy keeps the zero
        ("+390612345678", "HR", "+390612345678"),
        ("+49030123456", None, "+4930123456"),
        ("+999123456789", None, None),
        ("+3851", "HR", None),
        ("+385911234567890123", None, None),
        ("1234", "HR", None),
    ],
)
def test_a_number_is_written_as_it_is_dialled_from_everywhere(text: str, country: str | None, sent: str | None) -> None:
    assert e164(text, country) == sent


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32))
def test_the_expression_takes_only_what_phonenumbers_leaves_as_it_is(seed: int) -> None:
    chance = random.Random(seed)
    possible, prefixed = (re.compile(expression) for expression in plain_international())
    settled = 0
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        for _ in range(20):
            length = chance.randint(3, MAX_DIGITS + 1 - len(str(code)))
            digits = "".join(chance.choices("0123456789", k=length))
            text = f"+{code}{(chance.choice(TELLING) + digits)[:length]}"
            if possible.fullmatch(text) and not prefixed.search(text):
                settled += 1
                assert re.fullmatch(DIALLED, text)
                assert e164(text, None) == text
                assert e164(text, chance.choice(REGIONS)) == text
    assert settled > 100


@pytest.mark.parametrize("region", REGIONS)
def test_the_expression_knows_how_long_the_numbers_of_every_country_are(region: str) -> None:
    possible, _ = plain_international()
    for number in example_numbers(region):
        assert re.fullmatch(possible, phonenumbers.format_number(number, PhoneNumberFormat.E164))
