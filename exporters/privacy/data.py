"""All that the app keeps of one person, for the person: looked up file by file, as long as an answer may take."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exporters.delivery import records
from exporters.errors import ConfigError
from exporters.model.erasure import Holding
from exporters.model.export import Export
from exporters.model.run import ExportState
from exporters.parts import Parts
from exporters.planning import person
from exporters.privacy import holdings
from exporters.privacy.holdings import MAX_ROWS, Held
from exporters.storage import paths

#: How long one answer looks into further files. The platform ends a request after 230 seconds:
#: https://learn.microsoft.com/azure/azure-functions/functions-scale#timeout
LOOK_FOR = timedelta(seconds=60)
#: Rows that one answer shows: it is held in memory as a whole.
MAX_FOUND = 2_000
#: Digests of a ledger, which are larger than numbers of JSON can be for sure; and the contact of a reject, as JSON.
#: https://www.rfc-editor.org/rfc/rfc8259#section-6
_DIGESTS = ("fingerprint", "source")
_CONTACT = "contact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one file says of the person."""

    held: Held
    rows: Sequence[Mapping[str, Any]]
    readable: bool
    in_force: bool  #: of a ledger: the next run compares with it
    connection: str  #: of a ledger: of the list that the person was put on; empty where that is not known
    list_id: str  #: the same

    @property
    def written(self) -> datetime:
        """When the file was."""
        return self.held.blob.modified

    @property
    def more(self) -> bool:
        """Whether there may be more rows of the person."""
        return len(self.rows) == MAX_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """Some of what is kept."""

    found: Sequence[Found]
    files: int  #: that were looked into
    after: str | None  #: the last of them; None: there are no more


def look_up(parts: Parts, address: str, *, after: str = "") -> LookedUp:
    """What is kept of the person of an address, in the files whose names come after one; one is always looked into."""
    of, until = person.spellings(address), parts.now() + LOOK_FOR
    found: list[Found] = []
    files, last = 0, None
    for held in holdings.files(parts, after=after):
        if last is not None and (parts.now() >= until or sum(len(one.rows) for one in found) >= MAX_FOUND):
            return LookedUp(found=found, files=files, after=last)
        files, last = files + 1, held.blob.name
        try:
            rows, readable = holdings.find(parts, held, of), True
        except ConfigError:
            rows, readable = (), False
        if rows or not readable:
            found.append(_found(parts, held, rows, readable=readable))
    return LookedUp(found=found, files=files, after=None)


def excluding(parts: Parts, address: str) -> list[str]:
    """The exports whose settings name the address among the placeholders, which are nobody's."""
    of = person.spellings(address)
    return [export_id for export_id in holdings.export_ids(parts) if _excludes(parts, export_id, of)]


def _excludes(parts: Parts, export_id: str, of: Sequence[str]) -> bool:
    try:
        export = parts.documents.read(Export, paths.export(export_id))
    except ConfigError:
        return False
    return export is not None and any(entry in of for entry in export.value.exclude)


def _found(parts: Parts, held: Held, rows: Sequence[Mapping[str, Any]], *, readable: bool) -> Found:
    connection = list_id = ""
    in_force = False
    if held.holding is Holding.LEDGER:
        with suppress(ConfigError):  # a document that cannot be read hides nobody's data
            run = records.read_run(parts, held.export, held.run)
            connection, list_id = ("", "") if run is None else (run.connection.id, run.export.list_id)
        with suppress(ConfigError):
            state = parts.documents.read(ExportState, paths.export_state(held.export))
            in_force = state is not None and state.value.ledger == held.run
    return Found(
        held=held,
        rows=[_readable(row) for row in rows],
        readable=readable,
        in_force=in_force,
        connection=connection,
        list_id=list_id,
    )


def _readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it is shown: digests as text, the contact as an object, and nothing that is empty."""
    shown = dict(row)
    for name in _DIGESTS:
        if shown.get(name) is not None:
            shown[name] = str(shown[name])
    if isinstance(shown.get(_CONTACT), str):
        shown[_CONTACT] = json.loads(shown[_CONTACT])
    return {name: value for name, value in shown.items() if value is not None and value != ""}
