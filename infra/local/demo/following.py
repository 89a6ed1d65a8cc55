"""Starting a run over HTTP and following it to its verdict, as an automation would."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import requests

from infra.local.cloud import LocalCloud
from infra.local.demo.trouble import DemoFailedError

#: More often than Retry-After asks for, so that the bar moves and the seconds are true.
LOOK_EVERY_S = 0.2
VERDICT_WITHIN_S = 1_800
TIMEOUT_S = 60

ENDED = {"successful", "completed_with_warnings", "failed", "canceled"}

View = dict[str, Any]  #: what GET /api/runs/{export}/{run} answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A run that has ended."""

    view: View
    seconds: float  #: from the call that started it to the answer that it had ended
    peak_mb: float  #: largest resident memory of a host process meanwhile

    @property
    def sums(self) -> dict[str, int]:
        return dict(self.view["sums"])


def run_export(
    cloud: LocalCloud, export: str, show: Callable[[View], object], decide: Callable[[View], str]
) -> Followed:
    """Start a run and look at it until it has ended, as an automation does; each look is shown. A held run is approved,
    as by a person, for the reason that `decide` gives.

    Raises DemoFailedError when the run is not accepted, ends as failed, or does not end in time.
    """
    host, key = cloud.host_urls[0], {"x-functions-key": cloud.function_key}
    began = time.monotonic()
    headers = {**key, "Idempotency-Key": str(uuid.uuid4())}
    started = requests.post(f"{cloud.api_url}/automation/exports/{export}/runs", headers=headers, timeout=TIMEOUT_S)
    if started.status_code != requests.codes.accepted:
        raise DemoFailedError(f"starting {export} was answered {started.status_code}: {_detail(started)}")
    if not started.headers.get("Retry-After"):
        raise DemoFailedError(f"the answer that started {export} has no Retry-After")
    address = host + started.headers["Location"]
    peak_mb = 0.0
    while time.monotonic() - began < VERDICT_WITHIN_S:
        view = _look(address, key)
        peak_mb = max(peak_mb, _memory_mb(cloud))
        show(view)
        if view["status"] in ENDED:
            break
        if view["status"] == "held":
            _approve(host + view["approve"], decide(view))
        time.sleep(LOOK_EVERY_S)
    else:
        raise DemoFailedError(f"the run of {export} had no verdict after {VERDICT_WITHIN_S} s")
    if view["status"] in {"failed", "canceled"} or view["sums"] is None:
        raise DemoFailedError(f"the run of {export} ended as {view['status']}: {view['reason']}")
    return Followed(view=view, seconds=time.monotonic() - began, peak_mb=peak_mb)


def _look(address: str, key: dict[str, str]) -> View:
    answer = requests.get(address, headers=key, timeout=TIMEOUT_S)
    if not answer.ok:
        raise DemoFailedError(f"the question for a run was answered {answer.status_code}: {_detail(answer)}")
    return dict(answer.json())


def _approve(address: str, reason: str) -> None:
    answer = requests.post(address, json={"reason": reason}, timeout=TIMEOUT_S)
    if not answer.ok:
        raise DemoFailedError(f"the approval of a run was answered {answer.status_code}: {_detail(answer)}")


def _detail(answer: requests.Response) -> str:
    """The sentence of a problem document, where it is one."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, LookupError, TypeError):
        return answer.reason


def _memory_mb(cloud: LocalCloud) -> float:
    sizes = [0]
    for pid in cloud.host_pids:
        try:
            sizes.append(psutil.Process(pid).memory_info().rss)
        except psutil.NoSuchProcess:  # its successor has not started yet
            continue
    return max(sizes) / 1e6
