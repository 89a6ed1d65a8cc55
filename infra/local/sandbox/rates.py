"""Counting requests in fixed windows of time, as rate limits do."""

import math
import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a bucket says to one request."""

    allowed: bool
    limit: int  #: requests per window
    remaining: int  #: after this one
    resets_at: float  #: when the window ends, on the clock of the caller

    def reset_s(self, now: float) -> int:
        """Whole seconds until the window ends, at least one."""
        return max(1, math.ceil(self.resets_at - now))


class Bucket:
    """One window after the other. The first request of a window starts it."""

    def __init__(self) -> None:
        self._used = 0
        self._resets_at = 0.0
        self._lock = threading.Lock()

    def take(self, *, limit: int, window_s: float, now: float) -> Allowance:
        """Count one request. Limits come with the call, since they may be changed while the sandbox runs."""
        with self._lock:
            if now >= self._resets_at:
                self._used = 0
                self._resets_at = now + window_s
            allowed = self._used < limit
            self._used += allowed
            return self._allowance(allowed=allowed, limit=limit)

    def look(self, *, limit: int, window_s: float, now: float) -> Allowance:
        """What `take` would say, counting nothing."""
        with self._lock:
            if now >= self._resets_at:
                return Allowance(allowed=True, limit=limit, remaining=limit, resets_at=now + window_s)
            return self._allowance(allowed=self._used < limit, limit=limit)

    def _allowance(self, *, allowed: bool, limit: int) -> Allowance:
        remaining = max(0, limit - self._used)
        return Allowance(allowed=allowed, limit=limit, remaining=remaining, resets_at=self._resets_at)
