"""Sandboxes with clients that have the right key."""

from collections.abc import Iterator

import pytest

from infra.local.sandbox.brevo import BrevoSandbox
from infra.local.sandbox.sendgrid import SendGridSandbox
from tests.integration.sandbox.clients import BrevoClient, SendGridClient


@pytest.fixture
def sendgrid() -> Iterator[SendGridClient]:
    with SendGridSandbox() as sandbox:
        client = SendGridClient(sandbox, {"Authorization": "Bearer SG.sandbox"})
        with client.session:
            yield client


@pytest.fixture
def brevo() -> Iterator[BrevoClient]:
    with BrevoSandbox() as sandbox:
        # Tests ask faster than any plan allows; the limits have tests of their own.
        sandbox.faults.contacts_per_second = sandbox.faults.others_per_hour = 10_000
        client = BrevoClient(sandbox, {"api-key": "xkeysib-sandbox"})
        with client.session:
            yield client
