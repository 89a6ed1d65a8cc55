"""The documents and values of the model are pure: they load no library that touches the world."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_model_loads_nothing_that_touches_the_world():
    modules = [f"exporters.model.{path.stem}" for path in (ROOT / "exporters/model").glob("[a-z]*.py")]
    check = (
        f"import sys, {', '.join(modules)}; print(*({{'requests', 'urllib3', 'azure', 'duckdb'}} & set(sys.modules)))"
    )

    loaded = subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True, capture_output=True, text=True)

    assert len(modules) > 10
    assert loaded.stdout.split() == []
