"""What a mapping may say, and what is answered to what it may not."""

from collections.abc import Mapping as Dictionary
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from exporters.model.export import Export, Mapping
from exporters.model.fields import Formats
from exporters.model.source import Source

EXPORT = {
    "id": "newsletter",
    "name": "Newsletter",
    "connection": "main",
    "segments": ["people"],
    "list_id": "1",
    "mapping": {"email": "EMail"},
}


def faults(model: type[BaseModel], value: object) -> list[tuple[str, str]]:
    """Where a document is at fault, and what is said of it."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return [(".".join(map(str, error["loc"])), error["msg"]) for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("value", "found", "label"),
    [
        ("First Name", [("First Name", True)], "First Name"),
        ("{Name}", [("{Name}", True)], "{Name}"),
        ({"column": "Name"}, [("Name", True)], "Name"),
        ({"constant": " VIP\u2003"}, [("VIP", False)], "constant"),
        ({"constant": "{Name}"}, [("{Name}", False)], "constant"),
        ({"constant": "e\u0301"}, [("é", False)], "constant"),
        ({"template": "{Name}"}, [("Name", True)], "Name"),
        ({"template": "{First} e\u0301 {Last}"}, [("First", True), (" é ", False), ("Last", True)], "First, Last"),
        ({"template": "{A}{B}{A}"}, [("A", True), ("B", True), ("A", True)], "A, B"),
        ({"template": "{{{A}}}"}, [("{", False), ("A", True), ("}", False)], "A"),
        ({"template": "{{A}} {A}"}, [("{A} ", False), ("A", True)], "A"),
    ],
)
def test_a_source_is_a_column_a_constant_or_a_template(
    value: object, found: list[tuple[str, bool]], label: str
) -> None:
    source = Source.model_validate(value)
    assert [(piece.text, piece.is_column) for piece in source.pieces] == found
    assert source.label == label
    assert list(source.columns) == list(dict.fromkeys(text for text, is_column in found if is_column))


texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=9)


@given(st.lists(st.tuples(texts, st.booleans()), max_size=9))
def test_any_text_can_stand_in_a_template_with_its_braces_doubled(written: list[tuple[str, bool]]) -> None:
    template, expected = "{Last}", ""
    for text, is_column in written:
        name = text.replace("{", "(").replace("}", ")")
        template += f"{{{name}}}" if is_column else text.replace("{", "{{").replace("}", "}}")
        expected += f"<{name}>" if is_column else normalize("NFC", text)
    pieces = Source.model_validate({"template": template}).pieces
    assert normalize(
        "NFC", "".join(f"<{piece.text}>" if piece.is_column else piece.text for piece in pieces)
    ) == normalize("NFC", "<Last>" + expected)


@pytest.mark.parametrize(
    "value", ["Name", "{Name}", {"constant": "VIP"}, {"template": "{First} {{}} {Last}"}, {"constant": " e\u0301 "}]
)
def test_a_source_is_stored_as_it_was_written(value: object) -> None:
    source = Source.model_validate(value)
    assert source.model_dump(mode="json") == value
    assert Source.model_validate_json(source.model_dump_json()) == source


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "give the name of a column, or one of constant and template"),
        ({"column": "A", "constant": "x"}, "give the name of a column, or one of constant and template"),
        ({"constant": "x", "template": "{A}"}, "give the name of a column, or one of constant and template"),
        ({"constant": " \u200b"}, "the constant is empty"),
        ({"constant": "V\0IP"}, "holds line breaks or other control characters; leave them out"),
        ({"template": "{A}\n{B}"}, "holds line breaks or other control characters; leave them out"),
        ({"template": "VIP"}, "write a column as {Name}, or use constant"),
        ({"template": "{{A}}"}, "write a column as {Name}, or use constant"),
        ({"template": "{A"}, "the brace at character 1 of the template is not closed or not opened"),
        ({"template": "{A} b}"}, "the brace at character 6 of the template is not closed or not opened"),
        ({"template": "{A} {}"}, "the brace at character 5 of the template is not closed or not opened"),
        ({"template": "{a{b}}"}, "the brace at character 1 of the template is not closed or not opened"),
        ({"template": "{A}" * 400}, "at most 1000 characters"),
        ({"tempalte": "{A}"}, "not permitted"),
        ("", "at least 1 character"),
        ("x" * 257, "at most 256 characters"),
    ],
)
def test_what_is_no_source_is_answered_with_what_to_do(value: object, message: str) -> None:
    assert [said for _, said in faults(Source, value) if message in said]


@pytest.mark.parametrize(
    ("mapping", "place", "message"),
    [
        ({}, "email", "required"),
        ({"email": {"template": "{A}@example.com"}}, "email", "valid string"),
        ({"email": "A", "frist_name": "B"}, "frist_name", "not permitted"),
        ({"email": "A", "city": {"template": "{A"}}, "city", "is not closed"),
        ({"email": "A", "custom": {"tier": {"constant": ""}}}, "custom.tier.constant", "at least 1 character"),
        ({"email": "A", "formats": {"date_order": "dmy"}}, "formats.date_order", "'day_first' or 'month_first'"),
        ({"email": "A", "formats": {"decimal_mark": ";"}}, "formats.decimal_mark", "'.' or ','"),
        (
            {"email": "A", "formats": {"phone_country": "UK"}},
            "formats.phone_country",
            "ISO 3166-1 in two capital letters",
        ),
        ({"email": "A", "formats": {"phone_country": "hr"}}, "formats.phone_country", "such as HR"),
        ({"email": "A", "formats": {"dates": "iso"}}, "formats.dates", "not permitted"),
    ],
)
def test_faults_of_a_mapping_name_their_place(mapping: Dictionary[str, Any], place: str, message: str) -> None:
    [(where, said)] = faults(Mapping, mapping)
    assert where == place
    assert message in said


def test_formats_left_out_guess_nothing() -> None:
    assert Formats() == Formats(date_order=None, decimal_mark=".", phone_country=None)
    assert Mapping(email="A").formats == Formats()


def excluded(*entries: str) -> tuple[str, ...]:
    return Export.model_validate(EXPORT | {"exclude": entries}).exclude


def test_excluded_addresses_and_domains_are_compared_in_lower_case() -> None:
    assert excluded(" None@Example.COM ", "@Example.org") == ("none@example.com", "@example.org")


@pytest.mark.parametrize(
    "entry",
    ["", "example.org", "none@", "@", "a@b@example.com", "a b@example.com", "*@example.com", "x" * 251 + "@b.c"],
)
def test_what_is_neither_address_nor_domain_cannot_be_excluded(entry: str) -> None:
    [(where, said)] = faults(Export, EXPORT | {"exclude": ["none@example.com", entry]})
    assert where == "exclude.1"
    assert "@domain" in said or "254" in said
