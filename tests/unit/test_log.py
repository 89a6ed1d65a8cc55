"""Lines that queries can read, whatever is in them; and no library writes a url into the log once the app is wired."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


def read(line: str) -> dict[str, str]:
    """The pairs of a line as `parse-kv` is documented to read them, with the options that `exporters.log` names.

    A value in quotes ends at the first quote that no escape precedes, any other at the next space; the first of two
    pairs with one key counts; white space around a value does not.
    """
    pairs: dict[str, str] = {}
    rest = line
    while rest:
        key, _, rest = rest.partition("=")
        if rest.startswith('"'):
            value, rest = quoted(rest[1:])
            assert not rest or rest.startswith(" "), "a pair ends with a space"
            rest = rest[1:]
        else:
            value, _, rest = rest.partition(" ")
        pairs.setdefault(key.strip(), value.strip())
    return pairs


def quoted(text: str) -> tuple[str, str]:
    """A value up to its closing quote, without escapes, and what comes after that."""
    value, characters = "", iter(enumerate(text))
    for place, character in characters:
        if character == '"':
            return value, text[place + 1 :]
        value += next(characters)[1] if character == "\\" else character
    raise AssertionError("a quote is never closed")


def line_of(caplog: pytest.LogCaptureFixture, *words: str, **keys: log.Value) -> logging.LogRecord:
    caplog.clear()
    with caplog.at_level(logging.INFO):
        log.step(*(words or ("act", "done")), **keys)
    (record,) = caplog.records
    return record


KEYS = st.from_regex(r"[a-z][a-z_]{0,11}", fullmatch=True).filter(lambda key: key not in {"action", "outcome", "level"})
#: Text that a line can hold as it is.
SHOWN = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" ")).map(str.strip)
VALUES = SHOWN | st.text() | st.integers() | st.booleans() | st.none()
FLOATS = st.floats(min_value=-1e12, max_value=1e12)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.dictionaries(KEYS, VALUES | FLOATS, max_size=6), outcome=SHOWN)
def test_whatever_is_logged_is_read_back_by_the_rules_of_parse_kv(caplog, keys, outcome):
    record = line_of(caplog, "act", outcome, **keys)
    text = record.getMessage()

    assert text.isprintable()
    there = {key: value for key, value in keys.items() if value is not None}
    found = read(text)
    assert list(found) == ["action", "outcome", *there]
    assert (found["action"], found["outcome"]) == ("act", outcome)
    for key, value in there.items():
        said = getattr(record, f"{key}_" if key in log.RESERVED else key)
        assert float(found[key]) == said if isinstance(said, float) else found[key] == str(said)
        if isinstance(value, str) and value.isprintable() and value == value.strip():
            assert found[key] == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ("", '""'),
        ('say "no"', r'"say \"no\""'),
        ("C:\\", r'"C:\\"'),
        ("done run_id=1", '"done run_id=1"'),
        ("one\naction=finish outcome=failed", '"one action=finish outcome=failed"'),
        ("abc\u202edef", "abc\ufffddef"),
        (1.0, "1"),
        (0.12345, "0.123"),
        (1e15, "1000000000000000"),
        (True, "true"),
        (datetime(2026, 11, 23, 7, 0, 0, 999, tzinfo=ZoneInfo("Europe/Zagreb")), "2026-11-23T06:00:00+00:00"),
    ],
)
def test_a_value_is_written_so(caplog, value, written):
    assert line_of(caplog, value=value).getMessage() == f"action=act outcome=done value={written}"


def test_a_key_that_a_record_has_itself_stands_beside_it(caplog):
    record = line_of(caplog, name="VIP", message="text", module="x")

    assert (record.name_, record.message_, record.module_) == ("VIP", "text", "x")
    assert read(record.getMessage())["name"] == "VIP"
    assert record.name == "exporters"


def test_what_is_not_known_is_left_out(caplog):
    record = line_of(caplog, run_id=None, batch=0)

    assert record.getMessage() == "action=act outcome=done batch=0"
    assert not hasattr(record, "run_id")
