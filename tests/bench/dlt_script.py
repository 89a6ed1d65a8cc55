"""What one would write with dlt between the files and the requests: `python -m tests.bench.dlt_script FOLDER WORK`.

A resource reads the files in pages, a custom destination makes the bodies, as dlt's documentation advises for both:
https://dlthub.com/docs/reference/performance, https://dlthub.com/docs/dlt-ecosystem/destinations/destination

Everything passes through files on disk twice, so memory stays small. It finds no two rows with one address (dlt merges
in the destination, and this one is a function), knows no ledger, so it sends everyone every time, and drops a row
without a word about which and why; one expression judges all addresses.
"""

import csv
import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from tests.bench.effort import Made, tell
from tests.bench.sendgrid_fields import BATCH, CUSTOM, STANDARD

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt

ADDRESS = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@([a-z0-9-]+\.)+[a-z]{2,}")
PAGE = 10_000


@dlt.resource(name="contacts", max_table_nesting=0)
def contacts(folder: Path) -> Iterator[list[dict[str, Any]]]:
    for part in sorted(folder.glob("*.csv")):
        with part.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            while page := list(islice(rows, PAGE)):
                yield [contact for row in page if (contact := as_contact(row))]


def as_contact(row: dict[str, str]) -> dict[str, Any] | None:
    email = row["EMail"].strip().lower()
    if not ADDRESS.fullmatch(email):
        return None
    fields = {key: value for column, key in STANDARD.items() if (value := row[column].strip())}
    custom: dict[str, object] = {}
    if tier := row["LoyaltyTier"].strip():
        custom[CUSTOM["LoyaltyTier"]] = tier
    if value := row["LifetimeValue"].strip():
        custom[CUSTOM["LifetimeValue"]] = float(value)
    if day := row["DateOfBirth"].strip():
        custom[CUSTOM["DateOfBirth"]] = date.fromisoformat(day).strftime("%m/%d/%Y")
    return {"email": email, **fields, **({"custom_fields": custom} if custom else {})}


def main(folder: Path, work: Path) -> Made:
    bodies: list[Made] = []

    @dlt.destination(batch_size=BATCH, name="sendgrid")
    def sendgrid(items: list[dict[str, Any]], table: dict[str, Any]) -> None:
        body = orjson.dumps({"list_ids": ["list"], "contacts": items})
        bodies.append(Made(contacts=len(items), bytes=len(body)))

    pipeline = dlt.pipeline("bench", pipelines_dir=str(work), destination=sendgrid, dev_mode=True)
    pipeline.run(contacts(folder))
    return Made(contacts=sum(body.contacts for body in bodies), bytes=sum(body.bytes for body in bodies))


if __name__ == "__main__":
    tell(time.perf_counter(), main(Path(sys.argv[1]), Path(sys.argv[2])))
