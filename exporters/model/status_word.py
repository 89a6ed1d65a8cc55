"""Status words: how a person sees a run, or an export by its newest run. Each has one meaning.

The words of the Dynamics pages. A status (`RunStatus`) is what programs go by; a word tells more where a person would
want to know it: what is tried again, and what waits for a snapshot.
"""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from exporters.model.run import Run, RunStatus


class StatusWord(StrEnum):
    """What stands beside a run or an export on a page."""

    NOT_STARTED = "Not started"  #: of an export: nothing has run yet
    QUEUED = "Queued"  #: started; no step has begun
    PROCESSING = "Processing"  #: a step works on it, or it waits for its turn, or for a pause that the provider wants
    REFRESHING = "Refreshing"  #: waits for a snapshot that is still being written
    HELD = "Held"  #: planned; waits for somebody to approve or reject it
    SUCCESSFUL = "Successful"  #: everyone planned was delivered
    WARNINGS = "Completed with warnings"  #: some who were planned were refused or have no verdict
    FAILURE = "Failure"  #: what it tried last did not work, and is tried again by itself
    FAILED = "Failed"  #: it has ended, and is not tried again by itself
    SKIPPED = "Skipped"  #: a time of the schedule at which no run was started
    CANCELED = "Canceled"  #: ended by a person, or held and not approved in time


_OF_STATUS = {
    RunStatus.QUEUED: StatusWord.QUEUED,
    RunStatus.PROCESSING: StatusWord.PROCESSING,
    RunStatus.HELD: StatusWord.HELD,
    RunStatus.SUCCESSFUL: StatusWord.SUCCESSFUL,
    RunStatus.WARNINGS: StatusWord.WARNINGS,
    RunStatus.FAILED: StatusWord.FAILED,
    RunStatus.SKIPPED: StatusWord.SKIPPED,
    RunStatus.CANCELED: StatusWord.CANCELED,
}


class Standing(Protocol):
    """What is known of an export's runs: `ExportState`, and whatever else has these of it."""

    @property
    def active(self) -> object | None:
        """The run that has the export's place."""

    @property
    def last_status(self) -> RunStatus | None:
        """How the last run ended."""

    @property
    def last_finished(self) -> datetime | None:
        """And when."""

    @property
    def occurrence(self) -> datetime | None:
        """The newest time of the schedule that was dealt with."""

    @property
    def occurrence_skipped(self) -> str:
        """Why no run was started then; empty where one was."""


def word_of(run: Run, *, fails: bool = False) -> StatusWord:
    """The word of a run. `fails`: its requests fail at the provider, and are tried again."""
    if run.status is not RunStatus.PROCESSING:
        return _OF_STATUS[run.status]
    if run.plan is None and run.troubled_since is not None:
        return StatusWord.REFRESHING if run.awaits_snapshot else StatusWord.FAILURE
    return StatusWord.FAILURE if fails else StatusWord.PROCESSING


def word_of_export(standing: Standing, at_work: Run | None, *, fails: bool = False) -> StatusWord:
    """The word of an export: that of the run at work, else that of the one that ended last.

    Skipped only where nothing has run since the time that was skipped, nor at that time: a run that was at work then,
    or came after it, is what a person wants to know of. `at_work` is the document of `standing.active`, where it is
    there; without it the run is only just starting.
    """
    if at_work is not None:
        return word_of(at_work, fails=fails)
    if standing.active is not None:
        return StatusWord.QUEUED
    if _is_skipped(standing):
        return StatusWord.SKIPPED
    return StatusWord.NOT_STARTED if standing.last_status is None else _OF_STATUS[standing.last_status]


def _is_skipped(standing: Standing) -> bool:
    if not standing.occurrence_skipped or standing.occurrence is None:
        return False
    return standing.last_finished is None or standing.last_finished < standing.occurrence
