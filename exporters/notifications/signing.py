"""Signatures of notifications: HMAC-SHA256 over id, time and body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime

from pydantic import SecretStr
from standardwebhooks import Webhook

from exporters.errors import ConfigError

PREFIX = "whsec_"
#: Bytes of a key, as the specification limits them.
SHORTEST_KEY = 24
LONGEST_KEY = 64


def signed_headers(secret: SecretStr, notification_id: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """The three headers of a try at `at` (UTC); with several keys in the secret, a signature by each.

    Raises ConfigError when the secret cannot be signed with.
    """
    signatures = (Webhook(key).sign(notification_id, at, body.decode()) for key in _keys(secret))
    return {
        "webhook-id": notification_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _keys(secret: SecretStr) -> list[bytes]:
    keys = [_key(text) for text in secret.get_secret_value().split()]
    if not keys:
        raise _unusable()
    return keys


def _key(text: str) -> bytes:
    """The bytes of one key. The library would take any text for base64, and sign with what little of it is."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise _unusable() from None
    if not text.startswith(PREFIX) or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise _unusable()
    return key


def _unusable() -> ConfigError:
    return ConfigError(
        f"The secret to sign with cannot be used: it has to be {PREFIX} and {SHORTEST_KEY} to {LONGEST_KEY} random"
        " bytes in base64, or several of these with blanks between them"
    )
