"""The local disk of a process: temporary folders go with it, also when it is killed.

A step removes its own folder, but not if its process is killed in the middle of it, for want of memory or for
`functionTimeout`. The instance lives on with the next process, and its disk is small: 0.8 GB on Flex Consumption.
https://learn.microsoft.com/azure/azure-functions/functions-scale#service-limits
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporters.errors import DiskFullError


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A folder for the files of a step, which goes with all that is in it, however the step ends.

    Raises DiskFullError where nothing more can be written within.
    """
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        try:
            yield Path(folder)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise disk_full() from error


def disk_full() -> DiskFullError:
    """What to raise where the system says that nothing more can be written."""
    size = shutil.disk_usage(tempfile.gettempdir()).total / 1e9
    return DiskFullError(
        f"The temporary disk is full; it has {size:,.1f} GB. Let the export read fewer or smaller segments, or map"
        " fewer columns, or run the app on instances with a larger disk; then start the export again."
    )


def claim_scratch(root: Path | None = None) -> Path:
    """Have all temporary files of this process made in a folder of its own; delete those of processes that are gone.

    A process shows that it lives by a lock on a file beside its folder, which the system lets go of however it ends.
    `root`: where temporary files go otherwise. Raises OSError where nothing can be written there.
    """
    shared = (root or Path(tempfile.gettempdir())) / f"segment-exporter-{os.getuid()}"
    shared.mkdir(mode=0o700, exist_ok=True)
    with _only_one(shared / "lock"):
        for lock in shared.glob("*.alive"):
            _delete_if_dead(lock)
        folder = Path(tempfile.mkdtemp(dir=shared))
        # Never closed: the lock lasts as long as the process.
        fcntl.flock(os.open(folder.with_suffix(".alive"), os.O_CREAT | os.O_RDWR, 0o600), fcntl.LOCK_EX)
    tempfile.tempdir = str(folder)
    return folder


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Between processes that start at the same time."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _delete_if_dead(lock: Path) -> None:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        lock.unlink()
