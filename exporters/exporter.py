"""The use cases, as the triggers call them. Each may run twice; why that is harmless stands where it is implemented."""

from exporters.api import corrections, drift, health, preview, reconciliations, rejects, runs, undo
from exporters.api.answers import Answer, Request, answered
from exporters.delivery.abandon import abandon_batch, abandon_run, read_poisoned
from exporters.delivery.move import move_run
from exporters.delivery.poll import poll_batch
from exporters.delivery.send import send_batch
from exporters.delivery.watch import watch
from exporters.model.messages import BatchMessage, NotifyMessage, PollMessage, RunMessage
from exporters.notifications.deliver import abandon_notification, deliver
from exporters.parts import Parts
from exporters.scheduling.start import start_due


class Exporter:
    """The application, over whatever parts it was given."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def tick(self) -> None:
        """Start what is due, and move on what has stood still."""
        try:
            start_due(self.parts)
        finally:  # what is at work must not wait for what cannot be started
            watch(self.parts)

    def start(self, request: Request) -> Answer:
        """POST /api/exports/{export}/runs"""
        return answered(lambda: runs.start(self.parts, request))

    def show_run(self, request: Request) -> Answer:
        """GET /api/runs/{export}/{run}"""
        return answered(lambda: runs.show(self.parts, request))

    def approve_run(self, request: Request) -> Answer:
        """POST /api/runs/{export}/{run}/approve, master key"""
        return answered(lambda: runs.approve(self.parts, request))

    def reject_run(self, request: Request) -> Answer:
        """POST /api/runs/{export}/{run}/reject, master key"""
        return answered(lambda: runs.reject(self.parts, request))

    def cancel_run(self, request: Request) -> Answer:
        """POST /api/runs/{export}/{run}/cancel"""
        return answered(lambda: runs.cancel_run(self.parts, request))

    def retry_run(self, request: Request) -> Answer:
        """POST /api/runs/{export}/{run}/retry"""
        return answered(lambda: runs.retry_run(self.parts, request))

    def preview(self, request: Request) -> Answer:
        """POST /api/exports/{export}/preview: values masked"""
        return answered(lambda: preview.preview(self.parts, request))

    def preview_unmasked(self, request: Request) -> Answer:
        """POST /api/exports/{export}/preview/unmasked, master key"""
        return answered(lambda: preview.preview(self.parts, request, masked=False))

    def show_rejects(self, request: Request) -> Answer:
        """GET /api/runs/{export}/{run}/rejects, master key"""
        return answered(lambda: rejects.show(self.parts, request))

    def start_corrections(self, request: Request) -> Answer:
        """POST /api/runs/{export}/{run}/corrections, master key"""
        return answered(lambda: corrections.start(self.parts, request))

    def start_reconciliation(self, request: Request) -> Answer:
        """POST /api/exports/{export}/reconciliations"""
        return answered(lambda: reconciliations.start(self.parts, request))

    def show_drift(self, request: Request) -> Answer:
        """GET /api/runs/{export}/{run}/drift, master key"""
        return answered(lambda: drift.show(self.parts, request))

    def start_repair(self, request: Request) -> Answer:
        """POST /api/runs/{export}/{run}/repair, master key"""
        return answered(lambda: reconciliations.repair(self.parts, request))

    def start_undo(self, request: Request) -> Answer:
        """POST /api/exports/{export}/undo, master key"""
        return answered(lambda: undo.start(self.parts, request))

    def health(self) -> Answer:
        """GET /api/health"""
        return health.check(self.parts)

    def move_run(self, body: bytes) -> None:
        """Plan a run, let it wait for its turn, or finish it."""
        move_run(self.parts, RunMessage.model_validate_json(body))

    def send_batch(self, body: bytes) -> None:
        """Make the next request of a batch."""
        send_batch(self.parts, BatchMessage.model_validate_json(body))

    def poll_batch(self, body: bytes) -> None:
        """Ask for the import job of a batch."""
        poll_batch(self.parts, PollMessage.model_validate_json(body))

    def send_notification(self, body: bytes) -> None:
        """Make the next try to post a notification."""
        deliver(self.parts, NotifyMessage.model_validate_json(body))

    def abandon_run(self, body: bytes) -> None:
        """End a run whose message was poisoned."""
        if (message := read_poisoned(RunMessage, body)) is not None:
            abandon_run(self.parts, message)

    def abandon_send(self, body: bytes) -> None:
        """End a batch whose send message was poisoned."""
        if (message := read_poisoned(BatchMessage, body)) is not None:
            abandon_batch(self.parts, message)

    def abandon_poll(self, body: bytes) -> None:
        """End a batch whose poll message was poisoned."""
        if (message := read_poisoned(PollMessage, body)) is not None:
            abandon_batch(self.parts, message)

    def abandon_notification(self, body: bytes) -> None:
        """End a notification whose message was poisoned."""
        if (message := read_poisoned(NotifyMessage, body)) is not None:
            abandon_notification(self.parts, message)
