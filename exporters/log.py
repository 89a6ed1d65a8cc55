"""One log line when a step ends: a constant message and the same few keys, in the text and as `extra`.

Never an address, a field value, a header or a body: a row is known by run id and line number.
"""

import logging

LOGGER = logging.getLogger("exporters")


def step(action: str, outcome: str, *, level: int = logging.INFO, **keys: str | float) -> None:
    """Log the end of a step. Expected trouble is a warning; an error means that somebody must act."""
    known = {"action": action, "outcome": outcome, **keys}
    LOGGER.log(level, "%s", " ".join(f"{key}={value}" for key, value in known.items()), extra=known)
