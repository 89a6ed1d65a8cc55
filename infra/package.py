"""`make package`: the app and the wheels it needs in Azure, as one zip that nobody has to build any more.

What azd and Core Tools upload is built by Azure (a remote build), from whatever an index of packages answers at that
moment. This zip holds what was tested: the app by the rules of `.funcignore`, and the wheels that `requirements.txt`
pins, for the machine that runs them, below `.python_packages/lib/site-packages`, where the platform looks for them.
https://learn.microsoft.com/azure/azure-functions/functions-reference-python#folder-structure

The same tree gives the same bytes: names are sorted, times are one time, and nothing tells where it was built.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

ROOT = Path(__file__).parents[1]
TARGET = ROOT / ".local" / "segment-exporter.zip"
IGNORE = ".funcignore"
SITE_PACKAGES = ".python_packages/lib/site-packages"
#: What runs the app: the version in `functionAppConfig.runtime` of the Bicep, on x86-64.
PYTHON = "3.13"
#: Wheels for this glibc or an older one. Microsoft's images for Python 3.13 are newer than it.
PLATFORM = "x86_64-manylinux_2_28"
#: Of an installed package, what no program reads there: commands with the path of the machine that made them, compiled
#: files, and notes of the installer.
NOT_SHIPPED = GitIgnoreSpec.from_lines(["/bin/", "/.lock", "__pycache__/", "*.pyc", "RECORD", "INSTALLER", "REQUESTED"])
#: The earliest time that a zip can hold.
MOMENT = (1980, 1, 1, 0, 0, 0)
#: Unix: a plain file, read by all, written by its owner.
MODE = 0o100644 << 16


def app_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Each file of the app, as its name in the package and its place: all below `root` that `.funcignore` leaves."""
    ignored = GitIgnoreSpec.from_lines((root / IGNORE).read_text(encoding="utf-8").splitlines())
    return _files(root, ignored)


def wheel_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each file of the packages that are installed in `folder`, likewise."""
    return ((f"{SITE_PACKAGES}/{name}", path) for name, path in _files(folder, NOT_SHIPPED))


def install_wheels(requirements: Path, folder: Path) -> None:
    """Put the pinned wheels for Azure's machine into `folder`, whatever machine this is. Raises CalledProcessError.

    uv, because pip reads the markers of `requirements.txt` for the Python that it runs on, not for the one that is
    meant.
    """
    wanted = ["--python-version", PYTHON, "--python-platform", PLATFORM, "--only-binary", ":all:", "--no-deps"]
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--link-mode", "copy", *wanted]
    subprocess.run([*command, "--target", str(folder), "--requirements", str(requirements)], check=True)


def write(target: Path, files: dict[str, Path]) -> None:
    """Zip the files under their names; the same files give the same bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, on whatever this runs
            entry.external_attr = MODE
            package.writestr(entry, files[name].read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=__doc__)
    parser.add_argument("--target", type=Path, default=TARGET, help="the zip to write")
    target: Path = parser.parse_args().target
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        install_wheels(ROOT / "requirements.txt", site)
        files = dict(app_files(ROOT)) | dict(wheel_files(site))
        write(target, files)
    content = target.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    print(f"{target}: {len(content) / 1e6:.1f} MB, {len(files):,} files, sha256 {digest}")
    return 0


def _files(folder: Path, ignored: GitIgnoreSpec, below: str = "") -> Iterator[tuple[str, Path]]:
    """Names and places of files, without looking into folders that are ignored."""
    for path in folder.iterdir():
        name = f"{below}{path.name}"
        if path.is_dir():
            if not ignored.match_file(f"{name}/"):
                yield from _files(path, ignored, f"{name}/")
        elif not ignored.match_file(name):
            yield name, path


if __name__ == "__main__":
    sys.exit(main())
