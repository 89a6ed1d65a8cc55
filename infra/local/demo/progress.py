"""Where a run is, as a live bar on a terminal and as lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra.local.demo.following import View
from infra.local.demo.saying import say


class _Bar:
    """A bar that fills with every contact that has a verdict."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title
        self._task = progress.add_task(title, total=None)

    def __call__(self, view: View) -> None:
        sums = view["sums"]
        self._progress.update(
            self._task,
            description=f"{self._title}: {step_of(view)}",
            total=None if sums is None else max(1, sums["planned"]),
            completed=0 if sums is None else decided(view),
        )


class _Lines:
    """A line whenever something has changed."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._last = ""

    def __call__(self, view: View) -> None:
        line = f"{self._title}: {step_of(view)}"
        if view["sums"] is not None:
            line += f", {decided(view):,} of {view['sums']['planned']:,}"
        if line != self._last:
            say(self._console, line)
            self._last = line


@contextmanager
def progress_of(console: Console, title: str) -> Iterator["_Bar | _Lines"]:
    """What shows a run; it is called with every look at it."""
    if not console.is_terminal:
        yield _Lines(console, title)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, title)


def step_of(view: View) -> str:
    """What the run does now, in words."""
    if view["finished"] is not None:
        return str(view["status"]).replace("_", " ")
    if view["status"] == "held":
        return "held for approval"
    words = str(view["step"])
    if view["batches"]:
        words += f", batch {min(view['batches_ended'] + 1, view['batches'])} of {view['batches']}"
    return f"{words}, the provider wants a pause" if view["waiting_until"] else words


def decided(view: View) -> int:
    """Contacts that have a verdict."""
    sums = view["sums"]
    return int(sums["delivered"] + sums["refused"] + sums["unknown"])
