"""One cloud with two hosts for all tests of the app."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra.local.cloud import LocalCloud
from tests.integration.accounts import Account, BrevoAccount, Control, SendGridAccount
from tests.integration.desk import Operator

SETTINGS = {
    # The host plays App Service authentication: a test token says who somebody is.
    "SIGN_IN": "platform",
    "TICK_SCHEDULE": "*/4 * * * * *",
    # A poisoned message has five tries; with the pause of host.json they would take two minutes.
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
    # A step may be handed to the other host, which then looks up to so much later.
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.2",
}
#: Brevo's real rates are too small for so many runs in a minute.
FAULTS = {"brevo": {"contacts_per_second": 1_000, "others_per_hour": 10_000}}


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the log of every process."""
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that blobs and queues are kept in."""
    return tmp_path_factory.mktemp("azurite")


@pytest.fixture(scope="session")
def running(logs: Path, disk: Path) -> Iterator[LocalCloud]:
    with LocalCloud(hosts=2, logs=logs, data=disk, settings=SETTINGS, faults=FAULTS) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def accounts(running: LocalCloud) -> Mapping[str, Account]:
    return {
        "sendgrid": SendGridAccount(running.sendgrid_url, running.sendgrid_key),
        "brevo": BrevoAccount(running.brevo_url, running.brevo_key),
    }


@pytest.fixture
def vault(running: LocalCloud) -> Control:
    """The sandbox of the Key Vault."""
    return Control(running.vault_url, verify=running.vault_certificate)


@pytest.fixture
def operator(running: LocalCloud, accounts: Mapping[str, Account], vault: Control) -> Iterator[Operator]:
    """Someone who sets exports up. Afterwards every sandbox is well again."""
    yield Operator(running, accounts)
    for control in (vault, *(account.control for account in accounts.values())):
        control.faults()
