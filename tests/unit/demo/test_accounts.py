"""What a person should become at a provider."""

import pytest

from tests.unit.demo.examples import ACCOUNT, ANA, ANA_STORED, BO, person


def test_values_are_expected_as_the_provider_stores_them() -> None:
    assert ACCOUNT.expected(ANA) == ANA_STORED


def test_empty_and_unusable_values_are_expected_nowhere() -> None:
    assert ACCOUNT.expected(BO) == {"email": BO.email, "first_name": "Bo", "custom_fields": {}}


def test_a_value_longer_than_its_field_is_expected_nowhere() -> None:
    assert ACCOUNT.expected(person(FirstName="Maria Anna"))["email"] == "ana@example.com"
    assert "first_name" not in ACCOUNT.expected(person(FirstName="Maria Anna"))


def test_only_values_that_are_there_count_as_omitted() -> None:
    assert ACCOUNT.omitted(BO) == {"DateOfBirth"}
    assert ACCOUNT.omitted(person(FirstName="Maria Anna")) == {"FirstName"}
    assert ACCOUNT.omitted(person()) == set()


@pytest.mark.parametrize(("contacts", "size", "fewest"), [(1, 1, 1), (100, 1_000, 1), (101, 10, 2), (10, 2_001, 3)])
def test_the_fewest_requests_follow_from_contacts_and_bytes(contacts: int, size: int, fewest: int) -> None:
    assert ACCOUNT.fewest_requests(contacts, size) == fewest
