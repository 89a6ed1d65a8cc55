"""Corrected files, written anew: what was downloaded comes back as it was."""

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import SegmentError
from exporters.model.fields import ContactShape, DateOrder, FieldType, Formats, TargetField, email_field
from exporters.model.source import Source
from exporters.segments.correction import CleanFile, corrected_shape, write_clean
from exporters.segments.spreadsheet import guarded

FIELDS = ("email", "first_name", "custom.note")
#: Values as contacts have them: trimmed, and without NUL, which no profile holds.
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30).map(str.strip)
people = st.lists(st.tuples(values, values, values).filter(any), min_size=1, max_size=5)


def cleaned(data: bytes) -> tuple[CleanFile, list[str], list[list[str]]]:
    """What a posted file holds, the lines of the clean one, and its people without their line numbers."""
    with TemporaryDirectory() as folder:
        posted, clean = Path(folder) / "posted", Path(folder) / "clean"
        posted.write_bytes(data)
        found = write_clean(posted, clean, fields=FIELDS)
        text = clean.read_bytes().decode()
    rows = [row[:-1] for row in csv.reader(io.StringIO(text, newline="")) if row]
    return found, text.split("\n"), rows[1:]


def sheet(rows: list[tuple[str, ...]], delimiter: str, encoding: str) -> bytes:
    """What a spreadsheet saves of guarded cells."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(FIELDS)
    writer.writerows([guarded(value) for value in row] for row in rows)
    return text.getvalue().encode(encoding)


@given(people, st.sampled_from(",;\t"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_every_contact_comes_back_as_it_was(rows: list[tuple[str, ...]], delimiter: str, encoding: str) -> None:
    found, _, read = cleaned(sheet(rows, delimiter, encoding))

    assert found == CleanFile(fields=FIELDS, people=len(rows))
    assert read == [list(row) for row in rows]


def test_everyone_keeps_their_line() -> None:
    found, lines, rows = cleaned(b'\nsep=;\nEMAIL;first_name\n\n"a";"x\ny"\n\n\nb;z\n')

    assert found == CleanFile(fields=("email", "first_name"), people=2)
    assert lines[2] == '"email","first_name","line"'
    assert lines[4:6] == ['"a","x', 'y","5"']
    assert lines[8] == '"b","z","9"'
    assert len(rows) == 2


def test_a_column_of_the_report_is_passed_over_and_the_order_is_free() -> None:
    found, _, rows = cleaned(b"Reason,first_name,LINE,Email\nrefused,Ann,7,a\n")

    assert found.fields == ("first_name", "email")
    assert rows == [["Ann", "a"]]


def test_a_stranger_is_named_with_the_fields_that_there_are() -> None:
    with pytest.raises(SegmentError, match=r"column fist_name: its fields are email, first_name, custom\.note"):
        cleaned(b"email,fist_name\na,b\n")


def test_every_field_comes_from_the_column_of_its_own_name() -> None:
    shape = ContactShape(
        email=email_field("EMail"),
        fields=(
            TargetField(name="city", source=Source(constant="Split"), path=("city",), max_chars=60),
            TargetField(
                name="custom.born", source=Source(template="{Y}-{M}"), path=("custom", "1"), type=FieldType.DATE
            ),
        ),
        formats=Formats(date_order=DateOrder.DAY_FIRST, decimal_mark=",", phone_country="HR"),
    )

    changed = corrected_shape(shape, ("custom.born", "email"))

    assert changed.columns == ("email", "custom.born")
    assert [(field.name, field.path, field.type) for field in changed.fields] == [
        ("custom.born", ("custom", "1"), FieldType.DATE)
    ]
    assert changed.email == email_field("email")
    assert changed.formats == Formats(phone_country="HR")
