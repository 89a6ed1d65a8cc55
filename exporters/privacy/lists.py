"""Take one person off the lists that an export fills, or has filled, whether a ledger still names them or not.

Safe to repeat: who has left already is absent. The contact itself stays in the account.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from exporters.delivery import lanes, records, verdicts
from exporters.delivery.access import with_account
from exporters.delivery.account import known_lane
from exporters.errors import ConfigError, ThrottledError, TransientError
from exporters.model.connection import Connection
from exporters.model.erasure import ListErasure, ListOutcome
from exporters.model.export import Export
from exporters.parts import Parts
from exporters.planning.addresses import judge
from exporters.providers.base import JobState, Member, Provider, Removal
from exporters.storage import paths

#: How long a provider is tried that does not answer.
PATIENCE = timedelta(days=1)
#: Until the next question for a job, or the next try.
ASK_AGAIN_S = 60.0
NO_ADDRESS = "Nobody can be on a list with it: it is no address that the app sends"
FORMER = "Its connection was removed, and made anew under the same id: do it in the account of the former one"


class Lists:
    """The lists that an export fills, or has filled, each once: gathered from its document, and from those of its runs.

    `gathered` are those that are known already. A run that has delivered nothing names its list as well: that costs a
    question at most.
    """

    def __init__(self, parts: Parts, export_id: str, gathered: Iterable[ListErasure] = ()) -> None:
        self._parts = parts
        self._export_id = export_id
        self._connections: dict[str, Connection | None] = {}
        self._gathered = {self._key(one): one for one in gathered}

    @property
    def gathered(self) -> tuple[ListErasure, ...]:
        """What is known of them so far, in the order in which they came."""
        return tuple(self._gathered.values())

    def add_current(self) -> None:
        """Add the list that the export fills now. Raises ConfigError where its document cannot be read."""
        export = self._parts.documents.read(Export, paths.export(self._export_id))
        if export is not None and export.value.connection is not None:
            self._add(ListErasure(connection=export.value.connection, list_id=export.value.list_id))

    def add_of_run(self, run_id: str) -> bool:
        """Add the list of a run; False where nobody can name it, as its document is gone or cannot be read."""
        try:
            run = records.read_run(self._parts, self._export_id, run_id)
        except ConfigError:
            return False
        if run is None:
            return False
        now = self._connection(run.connection.id)
        former = now is not None and not now.is_same_as(run.connection)
        self._add(ListErasure(connection=run.connection.id, list_id=run.export.list_id, former=former))
        return True

    def _add(self, one: ListErasure) -> None:
        self._gathered.setdefault(self._key(one), one)

    def _key(self, one: ListErasure) -> tuple[str, str, bool]:
        connection = self._connection(one.connection)
        list_id = one.list_id if connection is None else self._canonical(connection, one.list_id)
        return one.connection, list_id, one.former

    def _canonical(self, connection: Connection, list_id: str) -> str:
        try:
            return self._parts.facts(connection).canonical_list_id(list_id)
        except ConfigError:
            return list_id

    def _connection(self, connection_id: str) -> Connection | None:
        """The connection as it is now; None where it is gone or cannot be read."""
        if connection_id not in self._connections:
            try:
                self._connections[connection_id] = _connection(self._parts, connection_id)
            except ConfigError:
                self._connections[connection_id] = None
        return self._connections[connection_id]


def take_off(parts: Parts, target: ListErasure, email: str) -> tuple[ListErasure, float]:
    """Do what comes next to have the person off a list; answers where it is then, and the seconds until the next step.

    A step that comes twice asks the provider twice, which finds the person absent the second time.
    """
    now = parts.now()
    if judge(email) is None:
        return _ended(target, ListOutcome.ABSENT, NO_ADDRESS), 0.0
    if target.former:
        return _ended(target, ListOutcome.BY_HAND, FORMER), 0.0
    if target.since is None:
        target = target.model_copy(update={"since": now})
    try:
        connection = _connection(parts, target.connection)
        lane = known_lane(parts, connection)
        wait_s = lanes.wait_s(parts, lane, to_poll=target.job is not None)
        if wait_s > 0:
            return target, wait_s
        deadline = timedelta(seconds=parts.facts(connection).job_deadline_s)
        return with_account(
            parts, connection, lane, partial(_ask, target=target, email=email, now=now, deadline=deadline)
        )
    except ThrottledError as error:
        return target, error.wait_s
    except TransientError as error:
        if now - (target.since or now) > PATIENCE:
            return _ended(target, ListOutcome.BY_HAND, str(error)), 0.0
        return target, ASK_AGAIN_S
    except ConfigError as error:
        return _ended(target, ListOutcome.BY_HAND, str(error)), 0.0


def _ask(
    provider: Provider, *, target: ListErasure, email: str, now: datetime, deadline: timedelta
) -> tuple[ListErasure, float]:
    if target.job is None:
        removal = provider.remove(target.list_id, [Member(email=email)])
        if email in removal.pending and removal.job is not None:
            job = {"outcome": ListOutcome.AT_WORK, "job": removal.job, "since": now}
            return target.model_copy(update=job), ASK_AGAIN_S
        return _ended(target, *_said(removal, email)), 0.0
    report = provider.poll(target.job)
    if report.state is JobState.FAILED or any(refusal.email.lower() == email for refusal in report.refusals):
        words = [refusal.words for refusal in report.refusals] or [report.words or "its job failed"]
        return _ended(target, ListOutcome.REFUSED, verdicts.without_values(words[0])), 0.0
    if report.state is JobState.DONE:
        return _ended(target, ListOutcome.REMOVED), 0.0
    if now - (target.since or now) > deadline:
        return _ended(target, ListOutcome.NOT_KNOWN), 0.0
    return target, ASK_AGAIN_S


def _said(removal: Removal, email: str) -> tuple[ListOutcome, str]:
    if email in removal.refused:
        return ListOutcome.REFUSED, verdicts.without_values(removal.refused[email])
    if email in removal.removed:
        return ListOutcome.REMOVED, ""
    return (ListOutcome.ABSENT if email in removal.absent else ListOutcome.NOT_KNOWN), ""


def _ended(target: ListErasure, outcome: ListOutcome, words: str = "") -> ListErasure:
    return target.model_copy(update={"outcome": outcome, "words": words})


def _connection(parts: Parts, connection_id: str) -> Connection:
    found = parts.documents.read(Connection, paths.connection(connection_id))
    if found is None:
        raise ConfigError(f"The connection {connection_id} is gone: take the person off the list at the provider")
    return found.value
