"""YAML as JSON would have it: what is read, what is refused, and that what is written means the same to everyone."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.configuration.yaml_text import (
    MAX_DEPTH,
    MAX_MARKS,
    MAX_MEMBERS,
    UnreadableTextError,
    dump,
    load,
    load_json,
)

#: Texts that some reader of YAML takes for something else.
TRICKY = [
    *("no", "Yes", "on", "y", "~", "null", "Null", "true", "TRUE", "12", "007", "0x1F", "0o14", "0b1", "1_000"),
    *("1e5", "-1.5E3", "1.", ".5", "+12", ".inf", ".nan", "06:00", "190:20:30", "2026-11-22", "2026-11-22T06:00:00Z"),
    *("<<", "=", "a: b", "- x", "#", "!x", "&a", "*b", "", " ", "1e5\n", "\x85", "\u2028", "\ufeff", "a\tb", "'", '"'),
]
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(TRICKY)
numbers = st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda some: st.lists(some, max_size=4) | st.dictionaries(texts, some, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(values)
def test_what_is_written_is_read_as_it_was_by_us_and_by_others(value):
    text = dump(value)

    assert load(text).value == value
    assert yaml.safe_load(text) == value


@settings(deadline=None)
@given(values)
def test_json_is_read_as_json(value):
    assert load_json(json.dumps(value)).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("off", "off"),
        ("06:00", "06:00"),
        ("12:30:45", "12:30:45"),
        ("2026-11-22", "2026-11-22"),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12", 12),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("True", "True"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'12'", "12"),
        ('""', ""),
        ("|\n  12", "12\n"),
    ],
)
def test_what_is_written_without_quotes_is_what_json_makes_of_it_or_text(text, value):
    assert load(f"a: {text}\n").value == {"a": value}


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("a: &x 1\nb: *x", "anchor", 1),
        ("a: 1\nb: *x", "anchor", 2),
        ("a: !!str 1", "tag", 1),
        ("a: !!python/object/apply:os.system [ls]", "tag", 1),
        ("a: 1\nb: 2\na: 3", "second time", 3),
        ("a:\n  '<<': 1\n  <<: 2", "second time", 3),
        ("? [1]\n: 2", "not text", 1),
        ("a: 1\n---\nb: 2", "several documents", 2),
        ("a: 1\n b: 2", "not YAML", 2),
        ("a:\n\t- 1", "not YAML", 2),
        ("a: \x00", "characters", None),
        ("a: " + "9" * 5000, "too long", 1),
        ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "levels", 1),
        ("[" * 200_000, "levels", 1),
        ("{a: " * 100_000, "levels", 1),
    ],
)
def test_what_could_mean_anything_else_is_refused_with_its_line(text, said, line):
    with pytest.raises(UnreadableTextError, match=said) as caught:
        load(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("- a\n" * (MAX_MEMBERS + 1), "20,000 members", MAX_MEMBERS + 1),
        ("".join(f"a{number}: 1\n" for number in range(MAX_MEMBERS + 1)), "20,000 members", MAX_MEMBERS + 1),
        ("[" + "a," * MAX_MARKS + "]", "1,000,000 values", None),
    ],
)
def test_what_no_configuration_has_so_many_of_is_refused(text, said, line):
    with pytest.raises(UnreadableTextError, match=said) as caught:
        load(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 2}', "twice"),
        ("[" + "{}," * MAX_MARKS + "{}]", "1,000,000 values"),
        ("NaN", "NaN"),
        ("[1,", "not JSON"),
        ("9" * 5000, "too long"),
        ("[" * 200_000, "levels"),
    ],
)
def test_json_that_programs_read_in_different_ways_is_refused(text, said):
    with pytest.raises(UnreadableTextError, match=said):
        load_json(text)


def test_a_text_knows_its_lines():
    lines = load("version: 1\nexports:\n  - id: a\n    mapping:\n      email: X\n  - id: b\n").lines

    assert lines["exports",] == 2
    assert lines["exports", 0, "mapping"] == 4
    assert lines["exports", 0, "mapping", "email"] == 5
    assert lines["exports", 1] == 6
