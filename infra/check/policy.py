"""Policy: checkov's rules for Azure, over the template as it is written. https://www.checkov.io/7.Scan%20Examples/Bicep.html

A rule that does not suit one resource is skipped there, by a comment within it: `// checkov:skip=CKV_AZURE_1:why`.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from tree_sitter import Node, Parser

from infra.check.bicep import LANGUAGE
from infra.check.look import Finding, Look, line_of, template_files

#: Rules that say nothing of a function app on Flex Consumption; passed over wherever they are broken. Rule -> why.
MEANINGLESS: Mapping[str, str] = {
    "CKV_AZURE_17": "callers are people and pipelines with tokens; client certificates would shut them out",
    "CKV_AZURE_63": "there is no web server log on Flex Consumption; invocations go to Application Insights",
    "CKV_AZURE_65": "there are no detailed error pages: every error is a problem document",
    "CKV_AZURE_66": "there is no failed request tracing on Flex Consumption; invocations go to Application Insights",
    "CKV_AZURE_78": "there is no FTP on Flex Consumption, and ftpsState must not be set",
    "CKV_AZURE_80": ".NET is not used",
    "CKV_AZURE_88": "there is no file share to mount: everything lies in blobs",
    "CKV_AZURE_212": "instances come and go with the work; alwaysReady says how many wait",
    "CKV_AZURE_213": "healthCheckPath is not supported on Flex Consumption; GET /api/health is for monitors",
    # https://learn.microsoft.com/azure/reliability/reliability-functions
    "CKV_AZURE_225": "it would keep two paid instances of every function at all times; the work outlives an instance",
}
#: Where that table is.
TABLE = Path("infra/check/policy.py")
#: The text of a skip, as checkov reads it.
SKIP = re.compile(r"checkov:skip=\s*(?P<rule>\w+)(?P<why>:[^\n]*)?")
#: What no rule looks at, and what checkov's grammar does not know in part: variables, modules, outputs.
UNRULED = {"variable_declaration", "module_declaration", "output_declaration", "metadata_declaration", "decorators"}
#: Types such as `string[]`, which that grammar does not know either.
TYPED_ARRAY = re.compile(r"(?m)^(param \w+ )\w+\[\]")
#: A run that takes longer waits for a network that it may not have. Usually it takes five seconds.
LONGEST_S = 180
#: Nothing is asked of the internet: no newer version, no policies of an account.
OFFLINE = {"CKV_SKIP_PACKAGE_UPDATE_CHECK": "true", "BC_SKIP_MAPPING": "true", "LOG_LEVEL": "ERROR"}


class _Result(BaseModel):
    """One rule on one resource."""

    model_config = ConfigDict(extra="ignore")

    check_id: str
    check_name: str
    file_path: str  #: from the folder that was looked at, with a slash in front
    file_line_range: tuple[int, int]
    resource: str  #: type and symbolic name


class _Results(BaseModel):
    """What checkov says of all that it has read."""

    model_config = ConfigDict(extra="ignore")

    passed_checks: list[_Result] = []
    failed_checks: list[_Result] = []
    skipped_checks: list[_Result] = []
    parsing_errors: list[str] = []


class Report(BaseModel):
    """The part of checkov's report that is read. A report of nothing at all has no results."""

    model_config = ConfigDict(extra="ignore")

    results: Annotated[_Results, Field(default_factory=_Results)]


def check(root: Path, tools: Path) -> Look:
    """Hold the template against the rules; `tools` is the folder with checkov in it.

    Raises RuntimeError when checkov does not answer.
    """
    return judged(root, scanned(root, tools), MEANINGLESS)


def scanned(root: Path, tools: Path) -> Report:
    """Let checkov read the template. Raises RuntimeError when it does not answer."""
    command = [str(tools / "checkov"), "--directory", "infra", "--framework", "bicep", "--skip-download", "--compact"]
    with tempfile.TemporaryDirectory() as copy:
        for path in template_files(root):
            target = Path(copy, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_readable((root / path).read_text(encoding="utf-8")), encoding="utf-8")
        return _answered([*command, "--output", "json"], Path(copy), tools)


def _readable(text: str) -> str:
    """A template as checkov can read it: resources and parameters, each on its line, without what it cannot parse."""
    source = TYPED_ARRAY.sub(r"\1array", text).encode()
    for node in reversed(list(_unreadable(Parser(LANGUAGE).parse(source).root_node))):
        written = source[node.start_byte : node.end_byte]
        instead = b"" if node.type in UNRULED else b"''"
        if node.type == "ternary_expression":
            instead = b" ".join(written.split())
        source = source[: node.start_byte] + instead + b"\n" * written.count(b"\n") + source[node.end_byte :]
    return source.decode()


def _unreadable(node: Node) -> Iterator[Node]:
    """What checkov's grammar stumbles over: functions as arguments, and choices over several lines."""
    text = node.text or b""
    if (
        node.type in UNRULED
        or (node.type == "call_expression" and b"=>" in text)
        or (node.type == "ternary_expression" and b"\n" in text and not set(b"{[") & set(text))
    ):
        yield node
        return
    for child in node.children:
        yield from _unreadable(child)


def _answered(command: list[str], folder: Path, tools: Path) -> Report:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **OFFLINE},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        return Report.model_validate(json.loads(done.stdout))
    except FileNotFoundError as error:
        raise RuntimeError(f"there is no checkov in {tools}: make infra-check sets it up") from error
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"checkov has not answered within {LONGEST_S} s") from error
    except ValueError as error:
        raise RuntimeError(f"checkov has answered no report, but: {done.stderr.strip()[-300:]}") from error


def judged(root: Path, report: Report, meaningless: Collection[str]) -> Look:
    """What a report amounts to: rules broken, files unread, skips without a reason, without a rule or without a use."""
    results = report.results
    findings = [
        Finding(path=_path(each), line=each.file_line_range[0], message=f"{each.check_id} {each.check_name}")
        for each in results.failed_checks
        if each.check_id not in meaningless
    ]
    findings += [
        Finding(path=path, message="checkov cannot read it, so no rule was tried")
        for path in template_files(root)
        if any(Path(unread).match(str(path)) for unread in results.parsing_errors)
    ]
    broken = {each.check_id for each in results.failed_checks}
    findings += [
        Finding(
            path=TABLE,
            line=line_of(Path(__file__).read_text(encoding="utf-8"), f'"{rule}"'),
            message=f"{rule} is passed over everywhere, and nothing breaks it",
        )
        for rule in meaningless
        if rule not in broken
    ]
    used = {(_path(each), each.check_id, line) for each in results.skipped_checks for line in _lines(each)}
    findings += _skips(root, used)
    all_results = [*results.passed_checks, *results.failed_checks, *results.skipped_checks]
    resources = {(each.file_path, each.resource) for each in all_results if each.resource.startswith("Microsoft.")}
    return Look(
        findings=tuple(findings),
        seen={"resources with rules": len(resources), "rules on them": len(all_results)},
    )


def _skips(root: Path, used: set[tuple[Path, str, int]]) -> Iterator[Finding]:
    for path in template_files(root):
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), start=1):
            skip = SKIP.search(line)
            if skip is None:
                continue
            if not (skip["why"] or "").removeprefix(":").strip():
                yield Finding(path=path, line=number, message=f"{skip['rule']} is skipped without a reason")
            if (path, skip["rule"], number) not in used:
                yield Finding(
                    path=path, line=number, message=f"{skip['rule']} is skipped, but no such rule is tried here"
                )


def _path(result: _Result) -> Path:
    return Path("infra", result.file_path.lstrip("/"))


def _lines(result: _Result) -> range:
    first, last = result.file_line_range
    return range(first, last + 1)
