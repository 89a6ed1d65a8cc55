"""A receiver of the tests: its address, its secrets, and how it verifies a signature without the library that signs."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

KEY = bytes(range(32))
OLD_KEY = bytes(range(100, 124))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OLD_SECRET = "whsec_" + base64.b64encode(OLD_KEY).decode()
RECEIVER = {"url": "https://receiver.example/exports", "secret": "signing"}


def is_signed(headers: Mapping[str, str], body: bytes, key: bytes = KEY) -> bool:
    """Whether one of the signatures is by this key: HMAC-SHA256 over id, time and body, joined by full stops.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
    """
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(
        version == "v1" and hmac.compare_digest(signature, expected)
        for version, _, signature in (entry.partition(",") for entry in headers["webhook-signature"].split(" "))
    )
