"""The one place that knows every concrete class."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenCredential
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient
from pydantic import SecretStr

from exporters import log
from exporters.exporter import Exporter
from exporters.model.connection import Connection
from exporters.notifications.webhooks import HttpWebhooks
from exporters.parts import Parts, QueueNames
from exporters.planning.engine import DuckDbPlanning
from exporters.providers import registry
from exporters.providers.base import Provider
from exporters.settings import Settings
from exporters.storage.blobs import AzureBlobStore
from exporters.storage.queues import AzureQueues
from exporters.storage.secrets import KeyVaultSecrets

#: Blobs up to this size travel in one request; larger ones in blocks of 4 MiB, a few at a time, to bound memory.
SINGLE_TRANSFER = 8 * 1024 * 1024
BLOCK = 4 * 1024 * 1024
#: A firewall that drops packets must not keep an HTTP answer waiting for minutes, as the SDK's own limits would. Ours.
VAULT_CONNECTS_WITHIN_S = 10
VAULT_ANSWERS_WITHIN_S = 20
VAULT_TRIES_AGAIN = 2


class LocalCredential:
    """A token for the vault sandbox, which believes anyone. Only used with LOCAL_MODE."""

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("local", int(datetime.now(UTC).timestamp()) + 3600)

    def get_token_info(self, *_scopes: str, **_options: Any) -> AccessTokenInfo:
        return AccessTokenInfo("local", int(datetime.now(UTC).timestamp()) + 3600)


def build(settings: Settings) -> Exporter:
    """Everything wired to Azure, or to the cloud on one machine. Makes no request."""
    log.keep_urls_out()
    credential: TokenCredential = LocalCredential() if settings.local_mode else _identity(settings)
    _record(settings, credential)
    state = _blobs(settings, settings.state_account, credential)
    segments = _blobs(settings, settings.segments_account, credential)
    trail = settings.audit_container
    urls = {"sendgrid": settings.sendgrid_url, "brevo": settings.brevo_url}

    def connect(connection: Connection, key: SecretStr) -> Provider:
        return registry.build(connection, key, base_urls=urls)

    return Exporter(
        Parts(
            state=AzureBlobStore(state.get_container_client(settings.state_container)),
            audit=None if trail is None else AzureBlobStore(state.get_container_client(trail)),
            segments=AzureBlobStore(segments.get_container_client(settings.segments_container)),
            queues=AzureQueues(_queues(settings, credential)),
            queue_names=QueueNames(
                plan=settings.plan_queue,
                batch=settings.batch_queue,
                poll=settings.poll_queue,
                notify=settings.notify_queue,
                erase=settings.erase_queue,
            ),
            secrets=KeyVaultSecrets(_vault(settings, credential)),
            webhooks=HttpWebhooks(),
            connect=connect,
            facts=lambda connection: registry.provider_class(connection.provider),
            now=lambda: datetime.now(UTC),
            jitter=random.random,
            settle=timedelta(seconds=settings.snapshot_settle_s),
            sign_in=settings.sign_in,
            planning=DuckDbPlanning(memory_mb=settings.plan_memory_mb, threads=settings.plan_threads),
            step_limit=settings.step_limit,
        )
    )


def _record(settings: Settings, credential: TokenCredential) -> None:
    if not settings.open_telemetry or settings.telemetry_connection is None:
        return
    from exporters import telemetry  # half a second that is not spent otherwise

    identity = None if settings.local_mode else credential  # nobody on this machine asks who sends
    telemetry.record(settings.telemetry_connection, identity, site=settings.azure_site)


def _identity(settings: Settings) -> TokenCredential:
    return DefaultAzureCredential(managed_identity_client_id=settings.client_id)


def _blobs(settings: Settings, account: str | None, credential: TokenCredential) -> BlobServiceClient:
    sizes: dict[str, Any] = {
        "max_single_put_size": SINGLE_TRANSFER,
        "max_single_get_size": SINGLE_TRANSFER,
        "max_block_size": BLOCK,
        "max_chunk_get_size": BLOCK,
    }
    name = account or settings.storage_account
    if settings.storage_connection is not None and account is None:
        return BlobServiceClient.from_connection_string(settings.storage_connection.get_secret_value(), **sizes)
    return BlobServiceClient(f"https://{name}.blob.{settings.storage_suffix}", credential=credential, **sizes)


def _queues(settings: Settings, credential: TokenCredential) -> QueueServiceClient:
    if settings.storage_connection is not None:
        return QueueServiceClient.from_connection_string(settings.storage_connection.get_secret_value())
    url = f"https://{settings.storage_account}.queue.{settings.storage_suffix}"
    return QueueServiceClient(url, credential=credential)


def _vault(settings: Settings, credential: TokenCredential) -> SecretClient:
    # The sandbox's domain is not that of the resource in its challenge; a real vault's must be.
    return SecretClient(
        settings.vault_url,
        credential,
        verify_challenge_resource=not settings.local_mode,
        connection_timeout=VAULT_CONNECTS_WITHIN_S,
        read_timeout=VAULT_ANSWERS_WITHIN_S,
        retry_total=VAULT_TRIES_AGAIN,
    )
