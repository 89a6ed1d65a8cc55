"""The functions of an app, as its decorators declare them.

Binding properties: https://learn.microsoft.com/azure/azure-functions/functions-reference-python#programming-model
"""

import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import azure.functions as func

from infra.local.host.context import Context

#: A parameter of this name takes what is to be known of the call.
#: https://learn.microsoft.com/azure/azure-functions/functions-reference-python#context
CONTEXT = "context"


class LoadError(Exception):
    """The app cannot run here; the text says which function and what is in the way."""


class AuthLevel(StrEnum):
    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Function:
    name: str
    argument: str  #: name of the parameter that takes the trigger's value
    body: Callable[..., Any]

    def __call__(self, value: object) -> Any:
        given = {self.argument: value}
        if CONTEXT in inspect.signature(self.body).parameters:
            headers = value.headers if isinstance(value, func.HttpRequest) else {}
            given[CONTEXT] = Context.of(self.name, headers)
        return self.body(**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFunction(_Function):
    queue: str
    connection_string: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFunction(_Function):
    schedule: str
    use_monitor: bool
    run_on_startup: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFunction(_Function):
    route: str
    methods: frozenset[str]  #: in capitals; empty: every method
    auth_level: AuthLevel


Function: TypeAlias = QueueFunction | TimerFunction | HttpFunction


def load(app_dir: Path, settings: Mapping[str, str]) -> list[Function]:
    """Import function_app.py and list what it declares, with `%SETTING%` filled in. Raises LoadError."""
    app = _import_app(app_dir)
    return [_read(function, settings) for function in app.get_functions()]


def _import_app(app_dir: Path) -> func.FunctionApp:
    if not (app_dir / "function_app.py").is_file():
        raise LoadError(f"there is no function_app.py in {app_dir}")
    sys.path.insert(0, str(app_dir))
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionApp)]
    if len(apps) != 1:
        raise LoadError(f"function_app.py must hold one FunctionApp, and holds {len(apps)}")
    return apps[0]


def _read(function: Any, settings: Mapping[str, str]) -> Function:
    name, body = function.get_function_name(), function.get_user_function()
    bindings = [json.loads(text) for text in function.get_raw_bindings()]
    trigger = next(binding for binding in bindings if binding["type"].endswith("Trigger"))
    read = _READERS.get(trigger["type"])
    others = {binding["type"] for binding in bindings if binding is not trigger} - {"http"}
    if read is None or others:
        unknown = ", ".join(sorted(others)) or trigger["type"]
        raise LoadError(f"{name}: {unknown} is not a binding that the local host knows")
    if inspect.iscoroutinefunction(body) or set(inspect.signature(body).parameters) - {CONTEXT} != {trigger["name"]}:
        raise LoadError(
            f"{name}: the local host runs sync functions of the trigger's value, and of the context at most"
        )
    try:
        return read({"name": name, "argument": trigger["name"], "body": body}, trigger, settings)
    except KeyError as error:
        raise LoadError(f"{name}: the setting {error} is missing") from error


def _queue(common: dict[str, Any], trigger: Mapping[str, Any], settings: Mapping[str, str]) -> Function:
    return QueueFunction(
        **common,
        queue=_expand(trigger["queueName"], settings),
        connection_string=settings[trigger["connection"]],
    )


def _timer(common: dict[str, Any], trigger: Mapping[str, Any], settings: Mapping[str, str]) -> Function:
    return TimerFunction(
        **common,
        schedule=_expand(trigger["schedule"], settings),
        use_monitor=trigger.get("useMonitor", True),
        run_on_startup=trigger.get("runOnStartup", False),
    )


def _http(common: dict[str, Any], trigger: Mapping[str, Any], settings: Mapping[str, str]) -> Function:
    return HttpFunction(
        **common,
        route=_expand(trigger["route"], settings),
        methods=frozenset(method.upper() for method in trigger.get("methods") or ()),
        auth_level=AuthLevel(trigger["authLevel"].lower()),
    )


_READERS: dict[str, Callable[[dict[str, Any], Mapping[str, Any], Mapping[str, str]], Function]] = {
    "queueTrigger": _queue,
    "timerTrigger": _timer,
    "httpTrigger": _http,
}


def _expand(text: str, settings: Mapping[str, str]) -> str:
    """Fill in `%SETTING%`. Raises KeyError with the name of a setting that is missing."""
    return re.sub(r"%([^%]+)%", lambda match: settings[match[1]], text)
