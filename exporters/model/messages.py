"""Queue messages. They carry references only, never a contact: a message is at most 48 KiB and may end in a log."""

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from exporters.model.erasure import ErasureId
from exporters.model.names import Id, RunId
from exporters.model.receiver import Occasion
from exporters.model.trace import TraceParent


class Message(BaseModel):
    """What all of them have.

    `traceparent` stands there only where a trace is recorded: an older version of the app, which knows no such key and
    refuses what it does not know, reads all others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    traceparent: TraceParent = Field(default=None, exclude_if=lambda value: value is None)

    def keys(self) -> dict[str, str | int]:
        """What it is about, as log lines and spans name it."""
        named = self.model_dump(mode="json", exclude={"traceparent"})
        return {"run_id" if key == "run" else key: value for key, value in named.items()}


class RunMessage(Message):
    """On the plan queue: plan this run, or finish it when every batch has its outcome."""

    export: Id
    run: RunId


class BatchMessage(Message):
    """On the batch queue: send this batch."""

    export: Id
    run: RunId
    batch: NonNegativeInt


class PollMessage(Message):
    """On the poll queue: ask for the import job of this batch, for the `poll`-th time (from 0)."""

    export: Id
    run: RunId
    batch: NonNegativeInt
    poll: NonNegativeInt


class NotifyMessage(Message):
    """On the notify queue: tell the receiver, after so many tries (from 0)."""

    export: Id
    run: RunId
    occasion: Occasion
    tries: NonNegativeInt


class EraseMessage(Message):
    """On the erase queue: go on with this erasure."""

    erasure: ErasureId
