"""What the library that runs functions in Azure tells them of the host's trace, with OpenTelemetry on and off."""

import json
import sys
from pathlib import Path

import pytest

from tests.conformance.runtime.test_runtime import ROOT, drive

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="azure-functions-runtime needs Python 3.13, which is what Azure runs"
)
HOST_S = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
APP = """
import json, os
import azure.functions as func
from opentelemetry import trace
from exporters import tracing

app = func.FunctionApp()

@app.queue_trigger(arg_name="message", queue_name="work", connection="STORAGE")
def work(message: func.QueueMessage, context: func.Context) -> None:
    attached = trace.get_current_span().get_span_context().trace_id
    with tracing.invoked(context.trace_context.trace_parent):
        taken = trace.get_current_span().get_span_context().trace_id
    with open(os.environ["TOLD"], "w") as told:
        json.dump({"attached": f"{attached:032x}", "taken": f"{taken:032x}"}, told)
"""


def told(app_dir: Path, switch: str) -> dict[str, str]:
    """The ids of the traces that a function of the host's call has found."""
    (app_dir / "function_app.py").write_text(APP)
    record = app_dir / "told.json"
    call = {"function": "work", "argument": "message", "queue": "{}", "traceparent": HOST_S}
    settings = {"TOLD": str(record), "PYTHONPATH": str(ROOT), "PYTHON_ENABLE_OPENTELEMETRY": switch}
    (result,) = drive(app_dir, [call], settings)["results"]
    assert result["ok"], result["error"]
    return dict(json.loads(record.read_text()))


@pytest.mark.parametrize("switch", ["", "true"])
def test_a_function_finds_the_host_s_trace_in_its_context(tmp_path: Path, switch: str):
    assert told(tmp_path, switch)["taken"] == HOST_S.split("-")[1]


def test_the_worker_attaches_no_trace_to_the_thread_of_a_function(tmp_path: Path):
    """When this fails, the worker has learned to, and `tracing.invoked` has nothing left to do."""
    assert told(tmp_path, "true")["attached"] == "0" * 32
