"""Recording to Application Insights, in a process of its own: it cannot be taken back."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: Nobody listens there.
PLACE = "InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=http://127.0.0.1:9/"
CODE = f"""
import json, os, sys, threading
from azure.core.settings import settings
from opentelemetry import trace
from pydantic import SecretStr
from exporters import telemetry, tracing

os.environ["OTEL_TRACES_SAMPLER"] = "always_off"
telemetry.record(SecretStr("{PLACE}"), None, site="exporter")
with tracing.invoked("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"), tracing.span("tick"):
    begun = tracing.here()
told = {{
    "threads": sorted(thread.name for thread in threading.enumerate()),
    "azure": settings.tracing_enabled(),
    "begun": begun,
    "loaded": [name for name in sys.modules if name.startswith("opentelemetry.instrumentation.")],
}}
print(json.dumps(told), flush=True)
os._exit(0)  # without a try to send what was recorded
"""


def told(folder: Path) -> dict[str, Any]:
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "AZURE_TRACING_ENABLED": "true"}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_nothing_is_sent_or_fetched_beside_spans_and_lines(tmp_path: Path):
    """Each kind of data has a thread that sends it, and one that keeps what could not be sent."""
    assert told(tmp_path)["threads"] == [
        "AzureMonitorLogExporter Storage",
        "AzureMonitorTraceExporter Storage",
        "MainThread",
        "OtelBatchLogRecordProcessor",
        "OtelBatchSpanRecordProcessor",
    ]


def test_no_library_makes_spans_of_its_own(tmp_path: Path):
    said = told(tmp_path)

    assert said["azure"] is False
    assert not {"requests", "urllib", "urllib3", "httpx"} & {name.split(".")[2] for name in said["loaded"]}


def test_everything_is_recorded_whatever_a_caller_or_a_setting_says_of_sampling(tmp_path: Path):
    begun = told(tmp_path)["begun"]

    assert begun.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert begun.endswith("-01")
