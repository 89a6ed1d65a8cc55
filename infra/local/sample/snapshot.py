"""A snapshot as Customer Insights exports it: parts below a folder for the minute of the refresh, and `model.json`.

https://learn.microsoft.com/dynamics365/customer-insights/data/export-azure-blob-storage
https://learn.microsoft.com/common-data-model/model-json
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from azure.storage.blob import ContainerClient

from infra.local.sample.people import COLUMNS, EMAIL, people
from infra.local.sample.troubles import PLACEHOLDER, TROUBLES, Row
from infra.local.sample.truth import Truth, Verdict

EXPORT_FOLDER = "CustomerInsights_5f3a1c7e-0b52-4d0e-9a41-6c1d7e2f9b30/BlobExport"
TABLE = "LoyalCustomers"
#: The segment as an export document names it.
SEGMENT = f"{EXPORT_FOLDER}/{TABLE}"
REFRESHED = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
#: Folder of the parts, below the segments container.
SNAPSHOT = f"{SEGMENT}/{REFRESHED:%Y/%m/%d/%H%M}"

PARTS = 3
SEED = 20_261_122
#: So that about two rows of a hundred are bad: half of the troubles only look bad, and placeholders come on top.
TROUBLE_EVERY = 31
PLACEHOLDER_EVERY = 200
#: One planned person of so many is remembered, for others to have the same address.
REMEMBER_EVERY = 50

#: Parts need not agree on the order of columns where they have a header; in a part itself it is always the same.
COLUMN_ORDERS = (
    tuple(range(len(COLUMNS))),
    (1, 0, *range(2, len(COLUMNS))),
    tuple(reversed(range(len(COLUMNS)))),
)
LINE_BREAKS = ("\n", "\r\n", "\n")
BYTE_ORDER_MARKS = (b"", b"\xef\xbb\xbf", b"")
#: What stands after the last row of a part. The last one is cut off in the middle of a line.
ENDS = (b"\n\n", b"", b'"fffffff0","cut.off@example.com","An')

Tell = Callable[[Truth], object]


def write_sample(
    container: ContainerClient, count: int, *, column_headers: bool = True, bad: bool = True, tell: Tell | None = None
) -> str:
    """Put a snapshot of so many people into a container; answers the segment's path. Options as of `write_files`.

    `model.json` goes last, as there is no snapshot before the parts it names are there.
    """
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        for path in write_files(Path(folder), count, column_headers=column_headers, bad=bad, tell=tell):
            with path.open("rb") as file:
                container.upload_blob(f"{SNAPSHOT}/{path.name}", file, overwrite=True, max_concurrency=2)
    document = json.dumps(model_json(container.url, column_headers=column_headers), indent=2)
    container.upload_blob(f"{EXPORT_FOLDER}/model.json", document, overwrite=True)
    return SEGMENT


def write_files(
    folder: Path, count: int, *, column_headers: bool = True, bad: bool = True, tell: Tell | None = None
) -> list[Path]:
    """Write the parts of a snapshot of so many people into a folder, always the same for the same arguments.

    - `column_headers`: whether each part begins with a header; without, all parts have the order of `COLUMNS`.
    - `bad`: whether rows, line ends and file ends have the faults of real files, on one line more at the end.
    - `tell` is called with the truth about every row, in order.
    """
    rows = _rows(count, bad=bad)
    paths = [folder / f"{TABLE}_{number}.csv" for number in range(1, PARTS + 1)]
    for index, path in enumerate(paths):
        size = count * (index + 1) // PARTS - count * index // PARTS
        with path.open("wb") as file:
            _write_part(file, islice(rows, size), path.name, _Style(index, header=column_headers, bad=bad), tell)
    return paths


def model_json(container_url: str, *, column_headers: bool) -> dict[str, Any]:
    """What `model.json` says of the table."""
    types = {"DateOfBirth": "dateTime", "LifetimeValue": "double"}
    settings = {
        "$type": "CsvFormatSettings",
        "columnHeaders": column_headers,
        "delimiter": ",",
        "quoteStyle": "QuoteStyle.Csv",
        "csvStyle": "CsvStyle.QuoteAlways",
        "encoding": "UTF-8",
    }
    partitions = [
        {
            "name": f"{TABLE}_{number}",
            "refreshTime": REFRESHED.isoformat(),
            "location": f"{container_url}/{SNAPSHOT}/{TABLE}_{number}.csv",
            "fileFormatSettings": settings,
        }
        for number in range(1, PARTS + 1)
    ]
    attributes = [{"name": column, "dataType": types.get(column, "string")} for column in COLUMNS]
    entity = {"$type": "LocalEntity", "name": TABLE, "attributes": attributes, "partitions": partitions}
    return {"name": "BlobExport", "version": "1.0", "modifiedTime": REFRESHED.isoformat(), "entities": [entity]}


class _Style:
    """How one part is written."""

    def __init__(self, index: int, *, header: bool, bad: bool) -> None:
        self.header = header
        self.order = COLUMN_ORDERS[index if header and bad else 0]
        self.line_break = LINE_BREAKS[index] if bad else "\n"
        self.mark = BYTE_ORDER_MARKS[index] if bad else b""
        self.end = ENDS[index] if bad else b""
        self.is_cut_off = bad and index == PARTS - 1


def _rows(count: int, *, bad: bool) -> Iterator[Row]:
    """People, some of them in trouble."""
    earlier: list[str] = []
    planned = 0
    has_placeholder = False
    for number, values in enumerate(people(count, seed=SEED), start=1):
        row = Row(written=values, meant=[*values], earlier=earlier)
        if bad and number % PLACEHOLDER_EVERY == 0:
            row.put(EMAIL, PLACEHOLDER)
            if has_placeholder:
                row.verdict, row.reason = Verdict.DUPLICATE, "duplicate"
            has_placeholder = True
        elif bad and number % TROUBLE_EVERY == 0:
            TROUBLES[number // TROUBLE_EVERY % len(TROUBLES)](row)
        if row.verdict is Verdict.PLANNED:
            planned += 1
            if planned % REMEMBER_EVERY == 0:
                earlier.append(row.meant[EMAIL])
        yield row


def _write_part(file: BinaryIO, rows: Iterator[Row], name: str, style: _Style, tell: Tell | None) -> None:
    file.write(style.mark)
    line = 1
    if style.header:
        file.write(_record([COLUMNS[column] for column in style.order], style))
        line += 1
    ordered = itemgetter(*style.order)
    for row in rows:
        values: Sequence[str] = ordered(row.written)
        if row.columns_more:
            values = [*values, "?", "?"][: len(COLUMNS) + row.columns_more]
        record = _record(values, style)
        file.write(record)
        if tell is not None:
            tell(_truth(row, name, line))
        line += record.count(b"\n")
    file.write(style.end)
    if style.is_cut_off and tell is not None:
        tell(Truth(name, line, Verdict.INVALID, "line_cut_off", "", (), frozenset()))


def _record(values: Sequence[str], style: _Style) -> bytes:
    """One row in the style QuoteAlways."""
    quoted = '","'.join([value.replace('"', '""') for value in values])
    return f'"{quoted}"{style.line_break}'.encode("utf-8", "surrogateescape")


def _truth(row: Row, part: str, line: int) -> Truth:
    email = "" if row.verdict is Verdict.INVALID else row.meant[EMAIL]
    return Truth(part, line, row.verdict, row.reason, email, tuple(row.meant), frozenset(row.unusable))
