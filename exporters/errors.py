"""Errors, named for what the caller does next.

A bad row is a reject, an ordinary value. An exception means that the step cannot go on; its family says what follows::

    ExporterError
    ├── ConfigError         an operator must change a setting          the run fails and says what to change
    │   └── AccessError     the provider refuses the key (401, 403)    the key is read once more, then as above
    │       └── ForbiddenError  it may pass (403): in the middle of a run it is tried again for some minutes first
    ├── SegmentError        the files cannot be exported as they are   the run fails; names file, line and column
    │   └── NotCompleteError   the snapshot is still being written     the run waits for it, an hour at most
    ├── RefusedError        the provider would refuse it again         the batch is narrowed or refused; the run goes on
    ├── ThrottledError      the provider said when to come back        everything on that account waits until then
    ├── TransientError      may pass                                   tried again later, with growing delays
    ├── DiskFullError       a step needs more room than there is       the run fails and says what to change
    └── StorageConflictError   somebody else changed the document      the caller reads it anew, or has lost the race

Texts are for operators: what was tried, what was answered, what to do. They never hold a key, an address or the body of
an answer. Anything else that is raised is our bug and escapes with its traceback.
"""


class ExporterError(Exception):
    """Base of all errors that are not bugs. `str(error)` may be shown to an operator."""


class ConfigError(ExporterError):
    """An operator must change a setting before a run can succeed."""


class AccessError(ConfigError):
    """The provider refuses the key, or the key lacks a right."""


class ForbiddenError(AccessError):
    """The provider knows the key and forbids the request: the key lacks a right, or the account is blocked for now."""


class SegmentError(ExporterError):
    """The files of a segment cannot be exported as they are."""


class NotCompleteError(SegmentError):
    """The newest snapshot of a segment is still being written and there is no older one."""


class RefusedError(ExporterError):
    """The provider refuses a request and would refuse it again.

    `rows` names the contacts at fault, by index in the request, with the provider's words; it is empty when the
    provider named none.
    """

    def __init__(self, message: str, *, rows: dict[int, str] | None = None) -> None:
        super().__init__(message)
        self.rows = rows or {}


class ThrottledError(ExporterError):
    """The provider wants no request on this account for `wait_s` seconds; `polls_only`: no question for a job."""

    def __init__(self, message: str, *, wait_s: float, polls_only: bool = False) -> None:
        super().__init__(message)
        self.wait_s = wait_s
        self.polls_only = polls_only


class TransientError(ExporterError):
    """A connection was lost or a server failed; whether the request was carried out is not known."""


class DiskFullError(ExporterError):
    """The disk for temporary files has no room for what a step needs. It says nothing of the files that it read."""


class StorageConflictError(ExporterError):
    """A blob changed, appeared or went since it was read."""
