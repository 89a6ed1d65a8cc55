"""One account's part of the demo: two runs of the export, and what is held against them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from rich.console import Console

from infra.local.cloud import LocalCloud
from infra.local.demo import comparing, state
from infra.local.demo.comparing import RejectRow
from infra.local.demo.following import Followed, run_export
from infra.local.demo.holding import Holding
from infra.local.demo.progress import progress_of
from infra.local.demo.saying import say
from infra.local.hosts import ROOT
from infra.local.sample.accounts import REFUSED_PEOPLE, Account
from infra.local.sample.truth import Truth, Verdict

LOGS = ROOT / ".local" / "logs" / "demo"


@dataclass(slots=True, kw_only=True)
class Exported:
    """What came of an account's runs."""

    account: Account
    first: Followed
    second: Followed
    rejects: Sequence[RejectRow]  #: of the first run
    on_list: int  #: people on the list after the first run
    fewest_requests: int  #: that the bytes of the first run allow
    broken: list[str] = field(default_factory=list)  #: promises that were not kept, in words


def export_twice(cloud: LocalCloud, account: Account, truth: Sequence[Truth], console: Console) -> Exported:
    """Run an export against an account that throttles once and refuses a few people, then once more without trouble.

    Raises DemoFailedError when a run does not come to an end that can be compared.
    """
    people = {row.email: row for row in truth if row.verdict is Verdict.PLANNED}
    refused = set(list(people)[:: max(1, len(people) // REFUSED_PEOPLE)][:REFUSED_PEOPLE])
    account.make_trouble(sorted(refused))
    first, held = _follow(cloud, account, console)
    say(console, f"{account.title}: reading the list back and comparing person by person")
    contacts = list(account.contacts())
    imports = account.imports()
    rejects = state.read_rejects(cloud.state, first.view)
    fewest = account.fewest_requests(sum(one["contacts"] for one in imports), sum(one["bytes"] for one in imports))
    broken = [
        *held,
        *comparing.count_faults(truth, first.sums, len(refused)),
        *comparing.list_faults(account, contacts, people, refused),
        *comparing.reject_faults(account, truth, rejects, refused),
        *_request_faults(first, imports, fewest),
        *_state_faults(cloud, first),
    ]
    account.end_trouble()
    second, held = _follow(cloud, account, console)
    broken += [
        f"second run: {fault}"
        for fault in chain(
            held,
            _second_run_faults(first, second),
            comparing.list_faults(account, account.contacts(), people, set()),
            _state_faults(cloud, second),
        )
    ]
    return Exported(
        account=account,
        first=first,
        second=second,
        rejects=rejects,
        on_list=len(contacts),
        fewest_requests=fewest,
        broken=broken,
    )


def _follow(cloud: LocalCloud, account: Account, console: Console) -> tuple[Followed, Sequence[str]]:
    """A run that has ended, and what is wrong with how it was held."""
    holding = Holding(account=account, console=console, imports_before=len(account.imports()))
    with progress_of(console, account.title) as show:
        followed = run_export(cloud, account.export, show, holding)
    return followed, [*holding.faults()]


def _request_faults(run: Followed, imports: Sequence[dict[str, int]], fewest: int) -> Iterator[str]:
    """Whether the requests of a run are those that the account has seen, and no more than there had to be."""
    if run.view["requests"] != len(imports):
        yield f"the run claims {run.view['requests']} requests, and the account has accepted {len(imports)}"
    size = sum(one["bytes"] for one in imports)
    if run.view["bytes"] != size:
        yield f"the run claims {run.view['bytes']:,} bytes, and the account has received {size:,}"
    if len(imports) != fewest:
        yield f"{len(imports)} requests were made where {fewest} are enough"


def _state_faults(cloud: LocalCloud, run: Followed) -> Iterator[str]:
    yield from state.leak_faults(cloud.state, run.view, LOGS)
    yield from state.left_over_faults(cloud.state, run.view)


def _second_run_faults(first: Followed, second: Followed) -> Iterator[str]:
    """Whether the second run has left alone whom the first has delivered, and has delivered the others."""
    yield from comparing.sum_faults(second.sums)
    if second.sums["unchanged"] != first.sums["delivered"]:
        yield f"{second.sums['unchanged']:,} are unchanged where {first.sums['delivered']:,} were delivered before"
    if second.sums["delivered"] != second.sums["planned"]:
        yield f"{second.sums['delivered']:,} of {second.sums['planned']:,} were delivered"
