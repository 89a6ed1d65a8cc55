"""What reached a sandbox: requests and bytes by route, and the size of every import."""

import threading
from collections import Counter, defaultdict
from typing import Any


class Traffic:
    """Counts of one sandbox since its start or last reset."""

    def __init__(self) -> None:
        self._statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._bytes: Counter[str] = Counter()
        self._imports: list[dict[str, int]] = []
        self._lock = threading.Lock()

    def record(self, route: str, *, size: int, outcome: str) -> None:
        """One request with a body of `size` bytes; the outcome is a status, or `cut`."""
        with self._lock:
            self._statuses[route][outcome] += 1
            self._bytes[route] += size

    def record_import(self, *, contacts: int, size: int) -> None:
        """One accepted import request."""
        with self._lock:
            self._imports.append({"contacts": contacts, "bytes": size})

    def summary(self) -> dict[str, Any]:
        """As `GET /_sandbox/requests` answers it."""
        with self._lock:
            return {
                "routes": {
                    route: {
                        "count": statuses.total(),
                        "bytes": self._bytes[route],
                        "statuses": dict(statuses),
                    }
                    for route, statuses in sorted(self._statuses.items())
                },
                "imports": list(self._imports),
            }
