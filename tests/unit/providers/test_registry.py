import pytest
from pydantic import SecretStr

from exporters.errors import AccessError, ConfigError
from exporters.providers import registry
from exporters.providers.brevo import Brevo
from exporters.providers.sendgrid import SendGrid
from tests.unit.providers.conftest import KEY, connection


@pytest.mark.parametrize(
    ("word", "expected"),
    [("sendgrid", SendGrid), ("SendGrid", SendGrid), ("brevo", Brevo), ("sendinblue", Brevo), (" Sendinblue ", Brevo)],
)
def test_a_provider_is_found_by_its_name_and_by_its_old_name(word: str, expected: type) -> None:
    assert isinstance(registry.build(connection(word), KEY), expected)


def test_an_unknown_provider_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match='There is no provider "mailchimp": choose brevo or sendgrid'):
        registry.build(connection("mailchimp"), KEY)


def test_each_provider_is_registered_under_its_own_name() -> None:
    assert {name: provider.name for name, provider in registry.PROVIDERS.items()} == {
        "sendgrid": "sendgrid",
        "brevo": "brevo",
    }


@pytest.mark.parametrize("provider", sorted(registry.PROVIDERS))
@pytest.mark.parametrize("url", ["https://api.sendinblue.com", "https://evil.example", "http://api.sendgrid.com"])
def test_a_key_travels_to_no_other_host(provider: str, url: str) -> None:
    with pytest.raises(ConfigError, match="keys travel nowhere else"):
        registry.build(connection(provider), KEY, base_urls={provider: url})


def test_sendgrid_may_be_reached_in_europe() -> None:
    assert registry.build(connection("sendgrid"), KEY, base_urls={"sendgrid": "https://api.eu.sendgrid.com"})


@pytest.mark.parametrize("provider", sorted(registry.PROVIDERS))
def test_what_cannot_be_a_key_is_refused_before_any_request(provider: str) -> None:
    with pytest.raises(AccessError):
        registry.build(connection(provider), SecretStr("two\nlines"))
