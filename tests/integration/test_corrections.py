"""Rejects are downloaded over HTTP, corrected and posted back, and just those people arrive."""

import csv
import io

import pytest
import requests

from tests.integration.accounts import eventually
from tests.integration.desk import SIGNED_IN, LiveExport, Operator
from tests.integration.segments import PRIVATE, Person


@pytest.fixture
def customers() -> list[Person]:
    return [
        {"EMail": f"ann@correct.{PRIVATE}", "FirstName": "Ann"},
        {"EMail": "bo(at)private", "FirstName": "+Bo"},
    ]


def call(export: LiveExport, method: str, path: str, **request: object) -> requests.Response:
    headers = SIGNED_IN | dict(request.pop("headers", {}))
    return requests.request(method, export.cloud.host_urls[1] + path, headers=headers, timeout=30, **request)


@pytest.mark.parametrize("provider", ["sendgrid", "brevo"])
def test_a_wrong_address_is_corrected_in_the_download_and_the_person_arrives(operator: Operator, customers, provider):
    export = operator.export(provider, customers)
    run = export.run()
    address = f"/api/runs/{export.id}/{run['id']}"

    downloaded = call(export, "GET", f"{address}/rejects", headers={"Accept": "text/csv"})

    assert downloaded.status_code == 200
    assert downloaded.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert downloaded.headers["Content-Disposition"].startswith("attachment; filename=")
    assert downloaded.content.startswith("\ufeffkind,".encode())
    (row,) = csv.DictReader(io.StringIO(downloaded.content.decode("utf-8-sig"), newline=""))
    assert (row["reason"], row["email"], row["first_name"]) == ("email_malformed", "bo(at)private", "'+Bo")

    row["email"] = f"bo@correct.{PRIVATE}"
    text = io.StringIO()
    writer = csv.DictWriter(text, row, delimiter=";")
    writer.writeheader()
    writer.writerow(row)
    posted = call(export, "POST", f"{address}/corrections", data=text.getvalue(), headers={"Content-Type": "text/csv"})

    corrected = export.verdict(posted)
    assert (corrected["status"], corrected["corrects"]) == ("successful", address)
    assert sorted(export.emails()) == [f"ann@correct.{PRIVATE}", f"bo@correct.{PRIVATE}"]
    bo = next(contact for contact in export.contacts() if contact["email"].startswith("bo@"))
    assert "'+Bo'" in str(bo)
    assert export.run()["sums"]["planned"] == 0


def test_the_files_of_a_correction_are_gone_when_its_run_has_ended(operator: Operator, customers):
    export = operator.export("sendgrid", customers)
    run = export.run()
    posted = call(
        export,
        "POST",
        f"/api/runs/{export.id}/{run['id']}/corrections",
        data=f"email\nbo@correct.{PRIVATE}\n",
        headers={"Content-Type": "text/csv"},
    )

    corrected = export.verdict(posted)

    assert corrected["sums"]["delivered"] == 1
    # The run has its verdict a moment before its files go.
    staging = f"staging/{corrected['id']}/"
    eventually(lambda: not list(export.cloud.state.list_blob_names(name_starts_with=staging)))
