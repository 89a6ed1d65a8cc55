"""A server that speaks raw bytes, and then trickles: no wait for it is long, and it never ends."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Far below every timeout of a single wait in these tests.
PAUSE_S = 0.05


@contextmanager
def dripping(head: bytes, drop: bytes = b"", *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The url of a server that answers each connection with `head`, and then with `drop` again and again, if any."""
    done = threading.Event()

    def answer(accepted: socket.socket) -> None:
        try:
            with accepted if tls is None else tls.wrap_socket(accepted, server_side=True) as connection:
                connection.recv(65_536)
                connection.sendall(head)
                while drop and not done.wait(PAUSE_S):
                    connection.sendall(drop)
        except OSError:  # the other side has had enough
            return

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=answer, args=(connection,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threads = [threading.Thread(target=serve)]
        threads[0].start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            done.set()
            listening.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
