"""Every setting, read from the environment once. The README and `local.settings.sample.json` are checked against it."""

from datetime import timedelta
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from exporters.model.caller import SignIn

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Settings(BaseSettings):
    """The app's settings. Descriptions are for the person who sets them."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True)

    storage_connection: SecretStr | None = Field(
        default=None,
        validation_alias="AzureWebJobsStorage",
        description="Connection string of Azurite. Never set in Azure: it would override the identity.",
    )
    storage_account: str | None = Field(
        default=None,
        validation_alias="AzureWebJobsStorage__accountName",
        description="Storage account of the host; its queues carry the work.",
    )
    segments_account: str | None = Field(
        default=None,
        validation_alias="SEGMENTS_ACCOUNT_NAME",
        description="Storage account of the segments, if it is another one. Read only.",
    )
    state_account: str | None = Field(
        default=None,
        validation_alias="STATE_ACCOUNT_NAME",
        description="Storage account of the run state, if it is another one.",
    )
    storage_suffix: str = Field(
        default="core.windows.net",
        validation_alias="STORAGE_SUFFIX",
        description="Domain of storage accounts; another one in sovereign clouds.",
    )
    client_id: str | None = Field(
        default=None, validation_alias="AZURE_CLIENT_ID", description="Client id of the user-assigned identity."
    )
    segments_container: str = Field(
        default="segments", validation_alias="SEGMENTS_CONTAINER", description="Container that the segments lie in."
    )
    state_container: str = Field(
        default="exporter-state",
        validation_alias="STATE_CONTAINER",
        description="Private container of connections, exports, runs, ledgers and staged batches.",
    )
    audit_container: str | None = Field(
        default=None,
        validation_alias="AUDIT_CONTAINER",
        description="Container of the audit trail in the state's account, if it is another one: it can be immutable.",
    )
    plan_queue: str = Field(
        default="plan-runs", validation_alias="PLAN_QUEUE", description="Queue of runs that can be moved on."
    )
    batch_queue: str = Field(
        default="send-batches", validation_alias="BATCH_QUEUE", description="Queue of batches to send."
    )
    poll_queue: str = Field(
        default="poll-jobs", validation_alias="POLL_QUEUE", description="Queue of import jobs to ask for."
    )
    notify_queue: str = Field(
        default="notify", validation_alias="NOTIFY_QUEUE", description="Queue of notifications to post to receivers."
    )
    erase_queue: str = Field(
        default="erase-people", validation_alias="ERASE_QUEUE", description="Queue of erasures that can go on."
    )
    tick_schedule: str = Field(
        default="0 * * * * *",
        validation_alias="TICK_SCHEDULE",
        description="When the timer looks for what is due: NCRONTAB with seconds, in UTC. Every minute by default.",
    )
    vault_url: str = Field(
        validation_alias="KEY_VAULT_URL", description="Address of the Key Vault that holds the providers' API keys."
    )
    sendgrid_url: str = Field(
        default="https://api.sendgrid.com",
        validation_alias="SENDGRID_URL",
        description="SendGrid's address: the global one, https://api.eu.sendgrid.com, or a sandbox on this machine.",
    )
    brevo_url: str = Field(
        default="https://api.brevo.com",
        validation_alias="BREVO_URL",
        description="Brevo's address, or a sandbox on this machine.",
    )
    snapshot_settle_s: float = Field(
        default=60.0,
        ge=0,
        validation_alias="SNAPSHOT_SETTLE_SECONDS",
        description="A snapshot counts as complete when nothing in it has changed for so many seconds.",
    )
    plan_memory_mb: int = Field(
        default=256,
        ge=64,
        validation_alias="PLAN_MEMORY_MB",
        description="Memory that planning may use for data, in MB; the rest goes to disk.",
    )
    step_limit: timedelta = Field(
        default=timedelta(minutes=10),
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        validation_alias="AzureFunctionsJobHost__functionTimeout",
        description="How long a function may run, as hh:mm:ss; Azure reads it in place of `functionTimeout` in "
        "host.json. A step that is silent for longer is taken for dead.",
    )
    plan_threads: int = Field(
        default=2, ge=1, le=16, validation_alias="PLAN_THREADS", description="Threads that planning may use."
    )
    open_telemetry: bool = Field(
        default=False,
        validation_alias="PYTHON_ENABLE_OPENTELEMETRY",
        # https://learn.microsoft.com/azure/azure-functions/opentelemetry-howto
        description="On where the app sends spans and log lines to Application Insights itself, by OpenTelemetry. The "
        "platform reads it too, and then does not forward the app's log: set "
        "AzureFunctionsJobHost__telemetryMode=OpenTelemetry with it.",
    )
    telemetry_connection: SecretStr | None = Field(
        default=None,
        validation_alias="APPLICATIONINSIGHTS_CONNECTION_STRING",
        description="Connection string of Application Insights. The host reads it always, the app only where "
        "PYTHON_ENABLE_OPENTELEMETRY is on.",
    )
    local_mode: bool = Field(
        default=False,
        validation_alias="LOCAL_MODE",
        description="On for the cloud on one machine, with the vault sandbox. Refuses to start in Azure.",
    )
    sign_in_by: Literal["platform"] | None = Field(
        default=None,
        validation_alias="SIGN_IN",
        description="`platform` where App Service authentication is on, which tells the app who is signed in. Without "
        "it nobody is, and only the function key opens anything; with LOCAL_MODE everybody is an administrator.",
    )
    azure_signs_in: bool | None = Field(
        default=None,
        validation_alias="WEBSITE_AUTH_ENABLED",
        # https://learn.microsoft.com/azure/app-service/reference-app-settings#authentication--authorization
        description="Set by Azure: whether App Service authentication is on; never set it yourself.",
    )
    azure_site: str | None = Field(
        default=None, validation_alias="WEBSITE_SITE_NAME", description="Set by Azure; never set it yourself."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.local_mode and self.azure_site is not None:
            raise ValueError("LOCAL_MODE must not be set in Azure: it believes any vault on this machine")
        if self.sign_in_by is not None and not self.local_mode and self.azure_site is None:
            raise ValueError("SIGN_IN is for Azure, where the platform keeps others from writing its header")
        if self.sign_in_by is not None and self.azure_signs_in is False:
            raise ValueError("SIGN_IN says that App Service authentication is on, and Azure that it is not: turn it on")
        if self.local_mode and urlsplit(self.vault_url).hostname not in LOOPBACK:
            raise ValueError("with LOCAL_MODE, KEY_VAULT_URL must be a vault sandbox on this machine")
        if self.open_telemetry and self.telemetry_connection is None:
            raise ValueError("PYTHON_ENABLE_OPENTELEMETRY is on: set APPLICATIONINSIGHTS_CONNECTION_STRING too")
        if self.storage_connection is None and self.storage_account is None:
            raise ValueError("set AzureWebJobsStorage__accountName (in Azure) or AzureWebJobsStorage (for Azurite)")
        return self

    @property
    def sign_in(self) -> SignIn:
        """Whether the sign-in header can be believed."""
        if self.sign_in_by == "platform":
            return SignIn.PLATFORM
        return SignIn.LOCAL if self.local_mode else SignIn.OFF
