"""`make start`: the whole cloud on this machine, with a small segment and one export per provider, until Ctrl-C."""

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import NoReturn

from infra.local.cloud import LOGS, LocalCloud
from infra.local.hosts import ROOT, HostKind
from infra.local.processes import StartError
from infra.local.sample.accounts import open_brevo, open_sendgrid
from infra.local.sample.snapshot import write_sample

PEOPLE = 300

STARTED = """
The cloud on this machine is up. Ctrl-C ends it; nothing is kept.

  API         {api}
  SendGrid    {sendgrid}
  Brevo       {brevo}
  Key Vault   {vault}
  Azurite     {blobs}
  logs        {logs}

Start a run as an automation does, with the function key, and read what became of it:

  KEY={key}
  RUN=$(curl -sS -o /dev/null -D - -X POST -H "x-functions-key: $KEY" {api}/automation/exports/{export}/runs |
        tr -d '\\r' | sed -n 's/^Location: //p')
  curl -sS -H "x-functions-key: $KEY" {host}$RUN

The last file of the sample is cut off on purpose, so the run is held before anything is sent. Let it go on, which the
key does not open: it is for people who have signed in, and on this machine everybody is an administrator:

  curl -sS -X POST {host}${{RUN/automation\\//}}/approve

The exports are {exports}.
"""


def main() -> int:
    arguments = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    scratch = ROOT / ".local"
    scratch.mkdir(exist_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="azurite-", dir=scratch) as data,
            LocalCloud(hosts=arguments.hosts, host=arguments.host, data=Path(data)) as cloud,
        ):
            exports = _furnish(cloud)
            print(_started(cloud, exports), flush=True)
            threading.Event().wait()
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("--hosts", type=int, default=1, help="how many processes run the app")
    parser.add_argument(
        "--host", type=HostKind, choices=list(HostKind), default=HostKind.LOCAL, help="what runs the app"
    )
    return parser.parse_args()


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _furnish(cloud: LocalCloud) -> list[str]:
    """A segment, and an export of it to each provider; answers the exports' ids."""
    segment = write_sample(cloud.segments, PEOPLE)
    accounts = (open_sendgrid(cloud), open_brevo(cloud))
    for account in accounts:
        account.configure(cloud, segment)
    return [account.export for account in accounts]


def _started(cloud: LocalCloud, exports: list[str]) -> str:
    return STARTED.format(
        api=cloud.api_url,
        host=cloud.host_urls[0],
        sendgrid=cloud.sendgrid_url,
        brevo=cloud.brevo_url,
        vault=cloud.vault_url,
        blobs=cloud.blobs.url,
        logs=LOGS.relative_to(ROOT),
        key=cloud.function_key,
        export=exports[0],
        exports=" and ".join(exports),
    )


if __name__ == "__main__":
    sys.exit(main())
