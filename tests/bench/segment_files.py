"""The files of the planning part: a segment as it is, the same with some people changed, the same many times over."""

import csv
from itertools import count
from pathlib import Path

from infra.local.sample.people import CITY

#: One person of so many is changed.
CHANGE_EVERY = 100
NEW_CITY = "Elsewhere"


def change_some(source: Path, target: Path) -> int:
    """Write the parts again with another city for every hundredth person; answers how many were changed."""
    target.mkdir()
    numbers, changed = count(1), 0
    for part in sorted(source.glob("*.csv")):
        with (
            part.open(encoding="utf-8", newline="") as old,
            (target / part.name).open("w", encoding="utf-8", newline="") as new,
        ):
            rows, written = csv.reader(old), csv.writer(new, quoting=csv.QUOTE_ALL, lineterminator="\n")
            written.writerow(next(rows))
            for row, number in zip(rows, numbers, strict=False):
                if number % CHANGE_EVERY == 0:
                    row[CITY] = NEW_CITY
                    changed += 1
                written.writerow(row)
    return changed


def multiply(source: Path, target: Path, times: int) -> None:
    """Write the parts so many times as long, up to ten: everyone comes again under another id and address.

    Making them anew would take minutes. In these files an @ stands in addresses only, and every id begins with 0.
    """
    target.mkdir()
    for part in sorted(source.glob("*.csv")):
        header, people = part.read_bytes().split(b"\n", 1)
        with (target / part.name).open("wb") as file:
            file.write(header + b"\n")
            for copy in range(times):
                other = people.replace(b"@", b".%d@" % copy).replace(b'\n"0', b'\n"%d' % copy)
                file.write(b'"%d' % copy + other[2:])
