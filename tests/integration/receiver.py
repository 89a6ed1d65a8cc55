"""A receiver of notifications on this machine, over real HTTP."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.local.sandbox.server import Reply, Request, Server
from tests.integration.accounts import eventually

#: Longest wait for a notification: the second try comes after five seconds, after a hang twenty more.
WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Post:
    """A notification as it came in."""

    at: float  #: seconds on a monotonic clock
    path: str
    headers: dict[str, str]  #: by name in lower case
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class Receiver:
    """Answers by the number of a post, from 0, and keeps them all."""

    def __init__(self, answer: Callable[[int], Reply]) -> None:
        self.posts: list[Post] = []
        self.closing = threading.Event()
        self._answer = answer
        self._lock = threading.Lock()
        self._server = Server(self._take)
        self.url = f"{self._server.url}/hooks/1"

    def close(self) -> None:
        self.closing.set()
        self._server.close()

    def wait_for(self, count: int) -> list[Post]:
        """All posts, once there are so many."""
        eventually(lambda: len(self.posts) >= count, within_s=WITHIN_S)
        return list(self.posts)

    def _take(self, request: Request) -> Reply:
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._lock:
            number = len(self.posts)
            self.posts.append(Post(at=time.monotonic(), path=request.target, headers=headers, body=request.body))
        return self._answer(number)
