"""Where a key may travel: to its vendor by https, or to a sandbox on this machine."""

import time
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

import requests

from exporters.errors import ConfigError
from exporters.model.loopback import is_loopback
from exporters.providers.deadline import end_at


def open_session(url: str, *, until: float, clock: Callable[[], float] = time.monotonic) -> requests.Session:
    """A session for the host of `url`, which repeats nothing and reads nothing after `until` on `clock`.

    No proxy stands before this machine.
    """
    session = requests.Session()
    end_at(session, until, clock)
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
