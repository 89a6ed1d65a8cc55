"""One piece of work in a process of its own: how long it takes, and the most memory that the process ever holds."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a piece of work came to. It is counted and thrown away."""

    contacts: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What a piece of work took and made."""

    seconds: float  #: of the work alone; the interpreter and its modules were there before
    peak_mb: float  #: of the whole process
    contacts: int
    bytes: int


def in_own_process(module: str, *arguments: object) -> Effort:
    """Run a module of this folder that calls `tell` last on stdout. Raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Effort(**json.loads(done.stdout.splitlines()[-1]))


def tell(started: float, made: Made) -> None:
    """Print for `in_own_process` what work took that began at `started`, by `time.perf_counter`, and ends now."""
    effort = Effort(seconds=time.perf_counter() - started, peak_mb=peak_mb(), contacts=made.contacts, bytes=made.bytes)
    print(json.dumps(asdict(effort)), flush=True)


def peak_mb(pid: int | str = "self") -> float:
    """The most memory that a process ever held. https://man7.org/linux/man-pages/man5/proc_pid_status.5.html"""
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]
    return int(kibibytes) * 1024 / 1e6
