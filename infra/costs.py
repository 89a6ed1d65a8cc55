"""What the app costs a month: amounts, prices and their products, which are the tables of `docs/costs.md`.

`python -m infra.costs` writes them. To reckon with prices of your own, change `PRICES` and run it again. They are list
prices in US dollars of the region East US without tax, as others have read them from the public price list
(https://prices.azure.com/api/retail/prices) in September and October 2026; those that are marked as remembered nobody
has looked up for this table.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs" / "costs.md"
PLACE = "<!-- {name}: made by python -m infra.costs -->\n\n{text}\n<!-- end -->"

HOURS = 730  #: of a month, as Azure's own pages reckon
MINUTES = HOURS * 60
SECONDS = HOURS * 3600
DAYS = 365 / 12
MEMORY_GB = 2  #: of an instance: instanceMemoryMB


class Size(StrEnum):
    """A parameters file."""

    DEV = "dev"
    PROD = "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A meter of Azure's price list."""

    meter: str
    usd: float
    per: str
    free: float = 0  #: of each month, for all apps of the subscription or billing account
    remembered: bool = False


PRICES = {
    "run": Price(meter="Flex Consumption, On Demand Execution Time", usd=0.000026, per="GB second", free=100_000),
    "call": Price(meter="Flex Consumption, Total Executions", usd=0.40 / 1e6, per="execution", free=250_000),
    "ready": Price(meter="Flex Consumption, Always Ready Baseline", usd=0.000004, per="GB second"),
    "ready run": Price(meter="Flex Consumption, Always Ready Execution Time", usd=0.000016, per="GB second"),
    "write": Price(meter="General Block Blob v2, Hot Write Operations, and lists", usd=0.05 / 1e4, per="operation"),
    "read": Price(meter="General Block Blob v2, Hot Read Operations", usd=0.004 / 1e4, per="operation"),
    "queue": Price(meter="Queues v2, operations", usd=0.004 / 1e4, per="operation", remembered=True),
    "LRS": Price(meter="General Block Blob v2, Hot LRS Data Stored", usd=0.0208, per="GB month"),
    "ZRS": Price(meter="General Block Blob v2, Hot ZRS Data Stored", usd=0.026, per="GB month", remembered=True),
    "log": Price(meter="Log Analytics, Analytics Logs Data Ingestion", usd=2.30, per="GB", free=5),
    "rule 15": Price(meter="Alerts System Log Monitored at 15 Minute Frequency", usd=0.50, per="rule"),
    "rule 5": Price(meter="Alerts System Log Monitored at 5 Minute Frequency", usd=1.50, per="rule"),
    "vault": Price(meter="Key Vault, Operations", usd=0.03 / 1e4, per="operation"),
    "nat": Price(meter="NAT Gateway, Standard Gateway", usd=0.045, per="hour"),
    "nat data": Price(meter="NAT Gateway, Standard Data Processed", usd=0.045, per="GB"),
    "address": Price(meter="Standard IPv4 Static Public IP", usd=0.005, per="hour"),
    "endpoint": Price(meter="Private Endpoint", usd=0.01, per="hour"),
    "endpoint data": Price(meter="Private Endpoint, Data Processed", usd=0.01, per="GB", remembered=True),
    "zone": Price(meter="Azure DNS, Private Zone", usd=0.50, per="zone"),
}


# What one thing takes. Measured on one machine with the segment of 100,000 people that `make demo` makes, all of whom
# are sent, while SendGrid's sandbox takes a minute for each import job: six planning steps of 14 s in all, five of
# sending of 10 s, thirty questions for jobs. None is billed for less than a second.
# https://learn.microsoft.com/azure/azure-functions/functions-consumption-costs
PLAN_S = 30.0  #: twice what was measured, as an instance of 2048 MB has one core
SEND_S = 20.0  #: likewise
POLLS = 60  #: twice as many: jobs of a real account take minutes
LEAST_S = 1.0  #: that an execution is billed for
RUN_CALLS = 6 + 5 + POLLS + 4  #: and a few of HTTP
RUN_WRITES, RUN_READS, RUN_QUEUE = (
    360,
    470,
    150,
)  #: storage operations, writes with lists, whoever asks for the run included
RUN_LOG_GB = 200 * 1e-6  #: lines of some 1 kB each
RUN_KEPT_GB = 2 * 0.0023  #: a ledger of 2.3 MB, and its version
KEPT_DAYS = 90
RUN_OUT_GB = 0.03  #: 25 MB of contacts
RUN_INSIDE_GB = 0.1  #: segment, staged batches and ledgers, there and back
# One tick a minute, measured with one export and nothing to do: 0.1 to 0.6 s.
TICK_WRITES, TICK_READS = 16, 16 + 20  #: lists count as writes; leases of the host as reads
TICK_LOG_GB = 4 * 1e-6
# What is measured every five minutes: a line for each of ten queues and a few more.
LOOKS = MINUTES / 5
LOOK_LOG_GB = 14 * 1e-6
HOST_LOG_GB = 0.5  #: the host's own lines and counters; a guess
# A line of the storage accounts' own logs for each write, where `storageLogs` has them.
TICK_CHANGES, RUN_CHANGES, CHANGE_LOG_GB = 4, 150, 1.2e-6
VAULT_CALLS = 20_000

RULES = 12  #: queries in infra/alerts
READY_GROUPS = 2  #: http, and the function that plans
ENDPOINTS = 5  #: blob, queue and table of the host's account, blob of the state's, vault
ZONES = 4

Amounts = dict[str, float]


def amounts(size: Size, runs_a_day: float) -> Amounts:
    """How much of each meter a month takes."""
    prod, runs = size is Size.PROD, runs_a_day * DAYS
    lines_gb = HOST_LOG_GB + MINUTES * TICK_LOG_GB + LOOKS * LOOK_LOG_GB + runs * RUN_LOG_GB
    changes = MINUTES * TICK_CHANGES + runs * RUN_CHANGES if prod else 0
    waiting = MEMORY_GB * SECONDS * READY_GROUPS if prod else 0
    planning, rest = runs * PLAN_S * MEMORY_GB, runs * (SEND_S + POLLS * LEAST_S) * MEMORY_GB
    return {
        "run": MINUTES * LEAST_S * MEMORY_GB + rest + (0 if prod else planning),
        "call": MINUTES + runs * RUN_CALLS,
        "ready": waiting,
        "ready run": planning if prod else 0,
        "write": MINUTES * TICK_WRITES + runs * RUN_WRITES,
        "read": MINUTES * TICK_READS + runs * RUN_READS,
        # An instance that waits looks at its queue every second (maxPollingInterval in host.json).
        "queue": LOOKS * 10 + runs * RUN_QUEUE + (SECONDS if prod else 0),
        "ZRS" if prod else "LRS": 1 + runs_a_day * KEPT_DAYS * RUN_KEPT_GB,
        "log": lines_gb + changes * CHANGE_LOG_GB,
        "rule 5" if prod else "rule 15": RULES,
        "vault": VAULT_CALLS,
        "nat": HOURS if prod else 0,
        "nat data": runs * RUN_OUT_GB if prod else 0,
        "address": HOURS if prod else 0,
        "endpoint": HOURS * ENDPOINTS if prod else 0,
        "endpoint data": runs * RUN_INSIDE_GB if prod else 0,
        "zone": ZONES if prod else 0,
    }


def cost(meter: str, amount: float) -> float:
    """Dollars for so much of a meter in a month, what is free taken off."""
    price = PRICES[meter]
    return max(0.0, amount - price.free) * price.usd


PARTS = {
    "functions: the minute timer and runs": ("run", "call", "ready run"),
    "functions: instances that wait": ("ready",),
    "storage: operations": ("write", "read", "queue"),
    "storage: what is kept": ("LRS", "ZRS"),
    "logs": ("log",),
    "alert rules": ("rule 5", "rule 15"),
    "NAT gateway and its address": ("nat", "nat data", "address"),
    "private endpoints and zones": ("endpoint", "endpoint data", "zone"),
    "vault": ("vault",),
}
CASES = [(size, runs) for size in Size for runs in (0, 1, 100)]


def totals() -> str:
    """Dollars a month, part by part."""
    taken = [amounts(size, runs) for size, runs in CASES]
    words = {0: "idle", 1: "1 a day", 100: "100 a day"}
    rows = [("", *(f"{size}, {words[runs]}" for size, runs in CASES)), ("---", *["---:"] * len(CASES))]
    for part, meters in PARTS.items():
        rows.append((part, *(_dollars(_sum(case, meters)) for case in taken)))
    rows.append(("**together**", *(f"**{_dollars(_sum(case, tuple(case)))}**" for case in taken)))
    return _table(rows)


def prices() -> str:
    """Each meter, its price, and how much of it the cases take."""
    taken = [amounts(size, runs) for size, runs in CASES if runs]
    heads = [f"{size}, {runs} a day" for size, runs in CASES if runs]
    rows = [("meter", "US dollars", "free", *heads), ("---", "---", "---", *["---:"] * len(heads))]
    for key, price in PRICES.items():
        usd = f"{price.usd:.10f}".rstrip("0").rstrip(".")
        what = f"{usd} per {price.per}{' (remembered)' if price.remembered else ''}"
        used = (f"{case.get(key, 0):,.0f}" if case.get(key, 0) >= 100 else f"{case.get(key, 0):.4g}" for case in taken)
        rows.append((price.meter, what, f"{price.free:,}" if price.free else "", *used))
    return _table(rows)


TABLES: dict[str, Callable[[], str]] = {"totals": totals, "prices": prices}


def filled(page: str) -> str:
    """`docs/costs.md` with its tables as they should be."""
    for name, table in TABLES.items():
        begin, end = PLACE.format(name=name, text="\0").split("\0")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}{table()}{end}{rest.partition(end)[2]}"
    return page


def _sum(case: Amounts, meters: tuple[str, ...]) -> float:
    return sum(cost(meter, case[meter]) for meter in meters if meter in case)


def _dollars(amount: float) -> str:
    return f"{amount:.2f}"


def _table(rows: list[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> int:
    DOCS.write_text(filled(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
    print(totals())
    return 0


if __name__ == "__main__":
    sys.exit(main())
