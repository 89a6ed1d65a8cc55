"""The package: what is in it, that it is the same twice, and that Azure's library finds the functions in it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra import package
from infra.smoke import function_names

ROOT = Path(__file__).parents[3]
DRIVER = ROOT / "tests" / "conformance" / "runtime" / "driver.py"
#: What nobody may find in Azure, in a folder that has everything a developer has.
LITTER = (
    "local.settings.json",
    ".env",
    ".venv/lib/secret.py",
    ".venv-3.11/lib/secret.py",
    ".venv-infra/lib/secret.py",
    ".local/logs/host.log",
    ".git/config",
    ".azure/prod/.env",
    "segment-exporter_env/pyvenv.cfg",
    "infra/main.bicep",
    "infra/local/node_modules/azurite/package.json",
    "tests/unit/test_log.py",
    "docs/api.md",
    "exporters/__pycache__/log.cpython-313.pyc",
    "azure.yaml",
)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The zip of the app alone, without wheels."""
    target = tmp_path / "app.zip"
    package.write(target, dict(package.app_files(ROOT)))
    return target


def names_in(target: Path) -> set[str]:
    with zipfile.ZipFile(target) as content:
        return set(content.namelist())


def test_it_holds_the_app_and_nothing_else(app):
    """A new file at the root is either the app or named in `.funcignore`: none goes to Azure unthought of."""
    names = names_in(app)

    assert {name for name in names if "/" not in name} == {"function_app.py", "host.json", "requirements.txt"}
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "exporters").rglob("*") if path.is_file()}
    assert {name for name in names if "/" in name} == {name for name in code if "__pycache__" not in name}


def test_what_lies_about_on_a_developers_machine_stays_there(tmp_path):
    kept = ("function_app.py", "host.json", "exporters/log.py", "exporters/planning/engine.sql")
    for name in (*LITTER, *kept):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / ".funcignore").write_text((ROOT / ".funcignore").read_text())

    assert {name for name, _ in package.app_files(tmp_path)} == set(kept)


def test_the_same_files_give_the_same_bytes_at_any_time_and_place(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, at in ((first, 1_000_000_000), (second, 1_700_000_000)):
        for name in ("b.py", "a/c.py", "a/b.py"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {name}")
            path.chmod(0o600 if folder is first else 0o755)
            os.utime(path, (at, at))
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.py")}
        package.write(folder / "app.zip", files if folder is first else dict(reversed(files.items())))

    assert (first / "app.zip").read_bytes() == (second / "app.zip").read_bytes()
    with zipfile.ZipFile(first / "app.zip") as content:
        assert [entry.filename for entry in content.infolist()] == ["a/b.py", "a/c.py", "b.py"]


def test_wheels_lie_where_the_platform_looks_and_leave_the_machine_behind(tmp_path):
    for name in ("duckdb/__init__.py", "duckdb/__pycache__/x.pyc", "bin/dotenv", "duckdb-2.dist-info/RECORD", ".lock"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")

    assert [name for name, _ in package.wheel_files(tmp_path)] == [
        ".python_packages/lib/site-packages/duckdb/__init__.py"
    ]


@pytest.mark.skipif(
    sys.version_info < (3, 13), reason="azure-functions-runtime needs Python 3.13, which is what Azure runs"
)
@pytest.mark.parametrize("missing", [None, "exporters/exporter.py"], ids=["whole", "without a file"])
def test_the_library_that_azure_runs_finds_every_function_in_it(app, tmp_path, missing):
    unpacked = tmp_path / "app"
    with zipfile.ZipFile(app) as content:
        content.extractall(unpacked)
    if missing is not None:
        (unpacked / missing).unlink()
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    done = subprocess.run(
        [sys.executable, "-P", str(DRIVER)],
        input=json.dumps({"app_dir": str(unpacked), "calls": []}),
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
    )

    if missing is None:
        assert done.returncode == 0, done.stderr
        assert set(json.loads(done.stdout.splitlines()[-1])["functions"]) == function_names()
    else:
        assert done.returncode != 0
        assert "exporters.exporter" in done.stderr
