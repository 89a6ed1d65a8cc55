"""Runs a sandbox as a process of its own, which ends with the process that started it."""

import argparse
import gc
import json
import os
import signal
import threading
from typing import Any, TypeVar

from pydantic import ValidationError

from infra.local.sandbox.faults import Faults, words
from infra.local.sandbox.sandbox import Sandbox

F = TypeVar("F", bound=Faults)

#: Net new containers before a collection. An import request makes some 100,000 that all go at once, without cycles.
COLLECT_AFTER = 1_000_000

PARENT_CHECK_S = 0.5


def arguments(name: str, faults: type[F]) -> argparse.ArgumentParser:
    """What every sandbox takes on its command line: `port`, and `faults` as an instance of this model."""

    def read_faults(text: str) -> F:
        try:
            return faults.model_validate_json(text)
        except ValidationError as error:
            raise argparse.ArgumentTypeError(words(error)) from error

    parser = argparse.ArgumentParser(prog=f"python -m infra.local.sandbox.{name}")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--faults", type=read_faults, default="{}", metavar="JSON", help="faults as PUT /_sandbox/faults takes them"
    )
    return parser


def serve(sandbox: Sandbox[F], **more: Any) -> None:
    """Print one JSON line with name, URL and `more`; serve until SIGTERM, SIGINT or the end of the parent process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    gc.set_threshold(COLLECT_AFTER)
    parent = os.getppid()
    with sandbox:
        print(json.dumps({"name": sandbox.name, "url": sandbox.url, **more}), flush=True)
        while not stop.wait(PARENT_CHECK_S) and os.getppid() == parent:
            continue
