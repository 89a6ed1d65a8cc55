"""One log line when a step ends: the same few keys every time, as text that queries can read and as `extra`.

Never an address, a field value, a header or a body: a row is known by run id and line number.

The text is logfmt, pairs of a key and a value with a space between them, as `parse-kv` of KQL reads them with
`pair_delimiter=' ', kv_delimiter='=', quote='"', escape='\\\\'`. The first of two pairs with one key counts there, and
white space around a value does not.
https://learn.microsoft.com/kusto/query/parse-kv-operator
"""

import logging
import re
from datetime import UTC, datetime

LOGGER = logging.getLogger("exporters")
#: Loggers of libraries that print urls, which may be keys: those of receivers, and the signed links of files. The first
#: warns of a malformed header with the whole url, and tells each request at DEBUG; the second tells each request at
#: INFO, with the values of queries blotted out, but with names of blobs and secrets. What goes wrong is raised besides.
#: https://github.com/urllib3/urllib3/blob/2.8.0/src/urllib3/connectionpool.py
#: https://github.com/Azure/azure-sdk-for-python/blob/azure-core_1.41.0/sdk/core/azure-core/azure/core/pipeline/policies/_universal.py
URL_LOGGERS = ("urllib3", "azure.core.pipeline.policies.http_logging_policy")

#: What a line may say. A value that is None is left out.
Value = str | float | datetime | None
#: Digits after the point. Ours: nothing that is logged is known more finely than a thousandth.
DIGITS = 3
#: What needs no quotes.
_PLAIN = re.compile(r'[^\s"=\\]+')
_ESCAPED = re.compile(r'["\\]')
#: Stands for what breaks a line, hides or turns the text around it: no escape is documented that means one of these.
REPLACEMENT = "\ufffd"
#: Attributes that a record has anyway; `extra` must not name them.
#: https://docs.python.org/3/library/logging.html#logging.Logger.debug
RESERVED = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


def keep_urls_out() -> None:
    """Let nothing of `URL_LOGGERS` reach a log, whatever levels are set later. Called once in each process."""
    for name in URL_LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())  # without any, warnings would go to the standard error


def step(action: str, outcome: str, *, level: int = logging.INFO, **keys: Value) -> None:
    """Log the end of a step. Expected trouble is a warning; an error means that somebody must act.

    `outcome` is one of few fixed phrases; what differs from time to time is in `keys`, in snake case, with the unit at
    the end. A key that a log record has already stands in `extra` with an underscore after it.
    """
    known: dict[str, Value] = {"action": action, "outcome": outcome, **keys}
    said = {key: _said(value) for key, value in known.items() if value is not None}
    LOGGER.log(
        level,
        "%s",
        " ".join(f"{key}={_written(value)}" for key, value in said.items()),
        extra={f"{key}_" if key in RESERVED else key: value for key, value in said.items()},
    )


def _said(value: str | float | datetime) -> str | int | float:
    """A value as it is logged: a number, or a text of one line without white space around it."""
    if isinstance(value, str):
        return "".join(map(_shown, value)).strip()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, bool):
        return str(value).lower()
    return round(value, DIGITS)


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else REPLACEMENT


def _written(value: str | int | float) -> str:
    """A value as it stands in the line; numbers without an exponent."""
    if isinstance(value, float):
        return f"{value:.{DIGITS}f}".rstrip("0").removesuffix(".")
    text = str(value)
    return text if _PLAIN.fullmatch(text) else '"{}"'.format(_ESCAPED.sub(r"\\\g<0>", text))
