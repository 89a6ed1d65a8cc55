"""Where a key may travel: to its vendor by https, or to a sandbox on this machine."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

import requests

from exporters.errors import ConfigError


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def open_session(url: str) -> requests.Session:
    """A session for the host of `url`, which repeats nothing; no proxy stands before this machine."""
    session = requests.Session()
    session.trust_env = not is_loopback(urlsplit(url).hostname)
    return session


def checked_base_url(url: str, hosts: Collection[str]) -> str:
    """The base address, if a key may travel there: https to one of `hosts`, or this machine. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError("The provider's address is not a URL.") from error
    bare = parts.path in {"", "/"} and not parts.query and not parts.fragment and "@" not in parts.netloc
    vendor = parts.scheme == "https" and parts.hostname in hosts and port in {None, 443}
    local = parts.scheme in {"http", "https"} and is_loopback(parts.hostname)
    if bare and (vendor or local):
        return url
    raise ConfigError(
        "The provider's address may only be "
        + ", ".join(f"https://{host}" for host in sorted(hosts))
        + " or a sandbox on this machine: keys travel nowhere else."
    )
