"""A folder of ugly segments, each with the verdict for every line: `tests/data/segments/<case>/expected.json`."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporters.errors import SegmentError
from tests.unit.planning.plans import plan

PARTS = (".csv", ".csv.gz", ".parquet")
CASES = sorted(Path("tests/data/segments").resolve().glob("*/expected.json"))


def blobs(folder: Path) -> dict[str, bytes]:
    parts = {f"people/{file.name}": file.read_bytes() for file in folder.iterdir() if file.name.lower().endswith(PARTS)}
    model = folder / "model.json"
    return parts | ({"model.json": model.read_bytes()} if model.exists() else {})


def expected(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.parent.name)
def test_an_ugly_segment_gets_its_verdicts(file: Path, tmp_path: Path) -> None:
    verdicts = expected(file)
    if "error" in verdicts:
        with pytest.raises(SegmentError) as caught:
            plan(blobs(file.parent), tmp_path / "work")
        assert [words for words in verdicts["error"] if words not in str(caught.value)] == []
        assert "a1@example.com" not in str(caught.value)
        return
    outcome = plan(blobs(file.parent), tmp_path / "work")
    rejects = [
        {key: reject[key] for key in ("part", "line", "reason", "column", "value")} for reject in outcome.rejects
    ]
    for reject in rejects:
        reject["part"] = reject["part"].removeprefix("people/")
    assert outcome.contacts == verdicts["contacts"]
    assert rejects == verdicts["rejects"]
    assert outcome.planned.counts.read == verdicts["read"]
    assert outcome.planned.counts.closes
