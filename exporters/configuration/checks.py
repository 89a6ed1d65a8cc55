"""What is wrong with an export's settings, seen when they are saved rather than when a run fails.

A fault is what no run could succeed with, or what would harm people; nothing is saved then. A warning is what may be
meant so, or may pass.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from pydantic import BaseModel, Field

from exporters.configuration.overview import Overview, Row
from exporters.configuration.proof import check_pause
from exporters.delivery.access import with_account
from exporters.delivery.account import known_lane
from exporters.errors import (
    AccessError,
    ConfigError,
    NotCompleteError,
    SegmentError,
    ThrottledError,
    TransientError,
)
from exporters.model.connection import Connection
from exporters.model.export import ADDRESS_ONLY, ExportSettings, Mode
from exporters.model.export import Mapping as FieldMapping
from exporters.model.fields import EMAIL_FIELD, custom_name
from exporters.parts import Parts
from exporters.providers import wording
from exporters.providers.base import AccountField, Provider
from exporters.scheduling.start import read_named
from exporters.segments import counts
from exporters.segments.columns import positions
from exporters.segments.faults import PartFault
from exporters.segments.glance import Glance, glance
from exporters.segments.snapshots import NoSuchSegmentError, Snapshot, newest_snapshot
from exporters.storage import paths

#: Faults and warnings that are told, each. Ours: whoever has more corrects these first.
MAX_FINDINGS = 50
#: Segments that are looked at at once, and bytes of Parquet columns that are read of each. Ours: both are in memory.
LOOKS_AT_ONCE = 4
GLANCE_BYTES = 4 << 20
#: First profiles of a segment that are looked at; fewer tell nothing about a column. Ours.
PROFILES_SEEN = 50
FEWEST_PROFILES = 5


class Finding(BaseModel):
    """What is wrong, or may be, with one setting."""

    field: str = Field(description="which setting, such as mapping.custom.Tier or segments[0]")
    message: str = Field(description="what about it, and what to do; never a person's data")


class Profiles(BaseModel):
    """How many profiles a segment has."""

    segment: str
    profiles: int | None = Field(description="null where that cannot be told now")
    exact: bool = Field(description="they were counted; an estimate otherwise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a look at settings has found."""

    faults: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    profiles: tuple[Profiles, ...]


class _Found:
    """Findings as they are collected."""

    def __init__(self) -> None:
        self.faults: list[Finding] = []
        self.warnings: list[Finding] = []

    def fault(self, field: str, message: str) -> None:
        self.faults.append(Finding(field=field, message=message))

    def warn(self, field: str, message: str) -> None:
        self.warnings.append(Finding(field=field, message=message))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was seen of a segment, or why nothing could be."""

    glance: Glance | None = None
    part: str = ""  #: whose columns those are
    profiles: int | None = None
    exact: bool = False
    fault: str = ""
    warning: str = ""


def check(parts: Parts, settings: ExportSettings, overview: Overview, *, export_id: str | None = None) -> Checked:
    """Hold settings against the provider, the segments and the other exports. Changes nothing.

    Asks the provider twice or three times, and reads at most the first megabytes of each segment; whoever waits for
    the answer waits some seconds. `export_id` is None for an export that is not stored yet.
    """
    found = _Found()
    connection = _connection(parts, settings, found)
    seen = _segments(parts, settings)
    for place, each in enumerate(seen):
        if each.fault:
            found.fault(f"segments[{place}]", each.fault)
        if each.warning:
            found.warn(f"segments[{place}]", each.warning)
    _check_columns(settings.mapping, seen, found)
    if connection is not None:
        _check_provider(parts, settings, connection, found)
        _check_size(parts, settings, connection, seen, found)
        _check_same_list(parts, settings, connection, overview, export_id, found)
        if not settings.withhold:
            title = parts.facts(connection).title
            found.warn("withhold", f"People whom {title} has suppressed are sent too. They stay suppressed there")
    return Checked(
        faults=tuple(found.faults[:MAX_FINDINGS]),
        warnings=tuple(found.warnings[:MAX_FINDINGS]),
        profiles=tuple(
            Profiles(segment=segment, profiles=each.profiles, exact=each.exact)
            for segment, each in zip(settings.segments, seen, strict=True)
        ),
    )


def _connection(parts: Parts, settings: ExportSettings, found: _Found) -> Connection | None:
    """The connection, if it can be used as far as the app itself can tell."""
    field = "connection"
    if settings.connection is None:
        found.warn(field, "Without a connection the export does not run: attach one")
        return None
    try:
        path = paths.connection(settings.connection)
        connection = read_named(parts, Connection, path, settings.connection)
        if connection is None:
            found.fault(field, f"There is no connection {settings.connection}")
            return None
        parts.facts(connection)
    except ConfigError as error:
        found.fault(field, str(error))
        return None
    if connection.consent is None:
        tell = found.warn if connection.created is None else found.fault
        tell(
            field,
            "Nobody has accepted the data privacy text for this connection: an administrator does so where the key is"
            " proved, POST …/connect",
        )
    return connection


def _check_provider(parts: Parts, settings: ExportSettings, connection: Connection, found: _Found) -> None:
    """Key, list and mapped fields, as a run proves them before it writes anything."""
    facts, lane = parts.facts(connection), known_lane(parts, connection)
    try:
        facts.canonical_list_id(settings.list_id)
    except ConfigError as error:
        found.fault("list_id", str(error))
        return
    try:
        check_pause(parts, lane)
        for fault in with_account(parts, connection, lane, lambda provider: _faults_there(provider, settings)):
            found.fault(fault.field, fault.message)
    except (ThrottledError, TransientError) as error:
        found.warn("connection", f"List and fields could not be looked up at {facts.title} now: {error}")
    except ConfigError as error:
        found.fault("connection", str(error))


def _faults_there(provider: Provider, settings: ExportSettings) -> list[Finding]:
    """What the account lacks. Raises AccessError, ThrottledError, TransientError."""
    try:
        provider.check_access(settings.list_id, settings.mapping)
    except AccessError:
        raise
    except ConfigError as error:
        whole = str(error)
    else:
        return []
    try:
        provider.check_access(settings.list_id, ADDRESS_ONLY)
    except AccessError:
        raise
    except ConfigError as error:
        return [Finding(field="list_id", message=str(error))]
    missing = list(islice(_missing_fields(settings.mapping, provider.fields(), provider.title), MAX_FINDINGS))
    return missing or [Finding(field="mapping", message=whole)]


def _missing_fields(mapping: FieldMapping, there: Sequence[AccountField], title: str) -> Iterator[Finding]:
    """Mapped fields that the account does not have."""
    standard = {field.standard for field in there}
    for field in mapping.standard():
        if field not in standard:
            message = (
                f"{title} has no such field in this account: map the column to a custom field, or have an administrator"
                " say in field_names of the connection what it is called there"
            )
            yield Finding(field=f"mapping.{field.value}", message=message)
    names = {field.name.strip().casefold(): field.name for field in there}
    for name in mapping.custom:
        if name.strip().casefold() not in names:
            message = f"At {title} {wording.unknown('field', name, names.values())}"
            yield Finding(field=f"mapping.{custom_name(name)}", message=message)


def _segments(parts: Parts, settings: ExportSettings) -> list[_Seen]:
    """What is seen of each segment, in their order."""
    with parts.uploaders(LOOKS_AT_ONCE) as pool:
        return list(pool.map(lambda segment: _look(parts, segment), settings.segments))


def _look(parts: Parts, segment: str) -> _Seen:
    try:
        snapshot = newest_snapshot(parts.segments, segment, now=parts.now(), settle=parts.settle)
        return _seen(parts, snapshot)
    except (NoSuchSegmentError, NotCompleteError) as error:
        return _Seen(warning=f"{error} Its columns could not be looked at")
    except SegmentError as error:
        return _Seen(fault=str(error))


def _seen(parts: Parts, snapshot: Snapshot) -> _Seen:
    profiles = counts.known(counts.read(parts, snapshot.segment), snapshot)
    first = glance(parts.segments, snapshot, rows=PROFILES_SEEN, budget=GLANCE_BYTES, count=profiles is None)
    return _Seen(
        glance=first,
        part=snapshot.parts[0].name,
        profiles=first.profiles if profiles is None else profiles,
        exact=first.exact or profiles is not None,
    )


def _check_columns(mapping: FieldMapping, seen: Sequence[_Seen], found: _Found) -> None:
    """Each mapped column has to be in each segment, as far as its columns can be seen."""
    wanted: dict[str, Sequence[str]] = {EMAIL_FIELD: [mapping.email]}
    wanted |= {field.value: source.columns for field, source in mapping.standard().items()}
    wanted |= {custom_name(name): source.columns for name, source in mapping.custom.items()}
    for each in seen:
        if each.glance is None or not each.glance.columns:
            continue
        # As many as are told: what a name is like takes a while to find among hundreds.
        for field, message in islice(_missing_columns(each.glance, each.part, wanted), MAX_FINDINGS):
            found.fault(f"mapping.{field}", message)
        if len(found.faults) >= MAX_FINDINGS:
            return
        _check_addresses(mapping.email, each.glance, each.part, found)


def _missing_columns(glance: Glance, part: str, wanted: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Fields of whose columns one is not there, or is there twice, with a run's words for it.

    Beside a column that is there, so that the words tell what the file has: without any it may have no header.
    """
    names = [column.name for column in glance.columns]
    times = Counter(names)
    columns = dict.fromkeys(column for group in wanted.values() for column in group)
    beside = [column for column in columns if times[column] == 1][:1]
    for field, group in wanted.items():
        for column in group:
            message = "" if times[column] == 1 else _fault(names, [*beside, column], part, certain=glance.certain)
            if message:
                yield field, message


def _fault(names: Sequence[str], columns: Sequence[str], part: str, *, certain: bool) -> str:
    try:
        positions(names, columns, part=part, certain=certain)
    except PartFault as fault:
        return str(fault)
    return ""


def _check_addresses(column: str, glance: Glance, part: str, found: _Found) -> None:
    """Whether what is mapped as the address looks like addresses, among the first profiles."""
    try:
        place = positions([each.name for each in glance.columns], [column], part=part, certain=glance.certain)[column]
    except PartFault:
        return
    values = [value for row in glance.rows if (value := row[place]) is not None]
    like = sum("@" in value for value in values)
    if len(values) >= FEWEST_PROFILES and like * 2 < len(values):
        message = f"{part}: of the first {len(values)} profiles {like} have something like an address in {column}"
        found.warn(f"mapping.{EMAIL_FIELD}", message)


def _check_size(
    parts: Parts, settings: ExportSettings, connection: Connection, seen: Sequence[_Seen], found: _Found
) -> None:
    """Whether runs would be held for the number of profiles."""
    facts = parts.facts(connection)
    limit = settings.brakes.max_profiles or facts.stated_limit
    profiles = sum(each.profiles or 0 for each in seen)
    if profiles > limit:
        about = "" if all(each.exact for each in seen) else "about "
        message = (
            f"The segments have {about}{profiles:,} profiles, more than {limit:,}, so each run will be held until"
            f" somebody approves it. Set brakes.max_profiles to allow more"
        )
        found.warn("segments", message)


def _check_same_list(
    parts: Parts,
    settings: ExportSettings,
    connection: Connection,
    overview: Overview,
    export_id: str | None,
    found: _Found,
) -> None:
    """Whether another export fills the same list."""
    for row in _fillers(parts, settings, connection, overview):
        if row.id == export_id:
            continue
        if Mode.MIRROR in {settings.mode, row.mode}:
            message = (
                f"The export {row.id} fills the same list, and one of the two is in mirror mode, so people whom the"
                " other wants there would be removed: put all segments into one export, or use another list"
            )
            found.fault("list_id", message)
        else:
            found.warn("list_id", f"The export {row.id} fills the same list")


def _fillers(parts: Parts, settings: ExportSettings, connection: Connection, overview: Overview) -> Iterator[Row]:
    """All exports that fill this list, as far as that can be known."""
    own = _list(parts, connection, settings.list_id)
    alike = [row for row in overview.rows.values() if own is not None and _list(parts, connection, row.list_id) == own]
    others = {row.connection for row in alike if row.connection is not None}
    same = {other for other in others if _is_one_account(parts, connection, other)}
    return (row for row in alike if row.connection in same)


def _list(parts: Parts, connection: Connection, list_id: str) -> str | None:
    """A list's id as the provider reads it; None for what is no id there."""
    try:
        return parts.facts(connection).canonical_list_id(list_id)
    except ConfigError:
        return None


def _is_one_account(parts: Parts, connection: Connection, other_id: str) -> bool:
    """Whether two connections lead to one account, as far as that is known: they share a lane or a key."""
    try:
        other = read_named(parts, Connection, paths.connection(other_id), other_id)
        if other is None or parts.facts(other).name != parts.facts(connection).name:
            return False
    except ConfigError:
        return False  # it cannot run as it is
    # Key Vault does not tell upper from lower case in names, see `SecretName`.
    is_one_key = other.secret.lower() == connection.secret.lower()
    return is_one_key or known_lane(parts, other) == known_lane(parts, connection)
