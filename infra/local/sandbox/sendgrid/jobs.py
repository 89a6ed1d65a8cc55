"""Import jobs and their life.

https://www.twilio.com/docs/sendgrid/api-reference/contacts/import-contacts-status
Times and the name of the job type as recorded in `integrations/sendgrid/tests` of
https://github.com/NangoHQ/integration-templates
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.local.sandbox.faults import ReportFile
from infra.local.sandbox.files import FileHost
from infra.local.sandbox.reports import report
from infra.local.sandbox.routes import Route
from infra.local.sandbox.sendgrid.errors import not_found
from infra.local.sandbox.sendgrid.faults import SendGridFaults
from infra.local.sandbox.server import Reply, Request
from infra.local.sandbox.worker import Worker

REPORT_HEADER = ("email", "reason")  #: columns are not documented; the e-mailed file holds address and reason


@dataclass(kw_only=True)
class Job:
    """Asynchronous work on contacts. Counters grow while it is pending."""

    job_type: str
    requested: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.time)
    finished: float | None = None
    created: int = 0
    updated: int = 0
    deleted: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)  #: address, reason
    errors_url: str | None = None
    failure: str | None = None  #: why nothing was done

    @property
    def status(self) -> str:
        if self.finished is None:
            return "pending"
        if self.failure or (self.errors and len(self.errors) == self.requested):
            return "failed"
        return "errored" if self.errors else "completed"

    def json(self) -> dict[str, Any]:
        """Counts are missing while they are zero, and errors before the end."""
        counts = {"created_count": self.created, "updated_count": self.updated, "deleted_count": self.deleted}
        results: dict[str, Any] = {"requested_count": self.requested} | {k: v for k, v in counts.items() if v}
        answer: dict[str, Any] = {
            "id": self.id,
            "status": self.status,
            "job_type": self.job_type,
            "results": results,
            "started_at": timestamp(self.started),
        }
        if self.finished is not None:
            answer["finished_at"] = timestamp(self.finished)
            if self.errors:
                results["errored_count"] = len(self.errors)
            if self.errors_url:
                results["errors_url"] = self.errors_url
            if self.failure:
                answer["errors"] = [{"message": self.failure}]
        return answer


class Jobs:
    """The jobs of one account."""

    def __init__(self, worker: Worker, files: FileHost, faults: Callable[[], SendGridFaults]) -> None:
        self._worker = worker
        self._files = files
        self._faults = faults
        self._jobs: dict[str, Job] = {}

    def routes(self) -> Sequence[Route]:
        return (Route("GET", "/v3/marketing/contacts/imports/{job_id}", self._get),)

    def start(self, job: Job, work: Callable[[Job], None]) -> None:
        """Queue a job: pending, then its work with counts while still pending, then its end."""
        self._jobs[job.id] = job
        faults = self._faults()
        if faults.take_stuck_job():
            return

        def begin() -> None:
            work(job)
            self._worker.at(job.started + faults.job_delay_s, lambda: self._end(job))

        self._worker.at(job.started + faults.job_delay_s / 2, begin)

    def _end(self, job: Job) -> None:
        kind = self._faults().report_file
        if job.errors and kind != ReportFile.NONE:
            name = "errors.csv.gz" if kind == ReportFile.GZIP else "errors.csv"
            job.errors_url = self._files.add(name, lambda: report(kind, REPORT_HEADER, job.errors))
        job.finished = time.time()

    def _get(self, _: Request, job_id: str) -> Reply:
        job = self._jobs.get(job_id)
        if job is None:
            raise not_found()
        return Reply.json(job.json())


def timestamp(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
