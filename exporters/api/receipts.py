"""The receipt of a run, signed, and the keys to verify receipts with."""

from exporters.api.answers import Answer, Request, document, problem
from exporters.api.runs import RETRY_AFTER_S, find, no_run
from exporters.errors import ConfigError
from exporters.parts import Parts
from exporters.receipts.issue import issue
from exporters.receipts.keys import public_keys


def show(parts: Parts, request: Request) -> Answer:
    """The receipt of a run that has ended, the same each time.

    409 before its end; 503 where it was not signed at the end and the vault refuses now.
    """
    run = find(parts, request)
    if run is None:
        return no_run()
    if not run.status.ended:
        detail = f"The run's status is {run.status}: there is a receipt once it has ended"
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return problem("receipt-not-yet", detail, headers=headers)
    try:
        return document(issue(parts, run))
    except ConfigError as error:
        return problem("receipt-unsigned", str(error))


def keys(parts: Parts, _: Request) -> Answer:
    """The public part of every key that has ever signed receipts, as a JSON Web Key Set; nobody has to sign in."""
    return document(public_keys(parts))
