"""No library writes a url into the log once the app is wired."""

import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobClient

from exporters import log
from exporters.bootstrap import build
from exporters.errors import TransientError
from exporters.notifications.webhooks import HttpWebhooks
from exporters.providers import files
from exporters.settings import Settings
from tests.dripping import dripping

#: The library that reads it warns, with the url, and takes the answer all the same.
MALFORMED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nno header\r\n\r\nEMAIL\n"
LOCAL = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "KEY_VAULT_URL": "https://127.0.0.1:8443",
    "LOCAL_MODE": "true",
}


@pytest.fixture
def everything(caplog) -> Iterator[pytest.LogCaptureFixture]:
    """All that reaches the root, as in a process that has just begun and logs all there is."""
    caplog.set_level(logging.DEBUG)
    loggers = [logging.getLogger(name) for name in log.URL_LOGGERS]
    before = [(logger.propagate, logger.handlers[:]) for logger in loggers]
    for logger in loggers:
        logger.propagate = True
    yield caplog
    for logger, (propagate, handlers) in zip(loggers, before, strict=True):
        logger.propagate, logger.handlers[:] = propagate, handlers


def requests_of_all_kinds() -> None:
    with dripping(MALFORMED) as url:
        with suppress(TransientError):
            HttpWebhooks(within_s=5).post(f"{url}/secret-word?sig=secret-word", b"{}", {})
        with suppress(files.UnreadableError):
            list(files.content(f"{url}/secret-word?sig=secret-word", max_bytes=100))
        with suppress(AzureError):
            BlobClient.from_blob_url(f"{url}/account/container/secret-word", retry_total=0).get_blob_properties()


def test_once_the_app_is_wired_no_library_logs_a_url(everything):
    build(Settings.model_validate(LOCAL))
    requests_of_all_kinds()

    assert "secret-word" not in everything.text


def test_without_that_both_libraries_would(everything):
    requests_of_all_kinds()

    assert {record.name for record in everything.records if "secret-word" in record.getMessage()} == {
        "urllib3.connection",
        "urllib3.connectionpool",
        "azure.core.pipeline.policies.http_logging_policy",
    }


def test_nothing_is_printed_instead(everything, capfd):
    log.keep_urls_out()
    for name in log.URL_LOGGERS:
        logging.getLogger(name).warning("secret-word")

    assert "secret-word" not in "".join(capfd.readouterr())
