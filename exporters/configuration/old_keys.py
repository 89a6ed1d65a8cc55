"""Keys that the app has put into the vault and that no connection needs any more: noted first, then deleted.

Between the document that does not name a secret any more and its deletion the app may die, and the vault may be away.
So its name is noted before, and whoever looks next goes on: the timer, some time later.
"""

import logging
from datetime import timedelta

from azure.core.exceptions import AzureError

from exporters import log
from exporters.errors import ExporterError
from exporters.model.connection import Connection
from exporters.parts import Parts
from exporters.storage import paths

#: Time after which the timer deletes a secret that was noted, and tries again. Ours: longer than any request takes, so
#: that whoever has noted it has either done what makes it needless, or has died.
AGAIN_AFTER = timedelta(hours=1)


def note(parts: Parts, secret: str) -> None:
    """Say that a secret is about to be needless. Harmless where it comes to nothing: one that is named stays."""
    parts.state.put(paths.old_key(secret), b"{}")


def drop(parts: Parts, secret: str) -> str:
    """Delete a noted secret if this app has made it and no connection names it, and the note with it.

    Harmless when repeated. Answers why it could not be done, in which case the timer tries again; else nothing.
    """
    try:
        if not _is_named(parts, secret):
            parts.secrets.delete(secret)
        parts.state.delete(paths.old_key(secret))
    except (ExporterError, AzureError) as error:
        # The texts of other errors may quote addresses of the cloud.
        reason = str(error) if isinstance(error, ExporterError) else type(error).__name__
        log.step("connection", "secret left", level=logging.WARNING, secret=secret, reason=reason)
        return f"the secret {secret} is still in the vault, and is tried again: {reason}"
    return ""


def drop_noted(parts: Parts) -> None:
    """Delete what was noted some time ago and is still there."""
    for blob in list(parts.state.list(paths.OLD_KEYS)):
        if parts.now() - blob.modified < AGAIN_AFTER:
            continue
        secret = blob.name.removeprefix(paths.OLD_KEYS).removesuffix(".json")
        if drop(parts, secret):
            note(parts, secret)  # not every minute


def _is_named(parts: Parts, secret: str) -> bool:
    """Whether a connection names a secret. Raises ConfigError where one cannot be read, which may be the one."""
    named = set()
    for blob in parts.state.list(paths.CONNECTIONS):
        if blob.name.endswith(".json") and (found := parts.documents.read(Connection, blob.name)) is not None:
            # Key Vault does not tell upper from lower case in names, see `SecretName`.
            named.add(found.value.secret.lower())
    return secret.lower() in named
