"""The triggers of Segment Exporter, and nothing else: decode, call one use case, encode."""

import threading
from functools import cache

import azure.functions as func

from exporters.api.answers import Answer, Request
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
def tick(timer: func.TimerRequest) -> None:
    exporter().tick()


@app.route("exports/{export}/runs", methods=["POST"])
def start_run(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().start(_request(req)))


@app.route("runs/{export}/{run}", methods=["GET"])
def show_run(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().show_run(_request(req)))


@app.route("runs/{export}/{run}/cancel", methods=["POST"])
def cancel_run(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().cancel_run(_request(req)))


@app.route("runs/{export}/{run}/retry", methods=["POST"])
def retry_run(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().retry_run(_request(req)))


# ADMIN, the platform's master key: a function key is what automations start runs with, and what starts a run must not
# lift the brake that holds it.
@app.route("runs/{export}/{run}/approve", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
def approve_run(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().approve_run(_request(req)))


@app.route("runs/{export}/{run}/reject", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
def reject_run(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().reject_run(_request(req)))


@app.route("exports/{export}/preview", methods=["POST"])
def preview(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().preview(_request(req)))


# ADMIN: it shows people's data.
@app.route("exports/{export}/preview/unmasked", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
def preview_unmasked(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().preview_unmasked(_request(req)))


# ADMIN: both deal with people's data, and the second could put anyone on a list.
@app.route("runs/{export}/{run}/rejects", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
def show_rejects(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().show_rejects(_request(req)))


@app.route("runs/{export}/{run}/corrections", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
def start_corrections(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().start_corrections(_request(req)))


@app.route("exports/{export}/reconciliations", methods=["POST"])
def start_reconciliation(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().start_reconciliation(_request(req)))


# ADMIN: the first shows people's data, the others put people on a list, or take them off it, whom no segment names.
@app.route("runs/{export}/{run}/drift", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
def show_drift(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().show_drift(_request(req)))


@app.route("runs/{export}/{run}/repair", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
def start_repair(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().start_repair(_request(req)))


@app.route("exports/{export}/undo", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
def start_undo(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().start_undo(_request(req)))


@app.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:
    return _response(exporter().health())


@app.queue_trigger(arg_name="message", queue_name="%PLAN_QUEUE%", connection=STORAGE)
def move_run(message: func.QueueMessage) -> None:
    exporter().move_run(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%BATCH_QUEUE%", connection=STORAGE)
def send_batch(message: func.QueueMessage) -> None:
    exporter().send_batch(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%POLL_QUEUE%", connection=STORAGE)
def poll_batch(message: func.QueueMessage) -> None:
    exporter().poll_batch(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%NOTIFY_QUEUE%", connection=STORAGE)
def send_notification(message: func.QueueMessage) -> None:
    exporter().send_notification(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%PLAN_QUEUE%-poison", connection=STORAGE)
def abandon_run(message: func.QueueMessage) -> None:
    exporter().abandon_run(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%BATCH_QUEUE%-poison", connection=STORAGE)
def abandon_send(message: func.QueueMessage) -> None:
    exporter().abandon_send(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%POLL_QUEUE%-poison", connection=STORAGE)
def abandon_poll(message: func.QueueMessage) -> None:
    exporter().abandon_poll(message.get_body())


@app.queue_trigger(arg_name="message", queue_name="%NOTIFY_QUEUE%-poison", connection=STORAGE)
def abandon_notification(message: func.QueueMessage) -> None:
    exporter().abandon_notification(message.get_body())


def _request(req: func.HttpRequest) -> Request:
    headers = {name.lower(): value for name, value in req.headers.items()}
    return Request(route=dict(req.route_params), headers=headers, query=dict(req.params), body=req.get_body())


def _response(answer: Answer) -> func.HttpResponse:
    headers = dict(answer.headers)
    return func.HttpResponse(
        answer.body, status_code=answer.status, mimetype=headers.pop("Content-Type"), headers=headers
    )
