import pytest

from exporters.model.fields import ContactShape, TargetField, email_field
from exporters.model.source import Source
from tests.encode import Value, encode


def shape(*paths: tuple[str, ...]) -> ContactShape:
    return ContactShape(
        email=email_field("EMail"),
        fields=tuple(TargetField(name=path[-1], source=Source(column=path[-1]), path=path) for path in paths),
    )


CUSTOM = shape(("city",), ("custom", "a"), ("custom", "b"))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, '{"email":"ann@example.com"}'),
        ({("city",): "Zagreb"}, '{"email":"ann@example.com","city":"Zagreb"}'),
        ({("custom", "b"): 2.5}, '{"email":"ann@example.com","custom":{"b":2.5}}'),
        (
            {("custom", "b"): 0, ("custom", "a"): False, ("city",): "Split"},
            '{"email":"ann@example.com","city":"Split","custom":{"a":false,"b":0}}',
        ),
        ({("city",): "", ("custom", "a"): None}, '{"email":"ann@example.com"}'),
        ({("city",): 'Ž"\\\n\u2028'}, '{"email":"ann@example.com","city":"Ž\\"\\\\\\n\u2028"}'),
    ],
)
def test_a_contact_is_compact_json_in_the_order_of_the_shape_without_what_is_empty(
    values: dict[tuple[str, ...], Value], expected: str
) -> None:
    assert encode(CUSTOM, "ann@example.com", values) == expected.encode()


def test_fields_that_share_an_object_stand_where_the_first_of_them_does() -> None:
    mixed = shape(("custom", "a"), ("city",), ("custom", "b"))
    values: dict[tuple[str, ...], Value] = {("custom", "b"): "2", ("city",): "Split"}
    assert encode(mixed, "x@y.z", values) == b'{"email":"x@y.z","custom":{"b":"2"},"city":"Split"}'


def test_numbers_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(CUSTOM, "x@y.z", {("custom", "a"): float("nan")})
