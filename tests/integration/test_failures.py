"""What a provider can do wrong to a run, over HTTP: what it costs, and that nobody is called delivered who is not."""

import time
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.accounts import eventually
from tests.integration.desk import LiveExport, Operator, run_all, sums
from tests.integration.segments import PRIVATE, Person

PROVIDERS = ("sendgrid", "brevo")
NAMES = ("ann", "bo", "cy", "di")
EVERYONE = (4, 0, 0, 0, 4, 4, 0, 0)


@pytest.fixture
def customers() -> list[Person]:
    return [{"EMail": f"{name}@failures.{PRIVATE}", "FirstName": name} for name in NAMES]


def on_import(export: LiveExport, kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "route": export.account.import_route, **more}


def on_poll(export: LiveExport, kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "route": export.account.poll_route, **more}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_answers_that_break_off_or_are_no_answers_cost_another_try_and_nobody_their_verdict(
    operator: Operator, customers, provider
):
    exports = [operator.export(provider, customers) for _ in range(3)]
    export, control = exports[0], exports[0].account.control
    before = len(control.traffic()["imports"])
    in_parallel = {"parallel_imports_stick": False} if provider == "brevo" else {}
    control.faults(
        **in_parallel,
        next=[
            on_import(export, "cut_before"),
            on_import(export, "truncated"),
            on_import(export, "html_error", status=503),
            on_poll(export, "cut_before"),
            on_poll(export, "truncated"),
            on_poll(export, "html_error", status=500),
        ],
    )

    runs = run_all(exports)

    assert [(run["status"], sums(run)) for run in runs] == [("successful", EVERYONE)] * 3
    assert [len(export.emails()) for export in exports] == [4, 4, 4]
    # Whose answer was truncated had been taken, and was sent once more.
    assert len(control.traffic()["imports"]) - before == 4


def test_an_import_that_may_be_at_work_is_waited_for_where_two_at_once_get_stuck(operator: Operator, customers):
    export = operator.export("brevo", customers)
    export.account.control.faults(next=[on_import(export, "cut_after")], job_delay_s=10)

    run = export.run()

    assert (run["status"], sums(run)) == ("successful", EVERYONE)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_key_that_is_changed_in_the_middle_is_read_anew_and_the_run_goes_on(operator: Operator, customers, provider):
    key = {"sendgrid": operator.cloud.sendgrid_key, "brevo": operator.cloud.brevo_key}[provider]
    secret, former = f"key-{uuid4().hex[:8]}", f"{key}-former"
    operator.cloud.write_secret(secret, former)
    export = operator.export(provider, customers, secret=secret)
    control = export.account.control
    control.faults(keys=[key, former], next=[on_import(export, "throttle", reset_s=8)])

    started = export.start()
    eventually(lambda: export.show(started.headers["Location"])["waiting_until"])
    operator.cloud.write_secret(secret, key)
    control.faults(keys=[key])
    run = export.verdict(started)

    assert (run["status"], sums(run), run["requests"]) == ("successful", EVERYONE, 1)


def test_a_key_that_goes_in_the_middle_fails_the_run_and_keeps_what_was_delivered(operator: Operator, customers):
    export = operator.export("sendgrid", customers)
    control, route = export.account.control, export.account.import_route
    accepted = control.counts(route).get("202", 0)
    # Refused as a whole, and sent by halves: the first one's job still runs when the key is revoked.
    control.faults(next=[on_import(export, "error", status=400)], job_delay_s=3)

    started = export.start()
    eventually(lambda: control.counts(route).get("202", 0) > accepted)
    control.faults(next=[on_import(export, "error", status=401, times=9)])
    run = export.verdict(started)
    control.faults()
    again = export.run()

    assert (run["status"], sums(run)) == ("failed", (4, 0, 0, 0, 4, 2, 2, 0))
    assert "answered 401 to the import: the API key is wrong" in run["reason"]
    assert (again["status"], sums(again)) == ("successful", (4, 0, 0, 2, 2, 2, 0, 0))


def test_a_job_that_fails_refuses_everyone_in_it_and_the_next_run_sends_them_again(operator: Operator, customers):
    export = operator.export("brevo", customers)
    export.account.control.faults(failed_jobs=1)

    failed, again = export.run(), export.run()

    assert (failed["status"], sums(failed)) == ("failed", (4, 0, 0, 0, 4, 0, 4, 0))
    assert (again["status"], sums(again)) == ("successful", EVERYONE)


@pytest.mark.parametrize(
    ("faults", "verdicts"),
    [
        ({"report_file": "gzip"}, (3, 1, 0)),
        ({"report_file": "unknown_columns"}, (0, 0, 4)),
        ({"report_file": "huge"}, (0, 0, 4)),
    ],
)
def test_a_report_counts_as_far_as_it_can_be_read(operator: Operator, customers, faults, verdicts):
    exports = [operator.export(provider, customers) for provider in PROVIDERS]
    for export in exports:
        export.account.control.faults(refuse_emails=[f"bo@failures.{PRIVATE}"], **faults)

    runs = run_all(exports)

    assert [sums(run)[-3:] for run in runs] == [verdicts, verdicts]


def test_a_pause_until_a_time_of_day_holds_for_every_run_on_the_account_and_for_no_other(operator: Operator, customers):
    reset_s = 8
    waiting = [operator.export("sendgrid", customers, lane="shared") for _ in range(2)]
    elsewhere = operator.export("brevo", customers)
    control, route = waiting[0].account.control, waiting[0].account.import_route
    told_before = control.counts(route).get("429", 0)
    control.faults(next=[on_import(waiting[0], "throttle", reset_s=reset_s)], rate_reset="epoch")

    started = [export.start() for export in waiting]
    eventually(lambda: control.counts(route).get("429", 0) > told_before)
    told = time.monotonic()
    time.sleep(1)  # for what was on its way when the pause was told
    then = control.total()
    beside = elsewhere.run()
    while time.monotonic() < told + reset_s - 1.5:  # the time is told in whole seconds
        assert control.total() == then
        time.sleep(0.05)
    runs = [export.verdict(answer) for export, answer in zip(waiting, started, strict=True)]

    assert [(run["status"], sums(run)) for run in [*runs, beside]] == [("successful", EVERYONE)] * 3
    assert all(beside["finished"] < run["finished"] for run in runs)
