"""What a run has left in the state container and in the logs."""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
from azure.storage.blob import ContainerClient

from infra.local.demo.comparing import RejectRow
from infra.local.demo.following import View

#: A run has its end before the last things are put away.
TIDY_WITHIN_S = 15.0
LOOK_EVERY_S = 0.2

SELECT_REJECTS = """SELECT kind, reason, "column", email, parse_filename(part), line FROM read_parquet($path)"""


def read_rejects(state: ContainerClient, view: View) -> list[RejectRow]:
    """The rejects file of a run."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        path = Path(folder) / "rejects.parquet"
        with path.open("wb") as file:
            state.download_blob(f"rejects/{view['export']}/{view['id']}.parquet").readinto(file)
        with duckdb.connect() as database:
            rows = database.execute(SELECT_REJECTS, {"path": str(path)}).fetchall()
    return [
        RejectRow(kind=kind, reason=reason, column=column, email=email, part=part, line=line)
        for kind, reason, column, email, part, line in rows
    ]


def leak_faults(state: ContainerClient, view: View, logs: Path) -> Iterator[str]:
    """Where an address stands that must not: in the documents of a run, or in a log."""
    for blob in state.list_blobs(name_starts_with=_folder(view)):
        if b"@" in state.download_blob(blob.name).readall():
            yield f"{blob.name} holds an address"
    for log in sorted(logs.glob("*.log")):
        text = log.read_bytes()
        if any(domain in text for domain in (b"@example.", b"@mail.example.", b"@post.example.")):
            yield f"{log.name} holds an address"


def left_over_faults(state: ContainerClient, view: View) -> Iterator[str]:
    """What is still there some time after the end of a run: staged batches, places in the lane."""
    deadline = time.monotonic() + TIDY_WITHIN_S
    while (faults := list(_left_over(state, view))) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    yield from faults


def _left_over(state: ContainerClient, view: View) -> Iterator[str]:
    staged = list(state.list_blob_names(name_starts_with=f"staging/{view['id']}/"))
    if staged:
        yield f"{len(staged):,} staged files were not deleted"
    for name in state.list_blob_names(name_starts_with="lanes/"):
        lane = json.loads(state.download_blob(name).readall())
        if view["id"] in {place["run"] for place in (*lane["slots"], *lane["waiting"])}:
            yield "the run still has a place in the lane of its account"


def _folder(view: View) -> str:
    return f"runs/{view['export']}/{view['id']}/"
