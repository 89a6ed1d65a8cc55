"""What the demo shows and writes down."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.local.demo.__main__ import concluded
from infra.local.demo.comparing import RejectRow
from infra.local.demo.exporting import Exported
from infra.local.demo.printing import print_reasons, print_second_runs, print_table, write_figures
from infra.local.demo.progress import progress_of, step_of
from infra.local.demo.saying import say
from tests.unit.demo.examples import ACCOUNT, SUMS, followed, view


def reject(line: int, reason: str, column: str) -> RejectRow:
    return RejectRow(kind="invalid", reason=reason, column=column, email="", part="a.csv", line=line)


EXPORTED = Exported(
    account=ACCOUNT,
    first=followed(),
    second=followed(sums=SUMS | {"unchanged": 1, "planned": 1, "delivered": 1}),
    rejects=[reject(7, "nul_byte", ""), reject(8, "email_missing", "EMail"), reject(9, "email_missing", "EMail")],
    on_list=1,
    fewest_requests=2,
)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_run_is_shown_as_a_line_for_every_change(console: Console) -> None:
    sending = {"finished": None, "step": "sending", "sums": SUMS | {"delivered": 0, "refused": 0}}
    with progress_of(console, "SendGrid") as show:
        show(view(finished=None, step="planning", sums=None, batches=0))
        show(view(**sending, batches_ended=0))
        show(view(**sending, batches_ended=0))
        show(view())
    assert printed(console).splitlines() == [
        "SendGrid: planning",
        "SendGrid: sending, batch 1 of 2, 0 of 2",
        "SendGrid: completed with warnings, 2 of 2",
    ]


def test_a_run_is_shown_as_a_bar_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with progress_of(console, "SendGrid") as show:
        show(view())
    assert "SendGrid: completed with warnings" in printed(console)
    assert "2/2" in printed(console)


def test_a_pause_that_the_provider_wants_is_shown() -> None:
    waiting = view(finished=None, step="sending", batches=0, waiting_until="2026-11-22T08:00:01Z")
    assert step_of(waiting) == "sending, the provider wants a pause"


def test_a_line_is_neither_broken_nor_read_as_markup(console: Console) -> None:
    say(console, "[address] " * 20)
    assert printed(console) == "[address] " * 20 + "\n"


def test_the_table_has_a_row_for_every_figure(console: Console) -> None:
    print_table(console, [EXPORTED])
    rows = [line.strip("│").split("│") for line in printed(console).splitlines() if line.startswith("│")]
    assert [(name.strip(), value.strip()) for name, value in rows] == [
        *((name, str(count)) for name, count in SUMS.items()),
        ("requests", "2"),
        ("bytes", "1,200"),
        ("seconds", "1.2"),
    ]


def test_reasons_come_by_frequency_with_the_first_place(console: Console) -> None:
    print_reasons(console, [EXPORTED])
    _, first, second = printed(console).splitlines()
    assert first.strip() == "2  EMail: The profile has no e-mail address. Line 8 of a.csv"
    assert second.strip() == "1  The line holds NUL bytes. Line 7 of a.csv"


def test_the_second_run_says_what_is_unchanged_and_what_is_sent_again(console: Console) -> None:
    print_second_runs(console, [EXPORTED])
    assert printed(console) == (
        "second run: SendGrid: 1 unchanged, 1 sent again because SendGrid refused them the first time; "
        "1 of them delivered\n"
    )


def test_the_last_line_tells_that_all_promises_are_kept(console: Console) -> None:
    assert concluded(console, [EXPORTED]) == 0
    assert printed(console) == "demo: ok — SendGrid 1 delivered\n"


def test_the_last_line_tells_which_promise_is_broken(console: Console) -> None:
    assert concluded(console, [replace(EXPORTED, broken=["the lane is not free"])]) == 1
    assert printed(console).splitlines() == [
        "broken promise: SendGrid: the lane is not free",
        "demo: FAILED: SendGrid: the lane is not free",
    ]


def test_figures_are_written_with_what_they_are_held_against(tmp_path: Path) -> None:
    path = tmp_path / ".local" / "demo.json"
    write_figures(path, [EXPORTED])
    figures: dict[str, dict[str, Any]] = {figure["name"]: figure for figure in json.loads(path.read_text())}
    assert figures["SendGrid requests"] == {
        "name": "SendGrid requests",
        "value": 2,
        "unit": "requests",
        "against": 2,
        "ratio": 1.0,
    }
    assert figures["SendGrid delivered"]["ratio"] == 1.0
    assert figures["SendGrid seconds"]["against"] is None
