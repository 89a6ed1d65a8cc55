"""What one would write with pandas between the files and the requests: `python -m tests.bench.pandas_script FOLDER`.

Its memory grows with the segment. It knows no ledger, so it sends everyone every time, and drops a row without a word
about which and why; one expression judges all addresses.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pandas as pd

from tests.bench.effort import Made, tell
from tests.bench.sendgrid_fields import BATCH, CUSTOM, STANDARD

ADDRESS = r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@([a-z0-9-]+\.)+[a-z]{2,}"


def main(folder: Path) -> Made:
    people = read(folder)
    contacts = written = 0
    for first in range(0, len(people), BATCH):
        batch = people.iloc[first : first + BATCH]
        body = orjson.dumps({"list_ids": ["list"], "contacts": list(as_contacts(batch))})
        contacts += len(batch)
        written += len(body)
    return Made(contacts=contacts, bytes=written)


def read(folder: Path) -> pd.DataFrame:
    """Everyone with a valid address, once."""
    columns = ["EMail", *STANDARD, *CUSTOM]
    parts = sorted(folder.glob("*.csv"))
    people = pd.concat(
        [pd.read_csv(part, dtype=str, usecols=columns, keep_default_na=False) for part in parts], ignore_index=True
    )
    people = people.apply(lambda column: column.str.strip())
    people["EMail"] = people["EMail"].str.lower()
    people = people[people["EMail"].str.fullmatch(ADDRESS)].drop_duplicates("EMail")
    people["LifetimeValue"] = pd.to_numeric(people["LifetimeValue"], errors="coerce")
    days = pd.to_datetime(people["DateOfBirth"], format="%Y-%m-%d", errors="coerce")
    people["DateOfBirth"] = days.dt.strftime("%m/%d/%Y")
    return people.rename(columns={"EMail": "email", **STANDARD, **CUSTOM})


def as_contacts(people: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Each person as SendGrid takes it. What could not be converted is NaN, which equals nothing."""
    standard, custom = ["email", *STANDARD.values()], list(CUSTOM.values())
    for values in people[standard + custom].itertuples(index=False, name=None):
        contact: dict[str, object] = {key: value for key, value in zip(standard, values, strict=False) if value}
        more = {key: value for key, value in zip(custom, values[len(standard) :], strict=True) if value == value != ""}
        yield {**contact, "custom_fields": more} if more else contact


if __name__ == "__main__":
    tell(time.perf_counter(), main(Path(sys.argv[1])))
