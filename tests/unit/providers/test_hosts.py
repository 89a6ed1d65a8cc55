import pytest

from exporters.errors import ConfigError
from exporters.providers.hosts import checked_base_url, open_session

HOSTS = ("api.vendor.example",)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.vendor.example",
        "https://api.vendor.example/",
        "https://API.vendor.example:443",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://localhost:8080",
    ],
)
def test_keys_travel_to_the_vendor_and_to_this_machine(url: str) -> None:
    assert checked_base_url(url, HOSTS) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.vendor.example",
        "https://api.vendor.example.evil.example",
        "https://evil.example/api.vendor.example",
        "https://api.vendor.example@evil.example",
        "https://api.vendor.example:8443",
        "https://api.vendor.example/v3",
        "https://api.vendor.example?x=1",
        "http://127.0.0.1@evil.example",
        "http://localhost.evil.example",
        "http://169.254.169.254",
        "http://[::1",
        "ftp://127.0.0.1",
        "",
    ],
)
def test_keys_travel_nowhere_else(url: str) -> None:
    with pytest.raises(ConfigError, match=r"api\.vendor\.example|not a URL"):
        checked_base_url(url, HOSTS)


def test_no_proxy_stands_before_this_machine() -> None:
    assert not open_session("http://127.0.0.1:1", until=0.0).trust_env
    assert open_session("https://api.vendor.example", until=0.0).trust_env
