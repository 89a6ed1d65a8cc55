"""Bad days at the provider: a run waits, tries again or says what it does not know; its sums close all the same."""

import time
from typing import Any

import pytest

from tests.integration.accounts import Control, eventually
from tests.integration.desk import LiveExport, Operator, run_all, sums
from tests.integration.segments import PRIVATE, Person

PROVIDERS = ("sendgrid", "brevo")
NAMES = ("ann", "bo", "cy", "di")
RESET_S = 2


@pytest.fixture
def customers() -> list[Person]:
    return [{"EMail": f"{name}@trouble.{PRIVATE}", "FirstName": name} for name in NAMES]


@pytest.fixture
def exports(operator: Operator, customers) -> list[LiveExport]:
    return [operator.export(provider, customers) for provider in PROVIDERS]


def trouble(export: LiveExport, *kinds: dict[str, Any]) -> None:
    """Let the next imports of an account meet these, one after the other."""
    route = export.account.import_route
    export.account.control.faults(next=[{"route": route} | kind for kind in kinds])


def wrong(run: dict[str, Any], export: LiveExport) -> list[tuple[str, str, int, str]]:
    """Who is in the rejects file: reason, first part of the address, line, the provider's words."""
    return [
        (row["reason"], str(row["email"]).partition("@")[0], row["line"], row["words"]) for row in export.rejects(run)
    ]


def first_seen(control: Control, route: str, status: str, known: int) -> tuple[float, float]:
    """A moment before which the sandbox had not given one more such answer, and one at which it had."""
    before = time.monotonic()
    for _ in range(2_000):
        asked = time.monotonic()
        if control.counts(route).get(status, 0) > known:
            return before, time.monotonic()
        before = asked
        time.sleep(0.01)
    raise AssertionError(f"{route} never answered {status}")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_throttled_run_waits_as_long_as_it_is_told_and_succeeds(operator: Operator, customers, provider):
    export = operator.export(provider, customers)
    account = export.account
    routes = {account.import_route: "202", account.poll_route: "200"}
    before = {route: account.control.counts(route) for route in routes}
    account.control.faults(next=[{"kind": "throttle", "reset_s": RESET_S, "route": route} for route in routes])

    started = export.start()
    for route, good in routes.items():
        told = first_seen(account.control, route, "429", before[route].get("429", 0))[0]
        requests_then = account.control.total()
        eventually(lambda: export.show(started.headers["Location"])["waiting_until"])
        while time.monotonic() < told + RESET_S - 0.2:
            assert account.control.total() == requests_then
            time.sleep(0.02)
        answered = first_seen(account.control, route, good, before[route].get(good, 0))[1]
        assert answered - told >= RESET_S
    run = export.verdict(started)

    assert (run["status"], sums(run)) == ("successful", (4, 0, 0, 0, 4, 4, 0, 0))
    assert {route: account.control.counts(route)["429"] for route in routes} == {
        route: before[route].get("429", 0) + 1 for route in routes
    }


def test_a_burst_of_server_errors_is_outlived(operator: Operator, customers, exports):
    third = operator.export("sendgrid", customers)
    trouble(third, {"kind": "error", "status": 503}, {"kind": "html_error", "status": 502})
    trouble(exports[1], {"kind": "html_error", "status": 504})

    for export, run in zip([*exports, third], run_all([*exports, third]), strict=True):
        assert (run["status"], sums(run)) == ("successful", (4, 0, 0, 0, 4, 4, 0, 0))
        assert run["requests"] == 2
        assert len(export.contacts()) == 4


def test_an_answer_that_was_lost_is_asked_for_again_and_nobody_is_counted_twice(exports):
    imports = [len(export.account.control.traffic()["imports"]) for export in exports]
    for export in exports:
        trouble(export, {"kind": "cut_after"})

    for export, run, before in zip(exports, run_all(exports), imports, strict=True):
        assert (run["status"], sums(run)) == ("successful", (4, 0, 0, 0, 4, 4, 0, 0))
        assert [one["contacts"] for one in export.account.control.traffic()["imports"][before:]] == [4, 4]
        assert [contact["email"].partition("@")[0] for contact in export.contacts()] == list(NAMES)


def test_a_request_that_is_refused_as_a_whole_is_halved_until_everyone_good_is_delivered(operator: Operator, customers):
    export = operator.export("sendgrid", customers)
    imports = len(export.account.control.traffic()["imports"])
    trouble(export, {"kind": "error", "status": 400, "times": 2})

    run = export.run()

    # All four, then the first two, are refused without a name; then one by one, and the other two together.
    assert (run["status"], sums(run)) == ("successful", (4, 0, 0, 0, 4, 4, 0, 0))
    assert [one["contacts"] for one in export.account.control.traffic()["imports"][imports:]] == [1, 1, 2]
    assert run["requests"] == 5


def test_who_has_no_verdict_comes_again_and_then_who_was_refused_until_all_are_delivered(exports):
    bad = [f"bo@trouble.{PRIVATE}"]
    for export in exports:
        export.account.control.faults(refuse_emails=bad, report_file="missing")
    unclear = run_all(exports)
    for export in exports:
        export.account.control.faults(refuse_emails=bad)
    refused = run_all(exports)
    for export in exports:
        export.account.control.faults()
    good = run_all(exports)

    words = {"sendgrid": "refused", "brevo": "invalid e-mail address"}
    for export, run in zip(exports, unclear, strict=True):  # without the file nobody is known to be delivered
        assert (run["status"], sums(run)) == ("failed", (4, 0, 0, 0, 4, 0, 0, 4))
        assert {row[0] for row in wrong(run, export)} == {"unknown"}
    for export, run in zip(exports, refused, strict=True):
        assert (run["status"], sums(run)) == ("completed_with_warnings", (4, 0, 0, 0, 4, 3, 1, 0))
        [(reason, name, line, said)] = wrong(run, export)
        assert (reason, name, line) == ("refused", "bo", 3)
        assert words[export.account.provider] in said
    for run in good:
        assert (run["status"], sums(run)) == ("successful", (4, 0, 0, 3, 1, 1, 0, 0))
