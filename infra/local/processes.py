"""Child processes that say when they are ready, leave their words in a log, and end with the one that started them."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from infra.local import guard

READY_WITHIN_S = 30.0
#: A host lets its functions finish for ten seconds.
END_WITHIN_S = 15.0
#: Lines of a child's log that go into an error message.
TAIL_LINES = 15


class StartError(Exception):
    """A program could not be started; the text says why, with the end of its log."""


class Child:
    """One child process, in a process group of its own so that Ctrl-C reaches the parent only."""

    def __init__(self, name: str, process: "subprocess.Popen[str]", write: Callable[[str], object]) -> None:
        self.name = name
        self.process = process
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._ready = False
        self._told_to_end = False
        self._write = write
        self._readers = [
            threading.Thread(target=self._read, args=(stream, take), daemon=True)
            for stream, take in ((process.stdout, self._take), (process.stderr, self._log))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def announcement(self, *, within_s: float = READY_WITHIN_S) -> dict[str, Any]:
        """The JSON object on the first line of its standard output. Raises StartError."""
        [line] = self.lines(lambda _: True, within_s=within_s)
        try:
            return dict(json.loads(line))
        except ValueError as error:
            raise self.failure(f"said {line!r} instead of JSON") from error

    def lines(self, wanted: Callable[[str], bool], *, count: int = 1, within_s: float = READY_WITHIN_S) -> list[str]:
        """The first lines of its standard output that are wanted; all others go to the log. Raises StartError."""
        deadline = time.monotonic() + within_s
        found: list[str] = []
        while len(found) < count:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise self.failure(f"was not ready within {within_s:g} s") from None
            if line is None:
                raise self.failure(f"ended with status {self.process.wait()}")
            (found.append if wanted(line) else self._log)(line)
        self.follow()
        return found

    def follow(self) -> None:
        """From now on its standard output goes to the log too."""
        self._ready = True

    def tell_to_end(self) -> None:
        """Once is enough."""
        if not self._told_to_end:
            self._told_to_end = True
            self._signal(signal.SIGTERM)

    def kill(self) -> bool:
        """End it at once, with whatever it has started itself; False when it has ended already."""
        if self.process.poll() is not None:
            return False
        self._signal(signal.SIGKILL)
        return True

    def stop(self, *, within_s: float = END_WITHIN_S) -> int:
        """End it, by force when it does not end in time; answers its exit status."""
        self.tell_to_end()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._log(f"did not end within {within_s:g} s and was killed")
        self._signal(signal.SIGKILL)  # and whatever it has started itself
        status = self.process.wait()
        for reader in self._readers:
            reader.join(timeout=1)
        return status

    def failure(self, what: str) -> StartError:
        """An error with the end of the log."""
        self._readers[1].join(timeout=1 if self.process.poll() is not None else 0)
        return StartError("\n    ".join([f"{self.name} {what}", *self._tail]))

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _read(self, stream: IO[str], take: Callable[[str | None], object]) -> None:
        with stream:
            for line in stream:
                take(line.rstrip("\n"))
        take(None)

    def _take(self, line: str | None) -> None:
        if self._ready:
            self._log(line)
        else:
            self._lines.put(line)

    def _log(self, line: str | None) -> None:
        if line is not None:
            self._tail.append(line)
            self._write(line)


class Processes:
    """Starts children, and ends those that are left when its `with` block ends."""

    def __init__(self, *, logs: Path | None) -> None:
        """With `logs` each child writes to a file there; without, to standard error with its name before each line."""
        self._logs = logs
        self._children: list[Child] = []
        self._logged: set[str] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop(*self._children)
        self._guard.communicate()

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Child:
        """Start a program; `env` is added to this process's own environment. Raises StartError."""
        try:
            process = subprocess.Popen(
                command,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                process_group=0,
            )
        except OSError as error:
            raise StartError(f"{name}: cannot start {command[0]}: {error.strerror}") from error
        self._tell_guard("+", process.pid)
        child = Child(name, process, self._sink(name))
        with self._lock:
            self._children.append(child)
        return child

    def stop(self, *children: Child) -> list[int]:
        """End these children, all at the same time; answers their exit statuses."""
        for child in children:
            child.tell_to_end()
        return [self._await_end(child) for child in children]

    def _await_end(self, child: Child) -> int:
        status = child.stop()
        self._tell_guard("-", child.pid)
        with self._lock:
            self._children.remove(child)
        return status

    def _tell_guard(self, sign: str, group: int) -> None:
        assert self._guard.stdin is not None  # noqa: S101  it is a pipe
        with self._lock:
            self._guard.stdin.write(f"{sign}{group}\n")
            self._guard.stdin.flush()

    def _sink(self, name: str) -> Callable[[str], object]:
        if self._logs is None:
            return lambda line: print(f"{name:<9} | {line}", file=sys.stderr, flush=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._logs / f"{name}.log"
        if name not in self._logged:  # a child that is started again goes on where the one before it ended
            path.write_text("")
            self._logged.add(name)

        def write(line: str) -> None:
            with path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

        return write
