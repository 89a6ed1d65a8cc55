"""The example of a pipeline, against the published schema of GitHub's workflows, which check-jsonschema brings along.

https://check-jsonschema.readthedocs.io/en/stable/usage.html#builtin-schema-choices
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from infra.check.look import Finding, Look

WORKFLOWS = Path("docs/samples")
SCHEMA = "vendor.github-workflows"
LONGEST_S = 60


def check(root: Path, tools: Path) -> Look:
    """Hold each workflow against the schema; `tools` is the folder with check-jsonschema in it.

    Raises RuntimeError when it does not answer.
    """
    paths = [path for path in sorted(root.glob(f"{WORKFLOWS}/*.yml")) if "jobs:" in path.read_text(encoding="utf-8")]
    findings = [finding for path in paths for finding in _faults(path, root, tools)]
    return Look(findings=tuple(findings), seen={"workflows": len(paths)})


def _faults(path: Path, root: Path, tools: Path) -> list[Finding]:
    command = [str(tools / "check-jsonschema"), "--builtin-schema", SCHEMA, "--output-format", "json", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
        report: dict[str, Any] = json.loads(done.stdout)
    except FileNotFoundError as error:
        raise RuntimeError(f"there is no check-jsonschema in {tools}: make infra-check sets it up") from error
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"check-jsonschema has not answered within {LONGEST_S} s") from error
    except ValueError as error:
        raise RuntimeError(f"check-jsonschema has answered no report, but: {done.stderr.strip()[-300:]}") from error
    closest = [each.get("best_deep_match", each) for each in report.get("errors", [])]
    messages = [f"{each['path']}: {each['message']}" for each in closest]
    messages += ["it is no YAML" for _ in report.get("parse_errors", [])]
    return [Finding(path=path.relative_to(root), message=message[:300]) for message in messages]
