"""The file in which an import names the rows it did not take. No vendor documents its columns."""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Sequence

from infra.local.sandbox.faults import ReportFile
from infra.local.sandbox.files import not_found
from infra.local.sandbox.server import Reply

HUGE_BYTES = 256_000_000

Row = Sequence[str]


def report(kind: ReportFile, header: Row, rows: Sequence[Row]) -> Reply:
    """The download of one report in the state that the faults ask for."""
    match kind:
        case ReportFile.MISSING | ReportFile.NONE:
            return not_found()
        case ReportFile.GZIP:
            return Reply(
                body=gzip.compress(csv_bytes([header, *rows])), headers={"Content-Type": "binary/octet-stream"}
            )
        case ReportFile.HUGE:
            return _csv_reply(_with_filling(csv_bytes([header, *rows]), header))
        case ReportFile.UNKNOWN_COLUMNS:
            unknown = [("line", "code", "detail"), *((str(n), "E17", "rejected") for n, _ in enumerate(rows, start=1))]
            return _csv_reply(csv_bytes(unknown))
        case ReportFile.CSV:
            return _csv_reply(csv_bytes([header, *rows]))


def csv_bytes(rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _csv_reply(body: bytes | Iterable[bytes]) -> Reply:
    return Reply(body=body, headers={"Content-Type": "text/csv"})


def _with_filling(rows: bytes, header: Row) -> Iterator[bytes]:
    filling = csv_bytes([["x" * 1_000] * len(header)] * 1_000)
    yield rows
    for _ in range(HUGE_BYTES // len(filling)):
        yield filling
