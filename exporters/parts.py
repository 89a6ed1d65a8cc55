"""What the use cases work with. `bootstrap` fills it with Azure and the real providers, tests with in-memory parts."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta

from pydantic import SecretStr

from exporters.model.caller import SignIn
from exporters.model.connection import Connection
from exporters.notifications.webhooks import Webhooks
from exporters.planning.engine import Planning
from exporters.providers.base import Provider
from exporters.storage.blobs import BlobStore
from exporters.storage.documents import Documents
from exporters.storage.queues import POISON, Queues
from exporters.storage.secrets import Secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueNames:
    """Names of the queues, as settings give them."""

    plan: str
    batch: str
    poll: str
    notify: str
    erase: str

    @property
    def all(self) -> tuple[str, ...]:
        """Every queue, each followed by the one for its poisoned messages."""
        return tuple(name for queue in astuple(self) for name in (queue, f"{queue}{POISON}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Stores, queues, secrets, providers and the clock."""

    state: BlobStore  #: documents, staging, ledgers
    segments: BlobStore  #: read only
    queues: Queues
    queue_names: QueueNames
    secrets: Secrets
    webhooks: Webhooks
    connect: Callable[[Connection, SecretStr], Provider]  #: raises ConfigError for an unknown provider
    facts: Callable[[Connection], type[Provider]]  #: what a provider's file declares; raises as `connect`
    now: Callable[[], datetime]  #: aware, UTC
    jitter: Callable[[], float]  #: 0 to 1
    settle: timedelta  #: a snapshot counts as complete when nothing in it changed for this long
    planning: Planning
    step_limit: timedelta  #: no step lives longer: the platform ends it
    uploaders: Callable[[int], Executor] = ThreadPoolExecutor  #: so many that carry batches to storage at once
    sign_in: SignIn = SignIn.OFF
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex  #: never the same twice
    audit: BlobStore | None = None  #: the audit trail, where it does not lie with the state
    heavy_work: threading.Lock = field(default_factory=threading.Lock)  #: held while a plan or a ledger is made

    @property
    def trail(self) -> BlobStore:
        """The container of the audit trail."""
        return self.state if self.audit is None else self.audit

    @property
    def documents(self) -> Documents:
        """The typed documents of the state container."""
        return Documents(self.state)
