"""The triggers of Segment Exporter, and nothing else: decode, call one use case, encode."""

import threading
from contextlib import AbstractContextManager
from functools import cache

import azure.functions as func

from exporters import tracing
from exporters.api.answers import Answer
from exporters.api.reading import request_of
from exporters.exporter import Exporter
from exporters.memory import share_arenas

share_arenas()

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

STORAGE = "AzureWebJobsStorage"


_building = threading.Lock()


def exporter() -> Exporter:
    """Wired on first use, so that importing this file needs no settings and no network; one for all threads."""
    with _building:
        return _build()


@cache
def _build() -> Exporter:
    from exporters import bootstrap
    from exporters.scratch import claim_scratch
    from exporters.settings import Settings

    claim_scratch()
    return bootstrap.build(Settings())


@app.timer_trigger(arg_name="timer", schedule="%TICK_SCHEDULE%", run_on_startup=False, use_monitor=True)
def tick(timer: func.TimerRequest, context: func.Context) -> None:
    with _invoked(context):
        exporter().tick()


# One function for each resource, with every method: the host tries routes in the order in which functions were found,
# so no address may fit two of them. Who may call what is in `exporters.api.routes`, not in the keys of the platform.
@app.route("connections/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def connections(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("exports/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def exports(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("runs/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def runs(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("segments/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def segments(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("providers/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def providers(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("schedules/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def schedules(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("configuration", auth_level=func.AuthLevel.ANONYMOUS)
def configuration(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("audit/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def audit(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("people/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def people(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("receipts/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def receipts(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("me", auth_level=func.AuthLevel.ANONYMOUS)
def me(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("openapi.json", auth_level=func.AuthLevel.ANONYMOUS)
def openapi(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


@app.route("health/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return _answer(req, context)


# FUNCTION: the platform has checked the key before this is called.
@app.route("automation/{*rest}", auth_level=func.AuthLevel.FUNCTION)
def automation(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    request = request_of(req.method, req.url, req.headers, req.get_body(), below="/api/automation")
    with _invoked(context):
        return _response(exporter().answer_key(request))


@app.queue_trigger(arg_name="message", queue_name="%PLAN_QUEUE%", connection=STORAGE)
def move_run(message: func.QueueMessage, context: func.Context) -> None:
    with _invoked(context):
        exporter().move_run(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%BATCH_QUEUE%", connection=STORAGE)
def send_batch(message: func.QueueMessage, context: func.Context) -> None:
    with _invoked(context):
        exporter().send_batch(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%POLL_QUEUE%", connection=STORAGE)
def poll_batch(message: func.QueueMessage, context: func.Context) -> None:
    with _invoked(context):
        exporter().poll_batch(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%NOTIFY_QUEUE%", connection=STORAGE)
def send_notification(message: func.QueueMessage, context: func.Context) -> None:
    with _invoked(context):
        exporter().send_notification(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%ERASE_QUEUE%", connection=STORAGE)
def erase_person(message: func.QueueMessage, context: func.Context) -> None:
    with _invoked(context):
        exporter().erase_person(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%PLAN_QUEUE%-poison", connection=STORAGE)
def abandon_run(message: func.QueueMessage, context: func.Context) -> None:
    with _invoked(context):
        exporter().abandon_run(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%BATCH_QUEUE%-poison", connection=STORAGE)
def abandon_send(message: func.QueueMessage, context: func.Context) -> None:
    with _invoked(context):
        exporter().abandon_send(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%POLL_QUEUE%-poison", connection=STORAGE)
def abandon_poll(message: func.QueueMessage, context: func.Context) -> None:
    with _invoked(context):
        exporter().abandon_poll(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%NOTIFY_QUEUE%-poison", connection=STORAGE)
def abandon_notification(message: func.QueueMessage, context: func.Context) -> None:
    with _invoked(context):
        exporter().abandon_notification(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%ERASE_QUEUE%-poison", connection=STORAGE)
def abandon_erasure(message: func.QueueMessage, context: func.Context) -> None:
    with _invoked(context):
        exporter().abandon_erasure(message.get_body())


def _answer(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    request = request_of(req.method, req.url, req.headers, req.get_body())
    with _invoked(context):
        return _response(exporter().answer(request))


def _invoked(context: func.Context) -> AbstractContextManager[None]:
    """The host's trace, as which the function is called."""
    return tracing.invoked(context.trace_context.trace_parent)


def _response(answer: Answer) -> func.HttpResponse:
    headers = dict(answer.headers)
    return func.HttpResponse(
        answer.body, status_code=answer.status, mimetype=headers.pop("Content-Type", None), headers=headers
    )
