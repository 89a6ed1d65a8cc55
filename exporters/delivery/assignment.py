"""One batch of a planned run, and everything that a step does with it in the stores and queues."""

import logging
from dataclasses import dataclass
from typing import Self

from exporters import log, tracing
from exporters.delivery import records
from exporters.model.batch import BatchProgress
from exporters.model.messages import BatchMessage, PollMessage
from exporters.model.run import Plan, Run
from exporters.parts import Parts
from exporters.providers.base import Provider
from exporters.storage import paths
from exporters.storage.documents import Versioned


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a message on the batch or poll queue is about."""

    parts: Parts
    run: Run
    plan: Plan
    batch: int

    @classmethod
    def of(cls, parts: Parts, message: BatchMessage | PollMessage) -> Self | None:
        """The batch of a message; None when its run has ended, or is not there."""
        run = records.read_run(parts, message.export, message.run)
        if run is None or run.status.ended or run.plan is None or message.batch >= len(run.batches):
            return None
        return cls(parts=parts, run=run, plan=run.plan, batch=message.batch)

    @property
    def account(self) -> str:
        """Id of the lane."""
        return self.run.lane

    @property
    def facts(self) -> type[Provider]:
        """What the provider's file declares."""
        return self.parts.facts(self.run.connection)

    @property
    def removes(self) -> bool:
        """Whether the people of this batch are to leave the list."""
        return self.batch >= len(self.plan.batches)

    def fresh(self) -> BatchProgress:
        """The batch before its first request."""
        people = self.run.batches[self.batch]
        if not self.removes:
            return BatchProgress.fresh(people)
        by_id = self.batch < len(self.plan.batches) + self.run.removals_by_id
        limit = self.facts.removal_limit_by_id if by_id else self.facts.removal_limit
        return BatchProgress.fresh(people, request=limit)

    def progress(self) -> Versioned[BatchProgress] | None:
        """Where the batch is; None when it was not begun, or when its run has ended and cleaned up."""
        return self.parts.documents.read(BatchProgress, paths.progress(self.run.id, self.batch))

    def save(self, progress: BatchProgress, etag: str | None) -> Versioned[BatchProgress]:
        """Write progress over the version with this ETag (None: over nothing).

        Raises StorageConflictError when another step was faster.
        """
        path = paths.progress(self.run.id, self.batch)
        data = progress.model_dump_json().encode()
        if etag is None:
            return Versioned(progress, self.parts.state.create(path, data))
        return Versioned(progress, self.parts.state.replace(path, data, etag=etag))

    def staged_lines(self) -> list[bytes] | None:
        """The contacts, or the addresses of people who leave, as staged, a JSON object each.

        None when they are gone, because the run has ended.
        """
        blob = self.parts.state.get(paths.staged_batch(self.run.id, self.plan.attempt, self.batch))
        return None if blob is None else blob.data.split(b"\n")[:-1]

    def send_later(self, delay_s: float = 0) -> None:
        """Have the next request of the batch made."""
        traceparent = tracing.carried(self.run.trace)
        message = BatchMessage(export=self.run.export.id, run=self.run.id, batch=self.batch, traceparent=traceparent)
        self.parts.queues.send(self.parts.queue_names.batch, message.model_dump_json(), delay_s=delay_s)

    def poll_later(self, poll: int, delay_s: float) -> None:
        """Have the import job asked for, as question number `poll`."""
        traceparent = tracing.carried(self.run.trace)
        message = PollMessage(
            export=self.run.export.id, run=self.run.id, batch=self.batch, poll=poll, traceparent=traceparent
        )
        self.parts.queues.send(self.parts.queue_names.poll, message.model_dump_json(), delay_s=delay_s)

    def log(self, action: str, outcome: str, *, level: int = logging.INFO, **keys: log.Value) -> None:
        """One line at the end of a step."""
        log.step(
            action,
            outcome,
            level=level,
            export=self.run.export.id,
            run_id=self.run.id,
            batch=self.batch,
            provider=self.run.connection.provider,
            **keys,
        )
