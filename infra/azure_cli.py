"""The Azure CLI, as whoever has signed in to it.

    python -m infra.azure_cli <subscription id>

ends with 1 where the CLI works in another subscription: azd has its own, and a script of azd that calls `az` would
otherwise change or ask something of the same name elsewhere. Needs nothing but Python and the Azure CLI.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


class AzureCliError(Exception):
    """It is not here, or refused something; the text is what it said."""


def az(*words: str) -> Any:
    """What the command answers, as JSON; None where it answers nothing. Raises AzureCliError."""
    program = shutil.which("az")
    if program is None:
        raise AzureCliError("the Azure CLI (az) is not installed here")
    done = subprocess.run([program, *words, "--output", "json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AzureCliError(done.stderr.strip() or f"az {words[0]} ended with {done.returncode}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def expect_subscription(wanted: str) -> None:
    """Raises AzureCliError unless this is the id of the subscription that the CLI works in."""
    if not wanted:
        raise AzureCliError("no subscription is named yet: azd env set AZURE_SUBSCRIPTION_ID <id>")
    current = az("account", "show", "--query", "id")
    if str(current).lower() != wanted.lower():
        raise AzureCliError(f"az works in the subscription {current}, not in {wanted}: az account set -s {wanted}")


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.azure_cli", description=__doc__)
    parser.add_argument("subscription", help="id of the subscription that is meant")
    try:
        expect_subscription(parser.parse_args(words).subscription)
    except AzureCliError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
