"""A world in which somebody looks after the list: reconciles it, has it repaired, and goes back."""

import json
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from exporters.api.answers import Answer
from exporters.model.run import ExportState
from exporters.storage import paths
from tests.unit.planning.plans import rows
from tests.world import World

#: Of the tests: they are about the list, not about what would hold a run.
NO_BRAKES = {"max_share_removed": 1, "min_share_of_last": 0}


class ListWorld(World):
    """An exporter, and somebody who looks after its list."""

    def twin(self) -> "ListWorld":
        """Another world with the same state, in which nothing is under way."""
        twin = ListWorld()
        twin.time, twin.account = self.time, deepcopy(self.account)
        for mine, its in ((self.state, twin.state), (self.segments, twin.segments)):
            for blob in mine.list(""):
                found = mine.get(blob.name)
                assert found is not None
                its.delete(blob.name)
                its.create(blob.name, found.data, metadata=blob.metadata)
        return twin

    def reconcile(self, export: str = "newsletter", *, key: str | None = None) -> Answer:
        headers = {} if key is None else {"idempotency-key": key}
        return self.call("POST", f"/exports/{export}/reconciliations", headers=headers)

    def repair(self, reconciliation: dict[str, Any], *, key: str | None = None) -> Answer:
        headers = {} if key is None else {"idempotency-key": key}
        return self.call("POST", f"/runs/{reconciliation['export']}/{reconciliation['id']}/repair", headers=headers)

    def undo(self, run: str, *, key: str | None = None, export: str = "newsletter") -> Answer:
        headers = {} if key is None else {"idempotency-key": key}
        body = json.dumps({"run": run}).encode()
        return self.call("POST", f"/exports/{export}/undo", headers=headers, body=body)

    def drift(self, run: dict[str, Any], *, accept: str = "", **query: str) -> Answer:
        return self.call("GET", f"/runs/{run['export']}/{run['id']}/drift", headers={"accept": accept}, query=query)

    def ended(self, answer: Answer, **options: bool) -> dict[str, Any]:
        """The run of a start, once nothing more happens."""
        assert answer.status == 202, answer.body
        self.pump(**options)
        return self.show(answer)

    def shown(self, run: dict[str, Any]) -> dict[str, Any]:
        """A run as it is now."""
        answer = self.call("GET", f"/runs/{run['export']}/{run['id']}")
        return dict(json.loads(answer.body))

    def differing(self, run: dict[str, Any]) -> dict[str, str]:
        """Who differs, and how."""
        answer = self.drift(run)
        assert answer.status == 200, answer.body
        return {person["email"]: person["kind"] for person in json.loads(answer.body)["people"]}

    def exporter_state(self) -> ExportState:
        """What is known about the export."""
        found = self.parts.documents.read(ExportState, paths.export_state("newsletter"))
        assert found is not None
        return found.value

    def ledger(self) -> dict[str, bool]:
        """Who is in the ledger in force, and whether it knows in what form."""
        state = self.exporter_state()
        assert state.ledger is not None
        with TemporaryDirectory() as folder:
            file = Path(folder) / "ledger.parquet"
            self.state.download(paths.ledger("newsletter", state.ledger), file)
            return {row["email"]: row["fingerprint"] is not None for row in rows(file)}

    def staged(self) -> list[str]:
        return [blob.name for blob in self.state.list("staging/")]


def problem(answer: Answer) -> tuple[int, str]:
    """Status and name of a problem document."""
    body = json.loads(answer.body)
    assert body["status"] == answer.status
    return answer.status, str(body["type"]).removeprefix("urn:segment-exporter:problem:")


def detail(answer: Answer) -> str:
    return str(json.loads(answer.body)["detail"])


def people(*numbers: int) -> set[str]:
    return {f"p{number}@example.com" for number in numbers}
