"""A hold before harm: what the demo does when a run is held, as somebody would who knows what is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console

from infra.local.demo.following import View
from infra.local.demo.saying import say
from infra.local.sample.accounts import Account

REASON = "the last file of the sample is cut off on purpose"


@dataclass(slots=True, kw_only=True)
class Holding:
    """Says what holds a run, and looks whether the account has seen anything of it."""

    account: Account
    console: Console
    imports_before: int  #: that the account had accepted when the run was started
    kinds: set[str] = field(default_factory=set)  #: of the brakes that have held it
    imports_at_hold: int = 0

    def __call__(self, view: View) -> str:
        """Why a held run may go on."""
        self.imports_at_hold = len(self.account.imports())
        title = self.account.title
        for brake in view["brakes"]:
            self.kinds.add(brake["kind"])
            say(self.console, f"{title}: held before anything is sent: {brake['sentence']}", style="yellow")
        say(self.console, f"{title}: approved, because {REASON}: POST {view['approve']}")
        return REASON

    def faults(self) -> Iterator[str]:
        """Whether the cut-off file has held the run, and nothing of it was sent before."""
        if "cut_off" not in self.kinds:
            yield "the run was not held, though a file of its segment is cut off"
        elif self.imports_at_hold != self.imports_before:
            yield f"{self.imports_at_hold - self.imports_before} requests were made before the run was held"
