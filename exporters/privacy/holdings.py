"""Every file that names people, and how one person is found in it and taken out of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from exporters.errors import StorageConflictError
from exporters.model.erasure import Holding
from exporters.model.names import ID_PATTERN
from exporters.parts import Parts
from exporters.planning import person
from exporters.scratch import scratch_folder
from exporters.storage import paths
from exporters.storage.blobs import BlobInfo

#: Rows of one file that are shown of a person.
MAX_ROWS = 100
#: Blobs that are listed at once.
_PAGE = 1_000
#: Folders with such files, in the order of their names.
_FOLDERS = (paths.DRIFT, paths.LEDGERS, paths.REJECTS, paths.STAGING, paths.WITHHELD)
#: Those with a folder for each export, and a file for each of its runs.
_OF_RUNS = {paths.DRIFT: Holding.DRIFT, paths.LEDGERS: Holding.LEDGER, paths.REJECTS: Holding.REJECTS}
_TABLE = ".parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A file that may name the person."""

    holding: Holding
    blob: BlobInfo
    export: str  #: empty where the name does not tell
    run: str  #: the same


@dataclass(frozen=True, slots=True, kw_only=True)
class OfExport:
    """The files of one export."""

    files: Sequence[Held]
    runs: Sequence[str]  #: that have a document
    last_change: datetime | None  #: when the document of one of its runs changed last; None: there is none


def files(parts: Parts, *, after: str = "") -> Iterator[Held]:
    """Every file that may name somebody, by name; those whose names come after one."""
    for folder in _FOLDERS:
        if after < f"{folder}\U0010ffff":
            yield from (held for blob in _listed(parts, folder, after) if (held := _held(blob)) is not None)


def export_ids(parts: Parts) -> list[str]:
    """Every export that may have such files, those too that are removed."""
    folders = chain(*(parts.state.folders(prefix) for prefix in (*_OF_RUNS, paths.RUNS)))
    documents = chain(*(parts.state.list(prefix) for prefix in (paths.EXPORTS, paths.EXPORT_STATES, paths.WITHHELD)))
    found = {PurePosixPath(name).name for name in folders}
    found |= {PurePosixPath(blob.name).stem for blob in documents}
    return sorted(name for name in found if re.fullmatch(ID_PATTERN, name))


def of_export(parts: Parts, export_id: str) -> OfExport:
    """The files of one export but for what its run has staged, and when it was last at work."""
    blobs = [
        *chain(*(parts.state.list(f"{folder}{export_id}/") for folder in _OF_RUNS)),
        *(blob for blob in parts.state.list(paths.withheld(export_id)) if blob.name == paths.withheld(export_id)),
    ]
    documents = [blob for blob in parts.state.list(f"{paths.RUNS}{export_id}/") if blob.name.endswith("/run.json")]
    held = (_held(blob) for blob in blobs)
    return OfExport(
        files=[one for one in held if one is not None],
        runs=[PurePosixPath(blob.name).parent.name for blob in documents],
        last_change=max((blob.modified for blob in documents), default=None),
    )


def find(parts: Parts, held: Held, of: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """The first rows of a file about the person of these spellings; none where it is gone.

    Raises ConfigError where the file cannot be read.
    """
    with scratch_folder("person-") as folder:
        file, work = folder / "file", folder / "work"
        work.mkdir()
        try:
            parts.state.download(held.blob.name, file)
        except StorageConflictError:
            return []
        if held.blob.name.endswith(_TABLE):
            return parts.planning.find_person(file, of, limit=MAX_ROWS, work=work)
        return [{"line": line} for line in person.find_in_lines(file, of, limit=MAX_ROWS)]


@dataclass(frozen=True, slots=True)
class Found:
    """How many rows of a file are about the person, and the file without them."""

    rows: int
    others: Path


def without(parts: Parts, held: Held, of: Sequence[str], folder: Path) -> Found:
    """Make a file without the person of these spellings, below a folder that the caller removes.

    Raises StorageConflictError where the blob is not as it was listed, ConfigError where it cannot be read.
    """
    file, others, work = folder / "file", folder / "others", folder / "work"
    work.mkdir()
    parts.state.download(held.blob.name, file, etag=held.blob.etag)
    if held.blob.name.endswith(_TABLE):
        return Found(parts.planning.erase_person(file, of, others, work=work), others)
    return Found(person.erase_from_csv(file, of, others), others)


def _listed(parts: Parts, folder: str, after: str) -> Iterator[BlobInfo]:
    last = after if after.startswith(folder) else ""
    while page := parts.state.page(folder, after=last, size=_PAGE):
        yield from page
        last = page[-1].name


def kind_of(name: str) -> Holding | None:
    """What a file holds of people, by its name; None where that is nothing."""
    file = _file(name)
    return None if file is None else file[0]


def _held(blob: BlobInfo) -> Held | None:
    """What a blob holds of people; None where that is nothing."""
    file = _file(blob.name)
    return None if file is None else Held(holding=file[0], blob=blob, export=file[1], run=file[2])


def _file(name: str) -> tuple[Holding, str, str] | None:
    """What the name of a file says: what it holds, and the export and run that it belongs to."""
    match name.split("/"):
        case [folder, export, file] if f"{folder}/" in _OF_RUNS and file.endswith(_TABLE):
            return _OF_RUNS[f"{folder}/"], export, file.removesuffix(_TABLE)
        case ["withheld", file] if file.endswith(".csv"):
            return Holding.WITHHELD, file.removesuffix(".csv"), ""
        # How far something has come: numbers, and words without addresses.
        case ["staging", run, *_, file] if not file.endswith(".json"):
            return Holding.STAGED, "", run
    return None
