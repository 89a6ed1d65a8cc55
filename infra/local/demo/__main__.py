"""`python -m infra.local.demo`: a segment to SendGrid and Brevo, compared person by person; 1 when anything fails."""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import requests
from azure.core.exceptions import AzureError
from rich.console import Console

from infra.local.cloud import LocalCloud
from infra.local.demo import printing
from infra.local.demo.exporting import LOGS, Exported, export_twice
from infra.local.demo.saying import say
from infra.local.demo.trouble import DemoFailedError
from infra.local.hosts import ROOT
from infra.local.processes import StartError
from infra.local.sample.accounts import open_brevo, open_sendgrid
from infra.local.sample.snapshot import write_sample
from infra.local.sample.truth import Truth

FIGURES = ROOT / ".local" / "demo.json"
PROFILES = 100_000
FEWEST_PROFILES = 100
INTERRUPTED = 130  #: what shells say of a program that ended by Ctrl-C


def main(arguments: Sequence[str], console: Console, *, figures: Path = FIGURES) -> int:
    """Run the demo, say what came of it, and answer the exit status. `figures` is the file for those of the table."""
    profiles = _profiles_of(arguments)
    try:
        exported = _export(profiles, console)
    except KeyboardInterrupt:
        return _failed(console, "interrupted", status=INTERRUPTED)
    except (DemoFailedError, StartError, requests.RequestException, AzureError) as error:
        return _failed(console, str(error))
    except Exception as error:
        logging.exception("nobody expected this")  # noqa: LOG015 - there is no other log
        return _failed(console, f"{type(error).__name__}, see above")
    printing.print_table(console, exported)
    printing.print_reasons(console, exported)
    printing.print_second_runs(console, exported)
    printing.write_figures(figures, exported)
    return concluded(console, exported)


def _profiles_of(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local.demo", description=__doc__)
    parser.add_argument("--profiles", type=_profiles, default=PROFILES, help="size of the segment")
    return int(parser.parse_args(arguments).profiles)


def _profiles(text: str) -> int:
    number = int(text)
    if number < FEWEST_PROFILES:
        raise argparse.ArgumentTypeError(f"at least {FEWEST_PROFILES}")
    return number


def _export(profiles: int, console: Console) -> Sequence[Exported]:
    say(console, "everything is planned anew: the demo starts with an empty cloud")
    with LocalCloud(logs=LOGS) as cloud:
        truth: list[Truth] = []
        segment = write_sample(cloud.segments, profiles, tell=truth.append)
        say(console, f"{len(truth):,} profiles are in {segment}")
        accounts = [open_sendgrid(cloud), open_brevo(cloud)]
        for account in accounts:
            # More than the connectors that this app replaces are stated to carry.
            account.configure(cloud, segment, brakes={"max_profiles": len(truth)})
        return [export_twice(cloud, account, truth, console) for account in accounts]


def concluded(console: Console, exported: Sequence[Exported]) -> int:
    """Say which promises are broken, if any, and end with the verdict."""
    broken = [f"{one.account.title}: {fault}" for one in exported for fault in one.broken]
    for fault in broken:
        say(console, f"broken promise: {fault}", style="red")
    if broken:
        return _failed(console, broken[0] if len(broken) == 1 else f"{len(broken)} promises are broken")
    delivered = ", ".join(f"{one.account.title} {one.first.sums['delivered']:,} delivered" for one in exported)
    say(console, f"demo: ok — {delivered}", style="green")
    return 0


def _failed(console: Console, why: str, *, status: int = 1) -> int:
    say(console, f"demo: FAILED: {why}", style="red")
    return status


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    sys.exit(main(sys.argv[1:], Console()))
