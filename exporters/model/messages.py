"""Queue messages. They carry references only, never a contact: a message is at most 48 KiB and may end in a log."""

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from exporters.model.erasure import ErasureId
from exporters.model.names import Id, RunId
from exporters.model.receiver import Occasion


class RunMessage(BaseModel):
    """On the plan queue: plan this run, or finish it when every batch has its outcome."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    export: Id
    run: RunId


class BatchMessage(BaseModel):
    """On the batch queue: send this batch."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    export: Id
    run: RunId
    batch: NonNegativeInt


class PollMessage(BaseModel):
    """On the poll queue: ask for the import job of this batch, for the `poll`-th time (from 0)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    export: Id
    run: RunId
    batch: NonNegativeInt
    poll: NonNegativeInt


class NotifyMessage(BaseModel):
    """On the notify queue: tell the receiver, after so many tries (from 0)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    export: Id
    run: RunId
    occasion: Occasion
    tries: NonNegativeInt


class EraseMessage(BaseModel):
    """On the erase queue: go on with this erasure."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    erasure: ErasureId
