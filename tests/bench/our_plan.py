"""Everything between the blobs of a segment and the first request, as the app does it.

`python -m tests.bench.our_plan FOLDER WORK [--ledger FILE] [--write-ledger FILE]`: the parts lie in FOLDER, batches are
counted and thrown away. A ledger is written after the measuring, as if every contact had been delivered.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporters.memory import share_arenas
from exporters.model.batch import Tally
from exporters.model.fields import ContactShape, FieldType, TargetField, custom_name, email_field
from exporters.model.source import Source
from exporters.planning.ledger import merge_ledger
from exporters.planning.plan import PlanInputs, Planned, make_plan
from exporters.providers.base import Envelope
from exporters.providers.sendgrid import DATE_FORMAT, MAX_CUSTOM_TEXT_CHARS, STANDARD_FIELDS, SendGrid
from exporters.segments.reading import fetch_segment
from exporters.segments.snapshots import newest_snapshot
from exporters.settings import Settings
from exporters.storage.blobs import BlobInfo
from tests.bench.effort import Made, tell
from tests.bench.sendgrid_fields import CUSTOM, STANDARD

MEMORY_MB: int = Settings.model_fields["plan_memory_mb"].default
THREADS: int = Settings.model_fields["plan_threads"].default

CUSTOM_TYPES = {"LoyaltyTier": FieldType.TEXT, "LifetimeValue": FieldType.NUMBER, "DateOfBirth": FieldType.DATE}


class FolderStore:
    """A local folder in place of a container, for the plan alone: getting a part costs a copy and no network."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, name: str) -> None:
        """There is no model.json."""

    def folders(self, prefix: str) -> Iterator[str]:
        return iter(())

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        for path in sorted((self._root / prefix).glob("*")):
            stat = path.stat()
            modified = datetime.fromtimestamp(stat.st_mtime, UTC)
            yield BlobInfo(name=prefix + path.name, etag=str(stat.st_mtime_ns), size=stat.st_size, modified=modified)

    def download(self, name: str, target: Path, *, etag: str | None = None) -> None:
        shutil.copyfile(self._root / name, target)


def main(folder: Path, work: Path, ledger: Path | None, new_ledger: Path | None) -> None:
    share_arenas()
    started = time.perf_counter()
    planned, staged_bytes = plan(folder, work, ledger)
    tell(started, Made(contacts=planned.counts.planned, bytes=staged_bytes))
    if new_ledger is not None:
        delivered = {number: Tally(delivered=contacts) for number, contacts in enumerate(planned.batches)}
        merge_ledger(ledger, planned.contacts, delivered, new_ledger, work=work, memory_mb=MEMORY_MB, threads=THREADS)


def plan(folder: Path, work: Path, ledger: Path | None) -> tuple[Planned, int]:
    """Fetch and plan with the app's default settings; answers the plan and the bytes it staged."""
    shape = ContactShape(email=email_field("EMail"), fields=tuple(fields()))
    store = FolderStore(folder.parent)
    snapshot = newest_snapshot(store, folder.name, now=datetime.now(UTC), settle=timedelta())
    segment = fetch_segment(store, snapshot, columns=shape.columns, folder=work)
    inputs = PlanInputs(
        segments=[segment],
        shape=shape,
        limits=SendGrid.limits,
        envelope=Envelope(head=b'{"list_ids":["list"],"contacts":[', tail=b"]}"),
        ledger=ledger,
    )
    staged: list[int] = []
    plan_folder = work / "plan"
    plan_folder.mkdir()
    planned = make_plan(
        inputs,
        work=plan_folder,
        stage=lambda _, lines: staged.append(len(lines)),
        memory_mb=MEMORY_MB,
        threads=THREADS,
    )
    return planned, sum(staged)


def fields() -> Iterator[TargetField]:
    """The fields of the sample, as the SendGrid file makes them of a mapping."""
    columns = {key: column for column, key in STANDARD.items()}
    for field, (key, max_chars) in STANDARD_FIELDS.items():
        if key in columns:
            source = Source(column=columns[key])
            yield TargetField(name=field.value, source=source, path=(key,), max_chars=max_chars)
    for column, key in CUSTOM.items():
        kind = CUSTOM_TYPES[column]
        yield TargetField(
            name=custom_name(column),
            source=Source(column=column),
            path=("custom_fields", key),
            type=kind,
            max_chars=MAX_CUSTOM_TEXT_CHARS if kind is FieldType.TEXT else None,
            date_format=DATE_FORMAT,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--ledger", type=Path)
    parser.add_argument("--write-ledger", type=Path)
    options = parser.parse_args()
    main(options.folder, options.work, options.ledger, options.write_ledger)
