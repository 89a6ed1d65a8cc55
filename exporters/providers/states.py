"""Where an import job is, in words that no vendor promises to keep."""

import logging
from collections.abc import Mapping

from exporters import log
from exporters.providers.base import JobReport, JobState


def job_state(word: str, states: Mapping[str, JobState], *, provider: str) -> JobState:
    """Our word for the provider's. An unknown one means that the job is at work: a guess could claim deliveries."""
    if word in states:
        return states[word]
    log.step("poll", "status unknown", level=logging.WARNING, provider=provider)
    return JobState.PENDING


def unknown_job(*, provider: str) -> JobReport:
    """The report of a job that the provider does not know, or not yet; the job's deadline ends the waiting."""
    log.step("poll", "job unknown", level=logging.WARNING, provider=provider)
    return JobReport(state=JobState.PENDING)
