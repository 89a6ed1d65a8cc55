"""The use cases, as the triggers call them. Each may run twice; why that is harmless stands where it is implemented."""

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
        """Start what is due, and move on what has stood still."""
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
        return dispatch(self.parts, ROUTES, request, caller_of(request.headers, self.parts.sign_in))

    def answer_key(self, request: Request) -> Answer:
        """A request whose function key the platform has checked; its path begins after /api/automation.

        Whom the sign-in header names does not matter here: the key opens no more for an administrator.
        """
        return at_key_door(dispatch(self.parts, AUTOMATION, request, key_caller(request.headers)))

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

    def erase_person(self, body: bytes) -> None:
        """Do some of an erasure."""
        erase.erase(self.parts, EraseMessage.model_validate_json(body))

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

    def abandon_erasure(self, body: bytes) -> None:
        """Try an erasure less often whose message was poisoned."""
        if (message := read_poisoned(EraseMessage, body)) is not None:
            erase.abandon(self.parts, message)
