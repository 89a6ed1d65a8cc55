"""The local disk of a process: what a killed one leaves, the next one deletes."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporters.errors import DiskFullError
from exporters.scratch import claim_scratch, scratch_folder

ROOT = Path(__file__).parents[2]
Process = subprocess.Popen[str]

SCRIPT = """
import sys, tempfile, time
from pathlib import Path
from exporters.errors import DiskFullError
from exporters.scratch import claim_scratch, scratch_folder
claim_scratch(Path(sys.argv[1]))
with tempfile.TemporaryDirectory(prefix="plan-") as folder:
    (Path(folder) / "spill").write_bytes(bytes(1000))
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], tuple[Process, Path]]]:
    """Starts a process that is in the middle of a step; answers it, and the folder of the step."""
    started: list[Process] = []

    def start() -> tuple[Process, Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        started.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def usual_place() -> Iterator[None]:
    usual = tempfile.tempdir
    yield
    tempfile.tempdir = usual


def test_what_a_killed_process_left_goes_when_the_next_one_starts(tmp_path, start):
    killed, left = start()
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert left.is_dir()

    _, folder = start()

    assert not left.parent.exists()
    assert folder.is_dir()
    assert len(list(folder.parent.parent.glob("*.alive"))) == 1


def test_what_a_living_process_works_with_stays(tmp_path, start):
    folders = [start()[1] for _ in range(2)]

    own = claim_scratch(tmp_path)

    assert all((folder / "spill").is_file() for folder in folders)
    assert len({own, *(folder.parent for folder in folders)}) == 3


def test_temporary_files_of_the_process_are_in_its_own_folder(tmp_path):
    own = claim_scratch(tmp_path)

    with tempfile.TemporaryDirectory(prefix="finish-") as folder:
        assert Path(folder).parent == own
    assert own.stat().st_mode & 0o077 == 0


def fill(folder: Path) -> None:
    (folder / "spill").write_bytes(bytes(1000))
    (folder / "part").symlink_to("/dev/full")
    (folder / "part").write_bytes(bytes(1000))


def test_the_folder_of_a_step_goes_with_what_is_in_it_and_a_full_disk_has_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with pytest.raises(DiskFullError, match=r"it has [0-9,]+\.[0-9] GB"), scratch_folder("plan-") as folder:
        fill(folder)

    assert list(tmp_path.iterdir()) == []


def test_other_trouble_with_files_is_raised_as_it_is():
    with pytest.raises(FileNotFoundError), scratch_folder("plan-") as folder:
        (folder / "part").read_bytes()
