"""What a part of the check has seen, and where in the repository things stand."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that has to be put right."""

    path: Path  #: relative to the repository
    line: int = 1
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one part found, and how much it has looked at."""

    findings: tuple[Finding, ...]
    seen: Mapping[str, int] = field(default_factory=dict)  #: what -> how many; 0 is a finding too


def finding_at(root: Path, path: Path, message: str, *words: str) -> Finding:
    """A finding on the line of a file that has one of the words: see `line_of`. Raises OSError."""
    return Finding(path=path, line=line_of((root / path).read_text(encoding="utf-8"), *words), message=message)


def line_of(text: str, *words: str) -> int:
    """The first line that has one of the words as a whole; the words earlier in the list are looked for first."""
    lines = text.splitlines()
    for word in words:
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        for number, line in enumerate(lines, start=1):
            if whole.search(line):
                return number
    return 1


def template_files(root: Path) -> Iterator[Path]:
    """Every Bicep and parameters file, relative to the repository, in the order of their names."""
    for path in sorted([*root.glob("infra/*.bicep*"), *root.glob("infra/modules/**/*.bicep")]):
        yield path.relative_to(root)
