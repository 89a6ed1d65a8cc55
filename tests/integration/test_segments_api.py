"""What lies in the container, asked over HTTP: before an export is set up, and after it has run."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.integration.desk import Operator
from tests.integration.segments import PRIVATE, Layout, Person

VIEWER = {"Authorization": "Bearer person:Viewer:viewer@example.com"}
CONTRIBUTOR = {"Authorization": "Bearer person:Contributor:contributor@example.com"}
#: Segments of the test of many: what ten thousand take is a question of requests, and those are counted elsewhere.
MANY = 200


@pytest.fixture
def people() -> list[Person]:
    names = ("johanna", "klaus", "leopold")
    return [{"EMail": f"{name}@look.{PRIVATE}", "FirstName": name.title()} for name in names]


class Reader:
    """Somebody who asks the app."""

    def __init__(self, operator: Operator) -> None:
        self.url = operator.cloud.host_urls[1]

    def get(self, address: str, *, headers: Any = VIEWER, **query: object) -> requests.Response:
        return requests.get(f"{self.url}/api{address}", params=dict(query), headers=headers, timeout=60)

    def pages(self, **query: object) -> Iterator[dict[str, Any]]:
        """Every segment that a list has, page by page."""
        answer = self.get("/segments", **query)
        while True:
            assert answer.status_code == 200, answer.text
            found = answer.json()
            yield from found["items"]
            if found["next"] is None:
                return
            answer = requests.get(f"{self.url}{found['next']}", headers=VIEWER, timeout=60)


@pytest.fixture
def reader(operator: Operator) -> Reader:
    return Reader(operator)


LAYOUTS = {
    Layout.MODEL_AND_HEADERS: "dated folders",
    Layout.MODEL_WITHOUT_HEADERS: "dated folders",
    Layout.NO_MODEL: "dated folders",
    Layout.FOLDER: "folder of parts",
    Layout.FILE: "single file",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_segment_is_found_looked_at_and_followed_over_its_runs(operator: Operator, reader: Reader, people, layout):
    parts = 1 if layout is Layout.FILE else 2
    export = operator.export("sendgrid", people, layout=layout, parts=parts)

    (row,) = reader.pages(search=export.name)
    path = row["path"]
    before = reader.get("/segments/detail", path=path)
    run = export.run()
    export.deliver([*people, {"EMail": f"new@look.{PRIVATE}", "FirstName": "New"}], parts=parts)
    export.run()
    after = reader.get("/segments/detail", path=path).json()
    history = reader.get("/segments/history", path=path)

    assert (row["layout"], row["exports"]) == (LAYOUTS[layout], [export.id])
    assert (before.json()["fault"], before.json()["profiles"], before.json()["counted"]) == ("", 3, "exact")
    assert before.json()["columns"] == [
        {"name": "EMail", "type": None, "examples": ["j***@l***.example", "k***@l***.example", "l***@l***.example"]},
        {"name": "FirstName", "type": None, "examples": ["J***", "K***", "L***"]},
    ]
    assert before.json()["snapshot"] == row["snapshot"] == run["segments"][0]["snapshot"]
    assert after["profiles"] == 4
    assert [point["profiles"] for point in history.json()["points"]] == [3, 4]
    assert history.json()["points"][0]["run"] == f"/api/runs/{export.id}/{run['id']}"
    assert PRIVATE not in before.text + history.text


def test_people_are_shown_to_contributors_only_and_that_is_in_the_trail(operator: Operator, reader: Reader, people):
    export = operator.export("brevo", people)

    refused = reader.get("/segments/members", path=export.name)
    shown = reader.get("/segments/members", path=export.name, headers=CONTRIBUTOR)
    file = reader.get("/segments/members", path=export.name, headers=CONTRIBUTOR | {"Accept": "text/csv"})
    blobs = operator.cloud.state.list_blob_names(name_starts_with="audit/")
    trail = "".join(operator.cloud.state.download_blob(name).readall().decode() for name in blobs)

    assert refused.status_code == 403
    assert shown.json()["members"] == [[person["EMail"], person["FirstName"]] for person in people]
    assert file.headers["Content-Type"].startswith("text/csv")
    assert file.content.decode("utf-8-sig").splitlines()[1] == f"johanna@look.{PRIVATE},Johanna"
    assert trail.count(f"/segments/members?path={export.name}") == 4
    assert "johanna" not in trail


def test_pages_of_many_segments_follow_each_other(operator: Operator, reader: Reader):
    place = f"many-{uuid4().hex[:8]}"
    words = [f"{place}/{number % 7}/{'abcdefghij'[number % 10]}{'x' * (number // 10)}" for number in range(MANY)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: operator.cloud.segments.upload_blob(f"{name}.csv", "EMail\n"), words))

    assert [row["path"] for row in reader.pages(search=place, limit=30)] == sorted(words)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("..%2f..", 404), ("%2e%2e/exporter-state/config", 404), ("%252e%252e%252f", 404), ("%5c%5chost", 404)),
        *(("%2fetc%2fpasswd", 404), ("a%00b", 400), ("a%0d%0ab", 400), ("x" * 900, 404), ("x" * 901, 400)),
        *(("%F0%9F%92%A3" * 300, 404), ("%EF%BF%BE", 404), ("%ff%fe", 404), ("a//b", 404), ("a%3fb%23c", 404)),
    ],
)
@pytest.mark.parametrize("address", ["detail", "members", "history"])
def test_a_path_that_leads_nowhere_is_a_clear_answer(reader: Reader, address, path, status):
    url = f"{reader.url}/api/segments/{address}?path={path}"
    answer = requests.get(url, headers=CONTRIBUTOR, timeout=60)

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
