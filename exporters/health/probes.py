"""Probes: whether each part that the app needs can be used by its identity, and what to do where it cannot.

Nothing is written anywhere. All are asked at once, and none is waited for longer than a caller of HTTP has patience.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from azure.core.exceptions import AzureError, HttpResponseError

from exporters import log
from exporters.configuration import account, connections
from exporters.errors import ConfigError, ExporterError
from exporters.parts import Parts
from exporters.storage import paths
from exporters.storage.blobs import BlobStore

#: How long probes are waited for. Ours: the platform ends a request after 230 seconds, people and pipelines much
#: earlier. https://learn.microsoft.com/azure/azure-functions/functions-scale#timeout
WITHIN_S = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a probe has found."""

    part: str
    words: str  #: what is wrong and what to do; empty where all is well


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Something in a storage account."""

    name: str  #: in a sentence
    setting: str  #: that names it
    role: str  #: which the app's identity needs there


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    part: str
    ask: Callable[[], object]  #: raises where the part cannot be used
    place: _Place | None = None


STATE = _Place(name="the state container", setting="STATE_CONTAINER", role="Storage Blob Data Contributor")
AUDIT = _Place(name="the container of the audit trail", setting="AUDIT_CONTAINER", role="Storage Blob Data Contributor")
SEGMENTS = _Place(name="the segments container", setting="SEGMENTS_CONTAINER", role="Storage Blob Data Reader")
#: What storage calls its reason -> what to do. https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
_REMEDIES: Mapping[str, str] = {
    "ContainerNotFound": "{name} is not there: create it, or correct {setting}",
    "QueueNotFound": "{name} is not there: create it, or correct {setting}",
    "AuthorizationPermissionMismatch": "The app's identity may not use {name}: give it the role {role} there",
    "AuthorizationFailure": "The storage account of {name} does not let the app in: open its firewall for it",
    "AuthenticationFailed": "The storage account of {name} does not know the app's identity: check AZURE_CLIENT_ID",
}
_NOT_IDENTIFIED = (
    "The app's identity got no token for {name}: see that it is assigned to the app, and AZURE_CLIENT_ID is its"
    " client id"
)
_AWAY = "{name} cannot be reached: check the account's name, its firewall and the private endpoint"
_ANSWERED = "{name} answered {status}: look at the storage account's health and at the role {role} there"


def look(parts: Parts, wanted: Sequence[str], *, within_s: float = WITHIN_S) -> list[Found]:
    """What is to be said of each part: storage, queues and the vault, and the connections with these ids.

    A connection is tried with a read of its account's lists, as the account's limits allow.
    """
    probes = [*_storage(parts), *_queues(parts), *_vault(parts), *_connections(parts, wanted)]
    pool = parts.uploaders(len(probes))
    try:
        asked = [(probe, pool.submit(probe.ask)) for probe in probes]
        wait([future for _, future in asked], timeout=within_s)
        return [Found(part=probe.part, words=_words(probe, future, within_s)) for probe, future in asked]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # who is silent ends by the limits of its client


def _storage(parts: Parts) -> Iterator[_Probe]:
    def first(store: BlobStore, prefix: str) -> Callable[[], object]:
        return lambda: store.page(prefix, after="", size=1)

    yield _Probe(part="state", ask=first(parts.state, paths.EXPORTS), place=STATE)
    audit = STATE if parts.audit is None else AUDIT
    yield _Probe(part="audit", ask=first(parts.trail, paths.AUDIT), place=audit)
    yield _Probe(part="segments", ask=first(parts.segments, ""), place=SEGMENTS)


def _queues(parts: Parts) -> Iterator[_Probe]:
    def look_at(queue: str) -> Callable[[], object]:
        def ask() -> None:
            if parts.queues.look(queue) is None:
                raise ConfigError(f"There is no queue {queue}: create it, or correct the setting that names it")

        return ask

    for queue in parts.queue_names.all:
        role = "Storage Queue Data Reader"
        place = _Place(name=f"the queue {queue}", setting="the setting that names it", role=role)
        yield _Probe(part=f"queue {queue}", ask=look_at(queue), place=place)


def _vault(parts: Parts) -> Iterator[_Probe]:
    yield _Probe(part="vault", ask=parts.secrets.reach)


def _connections(parts: Parts, wanted: Sequence[str]) -> Iterator[_Probe]:
    def lists_of(connection_id: str) -> Callable[[], object]:
        def ask() -> object:
            connection = connections.read(parts, connection_id).value
            return account.lists(parts, connection, search="", after=None, limit=1)

        return ask

    for connection_id in dict.fromkeys(wanted):
        yield _Probe(part=f"connection {connection_id}", ask=lists_of(connection_id), place=STATE)


def _words(probe: _Probe, future: "Future[object]", within_s: float) -> str:
    if not future.done():
        return f"No answer within {within_s:.0f} seconds: a firewall may be closed, or the other side is overloaded"
    error = future.exception()
    if error is None:
        return ""
    if isinstance(error, ExporterError):
        return str(error)
    if isinstance(error, AzureError) and probe.place is not None:
        return _of_storage(error, probe.place)
    log.step("health", "unexpected", level=logging.ERROR, part=probe.part, error=type(error).__name__)
    return "It failed in a way that nobody has thought of: the log has a line with action=health"


def _of_storage(error: AzureError, place: _Place) -> str:
    """What an error of a storage account means. Its own text is not quoted: it may hold addresses with signatures."""
    if not isinstance(error, HttpResponseError):
        text = _AWAY
    elif error.status_code is None:
        text = _NOT_IDENTIFIED
    else:
        text = _REMEDIES.get(str(getattr(error, "error_code", "")), _ANSWERED)
    status = getattr(error, "status_code", None)
    said = text.format(name=place.name, setting=place.setting, role=place.role, status=status)
    return said[0].upper() + said[1:]
