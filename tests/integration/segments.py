"""Segments as their producers write them."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from urllib.parse import quote

from azure.storage.blob import ContainerClient

Person = Mapping[str, str]  #: column -> value

#: Every address in these tests ends so; none of them may be found where personal data has no business.
PRIVATE = "private.example"
#: What strangers put on the queues ends so.
HOSTILE = "hostile.example"
INSTANCE = "CustomerInsights_abcd1234/BlobExport"
SNAPSHOT = "2026/11/22/0600"


class Layout(StrEnum):
    """How a segment may lie in the container."""

    MODEL_AND_HEADERS = "insights-model-headers"
    MODEL_WITHOUT_HEADERS = "insights-model-no-headers"
    NO_MODEL = "insights-no-model"
    FOLDER = "flat-folder"
    FILE = "flat-file"


def upload(
    container: ContainerClient,
    name: str,
    people: Sequence[Person],
    *,
    layout: Layout = Layout.FILE,
    parts: int = 1,
    snapshot: str = SNAPSHOT,
) -> str:
    """Write a segment, or a new snapshot of it; answers the path that an export names."""
    columns = list(dict.fromkeys(column for person in people for column in person))
    size = -(-len(people) // parts)
    slices = [people[first : first + size] for first in range(0, len(people), size)]
    headers = layout is not Layout.MODEL_WITHOUT_HEADERS
    texts = [as_csv(columns, some, headers=headers) for some in slices]
    if layout is Layout.FILE:
        container.upload_blob(f"{name}.csv", "".join(texts), overwrite=True)
        return name
    if layout is Layout.FOLDER:
        segment, folder = name, name
    else:
        container_name = f"{INSTANCE}-{name}"  # a model.json lies beside its tables, so each has a place of its own
        segment, folder = f"{container_name}/{name}", f"{container_name}/{name}/{snapshot}"
    blobs = [f"{folder}/{name}_{number}.csv" for number in range(1, len(texts) + 1)]
    for blob, text in zip(blobs, texts, strict=True):
        container.upload_blob(blob, text, overwrite=True)
    if layout in {Layout.MODEL_AND_HEADERS, Layout.MODEL_WITHOUT_HEADERS}:
        write_model(container, segment, columns, blobs, headers=headers)
    return segment


def write_model(
    container: ContainerClient, segment: str, columns: Sequence[str], blobs: Sequence[str], *, headers: bool
) -> None:
    """Write the model.json that describes a segment."""
    folder, _, table = segment.rpartition("/")
    settings = {"$type": "CsvFormatSettings", "columnHeaders": headers, "delimiter": ",", "encoding": "UTF-8"}
    entity = {
        "$type": "LocalEntity",
        "name": table,
        "attributes": [{"name": column, "dataType": "string"} for column in columns],
        "partitions": [
            {"location": f"{container.url}/{quote(blob)}", "fileFormatSettings": settings} for blob in blobs
        ],
    }
    model = {"name": "cdm", "version": "1.0", "entities": [entity]}
    container.upload_blob(f"{folder}/model.json", json.dumps(model), overwrite=True)


def as_csv(columns: Sequence[str], people: Sequence[Person], *, headers: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\r\n")
    if headers:
        writer.writeheader()
    writer.writerows(people)
    return text.getvalue()
