"""What the alerts say of histories of lines, and that the check finds what would silence them.

Microsoft's parser reads the queries; kusto.mjs answers them. `npm ci --prefix infra/check` sets the parser up.
"""

import json
import logging
import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exporters import log
from exporters.model.run import RunStatus
from infra.check import queries, written

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "infra" / "alerts"
RULES = ROOT / "infra" / "modules" / "alerts.bicep"
NODE = [shutil.which("node") or "node", str(Path(__file__).with_name("kusto.mjs"))]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
#: As AppTraces numbers them: https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete#trace-telemetry
LEVELS = {logging.INFO: 1, logging.WARNING: 2, logging.ERROR: 3}
#: Alert -> how far back its rule looks, as alerts.bicep has it, and how long that is.
WINDOWS = dict(re.findall(r"name: '([a-z-]+)'\n +severity: \d\n +window: '(\w+)'", RULES.read_text()))
MINUTES = {"PT1H": 60, "P2D": 2 * 24 * 60}
SUMS = {"read": 100, "invalid": 0, "planned": 100, "delivered": 100, "refused": 0, "unknown": 0, "requests": 1}

Kusto = Callable[[dict[str, object]], list[dict[str, object]]]


class History:
    """Lines as the app writes them, each so many minutes ago."""

    def __init__(self, caplog: pytest.LogCaptureFixture, kusto: Kusto) -> None:
        caplog.set_level(logging.INFO, "exporters")
        self.caplog, self.kusto = caplog, kusto
        self.traces: list[dict[str, Any]] = []
        self.exceptions: list[dict[str, object]] = []

    def say(self, minutes: float, action: str, outcome: str, *, level: int = logging.INFO, **keys: log.Value) -> None:
        self.caplog.clear()
        log.step(action, outcome, level=level, **keys)
        (record,) = self.caplog.records
        self.host(minutes, record.getMessage(), record.levelno)

    def host(self, minutes: float, message: str, level: int = logging.WARNING) -> None:
        """What the Functions host says, which keeps no form."""
        self.traces.append({"TimeGenerated": at(minutes), "Message": message, "SeverityLevel": LEVELS[level]})

    def ended(self, minutes: float, status: RunStatus, export: str = "news", **keys: log.Value) -> None:
        self.say(minutes, "finish", status, export=export, run_id=f"run{minutes}", **(SUMS | keys))

    def stands(self, minutes: float, outcome: str, export: str | None = "news", **keys: log.Value) -> None:
        level = logging.INFO if outcome == "none" else logging.WARNING
        self.say(minutes, "standing", outcome, level=level, export=export, **keys)

    def fires(self, alert: str) -> list[dict[str, object]]:
        """The rows of an alert's query over what its rule looks at, each of which is an alert."""
        own = (ALERTS / f"{alert}.kql").read_text()
        query = (ALERTS / "lines.kql").read_text() + own if own.startswith("|") else own
        return self.answers(query, minutes=MINUTES[WINDOWS[alert]])

    def answers(self, query: str, *, minutes: float = math.inf) -> list[dict[str, object]]:
        traces = [trace for trace in self.traces if trace["TimeGenerated"] > at(minutes)]
        tables = {"AppTraces": traces, "AppExceptions": self.exceptions}
        return self.kusto({"query": query, "tables": tables, "now": at(0)})


@pytest.fixture(scope="module")
def kusto() -> Iterator[Kusto]:
    """Answers queries, in one process for all of them: the parser takes a while to load."""
    with subprocess.Popen(NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def ask(asked: dict[str, object]) -> list[dict[str, object]]:
            stdin.write(json.dumps(asked) + "\n")
            rows: list[dict[str, object]] = json.loads(stdout.readline())  # an empty line: kusto.mjs has said why
            return rows

        yield ask
        stdin.close()


@pytest.fixture
def history(caplog, kusto) -> History:
    return History(caplog, kusto)


def at(minutes: float) -> float:
    return (NOW.timestamp() - minutes * 60) * 1000


def test_queries_read_what_the_app_writes(history):
    awkward = 'no such list: "a\\b" outcome=successful export=other\nread=7'
    history.say(1, "finish", "failed", export="news", reason=awkward, read=3, duration_s=0.25, due=NOW)

    (row,) = history.answers((ALERTS / "lines.kql").read_text())

    assert row["outcome"] == "failed"
    assert row["export"] == "news"
    assert row["reason"] == awkward.replace("\n", " ")
    assert (row["read"], row["duration_s"], row["due"]) == (3, 0.25, "2026-11-23T12:00:00+00:00")
    assert (row["queue"], row["messages"]) == ("", None)


def test_a_failed_run_is_told_for_each_export_until_a_later_one_ended_well(history):
    history.ended(50, RunStatus.FAILED, "news", reason="no such list")
    history.ended(40, RunStatus.FAILED, "offers")
    history.ended(30, RunStatus.WARNINGS, "offers")

    assert history.fires("run-failed") == [{"export": "news", "run_id": "run50"}]

    history.ended(1, RunStatus.SUCCESSFUL, "news")
    assert history.fires("run-failed") == []


@pytest.mark.parametrize(
    ("status", "keys"),
    [(RunStatus.CANCELED, {}), (RunStatus.SUCCESSFUL, {"read": 0, "planned": 0, "delivered": 0})],
    ids=["canceled", "a reconciliation"],
)
def test_what_is_no_verdict_on_the_export_does_not_end_the_alert(history, status, keys):
    history.ended(50, RunStatus.FAILED)
    history.ended(1, status, **keys)

    assert [row["run_id"] for row in history.fires("run-failed")] == ["run50"]


WEEK = 7 * 24 * 60
#: Minutes after something went wrong: the first measurement, those of the days after, and of the week's end.
LATER = [5, 60, 61, 2 * 24 * 60 + 1, 5 * 24 * 60, WEEK]


@pytest.mark.parametrize("later", LATER)
def test_a_failed_run_is_told_for_as_long_as_measurements_say_so(history, later):
    history.ended(later, RunStatus.FAILED)
    for minutes in (later - 5, 6, 1):
        history.stands(minutes, "failed", run_id=f"run{later}", provider="brevo")

    assert history.fires("run-failed") == [{"export": "news", "run_id": f"run{later}"}]


def test_a_run_that_failed_and_does_not_count_for_its_export_is_told_for_an_hour(history):
    history.ended(59, RunStatus.FAILED, read=0, planned=0, delivered=0, reason="no such list")
    history.stands(58, "none", export=None, exports=1)
    history.stands(1, "none", export=None, exports=1)
    assert history.fires("run-failed") == [{"export": "news", "run_id": "run59"}]

    history.traces = [trace | {"TimeGenerated": trace["TimeGenerated"] - 60_000} for trace in history.traces]
    assert history.fires("run-failed") == []


def test_a_good_run_ends_the_alert_before_the_next_measurement_and_so_does_the_word_that_nothing_stands(history):
    for minutes in (12, 7):
        history.stands(minutes, "failed", run_id="1")
        history.stands(minutes, "failed", export="offers", run_id="2")
    history.ended(3, RunStatus.SUCCESSFUL, "news")
    assert history.fires("run-failed") == [{"export": "offers", "run_id": "2"}]

    history.ended(2, RunStatus.WARNINGS, "offers")
    history.stands(1, "none", export=None, exports=2)
    assert history.fires("run-failed") == []


def test_an_export_that_was_removed_stands_as_nothing_after_three_measurements(history):
    for minutes in (66, 21, 16):
        history.stands(minutes, "failed", run_id="1")
        history.stands(minutes, "held", run_id="2")
    history.stands(1, "none", export=None, exports=0)

    assert history.fires("run-failed") == []
    assert history.fires("run-held") == []


def test_of_several_runs_the_newest_that_failed_is_named(history):
    history.stands(12, "failed", run_id="1")
    history.stands(2, "failed", run_id="2")

    assert history.fires("run-failed") == [{"export": "news", "run_id": "2"}]


@pytest.mark.parametrize("later", LATER)
def test_a_held_run_is_told_for_as_long_as_measurements_say_so(history, later):
    history.say(later, "plan", "held", level=logging.WARNING, export="news", run_id="1")
    for minutes in (later - 5, 6, 1):
        history.stands(minutes, "held", run_id="1", provider="brevo")
        history.stands(minutes, "failed", export="offers", run_id="2")

    assert history.fires("run-held") == [{"export": "news", "run_id": "1"}]


def test_a_run_that_is_not_held_any_more_is_not_told(history):
    for minutes in (26, 21, 16):
        history.stands(minutes, "held", run_id="1")
    history.say(15, "hold", "approved", export="news", run_id="1")
    history.stands(11, "none", export=None, exports=2)

    assert history.fires("run-held") == []


def test_the_share_of_rejects_is_that_of_the_last_run_that_read_anybody(history):
    history.ended(90, RunStatus.WARNINGS, "news", read=1000, invalid=900)
    history.ended(60, RunStatus.WARNINGS, "news", read=1000, invalid=50, refused=20, unknown=5)
    history.ended(50, RunStatus.SUCCESSFUL, "news", read=0)
    history.ended(40, RunStatus.SUCCESSFUL, "offers")

    assert history.fires("rejects-over-share") == [{"export": "news", "run_id": "run60", "percent": 7.5}]


def test_a_schedule_is_overdue_as_long_as_measurements_say_so(history):
    for minutes in (22, 17):
        history.say(minutes, "overdue", "late", level=logging.WARNING, export="offers", late_s=60, due=NOW)
    for minutes in (12, 7):
        history.say(minutes, "overdue", "late", level=logging.WARNING, export="news", late_s=-minutes, due=NOW)
    history.say(2, "overdue", "none", exports=2)

    assert history.fires("schedule-overdue") == [{"export": "news", "due": "2026-11-23T12:00:00+00:00", "late_s": -7}]


@pytest.mark.parametrize(
    ("minutes", "outcome", "fires"),
    [(1, "done", False), (19, "done", False), (21, "done", True), (1, "failed", True), (None, "", True)],
    ids=["at work", "logs come late", "stopped", "fails each time", "never"],
)
def test_a_missing_tick_is_told_and_late_logs_are_not(history, minutes, outcome, fires):
    if minutes is not None:
        history.say(minutes, "tick", outcome)

    assert bool(history.fires("tick-missing")) is fires


def test_a_poison_message_is_one_alert_for_its_queue_whoever_tells_of_it(history):
    history.host(9, "Message has reached MaxDequeueCount of 5. Moving message to queue 'send-batches-poison'.")
    history.say(8, "abandon", "poisoned", level=logging.ERROR, queue="send-batches-poison", export="news", run_id="1")
    history.say(7, "abandon", "not a message", level=logging.ERROR, queue="notify-poison")
    history.host(6, "Executed 'Functions.tick' (Succeeded)", logging.INFO)

    assert history.fires("poison-message") == [
        {"queue": "send-batches-poison", "lines": 2},
        {"queue": "notify-poison", "lines": 1},
    ]


def test_a_message_is_old_as_the_newest_measurement_has_it(history):
    for minutes, waited in ((12, 1200), (2, 0)):
        history.say(minutes, "queue", "measured", queue="plan-runs", messages=1, oldest_s=waited)
    for minutes, waited in ((12, 600), (2, 1200.5)):
        history.say(minutes, "queue", "measured", queue="notify", messages=4, oldest_s=waited)
    history.say(40, "queue", "measured", queue="gone", messages=4, oldest_s=9000)

    assert history.fires("message-age") == [{"queue": "notify", "messages": 4, "oldest_s": 1200.5}]


def test_a_refused_key_is_told_for_each_connection_until_it_is_accepted(history):
    for connection in ("main", "other"):
        history.say(60, "key", "refused", level=logging.ERROR, connection=connection, provider="brevo", export="news")
    history.say(5, "key", "accepted", connection="other", provider="brevo")

    assert history.fires("key-refused") == [{"connection": "main", "provider": "brevo"}]


@pytest.mark.parametrize(
    ("outcomes", "fires"),
    [
        (("reached", "unreachable"), False),
        (("unreachable", "unreachable"), True),
        (("unreachable", "refused"), True),
        (("refused", "refused", "reached"), False),
        ((), False),
    ],
    ids=["one lost request", "unreachable", "refused", "again well", "nothing measured"],
)
def test_the_vault_is_unreachable_after_a_second_failure_and_well_with_the_first_answer(history, outcomes, fires):
    for minutes, outcome in zip((15, 10, 5), outcomes, strict=False):
        history.say(minutes, "vault", outcome, error="Forbidden")

    assert bool(history.fires("vault-unreachable")) is fires


def test_a_stuck_lane_is_told_as_long_as_measurements_say_so(history):
    for minutes, run in ((30, "old"), (10, "new"), (5, "new")):
        keys = {"account": "brevo-1", "provider": "brevo", "export": "news", "run_id": run, "waits_s": 5000.0 - minutes}
        history.say(minutes, "lane", "stuck", level=logging.ERROR, **keys)
    history.say(1, "lane", "moving", lanes=3)

    assert [(row["run_id"], row["waits_s"]) for row in history.fires("lane-stuck")] == [("new", 4995)]


def test_errors_that_no_other_alert_is_about_need_a_person(history):
    told_elsewhere = [("tick", "failed"), ("vault", "refused"), ("key", "refused"), ("lane", "stuck")]
    for action, outcome in [*told_elsewhere, ("abandon", "poisoned"), ("finish", "failed")]:
        history.say(5, action, outcome, level=logging.ERROR)
    history.say(4, "audit", "result not written", level=logging.ERROR)
    history.say(3, "audit", "result not written", level=logging.ERROR)
    history.say(2, "send", "throttled", level=logging.WARNING)
    history.host(1, "Something of the host's own", logging.ERROR)

    assert history.fires("needs-a-person") == [{"action": "audit", "outcome": "result not written", "lines": 2}]


def test_exceptions_are_told_for_a_function_that_fails_ten_times(history):
    history.exceptions = [
        {"OperationName": "poll_batch", "ItemCount": 4},
        {"OperationName": "poll_batch", "ItemCount": 6},
    ]
    history.exceptions += [{"OperationName": "move_run", "ItemCount": 1}] * 5

    assert history.fires("exceptions") == [{"OperationName": "poll_batch", "failures": 10}]


def test_every_alert_has_a_history_here():
    asked = {path.stem for path in ALERTS.glob("*.kql")} - {"lines"}
    source = Path(__file__).read_text()

    assert asked
    assert [alert for alert in asked if f'history.fires("{alert}")' not in source] == []


#: File, what is changed in it, to what, and what is then found. All are made at once, so none may hide another.
BREAKAGES = [
    ("infra/alerts/run-failed.kql", "by export", "by exprot", "run-failed.kql:5: run-failed: The name 'exprot'"),
    (
        "infra/alerts/run-failed.kql",
        '"successful"',
        '"succesful"',
        "no line with these actions has the outcome 'succesful'",
    ),
    ("infra/alerts/needs-a-person.kql", '"tick", ', '"tikc", ', "no line of the code has the action 'tikc'"),
    ("infra/alerts/vault-unreachable.kql", "error)", "queue)", "no line with these actions has the key queue"),
    ("infra/alerts/lane-stuck.kql", "| project", "| take 5 | project", "TakeOperator has no place"),
    ("infra/alerts/run-held.kql", "| project", "| project TimeGenerated,", "the rows have the time TimeGenerated"),
    (
        "infra/modules/alerts.bicep",
        "['connection']",
        "['conection']",
        "key-refused: its rows have no text or number conec",
    ),
    ("infra/modules/alerts.bicep", "run-held.kql", "run-hold.kql", "run-held: there is no infra/alerts/run-hold.kql"),
    ("infra/modules/alerts.bicep", "run-held.kql", "run-hold.kql", "run-held.kql:1: no alert of infra/modules"),
    (
        "infra/workbook.json",
        '\\"throttled\\"',
        '\\"throtled\\"',
        "workbook throttled: no line of the code has the action",
    ),
    ("infra/workbook.json", "'{Run}'", "'{RunId}'", "workbook one-run: there is no parameter RunId"),
    ("docs/operations.md", "### Alert key-refused", "### Key refused", "the alert key-refused has no page"),
    (
        "docs/operations.md",
        "isnotempty(export)",
        "isntempty(export)",
        "The name 'isntempty' does not refer to any known func",
    ),
    ("host.json", "excludedTypes", "includedTypes", "host.json:1: Trace is sampled"),
    ("exporters/health/measure.py", "account=each.account,", "", "lane: lane-stuck makes an alert of each"),
    ("exporters/health/measure.py", '"none", ', "each.word, ", "overdue: the outcome is no fixed word"),
]


def test_what_would_silence_an_alert_is_found(tmp_path):
    for part in ("exporters", "infra/alerts", "docs"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "infra" / "modules").mkdir()
    for part in ("infra/modules/alerts.bicep", "infra/workbook.json", "host.json"):
        shutil.copy(ROOT / part, tmp_path / part)
    for part in {part for part, *_ in BREAKAGES}:
        text = (tmp_path / part).read_text()
        for old, new in dict.fromkeys((old, new) for path, old, new, _ in BREAKAGES if path == part):
            assert old in text, f"{part}: {old}"
            text = text.replace(old, new)
        (tmp_path / part).write_text(text)

    findings = [str(each) for each in queries.check(tmp_path).findings]

    assert [found for *_, found in BREAKAGES if not any(found in each for each in findings)] == [], findings


CODE = """
from enum import StrEnum


class Fate(StrEnum):
    KEPT = "kept"  #: it is there
    LOST = "lost"


class Answer:
    fate: Fate


class Batch:
    def log(self, action, outcome, **keys):
        log.step(action, outcome, run_id=self.run, **keys)


def names(run):
    found = {"export": run.export}
    return found | {"provider": run.provider}


def later(batch, *, outcome):
    batch.log("send", outcome, wait_s=1)


def work(batch: Batch, answer: Answer, fate: Fate, run):
    log.step("plain", "done" if run else Fate.LOST, level=3, **names(run))
    log.step("field", answer.fate)
    log.step("parameter", fate.value, **run.keys())
    later(batch, outcome="throttled")
    later(batch, outcome="failed for now")
    log.step("unknown", run.words)
"""


def test_lines_are_read_from_the_code_through_enums_wrappers_and_helpers(tmp_path):
    (tmp_path / "exporters").mkdir()
    (tmp_path / "exporters" / "code.py").write_text(CODE)

    found = {line.action: line for line in written.lines(tmp_path)}

    assert {action: set(line.outcomes) for action, line in found.items()} == {
        "plain": {"done", "lost"},
        "field": {"kept", "lost"},
        "parameter": {"kept", "lost"},
        "send": {"throttled", "failed for now"},
        "unknown": set(),
    }
    assert found["plain"].keys == {"export", "provider"}
    assert found["send"].keys == {"run_id", "wait_s"}
    assert [line.action for line in found.values() if line.is_open] == ["parameter"]
