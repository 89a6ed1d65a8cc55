"""Indexes and calls the functions of an app with the library that does it in Azure, on Python 3.13.

A program of its own, because that library keeps one app per process. Reads `{"app_dir": …, "calls": [{"function": …,
"queue" | "timer" | "http": …, "traceparent": …}]}` from stdin; writes `{"functions": {name: [binding]}, "results":
[{"ok", "error", "status", "body", "headers"}]}` to stdout. The library expects the classes of its host's protocol;
those here stand in.
"""

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime


class Message:
    """Stands in for any message of the protocol; a field that is not set reads as None."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802  the protocol's name
        return next((name for name, value in self.__dict__.items() if value is not None), None)

    def __getattr__(self, name: str) -> None:
        if name.startswith("__") or name[0].isupper():
            raise AttributeError(name)


class StatusResult(Message):
    Failure, Success, Cancelled = 0, 1, 2


class BindingInfo(Message):
    undefined, out, inout = 0, 1, 2


setattr(BindingInfo, "in", 0)


class ParameterBinding(Message):
    def WhichOneof(self, group: str) -> str:  # noqa: N802
        return "data"


PLAIN = """WorkerInitResponse WorkerMetadata FunctionMetadataResponse FunctionLoadResponse InvocationResponse
    RpcException RpcFunctionMetadata RpcRetryOptions TypedData RpcHttp RpcHttpCookie NullableString NullableBool
    NullableDouble NullableTimestamp"""
PROTOS: Any = SimpleNamespace(
    StatusResult=StatusResult,
    BindingInfo=BindingInfo,
    ParameterBinding=ParameterBinding,
    **{name: type(name, (Message,), {}) for name in PLAIN.split()},
)
MOMENT = "2026-01-02T03:04:05+00:00"


async def main() -> None:
    task = json.load(sys.stdin)
    sys.path.insert(0, task["app_dir"])
    runtime.start_threadpool_executor()
    functions = await index(task["app_dir"])
    results = [await invoke(functions[call["function"]].function_id, call) for call in task["calls"]]
    runtime.stop_threadpool_executor()
    bindings = {
        name: [json.loads(binding) for binding in function.raw_bindings] for name, function in functions.items()
    }
    print(json.dumps({"functions": bindings, "results": results}))


async def index(app_dir: str) -> dict[str, Any]:
    start = SimpleNamespace(worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=app_dir))
    started = await runtime.worker_init_request(
        SimpleNamespace(request=start, properties={"host": "127.0.0.1", "protos": PROTOS})
    )
    listed = await runtime.functions_metadata_request(SimpleNamespace(request=SimpleNamespace()))
    for answer in (started, listed):
        if answer.result.status != StatusResult.Success:
            raise SystemExit(answer.result.exception.message)
    return {function.name: function for function in listed.function_metadata_results or []}


async def invoke(function_id: str, call: dict[str, Any]) -> dict[str, Any]:
    data, metadata = trigger_value(call)
    request = SimpleNamespace(
        invocation_id="1",
        function_id=function_id,
        trigger_metadata=metadata,
        input_data=[ParameterBinding(name=call["argument"], data=data)],
        trace_context=SimpleNamespace(trace_parent=call.get("traceparent", ""), trace_state="", attributes={}),
        retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
    )
    done = await runtime.invocation_request(SimpleNamespace(request=SimpleNamespace(invocation_request=request)))
    ok = done.result.status == StatusResult.Success
    result: dict[str, Any] = {"ok": ok, "error": None if ok else done.result.exception.message}
    answer = getattr(done.return_value, "http", None)
    if answer is not None:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        result |= {"status": int(answer.status_code), "body": answer.body.bytes.decode(), "headers": headers}
    return result


def trigger_value(call: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The trigger's value and metadata as the host hands them over."""
    typed = PROTOS.TypedData
    if "queue" in call:
        words = {"Id": "m-1", "DequeueCount": "2", "PopReceipt": "p"} | dict.fromkeys(
            ("InsertionTime", "ExpirationTime", "NextVisibleTime"), MOMENT
        )
        return typed(string=call["queue"]), {name: typed(string=word) for name, word in words.items()}
    if "timer" in call:
        status = dict.fromkeys(("Last", "Next", "LastUpdated"), MOMENT)
        timer = {"IsPastDue": call["timer"], "Schedule": {"AdjustForDST": True}, "ScheduleStatus": status}
        return typed(json=json.dumps(timer)), {}
    http = call["http"]
    request = PROTOS.RpcHttp(
        method=http["method"],
        url=http["url"],
        headers=http.get("headers", {}),
        query=http.get("query", {}),
        params=http.get("params", {}),
        body=typed(bytes=http.get("body", "").encode()),
    )
    return typed(http=request), {}


if __name__ == "__main__":
    asyncio.run(main())
