"""`make demo`, small."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from rich.console import Console

from infra.local.demo.__main__ import main
from infra.local.hosts import ROOT


def test_the_demo_keeps_all_promises(tmp_path: Path) -> None:
    console = Console(file=io.StringIO())
    status = main(["--profiles", "1100"], console, figures=tmp_path / "demo.json")
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[-1].startswith("demo: ok — SendGrid 1,0"), "\n".join(lines)
    assert status == 0
    figures = {figure["name"]: figure for figure in json.loads((tmp_path / "demo.json").read_text())}
    for title in ("SendGrid", "Brevo"):
        assert figures[f"{title} delivered"]["ratio"] == 1.0
        assert figures[f"{title} requests"]["ratio"] == 1.0
        assert figures[f"{title} refused"]["value"] == 5
        assert figures[f"{title} unchanged in the second run"]["ratio"] == 1.0


def test_an_interrupt_leaves_no_process_behind() -> None:
    command = [sys.executable, "-m", "infra.local.demo"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        while not demo.stdout.readline().startswith("SendGrid: planning"):
            assert demo.poll() is None
        children = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGINT)
        lines = demo.stdout.read().splitlines()
    assert demo.returncode == 130
    assert lines[-1] == "demo: FAILED: interrupted"
    assert len(children) >= 5
    assert not [child for child in children if child.is_running()]
