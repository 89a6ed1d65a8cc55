"""Recording: spans and log lines to Application Insights, by OpenTelemetry. Imported only where that is switched on.

Nothing is instrumented behind the app's back: what is recorded are the spans of `exporters.tracing` and the lines of
`exporters.log`, and nothing else. So no url, statement or body of a library's making can be among it.
"""

import os
import socket

from azure.core.credentials import TokenCredential
from azure.core.settings import settings as azure_sdk
from azure.monitor.opentelemetry.exporter import AzureMonitorLogExporter, AzureMonitorTraceExporter
from opentelemetry import trace
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from pydantic import SecretStr

from exporters.log import LOGGER

#: What the exporter does beyond that, unless it is told not to: figures of its own use for Microsoft and for the owner,
#: settings fetched from Microsoft, and a metric for each delivery. A closed network would have to let these out too.
#: https://learn.microsoft.com/azure/azure-monitor/app/statsbeat
#: https://github.com/Azure/azure-sdk-for-python/blob/main/sdk/monitor/azure-monitor-opentelemetry-exporter/azure/monitor/opentelemetry/exporter/_constants.py
SWITCHED_OFF = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
    "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED",
)
#: What this app is called where it runs outside of Azure.
LOCAL_NAME = "segment-exporter"


def record(connection: SecretStr, credential: TokenCredential | None, *, site: str | None) -> None:
    """Record from now on, in this process. Makes no request; what is recorded is sent in batches, by own threads.

    `connection` is the connection string of Application Insights; without `credential` whoever knows its key may send.
    `site` is the name that everything is found under. Called once in each process. Raises ValueError for a connection
    string that cannot be used.
    """
    for name in SWITCHED_OFF:
        os.environ.setdefault(name, "true")
    azure_sdk.tracing_enabled = False  # its spans hold urls of blobs and secrets
    text = connection.get_secret_value()
    resource = Resource.create({"service.name": site or LOCAL_NAME, "service.instance.id": socket.gethostname()})
    # All or nothing: the flags of a caller's traceparent must not decide whether a run can be followed.
    spans = TracerProvider(sampler=ALWAYS_ON, resource=resource)
    spans.add_span_processor(
        BatchSpanProcessor(AzureMonitorTraceExporter(connection_string=text, credential=credential))
    )
    trace.set_tracer_provider(spans)
    lines = LoggerProvider(resource=resource)
    lines.add_log_record_processor(
        BatchLogRecordProcessor(AzureMonitorLogExporter(connection_string=text, credential=credential))
    )
    LOGGER.addHandler(LoggingHandler(logger_provider=lines))
