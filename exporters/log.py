"""One log line when a step ends: a constant message and the same few keys, in the text and as `extra`.

Never an address, a field value, a header or a body: a row is known by run id and line number.
"""

import logging

LOGGER = logging.getLogger("exporters")
#: Loggers of libraries that print urls, which may be keys: those of receivers, and the signed links of files. The first
#: warns of a malformed header with the whole url, and tells each request at DEBUG; the second tells each request at
#: INFO, with the values of queries blotted out, but with names of blobs and secrets. What goes wrong is raised besides.
#: https://github.com/urllib3/urllib3/blob/2.8.0/src/urllib3/connectionpool.py
#: https://github.com/Azure/azure-sdk-for-python/blob/azure-core_1.41.0/sdk/core/azure-core/azure/core/pipeline/policies/_universal.py
URL_LOGGERS = ("urllib3", "azure.core.pipeline.policies.http_logging_policy")


def keep_urls_out() -> None:
    """Let nothing of `URL_LOGGERS` reach a log, whatever levels are set later. Called once in each process."""
    for name in URL_LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())  # without any, warnings would go to the standard error


def step(action: str, outcome: str, *, level: int = logging.INFO, **keys: str | float) -> None:
    """Log the end of a step. Expected trouble is a warning; an error means that somebody must act."""
    known = {"action": action, "outcome": outcome, **keys}
    LOGGER.log(level, "%s", " ".join(f"{key}={value}" for key, value in known.items()), extra=known)
