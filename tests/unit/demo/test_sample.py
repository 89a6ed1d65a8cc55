"""The sample segment: what it holds, and that the truth it tells is the truth."""

import json
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from exporters.model.fields import ContactShape, FieldType, TargetField, email_field
from exporters.model.source import Source
from infra.local.sample.people import COLUMNS, EMAIL, people
from infra.local.sample.snapshot import EXPORT_FOLDER, SEGMENT, SNAPSHOT, TABLE, model_json, write_files
from infra.local.sample.troubles import PLACEHOLDER, TROUBLES
from infra.local.sample.truth import Truth, Verdict
from tests.unit.planning.plans import plan

PEOPLE = 3_000


def field(name: str, column: str, **options: FieldType) -> TargetField:
    return TargetField(name=name, source=Source(column=column), path=(name,), **options)


SHAPE = ContactShape(
    email=email_field("EMail"),
    fields=(
        field("first", "FirstName"),
        field("last", "LastName"),
        field("city", "City"),
        field("phone", "Telephone", type=FieldType.PHONE),
        field("born", "DateOfBirth", type=FieldType.DATE),
        field("worth", "LifetimeValue", type=FieldType.NUMBER),
    ),
)


def sample(folder: Path, **options: bool) -> tuple[dict[str, bytes], list[Truth]]:
    """Parts by file name, and the truth about each row."""
    truth: list[Truth] = []
    paths = write_files(folder, PEOPLE, tell=truth.append, **options)
    return {path.name: path.read_bytes() for path in paths}, truth


@pytest.mark.parametrize("column_headers", [True, False])
def test_the_truth_is_what_planning_finds(tmp_path: Path, column_headers: bool) -> None:
    parts, truth = sample(tmp_path, column_headers=column_headers)
    model = json.dumps(model_json("https://account.example/segments", column_headers=column_headers)).encode()
    blobs = {f"{SNAPSHOT}/{name}": data for name, data in parts.items()} | {f"{EXPORT_FOLDER}/model.json": model}

    outcome = plan(blobs, tmp_path / "work", segments=[SEGMENT], shape=SHAPE)

    planned = [row for row in truth if row.verdict is Verdict.PLANNED]
    assert [contact["email"] for contact in outcome.contacts] == [row.email for row in planned]
    for name, column in (("first", "FirstName"), ("last", "LastName"), ("city", "City")):
        values = [row.values[COLUMNS.index(column)] for row in planned]
        assert [contact.get(name, "") for contact in outcome.contacts] == values
    assert {
        (reject["part"], reject["line"], reject["kind"], reject["reason"])
        for reject in outcome.rejects
        if reject["kind"] != "omitted"
    } == {
        (f"{SNAPSHOT}/{row.part}", row.line, row.verdict, row.reason) for row in truth if row.verdict != Verdict.PLANNED
    }
    assert {
        (reject["part"], reject["line"], COLUMNS.index(reject["column"]))
        for reject in outcome.rejects
        if reject["kind"] == "omitted"
    } == {(f"{SNAPSHOT}/{row.part}", row.line, column) for row in planned for column in row.unusable}


def test_a_row_begins_on_the_line_that_the_truth_tells(tmp_path: Path) -> None:
    parts, truth = sample(tmp_path)
    lines = {name: data.split(b"\n") for name, data in parts.items()}
    for row in truth:
        if row.verdict is not Verdict.INVALID:
            login = row.email.partition("@")[0].encode()
            assert login in b"\n".join(lines[row.part][row.line - 1 : row.line + 3]).lower()


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    assert sample(first) == sample(second)


def test_about_two_rows_of_a_hundred_are_bad(tmp_path: Path) -> None:
    _, truth = sample(tmp_path)
    bad = sum(row.verdict is not Verdict.PLANNED for row in truth)
    assert 0.015 < bad / len(truth) < 0.03


def test_every_kind_of_bad_row_is_met(tmp_path: Path) -> None:
    _, truth = sample(tmp_path)
    assert {row.reason for row in truth} == {
        "", "email_missing", "email_malformed", "email_too_long", "line_malformed", "line_cut_off", "encoding_broken",
        "nul_byte", "duplicate",
    }  # fmt: skip
    assert len(TROUBLES) * 31 < PEOPLE
    assert Counter(row.email for row in truth)[PLACEHOLDER] == PEOPLE // 200


def test_without_faults_everyone_is_planned(tmp_path: Path) -> None:
    _, truth = sample(tmp_path, bad=False)
    assert {row.verdict for row in truth} == {Verdict.PLANNED}
    assert len({row.email for row in truth}) == PEOPLE


def test_what_people_mean_is_tidy() -> None:
    for values in people(2_000, seed=1):
        assert values == [unicodedata.normalize("NFC", value.strip()) for value in values]


def test_names_are_written_in_many_scripts() -> None:
    letters = {letter for values in people(2_000, seed=1) for value in values for letter in value if letter.isalpha()}
    scripts = {unicodedata.name(letter).split()[0] for letter in letters}
    assert scripts >= {
        "LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI",
        "GEORGIAN",
    }  # fmt: skip


def test_parts_without_a_header_begin_with_a_person(tmp_path: Path) -> None:
    parts, truth = sample(tmp_path, column_headers=False, bad=False)
    assert truth[0].line == 1
    assert truth[0].values[EMAIL].encode() in parts[f"{TABLE}_1.csv"].split(b"\n")[0]


def test_parts_with_a_header_differ_in_the_order_of_columns(tmp_path: Path) -> None:
    parts, _ = sample(tmp_path)
    headers = [data.removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].decode().strip() for data in parts.values()]
    assert len(set(headers)) == len(parts)
    assert {frozenset(header.split(",")) for header in headers} == {frozenset(f'"{name}"' for name in COLUMNS)}
