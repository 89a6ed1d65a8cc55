"""One host process: the listeners of an app's functions, its pool of threads and its HTTP server."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from infra.local.host.functions import Function, HttpFunction, QueueFunction, TimerFunction, load
from infra.local.host.http import HttpFunctions, Keys
from infra.local.host.locks import TimerRecord
from infra.local.host.options import HostOptions, lease_s
from infra.local.host.polling import Bell
from infra.local.host.queues import QueueListener
from infra.local.host.runner import Runner
from infra.local.host.timers import TimerListener

log = logging.getLogger("host")

Listener = QueueListener | TimerListener


class _RequestHandler(WSGIRequestHandler):
    timeout = 10  # a client that connects and says nothing must not hold up the end

    def log_request(self, *_: object) -> None:
        """Nothing: the runner logs the function, and a query may hold a key."""


class HostProcess:
    """Runs functions between `start` and `stop`."""

    def __init__(
        self,
        functions: list[Function],
        options: HostOptions,
        settings: Mapping[str, str],
        *,
        port: int,
    ) -> None:
        self.timeout: timedelta = options.function_timeout
        self.crashed = False  #: a bug in the host itself ended one of its threads
        self._bell = Bell()
        self._runner = Runner(
            threads=_thread_count(settings), timeout_s=self.timeout.total_seconds(), on_end=self._bell.ring
        )
        self._listeners = self._make_listeners(functions, options, settings)
        self._server = self._make_server(functions, options, settings, port)
        self._threads: list[threading.Thread] = []

    @classmethod
    def load(cls, app_dir: Path, settings: Mapping[str, str], *, port: int) -> "HostProcess":
        """Raises LoadError, OptionError, ValidationError for a wrong host.json, and OSError for a missing one or a port
        in use.
        """
        options = HostOptions.read(app_dir / "host.json", settings)
        functions = load(app_dir, settings)
        return cls(functions, options, settings, port=port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def start(self) -> None:
        for run in (self._server.serve_forever, *(listener.run for listener in self._listeners)):
            thread = threading.Thread(target=self._carry, args=(run,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def overdue(self) -> list[str]:
        """Names of functions that are over the time limit."""
        return self._runner.overdue()

    def stop(self, grace_s: float) -> bool:
        """Take nothing new, let functions at work finish; answers whether they all did in time."""
        for listener in self._listeners:
            listener.stop()
        self._server.shutdown()
        finished = self._runner.stop(grace_s)
        closing = threading.Thread(target=self._server.server_close, daemon=True)
        closing.start()
        for thread in (closing, *self._threads):
            thread.join(timeout=1)
        return finished

    def _carry(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception:
            log.exception("the host has a bug and ends")
            self.crashed = True

    def _make_listeners(
        self, functions: list[Function], options: HostOptions, settings: Mapping[str, str]
    ) -> list[Listener]:
        queues = [
            QueueListener(function, options.extensions.queues, self._runner, self._bell, lease_s=lease_s(settings))
            for function in functions
            if isinstance(function, QueueFunction)
        ]
        timers = [
            TimerListener(
                function, TimerRecord(settings["AzureWebJobsStorage"], _host_id(settings), function.name), self._runner
            )
            for function in functions
            if isinstance(function, TimerFunction)
        ]
        return [*queues, *timers]

    def _make_server(
        self, functions: list[Function], options: HostOptions, settings: Mapping[str, str], port: int
    ) -> BaseWSGIServer:
        keys = Keys(function=settings.get("LOCAL_FUNCTION_KEY", ""), master=settings.get("LOCAL_MASTER_KEY", ""))
        routes = HttpFunctions(
            [function for function in functions if isinstance(function, HttpFunction)],
            options.extensions.http.route_prefix,
            keys,
            self._runner,
            signs_in=settings.get("SIGN_IN") == "platform",
        )
        server = make_server("127.0.0.1", port, routes, threaded=True, request_handler=_RequestHandler)
        server.daemon_threads = False  # type: ignore[attr-defined]  # so that closing waits for answers on their way
        return server


def _thread_count(settings: Mapping[str, str]) -> int:
    # https://learn.microsoft.com/azure/azure-functions/functions-app-settings#python_threadpool_thread_count
    return int(settings.get("PYTHON_THREADPOOL_THREAD_COUNT") or min(32, (os.cpu_count() or 1) + 4))


def _host_id(settings: Mapping[str, str]) -> str:
    # https://learn.microsoft.com/azure/azure-functions/functions-app-settings#azurefunctionswebhost__hostid
    return settings.get("AzureFunctionsWebHost__hostid", "local")
