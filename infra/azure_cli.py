"""The Azure CLI, as whoever has signed in to it."""

import json
import shutil
import subprocess
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
