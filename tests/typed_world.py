"""A world whose provider has fields of every type, and what people do with the rejects of its runs."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from exporters.api.answers import Answer
from exporters.exporter import Exporter
from exporters.model.export import Mapping
from exporters.model.fields import FieldType, TargetField, custom_name
from exporters.providers.base import Access
from tests.world import SimulatedProvider, World

TYPES = {"phone": FieldType.PHONE, "born": FieldType.DATE, "points": FieldType.NUMBER, "vip": FieldType.BOOLEAN}
US_DATES = "%m/%d/%Y"
SHORT = 10
COLUMNS = ("EMail", "FirstName", "City", "Phone", "Born", "Points", "Vip")
MAPPING: dict[str, Any] = {
    "email": "EMail",
    "first_name": "FirstName",
    "city": "City",
    "phone": "Phone",
    "custom": {"born": "Born", "points": "Points", "vip": "Vip"},
}


class TypedProvider(SimulatedProvider):
    """Takes cities of ten letters, phones, and custom fields of the types above; days as month/day/year."""

    def check_access(self, list_id: str, mapping: Mapping, *, count_account: bool = False) -> Access:
        access = super().check_access(list_id, mapping, count_account=count_account)
        standard = [
            replace(
                field,
                type=TYPES.get(field.name, FieldType.TEXT),
                max_chars=SHORT if field.name == "city" else None,
            )
            for field in access.shape.fields
        ]
        custom = [
            TargetField(
                name=custom_name(name), source=source, path=("custom", name), type=TYPES[name], date_format=US_DATES
            )
            for name, source in mapping.custom.items()
        ]
        return replace(access, shape=replace(access.shape, fields=(*standard, *custom)))


class TypedWorld(World):
    """An exporter over that provider, and someone at a spreadsheet."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = replace(
            self.parts, connect=lambda _, key: TypedProvider(self.account, key), facts=lambda _: TypedProvider
        )
        self.exporter = Exporter(self.parts)
        self.export(mapping=MAPPING)

    def rows(self, *rows: Sequence[str]) -> None:
        """A segment of these people; values that are left out at the end are empty."""
        text = io.StringIO()
        csv.writer(text).writerows([COLUMNS, *([*row, *[""] * (len(COLUMNS) - len(row))] for row in rows)])
        self.segment(text.getvalue())

    def rejects(self, run: dict[str, Any], **query: str) -> Answer:
        return self.rejects_as("", run, **query)

    def rejects_as(self, accept: str, run: dict[str, Any], **query: str) -> Answer:
        return self.call("GET", f"/runs/{run['export']}/{run['id']}/rejects", headers={"accept": accept}, query=query)

    def correct(self, run: dict[str, Any], body: bytes, **headers: str) -> Answer:
        named = {"content-type": "text/csv"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", f"/runs/{run['export']}/{run['id']}/corrections", headers=named, body=body)

    def corrected_now(self, run: dict[str, Any], body: bytes) -> dict[str, Any]:
        """Post a corrected file, let its run come to its end, and show it."""
        answer = self.correct(run, body)
        assert answer.status == 202, answer.body
        self.pump()
        return self.show(answer)


def listed(answer: Answer) -> list[dict[str, Any]]:
    """The rejects of a JSON answer."""
    assert answer.status == 200, answer.body
    return list(json.loads(answer.body)["rejects"])


def sheet(answer: Answer) -> list[dict[str, str]]:
    """The cells of a CSV answer, as a spreadsheet shows them."""
    assert answer.status == 200, answer.body
    return list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))


def saved(
    rows: Sequence[dict[str, str]], *, delimiter: str = ",", encoding: str = "utf-8-sig", line_break: str = "\r\n"
) -> bytes:
    """The file that a spreadsheet writes of cells."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator=line_break)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def edited(answer: Answer, edit: Callable[[dict[str, str]], None]) -> bytes:
    """A CSV answer after somebody has changed its cells in a spreadsheet."""
    rows = sheet(answer)
    for row in rows:
        edit(row)
    return saved(rows)
