"""Deliver: one try to post a notification, and whatever follows from the answer.

A message says how many tries there were before it, so one that comes late makes none, and the claim keeps two from
making the same. The message of the next try is sent before a failed one is written down: a step that dies between the
two, or between the receiver's answer and the record, posts once more, under the same id.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from exporters import log, tracing
from exporters.errors import ConfigError, StorageConflictError, TransientError
from exporters.model.export import Export
from exporters.model.messages import NotifyMessage
from exporters.model.notification import Fate, Notification, Try
from exporters.model.receiver import Receiver, usable_url
from exporters.notifications.outbox import send_message
from exporters.notifications.signing import signed_headers
from exporters.notifications.webhooks import Reply
from exporters.parts import Parts
from exporters.providers.http import retry_after_s
from exporters.storage import paths
from exporters.storage.documents import Versioned

#: Waits before the second and each further try, three days in all: the example of the specification.
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability
WAITS: Sequence[timedelta] = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
#: Share of a wait that is added at random.
JITTER = 0.1
#: A receiver may ask for a longer wait, up to this one.
LONGEST_WAIT = timedelta(days=1)
GONE = 410
#: What a trace says in place of a receiver's url, of which host and path may be keys.
RECEIVER = "/{receiver}"
#: How long a step may make a try before another one may take it for dead, as a multiple of the time that the platform
#: lets a step live.
CLAIM = 1.1
#: When a message comes again, at the earliest, that has found another step at the same try.
BUSY_S = 5.0
#: How a step is logged; otherwise somebody must act.
_LEVELS = {
    Fate.DELIVERED: logging.INFO,
    Fate.UNWANTED: logging.INFO,
    Fate.WAITING: logging.WARNING,
}

ABANDONED = "Its step failed again and again. The log of the function send_notification says why"


def deliver(parts: Parts, message: NotifyMessage) -> None:
    """Make the next try of a notification. Harmless when repeated: see above."""
    found = parts.documents.read(Notification, _path(message))
    if found is None or found.value.closed or message.tries < len(found.value.tries):
        return
    claimed = _claim(parts, message, found)
    if claimed is None:
        send_message(parts, found.value, tries=message.tries, delay_s=max(BUSY_S, _claimed_s(parts, found.value)))
        return
    try:
        _make_try(parts, message, claimed.value)
    except Exception:  # the message comes back, and must not find the try claimed by a step that is no more
        with suppress(StorageConflictError):
            parts.state.replace(_path(message), found.value.model_dump_json().encode(), etag=claimed.etag)
        raise


def _claim(parts: Parts, message: NotifyMessage, found: Versioned[Notification]) -> Versioned[Notification] | None:
    """The notification, claimed for a try; None while another step makes it."""
    now = parts.now()
    if found.value.claimed_until is not None and now < found.value.claimed_until:
        return None
    claimed = found.value.model_copy(update={"claimed_until": now + CLAIM * parts.step_limit})
    try:
        etag = parts.state.replace(_path(message), claimed.model_dump_json().encode(), etag=found.etag)
    except StorageConflictError:
        return None
    return Versioned(claimed, etag)


def _claimed_s(parts: Parts, notification: Notification) -> float:
    """Seconds until a step that makes a try now counts for dead."""
    until = notification.claimed_until
    return 0.0 if until is None else (until - parts.now()).total_seconds()


def _make_try(parts: Parts, message: NotifyMessage, notification: Notification) -> None:
    now, reply, words = parts.now(), None, ""
    try:
        receiver = _receiver(parts, message)
        if receiver is not None:
            reply = _post(parts, notification, receiver)
            words = _words(reply)
    except (ConfigError, TransientError) as error:
        words = str(error)
    else:
        if receiver is None:
            _record(parts, message, fate=Fate.UNWANTED)
            return
    tries = len(notification.tries) + 1
    fate = _fate(reply, tries=tries)
    if fate is Fate.WAITING:
        send_message(parts, notification, tries=tries, delay_s=_wait_s(parts, reply, tries=tries))
    _record(parts, message, Try(at=now, status=None if reply is None else reply.status, words=words), fate=fate)


def abandon_notification(parts: Parts, message: NotifyMessage) -> None:
    """Say in a notification that its message was poisoned. Harmless when repeated: the first end stands."""
    try:
        if parts.documents.read(Notification, _path(message)) is not None:
            _record(parts, message, Try(at=parts.now(), status=None, words=ABANDONED), fate=Fate.ABANDONED)
    except ConfigError as error:
        keys = {"export": message.export, "run_id": message.run, "reason": str(error)}
        log.step("notify", "unreadable", level=logging.ERROR, **keys)


def _path(message: NotifyMessage) -> str:
    return paths.notification(message.export, message.run, message.occasion)


def _receiver(parts: Parts, message: NotifyMessage) -> Receiver | None:
    """The receiver as it is configured now: a corrected url reaches what could not be delivered to the wrong one."""
    export = parts.documents.read(Export, paths.export(message.export))
    return None if export is None else export.value.notify


def _post(parts: Parts, notification: Notification, receiver: Receiver) -> Reply:
    """Post a notification. Raises ConfigError and TransientError."""
    body = notification.body.model_dump_json().encode()
    # Both asked anew each time: nobody else notices that they were changed, and there are few of them.
    secret = parts.secrets.get(receiver.secret, fresh=True)
    headers = signed_headers(secret, notification.id, parts.now(), body)
    url = _url(parts, receiver)
    with tracing.request("POST", RECEIVER) as made:
        reply = parts.webhooks.post(url, body, headers)
        tracing.answered(made, reply.status)
    return reply


def _url(parts: Parts, receiver: Receiver) -> str:
    if receiver.url_secret is None:
        return receiver.url or ""
    try:
        return usable_url(parts.secrets.get(receiver.url_secret, fresh=True).get_secret_value().strip())
    except ValueError as error:
        raise ConfigError(f"The url in the secret {receiver.url_secret} {error}") from None


def _words(reply: Reply) -> str:
    """What is wrong with an answer, and what to do."""
    if 200 <= reply.status < 300:
        return ""
    if reply.status == GONE:
        return "The receiver answered 410: it wants no more. Take notify out of the export, or correct its url"
    if 300 <= reply.status < 400:
        return f"The receiver answered {reply.status}: redirects are not followed, so set the url that it leads to"
    if reply.status in {401, 403}:
        return (
            f"The receiver answered {reply.status}: it has to know the secret that the export names, and no other key"
        )
    return f"The receiver answered {reply.status}"


def _fate(reply: Reply | None, *, tries: int) -> Fate:
    if reply is not None and 200 <= reply.status < 300:
        return Fate.DELIVERED
    if reply is not None and reply.status == GONE:
        return Fate.REFUSED
    return Fate.WAITING if tries <= len(WAITS) else Fate.GIVEN_UP


def _wait_s(parts: Parts, reply: Reply | None, *, tries: int) -> float:
    """Seconds to the next try after so many that failed."""
    planned_s = WAITS[tries - 1].total_seconds() * (1 + JITTER * parts.jitter())
    asked_s = None if reply is None else retry_after_s(reply.headers, parts.now().timestamp())
    return max(planned_s, min(asked_s or 0.0, LONGEST_WAIT.total_seconds()))


def _record(parts: Parts, message: NotifyMessage, made: Try | None = None, *, fate: Fate) -> None:
    """Write a try down, unless the notification has come to its end meanwhile, and log it."""

    def change(notification: Notification) -> Notification:
        if notification.closed or made in notification.tries:  # written before, by a write whose answer got lost
            return notification
        tries = notification.tries if made is None else (*notification.tries, made)
        return notification.model_copy(update={"fate": fate, "tries": tries, "claimed_until": None})

    after = parts.documents.change(Notification, _path(message), change)
    log.step(
        "notify",
        fate,
        level=_LEVELS.get(fate, logging.ERROR),
        export=message.export,
        run_id=message.run,
        occasion=message.occasion,
        tries=len(after.tries),
        reason="" if made is None else made.words,
    )
