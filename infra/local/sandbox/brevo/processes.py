"""Background processes: imports above all.

https://api.brevo.com/v3/swagger_definition_v3.yml, `/processes`
What `info` holds is told by the vendor's SDK `brevo-python` 5.1.0, `brevo/process/types`. There are no counters.
"""

import html
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from infra.local.sandbox.brevo.errors import error, page
from infra.local.sandbox.brevo.faults import BrevoFaults
from infra.local.sandbox.faults import ReportFile
from infra.local.sandbox.files import FileHost
from infra.local.sandbox.reports import Row, report
from infra.local.sandbox.routes import Route
from infra.local.sandbox.sandbox import RefusedError
from infra.local.sandbox.server import Reply, Request
from infra.local.sandbox.worker import Worker

REPORTS = (
    "invalid_emails", "duplicate_email_id", "duplicate_contact_id", "duplicate_ext_id", "duplicate_phone_id",
    "duplicate_whatsapp_id", "duplicate_landline_number_id",
)  # fmt: skip
REPORT_HEADER = ("EMAIL",)  #: columns are not documented; input columns are the likeliest
MAX_A_PAGE = 50
NOTIFY_TIMEOUT_S = 5
IMPORT = "IMPORTUSER"


@dataclass(kw_only=True)
class Process:
    """One process. Ids count up."""

    id: int
    name: str
    notify_url: str | None = None
    status: str = "queued"
    is_stuck: bool = False
    started: float = field(default_factory=time.time)
    bad_rows: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  #: report -> addresses
    links: dict[str, str | int | None] | None = None
    file: Sequence[Row] | None = None  #: of an export: header and rows
    export_url: str | None = None

    @property
    def is_running(self) -> bool:
        return self.status in ("queued", "in_process") and not self.is_stuck

    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {"id": self.id, "name": self.name, "status": self.status}
        if self.links is not None:
            answer["info"] = {"import": self.links}
        if self.export_url is not None:
            answer["export_url"] = self.export_url
        return answer


class WorkFailedError(Exception):
    """The work of a process cannot be done."""


class Processes:
    """The processes of one account."""

    def __init__(self, worker: Worker, files: FileHost, faults: Callable[[], BrevoFaults]) -> None:
        self._worker = worker
        self._files = files
        self._faults = faults
        self._processes: dict[int, Process] = {}
        self._lock = threading.Lock()

    def routes(self) -> Sequence[Route]:
        return (
            Route("GET", "/v3/processes", self._page),
            Route("GET", "/v3/processes/{process_id}", self._get),
        )

    def start(
        self, name: str, work: Callable[[Process], None], *, once: bool = True, notify_url: str | None = None
    ) -> Process:
        """Queue a process. With `once` it sticks when another import is still running.

        https://help.brevo.com/hc/de/articles/32331116133522 names parallel imports as the usual reason for stuck ones.
        """
        faults = self._faults()
        with self._lock:
            imports_run = any(other.name == IMPORT and other.is_running for other in self._processes.values())
            process = Process(id=len(self._processes) + 1, name=name, notify_url=notify_url)
            process.is_stuck = (once and imports_run and faults.parallel_imports_stick) or faults.take_stuck_job()
            self._processes[process.id] = process
        if not process.is_stuck:
            self._worker.at(process.started + faults.job_delay_s / 2, lambda: self._begin(process, work))
        return process

    def _begin(self, process: Process, work: Callable[[Process], None]) -> None:
        process.status = "in_process"
        faults = self._faults()
        end = self._complete
        if faults.cancelled_jobs:
            faults.cancelled_jobs -= 1
            work(process)
            end = self._cancel
        elif faults.failed_jobs:
            faults.failed_jobs -= 1
            end = self._fail
        else:
            try:
                work(process)
            except WorkFailedError:
                process.is_stuck = faults.unreachable_file == "stuck"
                end = self._fail
        if not process.is_stuck:
            self._worker.at(process.started + faults.job_delay_s, lambda: end(process))

    def _fail(self, process: Process) -> None:
        process.status = "failed"
        self._notify(process)

    def _cancel(self, process: Process) -> None:
        process.status = "cancelled"
        self._notify(process)

    def _complete(self, process: Process) -> None:
        if process.name == IMPORT:
            process.links = {name: self._link(process, name) for name in REPORTS}
        if process.file is not None:
            process.export_url = self._export_link(f"export_{process.id}.csv", process.file)
        process.status = "completed"
        self._notify(process)

    def _link(self, process: Process, name: str) -> str | int | None:
        """Where the report is, which exists only when there are bad rows."""
        addresses = process.bad_rows[name]
        kind = self._faults().report_file
        if self._faults().report_numbers:
            return len(addresses)
        if not addresses or kind == ReportFile.NONE:
            return None
        file_name = f"{name}.csv.gz" if kind == ReportFile.GZIP else f"{name}.csv"
        return self._files.add(file_name, lambda: report(kind, REPORT_HEADER, [(address,) for address in addresses]))

    def _export_link(self, name: str, rows: Sequence[Row]) -> str:
        faults = self._faults()
        kind = faults.report_file
        url = self._files.add(name, lambda: report(kind, rows[0], rows[1:]))
        return url if faults.export_link == "url" else f'<a href="{html.escape(url)}" target="_blank">{name}</a>'

    def _notify(self, process: Process) -> None:
        """Call back, once and without waiting for it. Bodies as one large user found them:

        https://github.com/pass-culture/pass-culture-main, `api/src/pcapi/core/external/sendinblue.py`
        """
        if process.notify_url:
            form = {"proc_success": str(process.id)} if self._faults().notify_with_form else None
            threading.Thread(target=_post, args=(process.notify_url, form), daemon=True).start()

    def _page(self, request: Request) -> Reply:
        limit, offset = page(request, default=10, largest=MAX_A_PAGE)
        processes = sorted(
            self._processes.values(),
            key=lambda process: process.id,
            reverse=request.query.get("sort", "desc") != "asc",
        )
        shown = [process.json() for process in processes[offset : offset + limit]]
        return Reply.json({"count": len(processes), "processes": shown})

    def _get(self, _: Request, process_id: str) -> Reply:
        process = self._processes.get(int(process_id)) if process_id.isdigit() else None
        if process is None:
            raise RefusedError(error(404, "invalid_parameter", "processId is invalid"))
        return Reply.json(process.json())


def _post(url: str, form: dict[str, str] | None) -> None:
    try:
        requests.post(url, data=form, timeout=NOTIFY_TIMEOUT_S)
    except requests.RequestException:
        return  # nobody was told that the vendor tries again
