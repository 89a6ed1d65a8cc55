"""Queries of alerts, workbook and documents, held against the workspace's tables and the lines that the code writes.

Microsoft's own parser of Kusto reads them (kql.mjs). What it cannot know is asked here: whether the code writes each
action, outcome and key that a query looks for, whether an alert's dimensions are columns of its answer, and whether
each alert has its page. Whether the alert service takes a query only the service can say.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from infra.check import bicep, written
from infra.check.bicep import Value
from infra.check.look import Finding, Look, line_of
from infra.check.written import Line

ALERTS = Path("infra/alerts")
LINES = ALERTS / "lines.kql"
RULES = Path("infra/modules/alerts.bicep")
WORKBOOK = Path("infra/workbook.json")
PAGES = Path("docs/operations.md")
DOCUMENTS = Path("docs")
HOST = Path("host.json")
PARSER = Path("infra/check/kql.mjs")
#: The alert of alerts.bicep that is no query.
METRIC_ALERT = "storage-throttled"
#: The name under which lines.kql is stored in the workspace.
FUNCTION = "ExporterLines"

#: Tables of the workspace, with the columns that queries may use.
#: https://learn.microsoft.com/azure/azure-monitor/reference/tables-index
TABLES: Mapping[str, str] = {
    "AppTraces": "(TimeGenerated: datetime, Message: string, SeverityLevel: int, OperationId: string, "
    "OperationName: string, ParentId: string, Properties: dynamic, AppRoleInstance: string, ItemCount: int)",
    "AppExceptions": "(TimeGenerated: datetime, OperationName: string, OperationId: string, ProblemId: string, "
    "ExceptionType: string, OuterType: string, OuterMethod: string, SeverityLevel: int, ItemCount: int)",
    "AppRequests": "(TimeGenerated: datetime, Id: string, Name: string, OperationName: string, OperationId: string, "
    "ParentId: string, DurationMs: real, Success: bool, ResultCode: string, Properties: dynamic, ItemCount: int)",
    "AppDependencies": "(TimeGenerated: datetime, Id: string, Name: string, Target: string, DependencyType: string, "
    "OperationId: string, OperationName: string, ParentId: string, DurationMs: real, Success: bool, "
    "ResultCode: string, Properties: dynamic, ItemCount: int)",
    "StorageBlobLogs": "(TimeGenerated: datetime, AccountName: string, OperationName: string, StatusCode: string, "
    "StatusText: string, CallerIpAddress: string, RequesterObjectId: string, Uri: string, DurationMs: real)",
    "StorageQueueLogs": "(TimeGenerated: datetime, AccountName: string, OperationName: string, StatusCode: string, "
    "StatusText: string, CallerIpAddress: string, RequesterObjectId: string, Uri: string, DurationMs: real)",
    "AZKVAuditLogs": "(TimeGenerated: datetime, OperationName: string, HttpStatusCode: int, ResultSignature: string, "
    "CallerIpAddress: string, Identity: dynamic, Id: string)",
    "Usage": "(TimeGenerated: datetime, DataType: string, Quantity: real, QuantityUnit: string, IsBillable: bool)",
}
#: What alert rules cannot have, or are told to avoid.
#: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule#configure-alert-rule-conditions
#: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-log-query#log-query-constraints
NOT_IN_ALERTS = frozenset({"UnionOperator", "SearchOperator", "FindOperator", "TakeOperator", "EvaluateOperator"})
#: All properties of a rule together. https://learn.microsoft.com/azure/azure-monitor/service-limits#alerts
MAX_RULE_BYTES = 64 * 1024
#: Dimensions of a rule; they are strings or numbers. Source as above.
MAX_DIMENSIONS = 6
OF_DIMENSIONS = frozenset({"string", "int", "long", "real"})
#: A parameter of a workbook for several values, within brackets.
#: https://learn.microsoft.com/azure/azure-monitor/visualize/workbooks-parameters
SEVERAL = re.compile(r"\(\{\w+\}\)")
PARAMETER = re.compile(r"\{(\w+)\}")
FENCE = re.compile(r"(?ms)^ *```kusto\n(.*?)^ *```$")  #: also within a list
#: Telemetry that must not be sampled: the lines that alerts wait for are traces, exceptions count too.
#: https://learn.microsoft.com/azure/azure-functions/functions-host-json#applicationinsights
NEVER_SAMPLED = frozenset({"Trace", "Exception"})
#: Levels at which a category still lets warnings through: the host tells of poisoned messages in one.
LETS_WARNINGS_THROUGH = frozenset({"Trace", "Debug", "Information", "Warning"})


class Fault(BaseModel):
    """What the parser objects to."""

    model_config = ConfigDict(frozen=True)

    line: int  #: of the query
    message: str


class Answer(BaseModel):
    """What kql.mjs says of one query."""

    model_config = ConfigDict(frozen=True)

    faults: tuple[Fault, ...]
    operators: frozenset[str]
    columns: Mapping[str, str]  #: of its rows -> type
    names: frozenset[str]  #: everything that it refers to
    keys: frozenset[str]  #: what it takes out of lines
    compared: Mapping[str, frozenset[str]]  #: column -> literals that it is held against


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query, and where it stands."""

    path: Path
    name: str
    text: str
    line: int = 1  #: of the file, on which the text begins; 0 or less where the text has lines of another in front
    is_one_line: bool = False  #: of the file, as in JSON

    def at(self, line: int) -> int:
        """Where a line of the text stands in the file."""
        return max(1, self.line if self.is_one_line else self.line + line - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A row of the table of alerts."""

    name: str
    severity: Value
    query: str  #: the file that it loads, beside lines.kql
    dimensions: tuple[str, ...]
    measure: str  #: the column that is compared with the threshold; empty where rows are counted


def check(root: Path) -> Look:
    """Every query that the repository has.

    Raises OSError where a file is not there, and RuntimeError where the parser does not answer.
    """
    lines = written.lines(root)
    alerts, others = list(_alerts(root)), [*_workbook(root), *_documents(root)]
    answers = _read(root, [*alerts, *others, Query(path=LINES, name=FUNCTION, text=_text(root / LINES))])
    keys = answers[FUNCTION].keys
    findings = [
        *(found for query in [*alerts, *others] for found in _of_query(query, answers[query.name], keys, lines)),
        *(found for query in alerts for found in _of_alert(query, answers[query.name])),
        *_of_rules(root, alerts, answers, lines),
        *_of_parameters(root),
        *_of_words(lines),
        *_of_host(root),
    ]
    seen = {"alert queries": len(alerts), "other queries": len(others), "log lines in the code": len(lines)}
    return Look(findings=tuple(findings), seen=seen)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _alerts(root: Path) -> Iterator[Query]:
    """As alerts.bicep puts them together: what begins with a pipe goes on from lines.kql."""
    for path in sorted((root / ALERTS).glob("*.kql")):
        own = _text(path)
        if path.name != LINES.name:
            before = _text(root / LINES) if own.startswith("|") else ""
            yield Query(path=ALERTS / path.name, name=path.stem, text=before + own, line=1 - before.count("\n"))


def _workbook(root: Path) -> Iterator[Query]:
    whole = _text(root / WORKBOOK)
    for name, text in _kusto(json.loads(whole)):
        line = line_of(whole, f'"name": "{name}"')
        yield Query(path=WORKBOOK, name=f"workbook {name}", text=text, line=line, is_one_line=True)


def _kusto(item: object) -> Iterator[tuple[str, str]]:
    """Name and text of each query to the workspace (its type is 0) below an item of the workbook."""
    if isinstance(item, list):
        for each in item:
            yield from _kusto(each)
    elif isinstance(item, dict):
        content = item.get("content", item)
        if isinstance(content, dict) and "query" in content and content.get("queryType") == 0:
            yield str(item["name"]), str(content["query"])
        else:
            yield from (found for value in item.values() for found in _kusto(value))


def _documents(root: Path) -> Iterator[Query]:
    for path in sorted((root / DOCUMENTS).rglob("*.md")):
        text = _text(path)
        for found in FENCE.finditer(text):
            line = text[: found.start(1)].count("\n") + 1
            yield Query(path=path.relative_to(root), name=f"{path.name}:{line}", text=found[1], line=line)


def _read(root: Path, queries: list[Query]) -> dict[str, Answer]:
    asked = {
        "tables": TABLES,
        "functions": {FUNCTION: _text(root / LINES)},
        "queries": {query.name: SEVERAL.sub("('*')", query.text) for query in queries},
    }
    command = ["node", str(Path(__file__).resolve().parent / PARSER.name)]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the parser of queries failed; `npm ci --prefix {PARSER.parent}` sets it up: {done.stderr}")
    return {name: Answer.model_validate(answer) for name, answer in json.loads(done.stdout).items()}


def _of_query(query: Query, answer: Answer, keys: frozenset[str], lines: list[Line]) -> Iterator[Finding]:
    """What the parser objects to, and what no line of the code says."""

    def found(message: str, line: int = 1) -> Finding:
        return Finding(path=query.path, line=query.at(line), message=f"{query.name}: {message}")

    yield from (found(fault.message, fault.line) for fault in answer.faults)
    if not answer.keys and FUNCTION not in answer.names:
        return
    actions = answer.compared.get("action", frozenset())
    for action in sorted(actions - {line.action for line in lines}):
        yield found(f"no line of the code has the action {action!r}")
    outcomes = answer.compared.get("outcome", frozenset())
    said = [line for line in lines if not actions or line.action in actions]
    for outcome in sorted(outcomes - {word for line in said for word in line.outcomes}):
        yield found(f"no line with these actions has the outcome {outcome!r}")
    taken = (answer.names & keys) - {"action", "outcome"}
    if not any(line.is_open for line in said):
        for key in sorted(taken - {key for line in said for key in line.keys}):
            yield found(f"no line with these actions has the key {key}")


def _of_alert(query: Query, answer: Answer) -> Iterator[Finding]:
    """What the alert service does not take."""
    for operator in sorted(answer.operators & NOT_IN_ALERTS):
        yield Finding(path=query.path, message=f"{operator} has no place in the query of an alert")
    for column in sorted(name for name, kind in answer.columns.items() if kind == "datetime"):
        yield Finding(path=query.path, message=f"the rows have the time {column}: they would be counted in its bins")
    if len(query.text.encode()) > MAX_RULE_BYTES:
        yield Finding(path=query.path, message=f"longer than {MAX_RULE_BYTES:,} bytes")


def _of_rules(root: Path, alerts: list[Query], answers: Mapping[str, Answer], lines: list[Line]) -> Iterator[Finding]:
    """The table of alerts against the queries, the lines of the code and the pages."""
    text, pages = _text(root / RULES), _text(root / PAGES)
    rules = [_rule(row) for row in _rows(root)]
    for query in alerts:
        if query.path.name not in {rule.query for rule in rules}:
            yield Finding(path=query.path, message=f"no alert of {RULES} uses it")
    for rule in rules:
        line = line_of(text, f"'{rule.name}'")
        answer = answers.get(rule.query.removesuffix(".kql"))
        if answer is None:
            yield Finding(path=RULES, line=line, message=f"{rule.name}: there is no {ALERTS / rule.query}")
            continue
        wanted = [*rule.dimensions, *filter(None, [rule.measure])]
        for column in wanted:
            if answer.columns.get(column) not in OF_DIMENSIONS:
                yield Finding(path=RULES, line=line, message=f"{rule.name}: its rows have no text or number {column}")
        for line_of_code in _without(rule, answer, lines):
            message = (
                f"{line_of_code.action}: {rule.name} makes an alert of each {rule.dimensions}, which are not all here"
            )
            yield Finding(path=line_of_code.path, line=line_of_code.line, message=message)
        if len(rule.dimensions) > MAX_DIMENSIONS:
            yield Finding(path=RULES, line=line, message=f"{rule.name}: more than {MAX_DIMENSIONS} dimensions")
        if f"\n| [{rule.name}](#alert-{rule.name}) | {rule.severity} |" not in pages:
            yield Finding(path=PAGES, message=f"the table of alerts has no {rule.name} with severity {rule.severity}")
    for name in [*(rule.name for rule in rules), METRIC_ALERT]:
        if f"\n### Alert {name}\n" not in pages:
            yield Finding(path=PAGES, message=f"the alert {name} has no page: a heading `### Alert {name}`")


def _without(rule: Rule, answer: Answer, lines: list[Line]) -> Iterator[Line]:
    """Lines that the query picks, and that lack a key which it makes alerts of."""
    wanted = set(rule.dimensions) & answer.keys - {"action", "outcome"}
    for line in lines:
        is_picked = line.action in answer.compared.get("action", ()) and (
            not (outcomes := answer.compared.get("outcome")) or line.outcomes & outcomes
        )
        if is_picked and not wanted <= line.keys:
            yield line


def _rows(root: Path) -> list[dict[str, Value]]:
    rows = bicep.read(root / RULES).variables["rules"].value
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _rule(row: dict[str, Value]) -> Rule:
    query, dimensions = row.get("query"), row.get("dimensions")
    loaded = query.parts[0] if isinstance(query, bicep.Expression) and query.parts else ""
    return Rule(
        name=str(row.get("name")),
        severity=row.get("severity"),
        query=Path(str(loaded)).name,
        dimensions=tuple(map(str, dimensions)) if isinstance(dimensions, list) else (),
        measure=str(row.get("measure", "")),
    )


def _of_parameters(root: Path) -> Iterator[Finding]:
    """Parameters of the workbook that nobody can set."""
    whole = json.loads(_text(root / WORKBOOK))
    declared = {each["name"] for item in whole["items"] for each in item["content"].get("parameters", ())}
    for query in _workbook(root):
        for name in sorted(set(PARAMETER.findall(query.text)) - declared):
            yield Finding(path=WORKBOOK, line=query.line, message=f"{query.name}: there is no parameter {name}")


def _of_words(lines: list[Line]) -> Iterator[Finding]:
    for line in lines:
        if not line.outcomes:
            yield Finding(path=line.path, line=line.line, message=f"{line.action}: the outcome is no fixed word")


def _of_host(root: Path) -> Iterator[Finding]:
    """Whether the host lets through what alerts wait for."""
    logging = json.loads(_text(root / HOST)).get("logging", {})
    sampling = logging.get("applicationInsights", {}).get("samplingSettings", {})
    excluded = set(str(sampling.get("excludedTypes", "")).split(";"))
    if sampling.get("isEnabled", True):
        for kind in sorted(NEVER_SAMPLED - excluded):
            yield Finding(path=HOST, message=f"{kind} is sampled: lines that alerts wait for would be missing")
    for category, level in logging.get("logLevel", {}).items():
        if category.split(".")[0] in {"default", "Host"} and level not in LETS_WARNINGS_THROUGH:
            yield Finding(path=HOST, message=f"{category} is at {level}: poisoned messages would not be told of")
