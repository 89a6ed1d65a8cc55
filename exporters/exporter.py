"""The use cases, as the triggers call them. Each may run twice; why that is harmless stands where it is implemented."""

import logging

from exporters import log, tracing
from exporters.api.answers import Answer, Request
from exporters.api.callers import caller_of, key_caller
from exporters.api.routes import AUTOMATION, ROUTES
from exporters.api.routing import at_key_door, dispatch
from exporters.configuration import old_keys
from exporters.delivery.abandon import abandon_batch, abandon_run, read_poisoned
from exporters.delivery.move import move_run
from exporters.delivery.poll import poll_batch
from exporters.delivery.send import send_batch
from exporters.delivery.watch import watch
from exporters.health.measure import measure
from exporters.model.messages import BatchMessage, EraseMessage, NotifyMessage, PollMessage, RunMessage
from exporters.notifications.deliver import abandon_notification, deliver
from exporters.parts import Parts
from exporters.privacy import erase
from exporters.scheduling.tick import start_due


class Exporter:
    """The application, over whatever parts it was given."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def tick(self) -> None:
        """Start what is due, and move on what has stood still. A line in the log says each time that it came."""
        began = self.parts.now()
        with tracing.span("tick"):
            try:
                self._tick()
            except Exception as error:
                took_s, kind = (self.parts.now() - began).total_seconds(), type(error).__name__
                log.step("tick", "failed", level=logging.ERROR, duration_s=took_s, error=kind)
                raise
            else:
                log.step("tick", "done", duration_s=(self.parts.now() - began).total_seconds())
            finally:
                measure(self.parts)

    def _tick(self) -> None:
        try:
            start_due(self.parts)
        finally:  # what is at work must not wait for what cannot be started
            try:
                watch(self.parts)
            finally:
                try:
                    erase.watch(self.parts)
                finally:
                    old_keys.drop_noted(self.parts)

    def answer(self, request: Request) -> Answer:
        """Any request but those with the function key: whoever the platform's sign-in says."""
        with tracing.span(request.method):
            return dispatch(self.parts, ROUTES, request, caller_of(request.headers, self.parts.sign_in))

    def answer_key(self, request: Request) -> Answer:
        """A request whose function key the platform has checked; its path begins after /api/automation.

        Whom the sign-in header names does not matter here: the key opens no more for an administrator.
        """
        with tracing.span(request.method):
            return at_key_door(dispatch(self.parts, AUTOMATION, request, key_caller(request.headers)))

    def move_run(self, body: bytes) -> None:
        """Plan a run, let it wait for its turn, or finish it."""
        message = RunMessage.model_validate_json(body)
        with tracing.step("move run", message):
            move_run(self.parts, message)

    def send_batch(self, body: bytes) -> None:
        """Make the next request of a batch."""
        message = BatchMessage.model_validate_json(body)
        with tracing.step("send batch", message):
            send_batch(self.parts, message)

    def poll_batch(self, body: bytes) -> None:
        """Ask for the import job of a batch."""
        message = PollMessage.model_validate_json(body)
        with tracing.step("poll batch", message):
            poll_batch(self.parts, message)

    def send_notification(self, body: bytes) -> None:
        """Make the next try to post a notification."""
        message = NotifyMessage.model_validate_json(body)
        with tracing.step("send notification", message):
            deliver(self.parts, message)

    def erase_person(self, body: bytes) -> None:
        """Do some of an erasure."""
        message = EraseMessage.model_validate_json(body)
        with tracing.step("erase person", message):
            erase.erase(self.parts, message)

    def abandon_run(self, body: bytes) -> None:
        """End a run whose message was poisoned."""
        if (message := read_poisoned(RunMessage, body, queue=self.parts.queue_names.plan)) is not None:
            with tracing.step("abandon run", message):
                abandon_run(self.parts, message)

    def abandon_send(self, body: bytes) -> None:
        """End a batch whose send message was poisoned."""
        if (message := read_poisoned(BatchMessage, body, queue=self.parts.queue_names.batch)) is not None:
            with tracing.step("abandon send", message):
                abandon_batch(self.parts, message)

    def abandon_poll(self, body: bytes) -> None:
        """End a batch whose poll message was poisoned."""
        if (message := read_poisoned(PollMessage, body, queue=self.parts.queue_names.poll)) is not None:
            with tracing.step("abandon poll", message):
                abandon_batch(self.parts, message)

    def abandon_notification(self, body: bytes) -> None:
        """End a notification whose message was poisoned."""
        if (message := read_poisoned(NotifyMessage, body, queue=self.parts.queue_names.notify)) is not None:
            with tracing.step("abandon notification", message):
                abandon_notification(self.parts, message)

    def abandon_erasure(self, body: bytes) -> None:
        """Try an erasure less often whose message was poisoned."""
        if (message := read_poisoned(EraseMessage, body, queue=self.parts.queue_names.erase)) is not None:
            with tracing.step("abandon erasure", message):
                erase.abandon(self.parts, message)
