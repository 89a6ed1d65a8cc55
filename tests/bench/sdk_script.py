"""What one would write without us: the vendor's SDK, the csv module, batches. No verdicts, no resume, no ledger.

`python -m tests.bench.sdk_script URL LIST TIER VALUE BIRTH CONTAINER PREFIX`, with ids of a list and three custom
fields, SENDGRID_API_KEY and STORAGE in the environment. Prints the seconds it took.
"""

import csv
import io
import os
import sys
import time
from itertools import islice

from azure.storage.blob import ContainerClient
from sendgrid import SendGridAPIClient

#: As many contacts of this segment as stay below 6 MB: the SDK neither counts bytes nor writes UTF-8.
BATCH = 15_000


def main(url: str, list_id: str, tier: str, value: str, birth: str, container: str, prefix: str) -> None:
    client = SendGridAPIClient(os.environ["SENDGRID_API_KEY"], host=url).client
    storage = ContainerClient.from_connection_string(os.environ["STORAGE"], container)

    def contact(row: dict[str, str]) -> dict[str, object]:
        year, month, day = row["DateOfBirth"].split("-")
        fields = {
            "email": row["EMail"],
            "first_name": row["FirstName"],
            "last_name": row["LastName"],
            "country": row["CountryOrRegion"],
            "state_province_region": row["StateOrProvince"],
            "city": row["City"],
            "postal_code": row["PostalCode"],
        }
        custom = {tier: row["LoyaltyTier"], value: float(row["LifetimeValue"]), birth: f"{month}/{day}/{year}"}
        return {
            **{name: text for name, text in fields.items() if text},
            "custom_fields": {name: text for name, text in custom.items() if text},
        }

    for blob in storage.list_blob_names(name_starts_with=prefix):
        part = io.BytesIO(storage.download_blob(blob).readall())
        rows = csv.DictReader(io.TextIOWrapper(part, encoding="utf-8", newline=""))
        while batch := list(islice(rows, BATCH)):
            body = {"list_ids": [list_id], "contacts": [contact(row) for row in batch]}
            client.marketing.contacts.put(request_body=body)


if __name__ == "__main__":
    start = time.perf_counter()
    main(*sys.argv[1:])
    print(time.perf_counter() - start)
