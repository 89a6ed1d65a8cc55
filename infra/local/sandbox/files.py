"""Files for download, from a port of their own and without a key, as pre-signed storage links are."""

import threading
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

from infra.local.sandbox.server import Reply, Request, Server

Content = Callable[[], Reply]


class FileHost:
    """Serves what was added under addresses that cannot be guessed."""

    def __init__(self) -> None:
        self._contents: dict[str, Content] = {}
        self._lock = threading.Lock()
        self._server = Server(self._answer)

    def add(self, name: str, content: Content) -> str:
        """Publish a file, made anew for every download; answers its URL."""
        path = f"/{uuid.uuid4()}/{name}"
        with self._lock:
            self._contents[path] = content
        return f"{self._server.url}{path}?signature={uuid.uuid4().hex}"

    def clear(self) -> None:
        with self._lock:
            self._contents.clear()

    def close(self) -> None:
        self._server.close()

    def _answer(self, request: Request) -> Reply:
        content = self._contents.get(urlsplit(request.target).path)
        if request.method != "GET" or content is None:
            return not_found()
        return content()


def not_found() -> Reply:
    """What object storage says of a file that is not there."""
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>'
    return Reply(status=404, body=body, headers={"Content-Type": "application/xml"})
