"""Outbox: a notification is written down before anything else follows from what it tells, and then a message is sent.

The end of a run is told before the export's place is freed. Until then whoever finds the run ended tells it again, from
the same state: the document stands already, and a message too many finds nothing left to do.
"""

import logging

from exporters import log, tracing
from exporters.errors import ConfigError
from exporters.model.messages import NotifyMessage
from exporters.model.notification import Notification, notification_of
from exporters.model.receiver import Occasion, Receiver
from exporters.model.run import ExportState, Run, RunStatus
from exporters.parts import Parts
from exporters.storage import paths


def tell_end(parts: Parts, run: Run) -> None:
    """Tell the receiver that a run has ended; nothing where there is none. Harmless when repeated.

    To be called before the run's place is freed: a run that is not at work any more was told of. An occurrence that
    was skipped is no run, even where one has claimed the place for it at the same moment.
    """
    receiver = run.export.notify
    if receiver is None or run.status is RunStatus.SKIPPED:
        return
    state = _state(parts, run)
    if state.active is None or state.active.run != run.id:
        return
    occasion = _occasion_of_end(run, state, receiver)
    if occasion is not None:
        _tell(parts, run, occasion, state)


def tell_hold(parts: Parts, run: Run) -> None:
    """Tell the receiver that a run is held; nothing where there is none. Harmless when repeated."""
    receiver = run.export.notify
    if receiver is not None and Occasion.HELD in receiver.on:
        _tell(parts, run, Occasion.HELD, _state(parts, run))


def send_message(parts: Parts, notification: Notification, *, tries: int, delay_s: float = 0) -> None:
    """Have the try made that comes after so many."""
    message = NotifyMessage(
        export=notification.export,
        run=notification.run,
        occasion=notification.occasion,
        tries=tries,
        traceparent=tracing.carried(None),
    )
    parts.queues.send(parts.queue_names.notify, message.model_dump_json(), delay_s=delay_s)


def _occasion_of_end(run: Run, state: ExportState, receiver: Receiver) -> Occasion | None:
    """One notification for each end: who wants to hear of a recovery hears of that, and not of an end too."""
    is_recovery = state.failing_since is not None and run.status.well and run.reads_segments
    if is_recovery and Occasion.RECOVERED in receiver.on:
        return Occasion.RECOVERED
    return Occasion.ENDED if Occasion.ENDED in receiver.on else None


def _tell(parts: Parts, run: Run, occasion: Occasion, state: ExportState) -> None:
    path = paths.notification(run.export.id, run.id, occasion)
    try:
        found = parts.documents.read(Notification, path)
    except ConfigError as error:  # a damaged one must not keep the run from its end
        keys = {"export": run.export.id, "run_id": run.id, "reason": str(error)}
        log.step("notify", "unreadable", level=logging.ERROR, **keys)
        return
    if found is None:
        happened = run.finished or run.updated  # a held run changes only when somebody decides about it
        notification = notification_of(run, occasion, state, happened=happened, now=parts.now())
        parts.documents.create(path, notification)
    else:
        notification = found.value
    if not notification.tries and not notification.closed:
        send_message(parts, notification, tries=0)


def _state(parts: Parts, run: Run) -> ExportState:
    found = parts.documents.read(ExportState, paths.export_state(run.export.id))
    return ExportState(export=run.export.id) if found is None else found.value
