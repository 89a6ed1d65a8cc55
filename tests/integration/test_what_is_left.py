"""What all the runs of these tests leave behind. By its name this file comes last."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.storage import paths
from tests.integration.accounts import eventually
from tests.integration.desk import Operator
from tests.integration.segments import HOSTILE, PRIVATE

QUEUES = ("plan-runs", "send-batches", "poll-jobs", "notify", "erase-people")
#: Where addresses belong, in the state container.
PERSONAL = ("drift/", "ledgers/", "rejects/", "staging/")


@pytest.fixture(scope="module", autouse=True)
def a_run_with_everything(running, accounts) -> None:
    """So that this file finds something when it runs alone: people good and bad, and one whom the provider refuses."""
    operator = Operator(running, accounts)
    people = [{"EMail": f"{name}@left.{PRIVATE}", "FirstName": PRIVATE} for name in ("ann", "bo", "c d", "ann")]
    export = operator.export("sendgrid", people)
    export.account.control.faults(refuse_emails=[f"bo@left.{PRIVATE}"])
    run = export.run()
    export.account.control.faults()
    assert (run["sums"]["delivered"], run["sums"]["refused"]) == (1, 1)


def base64_forms(text: bytes) -> list[bytes]:
    """How a text looks within base64, at each of three shifts, without the edges that its neighbours change."""
    return [base64.b64encode(b"\0" * shift + text)[4 if shift else 0 :][: len(text) // 3 * 4 - 4] for shift in range(3)]


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def test_no_log_names_a_person(logs: Path):
    ended = b"action=finish outcome=completed_with_warnings"
    eventually(lambda: any(ended in text for _, text in files(logs)))  # it is said after the run is seen to have ended
    found = dict(files(logs))

    words = (PRIVATE.encode(), HOSTILE.encode())
    assert [name for name, text in found.items() if any(word in text for word in words)] == []


def test_no_document_of_a_run_names_a_person(operator: Operator):
    names = [name for name in operator.cloud.state.list_blob_names() if not name.startswith(PERSONAL)]
    kept = [name for name in names if name.endswith((".json", ".jsonl")) or name.startswith(paths.JOURNAL_FOLDER)]
    documents = {name: operator.cloud.state.download_blob(name).readall() for name in kept}

    assert {name.partition("/")[0] for name in documents} >= {"runs", "state", "lanes", "journal", "audit"}
    assert [name for name, text in documents.items() if PRIVATE.encode() in text] == []
    assert [name for name in names if PRIVATE in name] == []
    assert set(names) - set(documents) == set()


def test_no_message_of_the_app_ever_named_a_person(disk: Path):
    """Azurite keeps messages on disk for a while after they were deleted."""
    found = {name: text for name, text in files(disk) if name.startswith("__queuestorage__")}
    text = b"".join(found.values())

    assert any(form in text for form in base64_forms(b'{"export":"e'))
    assert [form for form in base64_forms(PRIVATE.encode()) if form in text] == []


def test_nothing_is_left_at_work(operator: Operator):
    state = operator.cloud.state
    names = [name for queue in QUEUES for name in (queue, f"{queue}-poison")]
    eventually(lambda: [operator.messages(name) for name in names] == [0] * len(names))

    lanes = [operator.read_state(name) for name in state.list_blob_names(name_starts_with="lanes/")]
    exports = [operator.read_state(name) for name in state.list_blob_names(name_starts_with="state/exports/")]
    runs = [operator.read_state(name) for name in state.list_blob_names() if name.endswith("/run.json")]
    assert lanes
    assert [lane for lane in lanes if lane["slots"] or lane["waiting"]] == []
    assert [export["export"] for export in exports if export["active"]] == []
    assert [run["id"] for run in runs if "status" in run and run["finished"] is None] == []
    assert list(state.list_blob_names(name_starts_with="staging/")) == []
