"""The processes that run the app: our own small host, or Core Tools' `func start`."""

import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import requests

from infra.local.processes import Child, Processes, StartError

ROOT = Path(__file__).parents[2]
#: Core Tools fetches its extension bundle at the first start.
FUNC_READY_WITHIN_S = 300.0
#: Between two tries to start a host that does not come up.
PAUSE_AFTER_FAILURE_S = 1.0


class HostKind(StrEnum):
    LOCAL = "local"  #: infra.local.host
    FUNC = "func"  #: Azure Functions Core Tools


class Hosts:
    """Some processes that run the app. One that ends is started again at its old address, as Azure does."""

    def __init__(self, processes: Processes, settings: Mapping[str, str], *, kind: HostKind) -> None:
        self._processes = processes
        self._settings = settings
        self._kind = kind
        self._lock = threading.Lock()
        self._children: list[Child] = []
        self._stopping = False
        self.urls: list[str] = []

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self._children]

    def start(self, count: int) -> None:
        """Raises StartError."""
        ports = [0 if self._kind is HostKind.LOCAL else free_port() for _ in range(count)]
        started = [self._launch(number, port) for number, port in enumerate(ports)]
        for child, port in zip(started, ports, strict=True):
            self.urls.append(self._await_ready(child, port))
            self._children.append(child)
        for number in range(count):
            threading.Thread(target=self._keep, args=(number,), daemon=True).start()

    def kill(self, number: int) -> bool:
        """End a host as `kill -9` does, with its children; False when it has ended already."""
        return self._children[number].kill()

    def stop(self) -> None:
        """End all; functions at work may finish."""
        with self._lock:
            self._stopping = True
        self._processes.stop(*self._children)

    def _launch(self, number: int, port: int) -> Child:
        environment = dict(self._settings)
        if self._kind is HostKind.FUNC:
            # Core Tools ask for the language otherwise, and run the `python` that they find first.
            environment |= {
                "FUNCTIONS_WORKER_RUNTIME": "python",
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            }
        return self._processes.start(f"host-{number + 1}", self._command(port), env=environment, cwd=ROOT)

    def _command(self, port: int) -> list[str]:
        if self._kind is HostKind.LOCAL:
            return [sys.executable, "-m", "infra.local.host", "--app-dir", str(ROOT), "--port", str(port)]
        func = shutil.which("func")
        if func is None:
            raise StartError(
                "HOST=func needs Azure Functions Core Tools 4 on the PATH: "
                "https://learn.microsoft.com/azure/azure-functions/functions-run-local"
            )
        return [func, "start", "--port", str(port)]

    def _await_ready(self, child: Child, port: int) -> str:
        """Address of the host, once it serves. Raises StartError."""
        if self._kind is HostKind.LOCAL:
            return str(child.announcement()["url"])
        child.follow()
        url = f"http://127.0.0.1:{port}"
        _await_answer(child, url)
        return url

    def _keep(self, number: int) -> None:
        """Start a host again whenever it ends, until it serves. Each has a thread of its own for that."""
        port = int(self.urls[number].rpartition(":")[2])
        while True:
            child = self._children[number]
            status = child.process.wait()
            with self._lock:
                if self._stopping:
                    return
                print(f"{child.name} ended with status {status} and is started again", file=sys.stderr, flush=True)
                self._processes.stop(child)  # its own children, if it had any
                self._children[number] = again = self._launch(number, port)
            try:
                self._await_ready(again, port)
            except StartError as error:
                if not self._stopping:
                    print(error, file=sys.stderr, flush=True)
                    time.sleep(PAUSE_AFTER_FAILURE_S)
                again.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_answer(child: Child, url: str) -> None:
    deadline = time.monotonic() + FUNC_READY_WITHIN_S
    while child.process.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(f"{url}/api/health", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    raise child.failure("did not answer")
