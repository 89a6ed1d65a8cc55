"""Where notifications may go, and what is said of an address that they may not."""

import pytest
from pydantic import ValidationError

from exporters.errors import ConfigError
from exporters.model.export import Export
from exporters.model.receiver import Occasion, Receiver
from exporters.storage import paths
from tests.world import EXPORT, World


def receiver(**settings: object) -> Receiver:
    return Receiver.model_validate({"url": "https://receiver.example/a", "secret": "signing"} | settings)


def test_a_receiver_hears_everything_unless_it_says_otherwise():
    assert receiver().on == (Occasion.ENDED, Occasion.HELD, Occasion.RECOVERED)
    assert receiver(on=["held"]).on == (Occasion.HELD,)


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example",
        "https://receiver.example:8443/hooks/1",
        "https://10.0.0.4/hooks",
        "http://127.0.0.1:8080/hooks",
        "http://localhost/hooks",
        "http://[::1]:8080/",
        "https://[2001:db8::ffff:10.0.0.4]/",
        "https://receiver.example./",
        "https://" + "a" * 63 + ".example/",
    ],
)
def test_these_addresses_can_be_used(url):
    assert receiver(url=url).url == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://receiver.example/a", "has to begin with https://"),
        ("http://localhost.receiver.example/a", "has to begin with https://"),
        ("ftp://receiver.example/a", "has to begin with https://"),
        ("receiver.example/a", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://receiver.example:port/a", "is not a URL"),
        ("https://[::1/a", "is not a URL"),
        ("https://receiver.example/a b", "is not a URL"),
        ("https://receiver.example\\@evil.example/", "is not a URL"),
        ("https://receiver.example/\n", "is not a URL"),
        ("https://receiver.example/" + "a" * 2_000, "is not a URL of up to 2,000"),
        ("", "is not a URL"),
        ("https://hooks..receiver.example/a", "has a host that cannot exist"),
        ("https://.receiver.example/a", "has a host that cannot exist"),
        ("https://" + "a" * 64 + ".example/a", "has a host that cannot exist"),
        ("https://" + "a." * 127 + "example/a", "has a host that cannot exist"),
        ("https://ann:secret-word@receiver.example/a", "a user name or a password"),
        ("https://ann@receiver.example/a", "a user name or a password"),
        ("https://receiver.example/a?sig=secret-word", "name that as url_secret"),
        ("https://receiver.example/a#secret-word", "a part after #"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_the_reason_and_not_quoted_to_the_operator(url, says):
    world = World()
    world.people(2)
    world.export(notify={"url": url, "secret": "signing"})

    with pytest.raises(ConfigError, match=r"notify\.url: ") as caught:
        world.parts.documents.read(Export, paths.export("newsletter"))

    assert says in str(caught.value)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"url_secret": "where"},
        {"url": None},
        {"secret": "no blanks"},
        {"secret": None},
        {"on": []},
        {"on": ["started"]},
        {"token": "abc"},
    ],
)
def test_what_is_no_receiver_is_refused(settings):
    with pytest.raises(ValidationError):
        receiver(**settings)


def test_an_export_needs_no_receiver():
    assert Export.model_validate(EXPORT).notify is None
