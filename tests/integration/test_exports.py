"""A real segment reaches SendGrid and Brevo, on demand and on schedule: who is on the list, what is known of each."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from tests.integration.accounts import Account, SendGridAccount, eventually
from tests.integration.desk import LiveExport, Operator, run_all, sums
from tests.integration.segments import PRIVATE, Layout, Person, as_csv

PROVIDERS = ("sendgrid", "brevo")
COLUMNS = {
    "first_name": "FirstName",
    "last_name": "LastName",
    "city": "City",
    "country": "CountryOrRegion",
}
CUSTOM = {"tier": "Tier", "points": "Points", "birthday": "Birthday"}
MAPPING = {"email": "EMail", **COLUMNS, "custom": CUSTOM}
#: How many files the segment has in each layout.
PARTS = {
    Layout.MODEL_AND_HEADERS: 3,
    Layout.MODEL_WITHOUT_HEADERS: 2,
    Layout.NO_MODEL: 2,
    Layout.FOLDER: 2,
    Layout.FILE: 1,
}
#: People of the export whose minute comes while the other tests run: as many as no other import here has.
SCHEDULED = 7
_numbers = count(1)


def customers(domain: str) -> list[Person]:
    """Five people, of whom one has no address that works and one has the address of another."""
    return [
        {
            "CustomerId": "1",
            "EMail": f"Zofie@{domain}",
            "FirstName": "Žofie",
            "LastName": 'O"Neill, née 李',
            "City": "Київ",
            "CountryOrRegion": "Україна",
            "Tier": "gold",
            "Points": "12.5",
            "Birthday": "1988-02-29",
        },
        {"CustomerId": "2", "EMail": f"bare@{domain}"},
        {"CustomerId": "3", "EMail": "no address", "FirstName": "Nobody"},
        {"CustomerId": "4", "EMail": f" ZOFIE@{domain} ", "FirstName": "Later"},
        {
            "CustomerId": "5",
            "EMail": f"umm@{domain}",
            "FirstName": "أم كلثوم",
            "Tier": "",
            "Points": "many",
            "City": "🏙",
        },
    ]


def on_sendgrid(account: Any, domain: str) -> list[dict[str, Any]]:
    assert isinstance(account, SendGridAccount)
    custom = {"tier": "gold", "points": 12.5, "birthday": "02/29/1988"}
    return [
        {"email": f"bare@{domain}"},
        {"email": f"umm@{domain}", "first_name": "أم كلثوم", "city": "🏙"},
        {
            "email": f"zofie@{domain}",
            "first_name": "Žofie",
            "last_name": 'O"Neill, née 李',
            "city": "Київ",
            "country": "Україна",
            "custom_fields": {account.fields[name]: value for name, value in custom.items()},
        },
    ]


def on_brevo(_: Any, domain: str) -> list[dict[str, Any]]:
    return [
        {"email": f"bare@{domain}", "attributes": {}},
        {"email": f"umm@{domain}", "attributes": {"FIRSTNAME": "أم كلثوم", "CITY": "🏙"}},
        {
            "email": f"zofie@{domain}",
            "attributes": {
                "FIRSTNAME": "Žofie",
                "LASTNAME": 'O"Neill, née 李',
                "CITY": "Київ",
                "COUNTRY": "Україна",
                "TIER": "gold",
                "POINTS": 12.5,
                "BIRTHDAY": "1988-02-29",
            },
        },
    ]


EXPECTED = {"sendgrid": on_sendgrid, "brevo": on_brevo}


def domain() -> str:
    """A domain that no other test has."""
    return f"d{next(_numbers)}.exports.{PRIVATE}"


def people(where: str, names: str) -> list[Person]:
    """One person for each letter."""
    return [{"EMail": f"{name}@{where}", "FirstName": name.upper()} for name in names]


@pytest.fixture(scope="module", autouse=True)
def scheduled(running: LocalCloud, accounts: Mapping[str, Account]) -> tuple[LiveExport, datetime]:
    """An export that is due at the next full minute, which comes while the other tests run, and that minute."""
    minute = (datetime.now(UTC) + timedelta(seconds=5)).replace(second=0, microsecond=0) + timedelta(minutes=1)
    cron = f"{minute.minute} {minute.hour} * * *"
    operator = Operator(running, accounts)
    return operator.export("sendgrid", people(domain(), "abcdefg"), schedule={"cron": cron, "time_zone": "UTC"}), minute


@dataclass(frozen=True, kw_only=True)
class Finished:
    """An export of `customers`, and its first run."""

    export: LiveExport
    domain: str
    run: dict[str, Any]


@pytest.fixture(scope="module")
def finished(running: LocalCloud, accounts: Mapping[str, Account]) -> Mapping[tuple[str, Layout], Finished]:
    """Every layout to every provider, all at the same time."""
    operator = Operator(running, accounts)
    domains = {(provider, layout): domain() for provider in PROVIDERS for layout in PARTS}
    exports = {
        (provider, layout): operator.export(
            provider, customers(where), layout=layout, parts=PARTS[layout], mapping=MAPPING, lane=f"{provider}-layouts"
        )
        for (provider, layout), where in domains.items()
    }
    runs = run_all(list(exports.values()))
    return {
        key: Finished(export=exports[key], domain=domains[key], run=run) for key, run in zip(exports, runs, strict=True)
    }


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("layout", PARTS)
def test_everyone_valid_is_on_the_list_as_mapped(finished, provider, layout):
    export, run = finished[provider, layout].export, finished[provider, layout].run

    assert (run["status"], run["reason"]) == ("successful", "")
    assert sums(run) == (5, 1, 1, 0, 3, 3, 0, 0)
    assert run["omitted_values"] == 1
    assert export.contacts() == EXPECTED[provider](export.account, finished[provider, layout].domain)
    assert len(run["segments"][0]["parts"]) == PARTS[layout]
    assert run["requests"] == 1


def test_a_full_run_sends_everyone_again(finished):
    export = finished["sendgrid", Layout.FILE].export

    again = export.verdict(export.start(body={"full": True}))

    assert sums(again) == (5, 1, 1, 0, 3, 3, 0, 0)


def test_a_second_run_sends_nobody_and_a_third_one_who_has_changed(operator: Operator):
    where = domain()
    exports = [operator.export(name, people(where, "abc"), layout=Layout.MODEL_AND_HEADERS) for name in PROVIDERS]
    first = run_all(exports)

    second = run_all(exports)
    changed = [*people(where, "ab"), {"EMail": f"c@{where}", "FirstName": "Changed"}, *people(where, "d")]
    imports = [len(export.account.control.traffic()["imports"]) for export in exports]
    for export in exports:
        export.deliver(changed)
    third = run_all(exports)

    for export, run, before in zip(exports, second, first, strict=True):
        assert sums(run) == (3, 0, 0, 3, 0, 0, 0, 0)
        assert (run["status"], run["compared_with"], run["requests"]) == ("successful", before["id"], 0)
        assert run["reason"] == f"Nothing was sent: all 3 contacts are as the run {before['id']} delivered them"
        assert export.emails() == [f"{name}@{where}" for name in "abcd"]
        assert "Changed" in str(export.contacts())
    for export, run, known in zip(exports, third, imports, strict=True):
        assert sums(run) == (4, 0, 0, 2, 2, 2, 0, 0)
        sent = [one["contacts"] for one in export.account.control.traffic()["imports"][known:]]
        assert [contacts for contacts in sent if contacts != SCHEDULED] == [2]


def test_who_has_opted_out_stays_opted_out(operator: Operator):
    where = domain()
    exports = [operator.export(provider, people(where, "ab")) for provider in PROVIDERS]
    for export in exports:
        export.account.opt_out(f"a@{where}")

    for export, run in zip(exports, run_all(exports), strict=True):
        assert run["status"] == "successful"
        assert export.account.opted_out(f"a@{where}")
        assert not export.account.opted_out(f"b@{where}")


def test_the_newest_complete_snapshot_is_read(operator: Operator):
    where = domain()
    export = operator.export("sendgrid", people(where, "ab"), layout=Layout.MODEL_AND_HEADERS)
    export.deliver(people(where, "cde"), parts=3, snapshot="2026/11/22/1200")
    missing = next(
        name for name in operator.cloud.segments.list_blob_names() if name.endswith(f"1200/{export.name}_2.csv")
    )
    operator.cloud.segments.delete_blob(missing)

    run = export.run()

    assert run["segments"][0]["snapshot"].endswith("/2026/11/22/0600")
    assert export.emails() == [f"a@{where}", f"b@{where}"]


def test_a_broken_file_costs_its_broken_lines_only_and_each_has_its_reason(operator: Operator):
    where = domain()
    export = operator.export("sendgrid", people(where, "a"))
    good = as_csv(["EMail", "FirstName"], people(where, "ab"), headers=True).encode()
    bad = (
        b"two@at@" + where.encode() + b",Two\r\n"
        b",Nobody\r\n"
        b"two words@" + where.encode() + b",Two\r\n"
        b"nul\x00@" + where.encode() + b",Nul\r\n"
        b"many@" + where.encode() + b",too,many\r\n"
        b'"cut@' + where.encode()
    )
    operator.cloud.segments.upload_blob(f"{export.name}.csv", good + bad, overwrite=True)

    held = export.held(export.start())
    assert [brake["kind"] for brake in held["brakes"]] == ["cut_off"]
    assert export.contacts() == []
    run = export.verdict_of(export.decide(held, "approve"))

    assert sums(run) == (8, 6, 0, 0, 2, 2, 0, 0)
    assert {row["line"]: row["reason"] for row in export.rejects(run)} == {
        4: "email_malformed",
        5: "email_missing",
        6: "email_malformed",
        7: "nul_byte",
        8: "line_malformed",
        9: "line_cut_off",
    }
    assert {row["reason"]: row["line"] for row in run["rejects"]}["nul_byte"] == 7
    assert export.emails() == [f"a@{where}", f"b@{where}"]


def test_an_occurrence_starts_one_run_though_two_hosts_look_every_few_seconds(scheduled):
    export, minute = scheduled

    eventually(export.runs, within_s=75)
    assert datetime.now(UTC) >= minute
    [run_id] = export.runs()
    eventually(lambda: export.show(f"/api/runs/{export.id}/{run_id}")["finished"])
    time.sleep(5)  # the timer fires again, while the occurrence is still the newest one

    assert export.runs() == [run_id]
    run = export.show(f"/api/runs/{export.id}/{run_id}")
    assert (run["trigger"], run["status"], run["requests"]) == ("schedule", "successful", 1)
    assert len(export.contacts()) == SCHEDULED
