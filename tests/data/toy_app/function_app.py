"""An app with one function of each kind that the local host runs. It writes what happens to the file TOY_RECORD."""

import json
import os
import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.queue_trigger(arg_name="message", queue_name="%TOY_QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    order = message.get_json()
    record("work", order=order, dequeue_count=message.dequeue_count, id=message.id)
    time.sleep(order.get("sleep_s", 0))
    if order.get("fail"):
        raise ValueError("as ordered")
    record("work done", order=order)


@app.queue_trigger(arg_name="message", queue_name="%TOY_QUEUE%-poison", connection="AzureWebJobsStorage")
def bury(message: func.QueueMessage) -> None:
    record("bury", body=message.get_body().decode(errors="replace"))


@app.timer_trigger(arg_name="timer", schedule="%TOY_SCHEDULE%", run_on_startup=False, use_monitor=True)
def tick(timer: func.TimerRequest) -> None:
    record("tick", past_due=timer.past_due)


@app.route(route="echo/{name}/{number:int}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "route": dict(req.route_params),
        "query": dict(req.params),
        "body": req.get_body().decode(),
        "header": req.headers.get("X-Toy"),
    }
    return func.HttpResponse(json.dumps(seen), status_code=202, mimetype="application/json", headers={"Location": "/x"})


@app.route(route="hello", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def hello(req: func.HttpRequest) -> str:
    return f"hello {req.params.get('name', '')}"


@app.route(route="secret", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
def secret(req: func.HttpRequest) -> str:
    return "secret"


@app.route(route="broken", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("as ordered")


@app.route(route="sleep", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def sleep(req: func.HttpRequest) -> str:
    record("sleep")
    time.sleep(float(req.params["s"]))
    return "slept"


def record(event: str, **values: object) -> None:
    line = json.dumps({"event": event, "pid": os.getpid(), "at": time.time(), **values}) + "\n"
    with Path(os.environ["TOY_RECORD"]).open("a", encoding="utf-8") as file:
        file.write(line)
