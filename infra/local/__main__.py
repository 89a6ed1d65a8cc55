"""`make start`: the whole cloud on this machine, with a small segment and one export per provider, until Ctrl-C."""

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import NoReturn

import requests

from infra.local.cloud import LOGS, LocalCloud
from infra.local.hosts import ROOT, HostKind
from infra.local.processes import StartError

PEOPLE = 300
SEGMENT = "customers"
MAPPING = {"email": "Email", "first_name": "First name", "last_name": "Last name", "city": "City"}
#: Brevo knows no city of its own; its first and last name are attributes of every account.
BREVO_MAPPING = {name: column for name, column in MAPPING.items() if name != "city"}
FIRST_NAMES = ("Ana", "Björn", "Chiara", "Đuro", "Eleni", "Fatima", "Goran", "Hana")
LAST_NAMES = ("Horvat", "Møller", "Rossi", "Yılmaz", "Nowak", "Okafor", "Šimić")
CITIES = ("Zagreb", "København", "Milano", "İzmir", "Łódź")

STARTED = """
The cloud on this machine is up. Ctrl-C ends it; nothing is kept.

  API         {api}
  SendGrid    {sendgrid}
  Brevo       {brevo}
  Key Vault   {vault}
  Azurite     {blobs}
  logs        {logs}

Start a run, and read what became of it:

  KEY={key}
  RUN=$(curl -sS -o /dev/null -D - -X POST -H "x-functions-key: $KEY" {api}/exports/{export}/runs |
        tr -d '\\r' | sed -n 's/^Location: //p')
  curl -sS -H "x-functions-key: $KEY" {host}$RUN

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
    cloud.segments.upload_blob(f"{SEGMENT}.csv", _sample_segment())
    lists = {"sendgrid": _sendgrid_list(cloud), "brevo": _brevo_list(cloud)}
    for provider, list_id in lists.items():
        cloud.write_connection(
            {
                "id": provider,
                "provider": provider,
                "display_name": f"{provider} sandbox",
                "secret": f"{provider}-api-key",
            }
        )
        cloud.write_export(
            {
                "id": f"{SEGMENT}-to-{provider}",
                "name": f"Customers to {provider}",
                "connection": provider,
                "segments": [SEGMENT],
                "list_id": list_id,
                "mapping": MAPPING if provider == "sendgrid" else BREVO_MAPPING,
            }
        )
    return [f"{SEGMENT}-to-{provider}" for provider in lists]


def _sample_segment() -> bytes:
    lines = ["Id,Email,First name,Last name,City"]
    for number in range(PEOPLE):
        name = f"{FIRST_NAMES[number % len(FIRST_NAMES)]},{LAST_NAMES[number % len(LAST_NAMES)]}"
        lines.append(f"c{number:04d},customer{number}@example.com,{name},{CITIES[number % len(CITIES)]}")
    return "\r\n".join([*lines, ""]).encode()


def _sendgrid_list(cloud: LocalCloud) -> str:
    answer = requests.post(
        f"{cloud.sendgrid_url}/v3/marketing/lists",
        json={"name": "Customers"},
        headers={"Authorization": f"Bearer {cloud.sendgrid_key}"},
        timeout=10,
    )
    answer.raise_for_status()
    return str(answer.json()["id"])


def _brevo_list(cloud: LocalCloud) -> str:
    answer = requests.post(
        f"{cloud.brevo_url}/v3/contacts/lists",
        json={"name": "Customers", "folderId": 1},
        headers={"api-key": cloud.brevo_key},
        timeout=10,
    )
    answer.raise_for_status()
    return str(answer.json()["id"])


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
