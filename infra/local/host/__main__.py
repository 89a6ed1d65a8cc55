"""`python -m infra.local.host --app-dir . --port 0`: run an app's functions until told to end.

Prints one line when ready: `{"name": "host", "url": "http://127.0.0.1:7071"}`. Settings come from the environment. Ends
on SIGTERM and Ctrl-C, letting functions at work finish, and when the process that started it is gone.
"""

import argparse
import faulthandler
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from infra.local.host.functions import LoadError
from infra.local.host.options import OptionError
from infra.local.host.process import HostProcess

log = logging.getLogger("host")

#: Functions at work when the host is told to end may take this long; Azure's worker has the same.
GRACE_S = 10.0
#: How often time limits and the parent process are looked at.
CHECK_S = 0.5
#: Exit status after a function broke its time limit; the launcher starts the host again, as Azure restarts the worker.
EXIT_TIMEOUT = 75


class _ToldToEndError(Exception):
    """SIGTERM or Ctrl-C arrived."""


def main() -> int:
    arguments = _arguments()
    _set_up_logging()
    try:
        host = HostProcess.load(arguments.app_dir.resolve(), os.environ, port=arguments.port)
    except (LoadError, OptionError, ValidationError, OSError) as error:
        log.error("the app cannot run: %s", error)  # noqa: TRY400  it says all there is to say
        return 1
    try:
        _on_signals(_raise_told_to_end)
        log.info("the host starts, process %d", os.getpid())
        host.start()
        print(json.dumps({"name": "host", "url": host.url}), flush=True)
        _watch(host)
    except _ToldToEndError:
        log.info("told to end")
    _on_signals(signal.SIG_IGN)
    if not host.stop(GRACE_S):
        _give_up("functions were still at work; their messages return when the leases end")
    return 1 if host.crashed else 0


def _on_signals(action: Callable[..., None] | signal.Handlers) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, action)


def _raise_told_to_end(*_: object) -> NoReturn:
    raise _ToldToEndError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.host", description=__doc__)
    parser.add_argument("--app-dir", type=Path, default=Path(), help="folder of function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="port on 127.0.0.1; 0 takes a free one")
    return parser.parse_args()


def _set_up_logging() -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )
    for name in ("azure", "urllib3", "werkzeug"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _watch(host: HostProcess) -> None:
    """Returns when the host should end by itself."""
    parent = os.getppid()
    while not host.crashed:
        time.sleep(CHECK_S)
        if os.getppid() != parent:
            log.warning("the process that started this host is gone")
            return
        for name in host.overdue():
            # A thread cannot be ended from outside, in Azure neither: the whole process goes.
            faulthandler.dump_traceback()  # where it hangs
            _give_up(f"Timeout value of {host.timeout} exceeded by function {name}", status=EXIT_TIMEOUT)


def _give_up(reason: str, *, status: int = 1) -> NoReturn:
    log.error(reason)
    logging.shutdown()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
