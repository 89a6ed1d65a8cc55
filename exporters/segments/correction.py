"""A corrected rejects file: what people post after they have corrected the rejects of a run in a spreadsheet.

`write_clean` checks it when it is posted and writes it anew; `fetch_correction` brings it to the plan of its run as a
segment of one part.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TextIO

from exporters.errors import SegmentError
from exporters.model.fields import EMAIL_FIELD, ContactShape, Formats
from exporters.model.reject import REASONS, RejectReason
from exporters.model.source import Source
from exporters.segments.columns import listed
from exporters.segments.faults import PartFault
from exporters.segments.header import Header, read_header
from exporters.segments.reading import LocalSegment, fetch_segment
from exporters.segments.snapshots import Snapshot
from exporters.segments.spreadsheet import unguarded
from exporters.segments.text import MAX_LINE_BYTES, OVERLONG, is_utf8, readlines, to_utf8
from exporters.storage.blobs import BlobStore

#: What a rejects file says beside the fields; not read from a corrected one.
LINE_COLUMN = "line"
REPORT_COLUMNS = (
    "kind", "reason", "sentence", "remedy", "column", "value", "provider_words", "segment", "part", LINE_COLUMN,
)  # fmt: skip
#: Most people of one file. Who has more to correct corrects the source, and lets the export run.
MAX_PEOPLE = 100_000
#: Faults of one file that are reported together.
MAX_FAULTS = 20
#: How messages and rejects call the file: what it was called before it was posted is not known.
NAME = "correction.csv"
#: An .xlsx file is a ZIP archive, an .xls file an OLE document: both begin with a signature.
#: https://en.wikipedia.org/wiki/List_of_file_signatures
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanFile:
    """What a corrected file holds."""

    fields: tuple[str, ...]  #: that it has a column for, in its order
    people: int


def write_clean(source: Path, target: Path, *, fields: Sequence[str]) -> CleanFile:
    """Write a corrected file anew: UTF-8, commas, one column a field, every person on the line on which they stood.

    `source` is the file as posted, and is used up: comma, semicolon, tab or bar between the cells, in any encoding that
    spreadsheets write. `fields` are those that the export maps. What `spreadsheet.guarded` did to a cell is undone.
    Raises SegmentError with all faults together, each with its line and what to do.
    """
    try:
        header = _header(source)
        columns = _columns(header.names, fields)
        with target.open("w", encoding="utf-8", newline="") as file:
            people = _write_people(source, file, header, columns)
    except PartFault as fault:
        raise SegmentError(str(fault)) from None
    return CleanFile(fields=tuple(columns), people=people)


def _header(source: Path) -> Header:
    with source.open("rb") as file:
        if file.read(4).startswith(_WORKBOOKS):
            raise PartFault("This is a workbook, not a CSV file: save it as CSV UTF-8, and post that.")
    if not to_utf8(source, told=None, name=NAME).lines:
        raise PartFault("The file is empty: post the rejects of the run, corrected, with their header.")
    if faults := list(islice(_unreadable(source), MAX_FAULTS + 1)):
        raise PartFault(_together(faults))
    return read_header(source, None, name="The file")


def _unreadable(source: Path) -> Iterator[str]:
    with source.open("rb") as file:
        for number, line in enumerate(readlines(file), start=1):
            if line.startswith(OVERLONG):
                yield f"Line {number:,} is longer than {MAX_LINE_BYTES:,} bytes: this is no CSV file."
            elif b"\0" in line:
                yield f"Line {number:,}: {REASONS[RejectReason.NUL_BYTE].sentence} Save the file as CSV UTF-8."
            elif not is_utf8(line):
                yield f"Line {number:,} holds bytes that are no text. Save the file as CSV UTF-8."


def _columns(names: Sequence[str], fields: Sequence[str]) -> dict[str, int]:
    """Field -> its position in the file, for the fields that have a column."""
    known = {field.casefold(): field for field in fields}
    found: dict[str, int] = {}
    strangers = []
    for position, name in enumerate(names):
        field = known.get(name.casefold())
        if field is None:
            if name and name.casefold() not in REPORT_COLUMNS:
                strangers.append(name)
        elif field in found:
            raise PartFault(f"The column {field} stands in the header twice: leave one.")
        else:
            found[field] = position
    if EMAIL_FIELD not in found:
        raise PartFault(
            f"The first line names no column {EMAIL_FIELD}: post the rejects of the run with the header that they have."
        )
    if strangers:
        raise PartFault(
            f"The export has no field for the column {listed(strangers)}: its fields are {listed(fields)}. Correct the"
            " name, or take the column out."
        )
    return found


def _write_people(source: Path, target: TextIO, header: Header, columns: dict[str, int]) -> int:
    """Write header and people, with blank lines where others stood, so that line numbers stay."""
    writer = csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_ALL)
    target.write("\n" * (header.lines - 1))
    # A second column, always: in a file of one, a blank line would be a person.
    writer.writerow((*columns, LINE_COLUMN))
    people, written, faults = 0, header.lines, []
    for line, end, values in _records(source, header):
        if any(values[len(header.names) :]):
            faults.append(
                f"Line {line:,} has more cells than the header: put cells with separators or quotes in them in quotes."
            )
        target.write("\n" * (line - written - 1))
        filled = [*values, *[""] * (len(header.names) - len(values))]  # Excel leaves empty cells at the end out
        writer.writerow((*(unguarded(filled[position]) for position in columns.values()), line))
        people, written = people + 1, end
        if people > MAX_PEOPLE:
            raise PartFault(f"The file has more than {MAX_PEOPLE:,} people: divide it.")
        if len(faults) > MAX_FAULTS:
            break
    if faults:
        raise PartFault(_together(faults))
    if not people:
        raise PartFault("There is nobody below the header: post the people who are to be sent.")
    return people


def _records(source: Path, header: Header) -> Iterator[tuple[int, int, list[str]]]:
    """The first and the last line of each person, and the cells. Lines without a value are passed over."""
    with source.open("rb") as file:
        lines = readlines(file)
        for _ in range(header.lines):
            next(lines)
        text = (line.decode() for line in lines)
        reader = csv.reader(text, delimiter=header.delimiter, strict=True, skipinitialspace=True)
        first = header.lines + 1
        try:
            for values in reader:
                last = header.lines + reader.line_num
                if any(values):
                    yield first, last, values
                first = last + 1
        except csv.Error:
            raise PartFault(
                f"The quotes from line {first:,} on do not add up: put the cell in quotes, and double those inside."
            ) from None


def _together(faults: Sequence[str]) -> str:
    return " ".join(faults[:MAX_FAULTS]) + (" And there are more." if len(faults) > MAX_FAULTS else "")


def corrected_shape(shape: ContactShape, fields: Sequence[str]) -> ContactShape:
    """How the people of a clean file become contacts: each field comes from the column of its own name.

    Fields without a column are not sent. Values are as the rejects file has them, whatever forms the segment uses;
    only the country of telephone numbers still counts.
    """
    return ContactShape(
        email=replace(shape.email, source=Source(column=EMAIL_FIELD)),
        fields=tuple(
            replace(field, source=Source(column=field.name)) for field in shape.fields if field.name in fields
        ),
        formats=Formats(phone_country=shape.formats.phone_country),
    )


def fetch_correction(store: BlobStore, name: str, *, run: str, columns: Sequence[str], folder: Path) -> LocalSegment:
    """Bring the clean file that is stored as `name` to a local folder. `run` is the one whose rejects were corrected.

    Raises SegmentError when it is gone.
    """
    blob = next((blob for blob in store.list(name) if blob.name == name), None)
    if blob is None:
        raise SegmentError(
            "The corrected file of this run is gone, so nothing was sent: post it again, with a new Idempotency-Key if"
            " you use one."
        )
    snapshot = Snapshot(segment=f"corrections of {run}", name=NAME, parts=(blob,), table=None)
    local = fetch_segment(store, snapshot, columns=columns, folder=folder)
    parts = (replace(part, read=part.read.model_copy(update={"name": NAME})) for part in local.parts)
    return replace(local, parts=tuple(parts))
