"""Puts a package of `make package` into a function app as it is, and waits until the app runs it.

`az functionapp deployment source config-zip` has Azure build Python packages again, whatever it is told, so this asks
the platform itself: `POST /api/publish?RemoteBuild=false` of the app's deployment site, as whoever has signed in to the
Azure CLI. https://learn.microsoft.com/azure/azure-functions/functions-deployment-technologies#one-deploy

The app has to be open to this machine; a private one is deployed from within its network.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import requests

from exporters.settings import LOOPBACK
from infra.azure_cli import AzureCliError, az
from infra.package import TARGET

#: Sixty megabytes from a slow line; ours.
UPLOADS_WITHIN_S = 900
ANSWERS_WITHIN_S = 60
ENDS_WITHIN_S = 900.0
PAUSE_S = 5.0
#: What the site answers while its own restart, a new role or a new rule of access is on its way.
NOT_YET = frozenset({400, 403, 404, 409, 429, 502, 503})
#: A refused upload is tried again so often: roles take minutes to work everywhere.
UPLOADS = 10
UPLOAD_PAUSE_S = 30.0
#: States of a deployment that are its end, and what they mean. https://github.com/projectkudu/kudu/wiki/Deployment-status
FAILED, SUCCEEDED = 3, 4
ENDS = {-1: "was canceled", FAILED: "failed", SUCCEEDED: "", 5: "was canceled", 6: "succeeded in part"}

Wait = Callable[[float], None]


class PublishError(Exception):
    """The package does not run; the text says why."""


def publish(site: str, token: str, package: Path, *, wait: Wait = time.sleep) -> None:
    """Upload the package to the deployment site, `https://<host>`, and wait for its end. Raises PublishError."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        deployment = _upload(session, site, package, wait)
        print(f"uploaded {package}: deployment {deployment}", flush=True)
        _follow(session, f"{site}/api/deployments/{deployment}", wait)


def _upload(session: requests.Session, site: str, package: Path, wait: Wait) -> str:
    query = {"RemoteBuild": "false", "Deployer": "segment-exporter"}
    for left in reversed(range(UPLOADS)):
        with package.open("rb") as body:
            answer = session.post(
                f"{site}/api/publish",
                params=query,
                data=body,
                headers={"Content-Type": "application/zip"},
                timeout=(ANSWERS_WITHIN_S, UPLOADS_WITHIN_S),
                allow_redirects=False,
            )
        if answer.ok and answer.status_code < requests.codes.multiple_choices:
            return answer.text.strip().strip('"') or "latest"
        if answer.status_code not in NOT_YET or not left:
            break
        print(f"the site answered {answer.status_code}, which passes when a role is new: trying again", file=sys.stderr)
        wait(UPLOAD_PAUSE_S)
    raise PublishError(f"the upload was answered with {answer.status_code}: {answer.text[:500]}")


def _follow(session: requests.Session, address: str, wait: Wait) -> None:
    for _ in range(int(ENDS_WITHIN_S / PAUSE_S)):
        wait(PAUSE_S)
        try:
            answer = session.get(address, timeout=ANSWERS_WITHIN_S, allow_redirects=False)
            state = answer.json() if answer.ok else {}
        except (requests.RequestException, ValueError):
            continue  # the site restarts with the app
        if (status := state.get("status")) in ENDS:
            if ENDS[status]:
                raise PublishError(f"the deployment {ENDS[status]}: {state.get('status_text') or state.get('message')}")
            return
        if not answer.ok and answer.status_code not in NOT_YET:
            raise PublishError(f"the question for the deployment was answered with {answer.status_code}")
    raise PublishError(f"the deployment has not ended within {ENDS_WITHIN_S / 60:.0f} minutes")


def deployment_site(app: str, group: str) -> str:
    """Address of the app's deployment site. Raises AzureCliError."""
    query = "properties.hostNameSslStates[?hostType=='Repository'].name | [0]"
    where = ("--resource-type", "Microsoft.Web/sites", "--name", app, "--resource-group", group)
    return f"https://{az('resource', 'show', *where, '--query', query)}"


def _site(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise argparse.ArgumentTypeError("the address has to begin with https://")
    return f"{parts.scheme}://{parts.netloc}"


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.publish", description=__doc__)
    parser.add_argument("--app", required=True, help="name of the function app")
    parser.add_argument("--group", required=True, help="its resource group")
    parser.add_argument("--package", type=Path, default=TARGET, help="the zip of `make package`")
    parser.add_argument("--site", type=_site, help="the app's deployment site, where Azure is not to be asked for it")
    given = parser.parse_args(words)
    try:
        token = az("account", "get-access-token", "--query", "accessToken")
        publish(given.site or deployment_site(given.app, given.group), token, given.package)
    except (AzureCliError, PublishError, requests.RequestException, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{given.app} runs it; now look whether it can work: python -m infra.smoke")
    return 0


if __name__ == "__main__":
    sys.exit(main())
